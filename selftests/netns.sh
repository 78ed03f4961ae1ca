#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Namespaces are separate: each has its own settings, flows, collectors and counters, and
# where the exporter is not enabled no packet is seen.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2
#    netflow                    netflow  |                not enabled
#    no collector                        | 10.3.0.1 ----- collector 10.3.0.2: nfcapd

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump nft ping

# settings_are NETNS MAX_FLOWS ACTIVE_TIMEOUT INACTIVE_TIMEOUT COLLECTORS: and it is enabled.
settings_are() {
	info_is -n "$1" enabled=true flows.max="$2" active_timeout="$3" inactive_timeout="$4" \
		"collectors | length=$5"
}

flows_are_those_of_nft() {
	nft_flows "$1" >"$TMP/expected.$1"
	cached_flows "$1" >"$TMP/actual.$1"
	same "$TMP/expected.$1" "$TMP/actual.$1"
}

sees_nothing() {
	local ns
	for ns in "$@"; do
		info_is -n "$ns" enabled=false packets.seen=0 flows.cached=0 || return
	done
}

need two_hosts
need load active_timeout=900 inactive_timeout=99
need count_by_nft router
need count_by_nft left
need start_nfcapd nfcapd

check "the exporter is off in every namespace at first" sees_nothing left router right collector
check "enabled in the router" nf enable --max-flows 64 --active-timeout 300
check "enabled in the left host" netflowctl --netns left enable --max-flows 32 --inactive-timeout 77
check "a collector of the router" nf collector add 10.3.0.2
check "the router's settings; what was not given is as at load" settings_are router 64 300 99 1
check "the left host's settings" settings_are left 32 900 77 0

check "traffic passes" on left ping -q -c 3 -i 0.2 10.2.0.2
check "traffic passes between the other hosts" on right ping -q -c 2 -i 0.2 10.3.0.2
check "the router's flows are what passed it" flows_are_those_of_nft router
check "the left host's flows are what reached it" flows_are_those_of_nft left
check "where it is not enabled nothing was seen" sees_nothing right collector
check "not in the initial namespace either" sees_nothing /proc/self/ns/net

check "netflowctl works on the namespace it runs in" \
	equal "limit" 32 "$(on left netflowctl --json info | jq .flows.max)"
check "flush of the left host" netflowctl --netns left flush
check "its flows are lost without a collector" \
	info_is -n left packets.lost_by.no_collector=3 packets.exported=0
check "the router's flows stay" flows_are_those_of_nft router
check "disabled in the left host" netflowctl --netns left disable
check "still enabled in the router" settings_are router 64 300 99 1
check "the ledger is exact in the left host" ledger_holds left
check "the ledger is exact in the router" ledger_holds router
need nf disable
need stop_nfcapd
collected nfcapd | without_tos >"$TMP/collected"
check "the collector got the router's flows and no others" \
	same "$TMP/expected.router" "$TMP/collected"
done_testing
