#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Output interface, next hop and prefix lengths are what ip-route(8) says for the source,
# destination, input interface, ToS and mark of a packet; in a VRF too, and for packets that
# are not forwarded.
#
#    left 10.1.0.2 ----- to-left    router  to-right ----- right 10.2.0.2
#                                   netflow to-collector - collector 10.3.0.2
#
#    10.9.0.0/16 via right          10.8.0.0/16 via collector, for input from left
#    10.9.8.0/24 via collector      10.7.0.0/16 via collector, for mark 7
#    10.9.8.7    via right          10.6.0.0/16 unreachable, 10.5.0.0/16 prohibited,
#    10.9.0.0/16 via collector,     10.4.0.0/16 blackhole, 10.0.0.0/12 via right
#                for ToS 0x10

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nft

set_routes() {
	ip -n router -batch - <<-'END' || return
		route add 10.0.0.0/12 via 10.2.0.2
		route add 10.9.8.0/24 via 10.3.0.2
		route add 10.9.8.7/32 via 10.2.0.2
		route add unreachable 10.6.0.0/16
		route add prohibit 10.5.0.0/16
		route add blackhole 10.4.0.0/16
		route add 10.9.0.0/16 via 10.3.0.2 table 100
		route add 10.8.0.0/16 via 10.3.0.2 table 101
		route add 10.7.0.0/16 via 10.3.0.2 table 102
		route add 172.16.0.0/12 via 10.3.0.2
		rule add tos 0x10 lookup 100
		rule add iif to-left lookup 101
		rule add fwmark 7 lookup 102
	END
	# Marked before PRE_ROUTING, as tc(8) could.
	on router nft -f - <<-'END'
		table netdev marks {
			chain ingress {
				type filter hook ingress device to-left priority 0;
				ip dscp 0x0a meta mark set 7
			}
		}
	END
}

# forwarded DESTINATION [TOS [IP_ROUTE_GET_ARGUMENT...]]: a flow from the left host, or
# from $source, is reported as ip-route(8) says; the way back is looked up as $back says.
forwarded() {
	local destination=$1 tos=${2:-0}
	shift $(($# > 2 ? 2 : $#))
	# shellcheck disable=SC2046 # words
	flow_is "udp * $destination tos=$tos" input=to-left \
		$(route_of "${source:-10.1.0.2}" "$destination" iif to-left tos "$tos" "$@")
}

# not_forwarded DESTINATION MASK: a flow from the left host.
not_forwarded() { flow_is "udp * $1" input=to-left output=0 next-hop=0.0.0.0 masks="24/$2"; }

need two_hosts
need set_routes
need load
need nf enable --inactive-timeout 3600 --active-timeout 3600
need start_injector left l0 02:00:00:00:01:01
inject <<'END'
	udp 10.1.0.2:1 10.2.0.2:53
	udp 10.1.0.2:1 10.9.0.1:53
	udp 10.1.0.2:1 10.9.0.1:53 tos=0x10
	udp 10.1.0.2:1 10.9.8.1:53
	udp 10.1.0.2:1 10.9.8.7:53
	udp 10.1.0.2:1 10.8.0.1:53
	udp 10.1.0.2:1 10.7.0.1:53
	udp 10.1.0.2:1 10.7.0.1:53 tos=0x28
	udp 172.16.1.1:1 10.9.0.2:53
	udp 192.0.2.1:1 10.9.0.3:53
	udp 10.1.0.2:1 10.6.0.1:53
	udp 10.1.0.2:1 10.5.0.1:53
	udp 10.1.0.2:1 10.4.0.1:53
	udp 10.1.0.2:1 198.51.100.1:53
	udp 10.1.0.2:1 10.1.0.1:53
	udp 10.1.0.2:1 10.3.0.1:53
	udp 10.1.0.2:1 10.1.0.255:53
	udp 10.1.0.2:1 255.255.255.255:53
	udp 10.1.0.2:1 224.0.0.5:53
END
check "a host on a connected network" forwarded 10.2.0.2
check "a network behind a gateway" forwarded 10.9.0.1
check "the longest prefix" forwarded 10.9.8.1
check "a host route" forwarded 10.9.8.7
check "a rule for the ToS" forwarded 10.9.0.1 0x10
check "a rule for the input interface" forwarded 10.8.0.1
check "a packet without the mark is not routed by the rule for the mark" forwarded 10.7.0.1
check "a rule for the mark" forwarded 10.7.0.1 0x28 mark 7
source=172.16.1.1
check "the route back to another source" forwarded 10.9.0.2
source=
check "no route back to the source" \
	flow_is 'udp * 10.9.0.3' output=to-right next-hop=10.2.0.2 masks=0/16
check "an unreachable route" not_forwarded 10.6.0.1 0
check "a prohibiting route" not_forwarded 10.5.0.1 0
check "a blackhole route" not_forwarded 10.4.0.1 0
check "no route" not_forwarded 198.51.100.1 0
check "an address of the router" not_forwarded 10.1.0.1 32
check "the router's other address" not_forwarded 10.3.0.1 32
check "a network's broadcast address" not_forwarded 10.1.0.255 32
check "the limited broadcast address" not_forwarded 255.255.255.255 0
check "multicast" not_forwarded 224.0.0.5 0
check "the input interface is the left one" flows_each udp input=to-left
need nf flush
check "the ledger is exact" ledger_holds

need ip -n router route add default via 10.2.0.2
inject <<'END'
	udp 10.1.0.2:1 198.51.100.1:53
	udp 10.1.0.2:1 10.6.0.1:53
	udp 10.1.0.2:1 10.1.0.255:53
	udp 10.1.0.2:1 255.255.255.255:53
	udp 10.1.0.2:1 224.0.0.5:53
END
check "a default route" forwarded 198.51.100.1
check "it does not replace an unreachable route" not_forwarded 10.6.0.1 0
check "a broadcast is not routed by it" not_forwarded 10.1.0.255 32
check "a limited broadcast is not routed by it" not_forwarded 255.255.255.255 0
check "multicast is not routed by it" not_forwarded 224.0.0.5 0
need nf flush

if ip -n router link add blue type vrf table 200 2>/dev/null; then
	need ip -n router -batch - <<-'END'
		link set blue up
		link set to-left master blue
		route add table 200 10.9.0.0/17 via 10.3.0.2 dev to-collector
		route add table 200 10.9.128.0/18 dev to-right
		neigh replace 10.1.0.2 lladdr 02:00:00:00:01:02 dev to-left nud permanent
	END
	seen=$(info packets.seen)
	inject <<-'END'
		udp 10.1.0.2:1 10.9.0.5:53 count=3
		udp 10.1.0.2:1 10.9.128.5:53 count=2
	END
	check "each packet that enters a VRF is counted once" info_is packets.seen=$((seen + 5))
	check "its input is the enslaved interface" flows_each udp input=to-left
	back="vrf blue"
	check "the VRF's routes through a gateway" forwarded 10.9.0.5
	check "the VRF's routes to an interface" forwarded 10.9.128.5
	check "the ledger is exact with a VRF" ledger_holds
else
	skip "VRF" "this kernel has none"
fi
done_testing
