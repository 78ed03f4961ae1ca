# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What flows are: those in the cache of the router, and those that a collector has. See
# flows.py for the words in which they are stated, and netflow.sh.

flows() { python3 -B -S "$SELFTESTS/lib/flows.py" "$@"; }

### In the cache

# flow_is PATTERN NAME=VALUE...: one flow matches, and it has these fields.
flow_is() { flows cached router is "$@"; }

# flows_are [PATTERN] [NAME=VALUE]...: the flows that match are those on standard input, and
# all of them have these fields.
flows_are() { flows cached router are "$@"; }

# flows_each PATTERN NAME=VALUE...: some flows match, and all of them have these fields.
flows_each() { flows cached router each "$@"; }

# flow_count_is PATTERN NUMBER
flow_count_is() { flows cached router count "$@"; }

# show_flows PATTERN NAME...: these fields of all flows that match, sorted.
show_flows() { flows cached router show "$@"; }

# cached_flows [NETNS]: flows as `collected` has them, without ToS.
cached_flows() {
	flows cached "${1:-router}" show '*' \
		source destination protocol source-port destination-port packets bytes | sum_flows
}

# ports_are PORT...: the source ports of all flows, from least to most.
ports_are() {
	equal "source ports in the cache" "$*" "$(show_flows '*' source-port | sort -n | xargs)"
}

### In the records that nfcapd wrote to $TMP/NAME

# exported_flow_is NAME PATTERN NAME=VALUE...
exported_flow_is() { flows exported "$TMP/$1" is "${@:2}"; }

# exported_flows_are NAME [PATTERN] [NAME=VALUE]...
exported_flows_are() { flows exported "$TMP/$1" are "${@:2}"; }

# exported_flows_each NAME PATTERN NAME=VALUE...
exported_flows_each() { flows exported "$TMP/$1" each "${@:2}"; }

# exported_flow_count_is NAME PATTERN NUMBER
exported_flow_count_is() { flows exported "$TMP/$1" count "${@:2}"; }

# show_exported_flows NAME PATTERN FIELD...
show_exported_flows() { flows exported "$TMP/$1" show "${@:2}"; }
