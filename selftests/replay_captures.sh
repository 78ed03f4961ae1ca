#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# replay_captures.sh DIRECTORY: replay each capture of a directory through a router that
# runs the module, and compare what nfcapd collected with what the capture holds, flow by
# flow (addresses, ports, protocol, ToS): packets, bytes and TCP flags. Prints a line for
# each capture and a total at the end; exits with 0 if all flows of all captures agree.
#
#     netns sender             netns router                     netns collector
#    +------------+     +-------------------------------+     +------------------+
#    |  tcpreplay |     |            netflow            |     |      nfcapd      |
#    |         s0 +-----+ from-sender      to-collector +-----+ c0  198.18.0.2   |
#    +------------+     |  no address       198.18.0.1  |     +------------------+
#                       |  default route: blackhole     |
#                       +-------------------------------+
#
# Any source and destination is taken as it is: the router's job ends once it has seen
# the packet. What counts is the outermost IPv4 header. Left out, on both sides and with
# their number shown, are frames that never reach the hook of an IPv4 router:
# VLAN tags (no such interface there), no IPv4, and what the kernel drops on arrival,
# namely packets with a wrong header checksum or lengths that contradict each other.

set -eu
SELFTESTS=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=selftests/topology.sh
. "$SELFTESTS/topology.sh"

usage() { echo "usage: NETFLOW_KO=netflow.ko $0 DIRECTORY" >&2; exit 2; }
if [ $# != 1 ] || [ ! -d "$1" ] || [ -z "${NETFLOW_KO:-}" ]; then usage; fi

cleanup() {
	trap - EXIT
	for ns in sender router collector; do
		ip netns delete "$ns" 2>/dev/null || true
	done
	if lsmod | grep -q '^netflow '; then rmmod netflow; fi
}
trap cleanup EXIT
trap 'exit 143' INT TERM

for ns in sender router collector; do
	ip netns add "$ns"
done
ip -batch - <<'END'
	link add s0 netns sender address 02:00:00:00:01:02 mtu 65535 type veth peer name from-sender netns router address 02:00:00:00:01:01 mtu 65535
	link add c0 netns collector address 02:00:00:00:03:02 type veth peer name to-collector netns router address 02:00:00:00:03:01
END
ip -n sender link set s0 up
ip -n router link set from-sender up
on sender ethtool -K s0 tx off gro off >/dev/null
join router to-collector 198.18.0.1/24 198.18.0.2 02:00:00:00:03:02 "route add blackhole default"
join collector c0 198.18.0.2/24 198.18.0.1 02:00:00:00:03:01
on router sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.from-sender.rp_filter=0 \
	net.ipv4.ip_forward=1
# Global, and generous: a packet lost on the way would be taken for an error of the module.
sysctl -qw net.core.netdev_max_backlog=1000000 net.core.rmem_max=67108864

insmod "$NETFLOW_KO"
netflowctl --netns router enable --max-flows 262144 --inactive-timeout 3600 --active-timeout 7200
netflowctl --netns router collector add 198.18.0.2:2055
on sender python3 -B "$SELFTESTS/replay.py" "$1"
