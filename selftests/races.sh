#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets of the same flows come on two CPUs, while flows expire at every tick, are flushed
# and are listed: each flow is exported once, and each packet is in one record.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                        netflow, nft    | 10.3.0.1 ----- collector 10.3.0.2: nfcapd

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump nft taskset

# Fewer packets on a slow machine: what has to be long enough is the time.
FLOWS=2000 ROUNDS=$((60 / ${TIMEOUT_FACTOR:-1}))

# send_on CPU: until all is sent. Pauses, so that it takes some seconds on a fast machine too.
send_on() {
	printf '%s\n' "udp 10.1.0.2:1-$FLOWS 10.9.0.1:53 count=$ROUNDS gap=0.15" end |
		on left taskset -c "$1" python3 -S "$SELFTESTS/lib/inject.py" l0 02:00:00:00:01:01
}

# Several times in a row, then long enough not at all for flows to expire by themselves.
flush_again_and_again() {
	while [ ! -e "$TMP/sent" ]; do
		nf flush && nf flush && nf flush || return
		sleep 1.5
	done
}

list_again_and_again() {
	while [ ! -e "$TMP/sent" ]; do
		show_flows '*' packets >"$TMP/listed" || return
	done
}

# race: all of it at once.
race() {
	local cpu senders=() others=() status=0
	flush_again_and_again & others+=($!)
	list_again_and_again & others+=($!)
	for cpu in 0 $(($(nproc) - 1)); do
		send_on "$cpu" & senders+=($!)
	done
	wait "${senders[0]}" || status=1
	wait "${senders[1]}" || status=1
	touch "$TMP/sent"
	wait "${others[0]}" || status=1
	wait "${others[1]}" || status=1
	return "$status"
}

need two_hosts
need load
need count_by_nft
need start_nfcapd nfcapd
need nf collector add 10.3.0.2
need nf enable --inactive-timeout 1 --active-timeout 1 --expiry strict
check "packets of the same flows come on two CPUs, and flows are flushed and listed" race
check "the ledger is exact" ledger_holds
need nf flush
check "all packets were seen" info_is packets.seen=$((2 * FLOWS * ROUNDS))
check "all packets were exported" info_is packets.exported=$((2 * FLOWS * ROUNDS))
# A slow kernel comes to fewer of both.
some=$((FLOWS / ${TIMEOUT_FACTOR:-1}))
check "flows were flushed meanwhile, and others expired at ticks" \
	info_is "expired.flushed>$some" "expired | .active + .inactive>$some"
check "each flow that was created has expired once" \
	info_is "expired | add=$(info flows.created)"
check "the ledger is exact in the end" ledger_holds
need stop_nfcapd
check "the collector got a record for each of them" \
	exported_flow_count_is nfcapd '*' "$(info 'expired | add')"
check "packets and bytes of each flow are those that nftables counted" collected_as_nft_saw
check "nfcapd missed nothing in the sequence" nfcapd_missed_nothing
done_testing
