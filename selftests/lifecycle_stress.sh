#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# rmmod, disable and deletion of the namespace while traffic runs, and concurrent commands: the
# kernel reports no error, and no packet is missing from a ledger or from the collector of v5. There
# is one of IPFIX, too.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#    sends all the time         netflow  | 10.3.0.1 ----- collector 10.3.0.2: nfcapd
#
# In the last part the router comes and goes, with only these two links.

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump

ROUNDS=20
# More than flood.py has; a small cache is made faster.
FLOWS=2048

add_collectors() { nf collector add 10.3.0.2 && nf collector add 10.3.0.2 --protocol ipfix; }

start() {
	add_collectors && nf enable --max-flows "${1:-$FLOWS}" --inactive-timeout 1
}

traffic_runs() { [ "$(on router cat /sys/class/net/to-left/statistics/rx_packets)" -gt 100 ]; }

# Long enough for some packets.
let_traffic_run() { sleep 0.3; }

# rounds_hold BEFORE LEAST: so many more namespaces than before logged a ledger; each is exact, each
# had traffic, and at least so many exported some of it.
rounds_hold() {
	local exported
	logged_ledgers_hold $(($1 + ROUNDS)) || return
	tail -n "$ROUNDS" "$TMP/ledgers" >"$TMP/rounds"
	without '^0 ' "$TMP/rounds" || return
	exported=$(grep -vcE '^[0-9]+ [0-9]+ 0 ' "$TMP/rounds")
	echo "$exported of $ROUNDS exported something"
	[ "$exported" -ge "$2" ]
}

unload_while_busy() {
	local round
	for ((round = 1; round <= ROUNDS; round++)); do
		# A small cache in every other round: it is full.
		insmod "$NETFLOW_KO" && start $((round % 2 ? FLOWS : 100)) && let_traffic_run &&
			rmmod netflow || return
	done
	rounds_hold 0 "$ROUNDS"
}

disable_while_busy() {
	local round seen
	add_collectors || return
	for ((round = 1; round <= ROUNDS; round++)); do
		seen=$(info packets.seen)
		nf enable --max-flows "$FLOWS" --inactive-timeout 1 && let_traffic_run &&
			nf disable && ledger_holds &&
			info_is "packets.seen>$seen" packets.cached=0 bytes.cached=0 || return
	done
}

# With few processes: this is done often.
make_router() {
	add_netns router && link left l0 02:00:00:00:01:02 to-left 02:00:00:00:01:01 &&
		link collector c0 02:00:00:00:03:02 to-collector 02:00:00:00:03:01 || return
	ip -n router -batch - <<-'END' || return
		link set to-left up
		link set to-collector up
		addr add 10.1.0.1/24 dev to-left
		addr add 10.3.0.1/24 dev to-collector
		neigh add 10.3.0.2 lladdr 02:00:00:00:03:02 dev to-collector nud permanent
	END
	ip -n left -batch - <<-'END' || return
		link set l0 up
		addr add 10.1.0.2/24 dev l0
		neigh add 10.1.0.1 lladdr 02:00:00:00:01:01 dev l0 nud permanent
		route add default via 10.1.0.1
	END
	ip -n collector -batch - <<-'END'
		link set c0 up
		addr add 10.3.0.2/24 dev c0
	END
}

# The deletion goes on in the background; at its end the links are gone.
router_is_gone() { ! ip -n left link show l0 2>/dev/null; }

delete_while_busy() {
	local round before
	before=$(logged_ledgers | wc -l)
	for ((round = 1; round <= ROUNDS; round++)); do
		make_router && start && let_traffic_run && ip netns delete router &&
			eventually 30 router_is_gone || return
	done
	# A deleted namespace has little time to send: on a slow kernel, now and then too little.
	rounds_hold "$before" $((ROUNDS - (${TIMEOUT_FACTOR:-1} > 1 ? 5 : 0)))
}

# repeat COMMAND...: until the file $TMP/stop exists. A concurrent command may make it fail.
repeat() {
	while [ ! -e "$TMP/stop" ]; do
		"$@"
	done >/dev/null 2>&1
}

switch() { nf enable --max-flows "$FLOWS"; nf disable; }
change_collectors() {
	nf collector add 10.3.0.2:2056 --protocol v9
	nf collector del 10.3.0.2:2056
}

compete() {
	local pid competitors=()
	repeat switch & competitors+=($!)
	repeat nf flush & competitors+=($!)
	repeat nf flows & competitors+=($!)
	repeat change_collectors & competitors+=($!)
	processes+=("${competitors[@]}")
	sleep 5
	touch "$TMP/stop"
	for pid in "${competitors[@]}"; do
		wait "$pid"
	done
	nf disable
	ledger_holds router
}

# What all namespaces say to have exported, and what nfdump counts.
collected_is_exported() {
	equal "packets and bytes" "$(logged_exports)" \
		"$(nfdump -R "$TMP/nfcapd" -I | sed -nE 's/^(Packets|Bytes): +//p' | xargs)"
}

need two_hosts
need start_nfcapd nfcapd.ipfix 4739
need start_nfcapd nfcapd
ip netns exec left python3 -S "$SELFTESTS/flood.py" &
processes+=($!)
need eventually 20 traffic_runs

check "rmmod while traffic runs, $ROUNDS times: every ledger is exact" unload_while_busy
need insmod "$NETFLOW_KO"
check "disable while traffic runs, $ROUNDS times: every ledger is exact" disable_while_busy
check "enable, disable, flush, dumps and collectors at the same time: the ledger is exact" compete
need unload
need insmod "$NETFLOW_KO"
need ip netns delete router
need eventually 30 router_is_gone
check "deletion of the namespace while traffic runs, $ROUNDS times: every ledger is exact" \
	delete_while_busy
need unload
need stop_nfcapd
check "nfdump counts every packet and byte that was exported" collected_is_exported
done_testing
