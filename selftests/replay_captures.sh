#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# replay_captures.sh DIRECTORY: replay each capture below a directory through a router that
# runs the module, and compare what nfcapd collected through v5, v9 and IPFIX with what tshark
# reads in the capture, flow by flow (addresses, ports, protocol, ToS): packets, bytes, TCP
# flags, and first and last within a millisecond of the replay. Flows of IPv6 are compared
# through v9 and IPFIX; for v5 all of them have to be `unsupported`. Prints a line for each
# capture as it goes, and a total at the end; exits with 0 if all flows of all captures agree.
#
#     netns sender             netns router                     netns collector
#    +------------+     +-------------------------------+     +------------------+
#    |  tcpreplay |     |            netflow            |     |  three nfcapd    |
#    |         s0 +-----+ from-sender      to-collector +-----+ c0  198.18.0.2   |
#    +------------+     |  no address       198.18.0.1  |     +------------------+
#                       |  drops what comes in          |
#                       +-------------------------------+
#
# Any source and destination is taken as it is: the router's job ends once the exporter
# has seen the packet. What counts is the outermost IP header, whether it comes in
# Ethernet, with VLAN tags, in PPP or bare. Header checksums of IPv4 that are wrong, as offload
# leaves them in a capture of what a host sends, are mended before. Left out, on both sides and
# with their number shown, are
# - frames that hold no IP;
# - packets that never reach the hook of a router because the kernel drops them on arrival:
#   lengths that contradict each other; of IPv6, addresses of loopback, sources that are groups,
#   groups of scope 0 or 1, and hop-by-hop options that ip6_parse_tlv() refuses. They are sent;
# - packets of which it is not known what they are, as tshark does not tell or the capture does
#   not have enough of them; jumbograms, and what is larger than the MTU here. They are not sent.

set -eu
SELFTESTS=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=selftests/lib/topology.sh
. "$SELFTESTS/lib/topology.sh"

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
link sender s0 02:00:00:00:01:02 from-sender 02:00:00:00:01:01 mtu 65535
link collector c0 02:00:00:00:03:02 to-collector 02:00:00:00:03:01
for ns in sender router; do
	on "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
done
# IPv6 is received, without any address: so the router has nothing to say, and nobody else speaks.
on router sysctl -qw net.ipv6.conf.from-sender.addr_gen_mode=1 \
	net.ipv6.conf.from-sender.router_solicitations=0 net.ipv6.conf.from-sender.disable_ipv6=0
ip -n sender link set s0 up
ip -n router link set from-sender up
on sender ethtool -K s0 tx off gro off >/dev/null
on router ethtool -K from-sender gro off >/dev/null
join router to-collector 198.18.0.1/24 198.18.0.2 02:00:00:00:03:02
join collector c0 198.18.0.2/24 198.18.0.1 02:00:00:00:03:01
# Behind the exporter's hook: nothing is to answer, and no capture to reach nfcapd.
on router nft -f - <<'END'
	table inet replay {
		chain unanswered {
			type filter hook prerouting priority raw; policy accept;
			iifname "from-sender" drop
		}
	}
END
# Global, and generous: a packet lost on the way would be taken for an error of the module.
sysctl -qw net.core.netdev_max_backlog=1000000 net.core.rmem_max=67108864

insmod "$NETFLOW_KO"
netflowctl --netns router enable --max-flows 262144 --inactive-timeout 3600 --active-timeout 7200
on sender python3 -B "$SELFTESTS/replay/replay.py" "$1"
