#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# per_packet.sh LANE: all scenarios of the bench once, on user-mode Linux (scripts/uml), with the
# hook of a lane: none, empty, ours or peer. Prints "SCENARIO NANOSECONDS-A-PACKET". BENCH names the
# folder with the driver and the peer, SCALE divides the packets.
#
# A machine is good for one lane: iptables leaves its hook behind.

set -eu
RUN=/sys/kernel/debug/netflow_bench/run
LANE=$1
CPUS=$(nproc)

ip link add d0 type dummy
ip addr add 10.0.0.1/8 dev d0
ip link set d0 up
ip route add default via 10.0.0.2
ip route add 192.168.0.0/16 via 10.0.0.3
ip addr add 2001:db8::1/32 dev d0 nodad
ip route add default via 2001:db8::2
ip route add 2001:db8:ffff::/48 via 2001:db8::3
insmod "$BENCH/netflow_bench.ko" device=d0 empty="$([ "$LANE" = empty ] && echo 1 || echo 0)"

# start FLOWS [NAME VALUE]...: with room for as many, and settings of ours.
start() {
	case $LANE in
		ours)
			insmod "$NETFLOW_KO"
			netflowctl set max-flows "$@"
			netflowctl enable
			;;
		peer)
			insmod "$BENCH/ipt_NETFLOW.ko" destination=127.0.0.1:2055 protocol=10 \
				maxflows="$1" hashsize="$1"
			iptables-legacy -t raw -A PREROUTING -j NETFLOW
			ip6tables-legacy -t raw -A PREROUTING -j NETFLOW
			;;
	esac
}

stop() {
	case $LANE in
		ours) rmmod netflow ;;
		peer)
			iptables-legacy -t raw -F
			ip6tables-legacy -t raw -F
			rmmod ipt_NETFLOW
			;;
	esac
}

push() { echo "$*" >$RUN; }

# measure NAME PATTERN FLOWS PACKETS CPUS DISJOINT
measure() {
	push "$2 $3 $(($4 / SCALE)) $5 $6"
	awk -v name="$1" '{ printf "%s %.2f\n", name, $1 / $2 }' $RUN
}

# known NAME FLOWS PACKETS PATTERN ROOM: packets of flows that are there already.
known() {
	start "$5"
	# All flows of one CPU, and one more where each of two has its own.
	push "${4/mix/hit}" "$(($2 + 1))" "$(($2 + 1))" 1 0
	measure "$1" "$4" "$2" "$3" 1 0
	if [ "$CPUS" -gt 1 ]; then
		measure "$1_2cpu_same" "$4" "$2" "$3" 2 0
		measure "$1_2cpu_disjoint" "$4" "$(($2 == 1 ? 2 : $2))" "$3" 2 1
	fi
	stop
}

# unknown NAME PACKETS PATTERN ROOM: each packet begins a flow, in an empty table.
unknown() {
	local cpus=1 disjoint=0 suffix=
	for suffix in "" _2cpu_same _2cpu_disjoint; do
		start "$4"
		measure "$1$suffix" "$3" 1 "$2" $cpus $disjoint
		stop
		[ "$CPUS" -gt 1 ] || break
		cpus=2 disjoint=$((${#suffix} > 0))
	done
}

# refused: all packets begin flows for which there is no room.
refused() {
	start 65536
	push new 1 140000 1 0
	measure full new 1 1000000 1 0
	if [ "$CPUS" -gt 1 ]; then
		measure full_2cpu_same new 1 1000000 2 0
		measure full_2cpu_disjoint new 1 1000000 2 1
	fi
	stop
}

# not_sampled: of packets of known flows, one of 16383 is accounted.
not_sampled() {
	[ "$LANE" = ours ] || return 0
	start 65536 sampling 16383
	measure not_sampled hit 1000 2000000 1 0
	stop
}

known hit_1 1 2000000 hit 65536
known hit_1k 1000 2000000 hit 65536
known hit_400k 400000 1600000 hit 524288
known hit_1m 1000000 2000000 hit 1048576
known hit6_1k 1000 2000000 hit6 65536
known hit6_400k 400000 1600000 hit6 524288
unknown new 400000 new 524288
unknown new6 400000 new6 524288
unknown sweep 400000 sweep 524288
unknown seed_collide 400000 collide 524288
refused
not_sampled
known mix 400000 1000000 mix 524288
