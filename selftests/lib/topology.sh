# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Network namespaces that the tests run in. See netflow.sh.

# on NETNS COMMAND... (In the background, `ip netns exec` itself, so that $! is the command.)
on() { ip netns exec "$@"; }

# add_netns NAME...: without IPv6 unless a test asks for it (also_ipv6), since neighbour discovery
# and MLD are packets like others.
add_netns() {
	local ns
	for ns; do
		ip netns add "$ns" || return
		on "$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 || return
	done
}

# two_hosts: the usual topology.
#
#    netns left          netns router                            netns right
#   +----------+   +--------------------------------------+    +-------------+
#   |       l0 +---+ to-left  10.1.0.1/24                  |    |             |
#   | 10.1.0.2 |   |            to-right  10.2.0.1/24      +----+ r0 10.2.0.2 |
#   +----------+   |            to-collector  10.3.0.1/24  |    | 10.9.0.0/16 |
#                  +--------------------+-----------------+    |  swallowed  |
#                                       |                      +-------------+
#                              c0 10.3.0.2/24
#                               netns collector
#
# 10.9.0.0/16 is routed by way of 10.2.0.2, which drops its packets and sends no ICMP error:
# a destination for packets without answers. Neighbours are permanent, offloads are off: one
# packet on the sender's link is one packet at the router.
two_hosts() {
	add_netns left router right collector || return
	link left l0 02:00:00:00:01:02 to-left 02:00:00:00:01:01 &&
		link right r0 02:00:00:00:02:02 to-right 02:00:00:00:02:01 &&
		link collector c0 02:00:00:00:03:02 to-collector 02:00:00:00:03:01 || return
	join router to-left 10.1.0.1/24 10.1.0.2 02:00:00:00:01:02 || return
	join router to-right 10.2.0.1/24 10.2.0.2 02:00:00:00:02:02 \
		"route add 10.9.0.0/16 via 10.2.0.2" || return
	join router to-collector 10.3.0.1/24 10.3.0.2 02:00:00:00:03:02 || return
	join left l0 10.1.0.2/24 10.1.0.1 02:00:00:00:01:01 \
		"route add default via 10.1.0.1" || return
	join right r0 10.2.0.2/24 10.2.0.1 02:00:00:00:02:01 "route add default via 10.2.0.1" \
		"route add blackhole 10.9.0.0/16" || return
	join collector c0 10.3.0.2/24 10.3.0.1 02:00:00:00:03:01 \
		"route add default via 10.3.0.1" || return
	on router sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 \
		net.ipv4.conf.default.rp_filter=0
}

# also_ipv6: gives the hosts of two_hosts addresses of IPv6 in the same places, 2001:db8:N::2 for
# 10.N.0.2. 2001:db8:9::/48 is routed by way of 2001:db8:2::2, which drops its packets. Neighbours
# are permanent, and nobody solicits routers: no packet comes that a test has not sent, but for the
# reports of MLD.
also_ipv6() {
	on router sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.lo.disable_ipv6=0 &&
		join6 router to-left 2001:db8:1::1 2001:db8:1::2 02:00:00:00:01:02 &&
		join6 router to-right 2001:db8:2::1 2001:db8:2::2 02:00:00:00:02:02 &&
		join6 router to-collector 2001:db8:3::1 2001:db8:3::2 02:00:00:00:03:02 &&
		join6 left l0 2001:db8:1::2 2001:db8:1::1 02:00:00:00:01:01 &&
		join6 right r0 2001:db8:2::2 2001:db8:2::1 02:00:00:00:02:01 &&
		join6 collector c0 2001:db8:3::2 2001:db8:3::1 02:00:00:00:03:01 &&
		ip -n router route add 2001:db8:9::/48 via 2001:db8:2::2 &&
		ip -n right route add blackhole 2001:db8:9::/48 &&
		ip -n left route add default via 2001:db8:1::1 &&
		ip -n right route add default via 2001:db8:2::1 &&
		ip -n collector route add default via 2001:db8:3::1
}

# join6 NETNS DEVICE ADDRESS NEIGHBOUR NEIGHBOUR_MAC
join6() {
	local conf=net.ipv6.conf.$2
	on "$1" sysctl -qw "$conf.accept_dad=0" "$conf.router_solicitations=0" \
		"$conf.mldv2_unsolicited_report_interval=10" "$conf.disable_ipv6=0" || return
	ip -n "$1" addr add "$3/64" dev "$2" nodad &&
		ip -n "$1" neigh add "$4" lladdr "$5" dev "$2" nud permanent
}

# link NETNS DEVICE MAC ROUTER_DEVICE ROUTER_MAC [OPTION...]: a veth between it and the router.
link() {
	ip link add "$2" netns "$1" address "$3" "${@:6}" type veth \
		peer name "$4" netns router address "$5" "${@:6}"
}

# join NETNS DEVICE ADDRESS NEIGHBOUR NEIGHBOUR_MAC [IP_COMMAND...]: bring a veth end up.
join() {
	local ns=$1 device=$2 address=$3 neighbour=$4 mac=$5
	shift 5
	ip -n "$ns" -batch - <<-END || return
		link set lo up
		link set $device up
		addr add $address dev $device
		neigh add $neighbour lladdr $mac dev $device nud permanent
		$(printf '%s\n' "$@")
	END
	# Segmentation offload and the like need checksum offload, and go with it.
	on "$ns" ethtool -K "$device" tx off gro off >/dev/null
}

# index_of NETNS DEVICE
index_of() { on "$1" cat "/sys/class/net/$2/ifindex"; }

# route_of SOURCE DESTINATION [IP_ROUTE_GET_ARGUMENT...]: what ip-route(8) says of a packet at
# the router, as flow_is takes it. The route back to its source is looked up with the words
# of $back. What no flow has, if there is no route.
route_of() {
	local route
	# shellcheck disable=SC2086 # words
	route=$({
		ip -n router -j route get fibmatch "$2" from "$1" "${@:3}" &&
			ip -n router -j route get fibmatch "$1" ${back:-}
	} | jq -rs --arg to "$2" '
		def length: .[0].dst
			| if . == "default" then "0"
			elif contains("/") then split("/")[1]
			elif contains(":") then "128"
			else "32" end;
		def none: if $to | contains(":") then "::" else "0.0.0.0" end;
		"output=\(.[0][0].dev) next-hop=\(.[0][0].gateway // none)"
		+ " masks=\(.[1] | length)/\(.[0] | length)"')
	echo "${route:-output=no-route}"
}
