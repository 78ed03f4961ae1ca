#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets that come one upon the other wait for a moment, to be accounted together: none is forgotten, whoever
# asks sees all that came before, and what becomes of them does not depend on how they were put together.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#       tcpreplay       netflow, nft     | 10.3.0.1 ----- collector 10.3.0.2: nfcapd

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump nft tcpreplay taskset python3

TRACING=/sys/kernel/tracing
CPU=$(($(nproc) - 1))
FACTOR=${TIMEOUT_FACTOR:-1}
ROUNDS=$((1 + 99 / FACTOR))

bursts() {
	PYTHONPATH=$SELFTESTS/lib:$SELFTESTS/replay python3 -B -S "$SELFTESTS/batching.py" "$@"
}

### Packets that wait are those for which a timer is set.

trace_timers() {
	mountpoint -q "$TRACING" || mount -t tracefs tracing "$TRACING" || return
	echo 16384 >"$TRACING"/buffer_size_kb
	echo >"$TRACING"/trace
	echo timer:timer_start timer:timer_cancel timer:timer_expire_entry \
		cpuhp:cpuhp_multi_enter cpuhp:cpuhp_exit >"$TRACING"/set_event && echo 1 >"$TRACING"/tracing_on
}

# stop_tracing: what the timers did is then in $TMP/timers.
stop_tracing() {
	echo >"$TRACING"/set_event
	cat "$TRACING"/trace >"$TMP/trace"
	echo >"$TRACING"/trace
	echo 1408 >"$TRACING"/buffer_size_kb
	bursts timers "$TMP/trace" >"$TMP/timers"
}

# timers WHAT NUMBER
timers() {
	cat "$TMP/timers"
	awk -v what="$1" -v number="$2" '$1 == what && (number == "some" ? $2 > 0 : $2 == number) { found = 1 } END { exit !found }' "$TMP/timers"
}

### What is tried

replay() {
	on left taskset -c "$CPU" tcpreplay -q --topspeed -i l0 "$1" >"$TMP/tcpreplay.log" 2>&1 && return
	cat "$TMP/tcpreplay.log"
	return 1
}

connections_are_told_apart() {
	bursts connections "$TMP/short.pcap" | sort >"$TMP/expected"
	records short %pkt,%byt,%flg | awk '{ print $4, $7, $8, $9 }' | sort >"$TMP/told"
	same "$TMP/expected" "$TMP/told"
}

all_are_told() {
	local short
	trace_timers || return
	short=$(bursts ask "$ROUNDS")
	stop_tracing
	equal "answers that did not have all packets" 0 "$short"
}

online() { echo "$1" >"/sys/devices/system/cpu/cpu$CPU/online"; }

# turn_off_and_on: the CPU, until all is sent.
turn_off_and_on() {
	while [ ! -e "$TMP/sent" ]; do
		online 0 || return
		sleep 0.1
		online 1 || return
		sleep 0.2
	done
}

# Packets are received on the CPU that is to be turned off, up to its last moment, if the kernel can steer them.
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
	on left tcpreplay -q --loop=$((1 + 9 / FACTOR)) --pps=6000 --pps-multi=40 -i l0 "$TMP/long.pcap" >"$TMP/tcpreplay.log" 2>&1 || status=1
	touch "$TMP/sent"
	wait "$turner" || status=1
	online 1
	# What is sent from here on is received before the sender goes on, not on its way to another CPU meanwhile.
	steer 0 || status=1
	stop_tracing
	cat "$TMP/tcpreplay.log"
	return "$status"
}

disable_behind_a_burst() {
	local before sent
	before=$(info .packets.exported)
	sent=$(bursts disable) || return
	info_is '.packets.exported - .flows.cached' $((before + sent))
}

# wait_check DESCRIPTION COMMAND...: where each packet takes long, none may wait.
wait_check() {
	if [ "$FACTOR" -gt 1 ] && ! "${@:2}" >/dev/null; then
		skip "$1" "this machine is too slow for packets to wait"
	else
		check "$@"
	fi
}

need two_hosts
need load
need bursts make 1 500 "$TMP/short.pcap"
need bursts make 2 6000 "$TMP/long.pcap"
need nf collector add 10.3.0.2
need nf enable --inactive-timeout 600 --active-timeout 600

need start_nfcapd short
need replay "$TMP/short.pcap"
need nf flush
need stop_nfcapd
check "each connection is a flow, with the packets, bytes and flags that it had" connections_are_told_apart

need count_by_nft
need start_nfcapd nfcapd
check "who asks right behind a burst is told of all its packets" all_are_told
wait_check "packets had waited" timers set some
check "the ledger is exact" ledger_holds

if [ -w "/sys/devices/system/cpu/cpu$CPU/online" ]; then
	check "a CPU is turned off and on while it receives" send_while_it_is_turned_off
	if can_steer; then
		wait_check "what waited there was taken over" timers taken_over some
	else
		skip "what waited there was taken over" "this kernel has no receive packet steering"
	fi
	check "no CPU looked after what waits on another one that runs" timers elsewhere 0
	check "the ledger is exact with it" ledger_holds
else
	skip "a CPU is turned off and on while it receives" "this one cannot be turned off"
fi

need nf flush
check "when it is disabled right behind a burst, that is exported" disable_behind_a_burst
need stop_nfcapd
check "packets and bytes of each flow are those that nftables counted" collected_as_nft_saw
check "the ledger is exact in the end" ledger_holds
done_testing
