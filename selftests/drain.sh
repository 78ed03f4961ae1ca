#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Whatever ends the exporter, what is in the cache is exported first: flush, disable,
# rmmod, and the end of the namespace.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2: nfcapd

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump nft

# send HOST: 40 flows of 1 to 3 packets to 10.9.0.HOST; those of TCP have finished.
send() {
	inject <<-END
		udp 10.1.0.2:1-35 10.9.0.$1:53 count=3 len=100
		tcp 10.1.0.2:1-4 10.9.0.$1:80 flags=SF len=40
		icmp 10.1.0.2 10.9.0.$1 len=84
	END
}

start() {
	nf collector add 10.3.0.2 && nf enable
}

# no_flows: the cache is empty, and every packet so far was exported.
no_flows() {
	info_is flows.cached=0 packets.seen="$(info packets.exported)" && ledger_holds router
}

need two_hosts
need load
need count_by_nft
need start_injector left l0 02:00:00:00:01:01
need start_nfcapd nfcapd
need start

need send 1
check "flush" nf flush
check "flush leaves nothing in the cache" no_flows
need send 2
check "disable" nf disable
check "disable leaves nothing in the cache" no_flows
check "the ledger can be read while disabled" info_is enabled=false 'packets.exported>0'
need nf enable
need send 3
check "rmmod" unload
check "rmmod logs an exact ledger" logged_ledgers_hold 1

need load
need start
need send 4
nft_flows router >"$TMP/expected"
# What holds a namespace are its name and the processes in it: none here.
check "deletion of the namespace" ip netns delete router
check "the end of a namespace logs an exact ledger" eventually 20 logged_ledgers_hold 2
check "the module can be unloaded after that" unload
check "namespaces do not log twice" logged_ledgers_hold 2

need stop_nfcapd
collected nfcapd | without_tos >"$TMP/collected"
cp "$TMP/collected" "$TMP/certain"
# A deleted namespace has 50 ms to send, in which a slow kernel may not get to all flows.
[ "${TIMEOUT_FACTOR:-1}" = 1 ] || sed -i '/ 10\.9\.0\.4 /d' "$TMP/expected" "$TMP/certain"
check "every flow was collected" same "$TMP/expected" "$TMP/certain"
check "the logged ledgers say the same" \
	equal "packets and bytes exported" "$(total "$TMP/collected")" "$(logged_exports)"
done_testing
