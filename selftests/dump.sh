#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The list of flows while packets are counted: each flow that stays in the cache is listed once,
# its counters never decrease, and in the end they are those of nftables. First packets of a
# flow on two CPUs at once make one flow.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                        netflow, nft

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nft taskset

FLOWS=2000 ROUNDS=15 DUMPS=4

# dumps: while packets pass, flows with their packets and bytes in $TMP/dump.1 and so on.
dumps() {
	local n answer
	printf '%s\n' "udp 10.1.0.2:1-$FLOWS 10.9.0.1:53 count=$ROUNDS gap=0.1" end \
		>&"${INJECTOR[1]}"
	for ((n = 1; n <= DUMPS; n++)); do
		show_flows '*' source-port packets bytes | sort -n >"$TMP/dump.$n" || return
	done
	read -r -t "$((120 * ${TIMEOUT_FACTOR:-1}))" answer <&"${INJECTOR[0]}" || return
	[ "$answer" = sent ]
}

# each_once FILE
each_once() {
	cut -d ' ' -f 1 "$1" >"$TMP/ports"
	seq "$FLOWS" >"$TMP/expected"
	same "$TMP/expected" "$TMP/ports"
}

# goes_on EARLIER LATER: no counter is less.
goes_on() {
	paste -d ' ' "$1" "$2" |
		awk '$5 < $2 || $6 < $3 || $6 != 64 * $5 { print; bad = 1 } END { exit bad || !NR }'
}

# something_changed: or the test would prove nothing.
something_changed() { ! cmp -s "$TMP/dump.1" "$TMP/dump.$DUMPS"; }

# same_flows_on_two_cpus: that there are two is not needed, but better.
same_flows_on_two_cpus() {
	local cpu senders=()
	printf '%s\n' "udp 10.1.0.2:1-$FLOWS 10.9.0.2:53 count=3" end >"$TMP/packets"
	for cpu in 0 $(($(nproc) - 1)); do
		ip netns exec left taskset -c "$cpu" python3 -S "$SELFTESTS/lib/inject.py" \
			l0 02:00:00:00:01:01 <"$TMP/packets" >"$TMP/sender.$cpu" &
		senders+=($!)
	done
	wait "${senders[@]}"
}

flows_agree() {
	nft_flows router >"$TMP/expected"
	cached_flows >"$TMP/flows"
	same "$TMP/expected" "$TMP/flows"
}

need two_hosts
need load
need count_by_nft
need start_injector left l0 02:00:00:00:01:01
need nf enable --inactive-timeout 3600 --active-timeout 3600
inject <<END
	udp 10.1.0.2:1-$FLOWS 10.9.0.1:53
END
check "flows can be listed while packets pass" dumps
for ((n = 1; n <= DUMPS; n++)); do
	check "each of $FLOWS flows is listed once ($n)" each_once "$TMP/dump.$n"
	[ $n = 1 ] ||
		check "its counters do not decrease ($n)" \
			goes_on "$TMP/dump.$((n - 1))" "$TMP/dump.$n"
done
check "meanwhile packets were counted" something_changed
check "the same new flows come on two CPUs" same_flows_on_two_cpus
check "no flow is in the cache twice" equal "flows" "$((2 * FLOWS))" "$(info flows.created)"
check "in the end, the list has what nftables counted" flows_agree
check "the ledger is exact" ledger_holds
need nf disable
check "while disabled the list is empty" equal flows '[]' "$(nf --json flows)"
done_testing
