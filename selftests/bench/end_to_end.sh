#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# end_to_end.sh: forwarding, export, dump, memory, and the time to enable, on user-mode Linux
# (scripts/uml). Prints "NAME FIGURE". BENCH names the folder with the driver, SCALE divides the
# packets.

set -eu
RUN=/sys/kernel/debug/netflow_bench/run
MILLION=1048576

push() { echo "$*" >$RUN; }
ns_each() { awk '{ print $1 / $2 }' $RUN; }
now() { date +%s%N; }
# figure NAME EXPRESSION: what awk makes of it.
figure() { awk "BEGIN { printf \"%s %.2f\\n\", \"$1\", $2 }"; }
free_kb() { awk '/^MemFree:/ { print $2 }' /proc/meminfo; }

ip link add d0 type dummy
ip addr add 10.0.0.1/8 dev d0
ip link set d0 up
ip route add default via 10.0.0.2
ip route add 192.168.0.0/16 via 10.0.0.3
insmod "$BENCH/netflow_bench.ko" device=d0
insmod "$NETFLOW_KO"

# Enabling, and memory: of a cache for a million flows, all that is gone from the system.
netflowctl enable --max-flows 1000
netflowctl disable
before=$(free_kb)
start=$(now)
netflowctl enable --max-flows $MILLION
end=$(now)
figure enable_1m_ms "($end - $start) / 1e6"
figure memory_bytes_a_flow "($before - $(free_kb)) * 1024 / $MILLION"

# beside CMD: nanoseconds of a hit while the other CPU runs CMD again and again.
beside() {
	local other
	setsid taskset -c 1 sh -c "while :; do $1; done" >/dev/null &
	other=$!
	push hit "$flows" $((4000000 / SCALE)) 1 0
	ns_each
	kill -- -$other
	wait $other 2>/dev/null || true
}

# dump FLOWS NAME: the time, and what hits of the other CPU cost meanwhile, divided by what they
# cost while this CPU does something else, in turns.
dump() {
	local start end flows=$1 dumping=0 spinning=0
	netflowctl flush
	push hit "$flows" "$flows" 1 0
	start=$(now)
	netflowctl --json flows >/dev/null
	end=$(now)
	figure "dump_$2_json_s" "($end - $start) / 1e9"
	start=$(now)
	"$BENCH/read_dump" >/dev/null
	end=$(now)
	figure "dump_$2_s" "($end - $start) / 1e9"
	for _ in 1 2 3 4; do
		dumping="$dumping + $(beside "$BENCH/read_dump")"
		spinning="$spinning + $(beside :)"
	done
	figure "dump_$2_slowdown" "($dumping) / ($spinning)"
}
dump 262144 256k
dump 1000000 1m

# Export: to a socket on loopback that takes nothing off its queue. Half of it fills no buffer.
python3 -S -c '
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 2055))
time.sleep(1000)' &
sink=$!
sleep 0.2
netflowctl flush

# export_by PROTOCOL PATTERN NAME
export_by() {
	local start end
	netflowctl collector add 127.0.0.1:2055 --protocol "$1" 2>/dev/null
	for _ in 1 2 3; do
		push "$2" 1000000 1000000 1 0
		start=$(now)
		netflowctl flush
		end=$(now)
		figure "$3" "1e6 * 1e9 / ($end - $start)"
	done
	netflowctl collector del 127.0.0.1:2055
}
export_by v5 hit export_records_a_second
export_by v9 hit export_v9
export_by ipfix hit export_ipfix
# conntrack is asked for each flow, and knows none.
netflowctl set nat flows
export_by ipfix hit export_ipfix_nat
netflowctl set nat off
export_by v9 hit6 export_v9_ipv6
export_by ipfix hit6 export_ipfix_ipv6
kill $sink
netflowctl disable
rmmod netflow netflow_bench

# Forwarding: pktgen on the left, one flow, through a router to the right, where they are counted.
for ns in left router right; do ip netns add $ns; done
ip link add l0 netns left address 02:00:00:00:01:02 type veth peer name to-left netns router
ip link add r0 netns right address 02:00:00:00:02:02 type veth peer name to-right netns router
ip -n left addr add 10.1.0.2/24 dev l0
ip -n left link set l0 up
ip -n right addr add 10.2.0.2/24 dev r0
ip -n right link set r0 up
ip -n right route add blackhole 10.9.0.0/16
ip -n router addr add 10.1.0.1/24 dev to-left
ip -n router link set to-left up
ip -n router addr add 10.2.0.1/24 dev to-right
ip -n router link set to-right up
ip -n router route add 10.9.0.0/16 via 10.2.0.2
ip -n router neigh replace 10.2.0.2 lladdr 02:00:00:00:02:02 dev to-right nud permanent
ip netns exec router sysctl -qw net.ipv4.ip_forward=1
modprobe pktgen

received() { ip netns exec right cat /sys/class/net/r0/statistics/rx_packets; }

# forwarded NAME
forwarded() {
	local count=$((2000000 / SCALE)) start end before
	before=$(received)
	start=$(now)
	ip netns exec left bash -c "
		set -e
		echo rem_device_all >/proc/net/pktgen/kpktgend_0
		echo 'add_device l0' >/proc/net/pktgen/kpktgend_0
		for set in 'count $count' 'delay 0' 'pkt_size 60' 'burst 1' 'dst 10.9.0.1' \\
			'src_min 10.1.0.2' 'src_max 10.1.0.2' 'udp_dst_min 9' 'udp_dst_max 9' \\
			'clone_skb 0' \\
			'dst_mac $(ip netns exec router cat /sys/class/net/to-left/address)'; do
			echo \"\$set\" >/proc/net/pktgen/l0
		done
		echo start >/proc/net/pktgen/pgctrl"
	end=$(now)
	figure "$1" "($(received) - $before) * 1e9 / ($end - $start)"
}
for _ in 1 2 3; do
	forwarded forward_none_pps
	insmod "$NETFLOW_KO"
	netflowctl --netns router enable
	forwarded forward_ours_pps
	rmmod netflow
done
