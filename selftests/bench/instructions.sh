#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# instructions.sh [peer]: how many instructions a packet takes in the PRE_ROUTING hooks, by the
# bench's driver, in a machine whose clock counts instructions (ICOUNT=1 scripts/vm). Prints a line
# for each: who, what, how many. BENCH names the folder with the driver and the peer.

set -eu
RUN=/sys/kernel/debug/netflow_bench/run
PACKETS=20000

ip link add d0 type dummy
ip addr add 10.0.0.1/8 dev d0
ip link set d0 up
ip route add default via 10.0.0.2
ip route add 192.168.0.0/16 via 10.0.0.3
ip addr add 2001:db8::1/32 dev d0 nodad
ip route add default via 2001:db8::2
ip route add 2001:db8:ffff::/48 via 2001:db8::3

# measure WHO WHAT FLOWS PATTERN: the first round makes the flows, and warms up what is new.
measure() {
	local ns packets
	echo "$4 $3 $PACKETS 1 0" >$RUN
	echo "$4 $3 $PACKETS 1 0" >$RUN
	read -r ns packets <$RUN
	echo "$1 $2 $(((ns + packets / 2) / packets))"
}

insmod "$BENCH/netflow_bench.ko" device=d0
measure none hit 1000 hit
rmmod netflow_bench
insmod "$BENCH/netflow_bench.ko" device=d0 empty=1
measure empty hit 1000 hit
rmmod netflow_bench

insmod "$BENCH/netflow_bench.ko" device=d0
# The new flows of two rounds, and no expiry meanwhile.
insmod "$NETFLOW_KO"
netflowctl enable --max-flows 131072
measure ours hit 1000 hit
measure ours new 1000 new
measure ours hit6 1000 hit6
measure ours new6 1000 new6
netflowctl --json info | jq -e '.packets.lost == 0 and .packets.ignored == 0' >/dev/null
netflowctl disable
netflowctl enable --sampling 16383
measure ours not_sampled 1000 hit
rmmod netflow

[ "${1:-}" = peer ] || exit 0
modprobe -q nf_conntrack
modprobe -q x_tables
modprobe -q iptable_raw
insmod "$BENCH/ipt_NETFLOW.ko" destination=127.0.0.1:2055 maxflows=131072 hashsize=131072
iptables-legacy -t raw -A PREROUTING -j NETFLOW
measure peer hit 1000 hit
measure peer new 1000 new
