#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Back-to-back packets are accounted in batches of each CPU: none is forgotten, a reader sees all
# packets before its request, and flows do not depend on how packets were put into batches.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#       tcpreplay       netflow, nft     | 10.3.0.1 ----- collector 10.3.0.2: nfcapd

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump nft tcpreplay taskset

TRACING=/sys/kernel/tracing
CPU=$(($(nproc) - 1))
FACTOR=${TIMEOUT_FACTOR:-1}
ROUNDS=$((1 + 99 / FACTOR))

batching() {
	PYTHONPATH=$SELFTESTS/lib:$SELFTESTS/replay python3 -B "$SELFTESTS/batching.py" "$@"
}

### A CPU sets a timer when its batch gets a first packet.

trace_timers() {
	mountpoint -q "$TRACING" || mount -t tracefs tracing "$TRACING" || return
	echo 16384 >"$TRACING"/buffer_size_kb
	echo >"$TRACING"/trace
	echo timer:timer_start timer:timer_cancel timer:timer_expire_entry \
		cpuhp:cpuhp_multi_enter cpuhp:cpuhp_exit >"$TRACING"/set_event &&
		echo 1 >"$TRACING"/tracing_on
}

# stop_tracing: what the timers did is then in $TMP/timers.
stop_tracing() {
	echo >"$TRACING"/set_event
	cat "$TRACING"/trace >"$TMP/trace"
	echo >"$TRACING"/trace
	echo 1408 >"$TRACING"/buffer_size_kb
	batching timers "$TMP/trace" >"$TMP/timers"
}

# timers WHAT NUMBER: a regular expression.
SOME='[1-9][0-9]*'
timers() {
	cat "$TMP/timers"
	grep -qE "^$1 $2$" "$TMP/timers"
}

### Bursts

replay() {
	on left taskset -c "$CPU" tcpreplay -q --topspeed -i l0 "$1" \
		>"$TMP/tcpreplay.log" 2>&1 && return
	cat "$TMP/tcpreplay.log"
	return 1
}

connections_are_flows() {
	batching connections "$TMP/short.pcap" >"$TMP/expected"
	exported_flows_are short <"$TMP/expected"
}

answers_have_all_packets() {
	local short
	trace_timers || return
	short=$(batching ask "$ROUNDS")
	stop_tracing
	equal "answers that did not have all packets" 0 "$short"
}

online() { echo "$1" >"/sys/devices/system/cpu/cpu$CPU/online"; }

# turn_off_and_on: the CPU, until all packets are sent.
turn_off_and_on() {
	while [ ! -e "$TMP/sent" ]; do
		online 0 || return
		sleep 0.1
		online 1 || return
		sleep 0.2
	done
}

# Packets are received on the CPU that is to be turned off, up to its last moment, if the kernel
# has receive packet steering.
can_steer() { on router test -e /sys/class/net/to-left/queues/rx-0/rps_cpus; }

# steer CPUS: a mask in hexadecimal digits, 0 for none.
steer() {
	can_steer || return 0
	on router sh -c "echo $1 >/sys/class/net/to-left/queues/rx-0/rps_cpus"
}

send_while_it_is_turned_off() {
	local turner status=0
	steer "$(printf %x $((1 << CPU)))" && trace_timers || return
	turn_off_and_on & turner=$!
	on left tcpreplay -q --loop=$((1 + 9 / FACTOR)) --pps=6000 --pps-multi=40 -i l0 \
		"$TMP/long.pcap" >"$TMP/tcpreplay.log" 2>&1 || status=1
	touch "$TMP/sent"
	wait "$turner" || status=1
	online 1
	# From here on, packets are received on the sender's CPU, before the sender goes on.
	steer 0 || status=1
	stop_tracing
	cat "$TMP/tcpreplay.log"
	return "$status"
}

disable_after_a_burst() {
	local before sent
	before=$(info packets.exported)
	sent=$(batching disable) || return
	info_is packets.exported=$((before + sent)) flows.cached=0
}

# batch_check DESCRIPTION COMMAND...: on a slow machine, there may be no back-to-back packets.
batch_check() {
	if [ "$FACTOR" -gt 1 ] && ! "${@:2}" >/dev/null; then
		skip "$1" "this machine is too slow for batches"
	else
		check "$@"
	fi
}

need two_hosts
need load
need batching make 1 500 "$TMP/short.pcap"
need batching make 2 6000 "$TMP/long.pcap"
need nf collector add 10.3.0.2
need nf enable --inactive-timeout 600 --active-timeout 600

need start_nfcapd short
need replay "$TMP/short.pcap"
need nf flush
need stop_nfcapd
check "each connection is a flow, with its packets, bytes and flags" connections_are_flows

need count_by_nft
need start_nfcapd nfcapd
check "a request right after a burst is answered with all its packets" answers_have_all_packets
batch_check "there were batches" timers set "$SOME"
check "the ledger is exact" ledger_holds

if [ -w "/sys/devices/system/cpu/cpu$CPU/online" ]; then
	check "a CPU is turned off and on while it receives" send_while_it_is_turned_off
	if can_steer; then
		batch_check "another CPU accounts its batch" timers taken_over "$SOME"
	else
		skip "another CPU accounts its batch" "this kernel has no receive packet steering"
	fi
	check "no CPU accounts the batch of another one that is online" timers elsewhere 0
	check "the ledger is exact after that" ledger_holds
else
	skip "a CPU is turned off and on while it receives" "this one cannot be turned off"
fi

need nf flush
check "disable right after a burst exports its packets" disable_after_a_burst
need stop_nfcapd
check "packets and bytes of each flow are those that nftables counted" collected_as_nft_saw
check "the ledger is exact in the end" ledger_holds
done_testing
