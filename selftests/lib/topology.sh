# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Network namespaces that the tests run in. See netflow.sh.

# on NETNS COMMAND... (In the background, `ip netns exec` itself, so that $! is the command.)
on() { ip netns exec "$@"; }

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
	local ns
	for ns in left router right collector; do
		ip netns add "$ns" || return
	done
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
	} | jq -rs '
		def length: .[0].dst
			| if . == "default" then "0"
			elif contains("/") then split("/")[1]
			else "32" end;
		"output=\(.[0][0].dev) next-hop=\(.[0][0].gateway // "0.0.0.0")"
		+ " masks=\(.[1] | length)/\(.[0] | length)"')
	echo "${route:-output=no-route}"
}
