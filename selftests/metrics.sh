#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The metrics of several namespaces in one text, as Prometheus' own tool reads them.
#
#    red, blue: netflow, two collectors     plain: nothing     and the namespace that we are in

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin promtool

metrics() { netflowctl info --prometheus "$@" >"$TMP/metrics"; }

# valid: promtool finds nothing to say.
valid() {
	local status=0
	promtool check metrics <"$TMP/metrics" >"$TMP/promtool" 2>&1 || status=$?
	cat "$TMP/promtool"
	[ "$status" = 0 ] && [ ! -s "$TMP/promtool" ]
}

# values METRIC: "NETNS=VALUE" of each namespace, sorted; the one that we are in has no name.
values() {
	local labels='(\{netns="([^"]*)".*\})?'
	sed -nE "s/^netflow_$1$labels (.*)/\\2=\\3/p" "$TMP/metrics" | sort | xargs
}

# one_by_one NETNS...: texts of several calls, one behind the other.
one_by_one() {
	local netns
	for netns; do
		netflowctl --netns "$netns" info --prometheus
	done >"$TMP/metrics"
}

for netns in red blue plain; do
	need add_netns $netns
done
need load
for netns in red blue; do
	need ip -n $netns link set lo up
	need netflowctl --netns $netns collector add 127.0.0.1
	need netflowctl --netns $netns collector add 127.0.0.1:2056
done
need netflowctl --netns red enable --max-flows 1000
need netflowctl --netns blue enable --max-flows 2000
need netflowctl enable --max-flows 100

check "one namespace has metrics" metrics --netns red
check "promtool finds no fault with these" valid
check "texts of two calls can be put together" one_by_one red blue
check "promtool refuses that" eval '! valid'
check "one call has the metrics of several namespaces" metrics --netns red --netns blue
check "promtool finds no fault with these either" valid
check "each has its name" equal max_flows "blue=2000 red=1000" "$(values max_flows)"
check "one call has those of all" metrics --all-netns
check "promtool finds no fault with all" valid
check "none is missing" equal enabled "=1 blue=1 plain=0 red=1" "$(values enabled)"
check "nor a collector" \
	equal "collectors" 4 "$(grep -c '^netflow_collector_errors_total{' "$TMP/metrics")"
check "a namespace that does not exist is refused" \
	refused "nowhere" netflowctl info --prometheus --netns red --netns nowhere
need netflowctl disable
done_testing
