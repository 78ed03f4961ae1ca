#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What makes packets one flow, and what a further packet changes of it.
#
#    left 10.1.0.2 ------- to-left   router  to-right ----- right 10.2.0.2, 10.9.0.0/16
#    collector 10.3.0.2 -- to-collector  netflow

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin python3

# One packet of the same addresses, ports, protocol and ToS, but by another interface.
inject_elsewhere() {
	printf '%s\n' "udp 10.1.0.2:1000 10.9.0.1:53 len=80 count=5" end |
		on collector python3 -S "$SELFTESTS/lib/inject.py" c0 02:00:00:00:03:01
}

flows_are() {
	nf --json flows | jq -r '.[] | "\(.src_addr):\(.src_port) \(.dst_addr):\(.dst_port) \(.proto) \(.tos) \(.input) \(.packets) \(.bytes)"' |
		sort >"$TMP/flows"
	sort >"$TMP/expected"
	same "$TMP/expected" "$TMP/flows"
}

each_field_counts() {
	flows_are <<-END
		10.1.0.2:1000 10.9.0.1:53 17 0 $left 3 300
		10.1.0.3:1000 10.9.0.1:53 17 0 $left 2 120
		10.1.0.2:1000 10.9.0.2:53 17 0 $left 2 122
		10.1.0.2:1001 10.9.0.1:53 17 0 $left 2 124
		10.1.0.2:1000 10.9.0.1:54 17 0 $left 2 126
		10.1.0.2:1000 10.9.0.1:53 6 0 $left 2 128
		10.1.0.2:1000 10.9.0.1:53 17 1 $left 2 130
		10.1.0.2:1000 10.9.0.1:53 17 128 $left 2 132
		10.9.0.1:53 10.1.0.2:1000 17 0 $left 2 134
		10.1.0.2:1000 10.9.0.1:53 17 0 $collector 5 400
	END
}

# ng_netflow's hash takes the upper half of the one address and the lowest byte of the other.
of_one_chain() {
	local third
	for third in {0..7}; do
		echo "tcp 10.10.$third.0-255:1234 10.9.0.7:80 len=40 flags=S count=2"
	done >"$TMP/packets"
	inject <"$TMP/packets"
}

each_is_there_once() {
	nf --json flows | jq -r '.[] | "\(.src_addr) \(.packets) \(.bytes)"' | sort >"$TMP/flows"
	for third in {0..7}; do
		printf "10.10.$third.%d 2 80\n" {0..255}
	done | sort >"$TMP/expected"
	same "$TMP/expected" "$TMP/flows"
}

# flow: the only one that there is.
flow() { nf --json flows | jq -c '.[]'; }

# is FILTER EXPECTED FLOW
is() { equal "$1" "$2" "$(jq -r "$1" <<<"$3")"; }

need two_hosts
left=$(index_of router to-left) collector=$(index_of router to-collector)
need load
need start_injector left l0 02:00:00:00:01:01
need nf enable --inactive-timeout 3600 --active-timeout 3600

inject <<'END'
	udp 10.1.0.2:1000 10.9.0.1:53 len=100 count=3
	udp 10.1.0.3:1000 10.9.0.1:53 len=60 count=2
	udp 10.1.0.2:1000 10.9.0.2:53 len=61 count=2
	udp 10.1.0.2:1001 10.9.0.1:53 len=62 count=2
	udp 10.1.0.2:1000 10.9.0.1:54 len=63 count=2
	tcp 10.1.0.2:1000 10.9.0.1:53 len=64 count=2
	udp 10.1.0.2:1000 10.9.0.1:53 len=65 count=2 tos=1
	udp 10.1.0.2:1000 10.9.0.1:53 len=66 count=2 tos=128
	udp 10.9.0.1:53 10.1.0.2:1000 len=67 count=2
END
need inject_elsewhere
check "packets that differ in one field of the key, or in direction, are of different flows" each_field_counts
need nf flush

need of_one_chain
check "2048 flows of one chain of ng_netflow's hash are told apart" each_is_there_once
check "and none had to leave" info_is .expired.displaced 0
need nf flush

inject <<'END'
	tcp 10.1.0.2:2000 10.9.0.1:80 len=60 flags=S
END
new=$(flow)
sleep 0.1
inject <<'END'
	tcp 10.1.0.2:2000 10.9.0.1:80 len=1500 flags=PA
END
grown=$(flow)
check "a new flow has one packet" is '"\(.packets) \(.bytes) \(.tcp_flags)"' "1 60 2" "$new"
check "and ends when it begins" is '.last - .first' 0 "$new"
check "a further packet is added to its counters" is '"\(.packets) \(.bytes)"' "2 1560" "$grown"
check "its flags to those of the former" is .tcp_flags 26 "$grown"
check "the flow ends later" is ".last >= $(jq .last <<<"$new") + 100" true "$grown"
unchanged='del(.packets, .bytes, .tcp_flags, .last) | tojson'
check "and nothing else changes" is "$unchanged" "$(jq -r "$unchanged" <<<"$new")" "$grown"
check "the ledger is exact" ledger_holds
done_testing
