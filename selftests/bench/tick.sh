#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tick.sh: how long the tick keeps softirqs from running when there are a million flows: its timer,
# which is a softirq, and the longest time for which an export of all flows disables softirqs (as
# long as it holds a lock). In a machine whose clock counts instructions (ICOUNT=1 scripts/vm), one
# a nanosecond; those of the tracer are part of it. Prints "NAME MICROSECONDS". BENCH names the
# folder with the driver.

set -eu
RUN=/sys/kernel/debug/netflow_bench/run
T=/sys/kernel/tracing

ip link add d0 type dummy
ip addr add 10.0.0.1/8 dev d0
ip link set d0 up
ip route add default via 10.0.0.2
insmod "$BENCH/netflow_bench.ko" device=d0
insmod "$NETFLOW_KO"
netflowctl enable --max-flows 1048576
netflowctl collector add 10.0.0.9
echo "hit 1000000 1000000 1 0" >$RUN

# trace TRACER FUNCTION...: until `echo 0 >$T/tracing_on`.
trace() {
	echo nop >$T/current_tracer
	printf '%s\n' "${@:2}" >$T/set_ftrace_filter
	echo "$1" >$T/current_tracer
	echo 1 >$T/tracing_on
}

echo mono >$T/trace_clock
echo 150000 >$T/buffer_size_kb
trace function_graph delayed_work_timer_fn
sleep 3
echo 0 >$T/tracing_on
awk '/ us .*delayed_work_timer_fn/ {
		for (i = 1; $i != "us"; i++);
		took = $(i - 1)
		if (took > most) most = took
		n++
	}
	END { if (!n) exit 1; printf "tick_timer_us %.2f\n", most }' $T/trace

trace function netflow_local_bh_disable netflow_local_bh_enable
netflowctl flush
echo 0 >$T/tracing_on
# A pair for each bucket.
awk '{ for (i = 1; $i !~ /^[0-9]+\.[0-9]+:$/ && i < NF; i++); now = $i * 1e6 }
	/bh_disable/ { from = now }
	/bh_enable/ && from { took = now - from; from = 0; if (took > most) most = took; n++ }
	END { if (n < 200000) exit 1; printf "tick_softirqs_off_us %.2f\n", most }' $T/trace
