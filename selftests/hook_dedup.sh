#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets that pass a netfilter hook twice are counted once, for each of the 31 combinations of
# observation points. They do so
# - in a VRF, with the enslaved device and with that of the VRF;
# - leaked from one VRF into another, as received and as sent from here (a copy that TEE makes
#   of a received packet is another packet);
# - on a bridge with br_netfilter, as bridged and as routed;
# - to a multicast group, if the kernel itself sent them, as original and as loopback copy.
#
#    netns left                netns router                            netns right
#    v 10.30.0.2/24 --- vport, enslaved to the VRF blue
#                              10.30.0.1 |  to-right 10.2.0.1 -------- r0 10.2.0.2
#                 wport, enslaved to the VRF red
#                              10.32.0.1 |---------------------------- w 10.32.0.2/24
#  lan 10.31.0.2/24 --- port1 \          |
#                              bridge    |  to-collector 10.3.0.1 ---- collector 10.3.0.2
#                       port2 /          |
#                           | 10.31.0.1  |
#                           +--------------------------------------- lan 10.31.0.3/24

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
# shellcheck source=selftests/lib/points.sh
. "$SELFTESTS/lib/points.sh"
begin nft ping tc

vrf() {
	ip link add v netns left type veth peer name vport netns router || return
	ip link add w netns right type veth peer name wport netns router || return
	ip -n router -batch - <<-'END' || return
		link add blue type vrf table 200
		link add red type vrf table 201
		link set blue up
		link set red up
		link set vport master blue
		link set wport master red
		link set vport up
		link set wport up
		addr add 10.30.0.1/24 dev vport
		addr add 10.30.0.9/24 dev vport
		addr add 10.32.0.1/24 dev wport
		route add 10.2.0.2/32 dev to-right vrf blue
		route add 10.30.0.0/24 dev vport
		route add 10.32.0.0/16 dev red vrf blue
		route add 10.30.0.0/24 dev blue vrf red
		route add 10.3.0.2/32 dev to-collector vrf red
		route add 10.32.0.0/24 dev red
	END
	ip -n left -batch - <<-'END' || return
		link set v up
		addr add 10.30.0.2/24 dev v
		route add 10.2.0.2/32 via 10.30.0.1 dev v
		route add 10.32.0.0/24 via 10.30.0.1 dev v
	END
	ip -n right -batch - <<-'END'
		link set w up
		addr add 10.32.0.2/24 dev w
		route add 10.30.0.0/24 via 10.32.0.1 dev w src 10.32.0.2
		route add 10.3.0.0/24 via 10.32.0.1 dev w src 10.32.0.2
		route add 10.30.0.0/24 via 10.2.0.1 dev r0 table 10
		route add 10.3.0.0/24 via 10.2.0.1 dev r0 table 10
		rule add from 10.2.0.2 table 10
	END
}

# TEE copies a received packet, and the copy leaves by a VRF.
copies() {
	ip -n router link show blue || return
	on router nft -f - <<-'END'
		table ip copies {
			chain copies {
				type filter hook prerouting priority -400; policy accept;
				ip saddr 10.3.0.2 ip daddr 10.2.0.2 dup to 10.30.0.2 device "vport"
			}
		}
	END
}

bridge() {
	modprobe -q br_netfilter || return
	ip link add lan netns left type veth peer name port1 netns router || return
	ip link add lan netns right type veth peer name port2 netns router || return
	ip -n router -batch - <<-'END' || return
		link add bridge type bridge mcast_snooping 0
		link set port1 master bridge
		link set port2 master bridge
		link set port1 up
		link set port2 up
		link set bridge up
		addr add 10.31.0.1/24 dev bridge
	END
	ip -n left -batch - <<-'END' || return
		link set lan up
		addr add 10.31.0.2/24 dev lan
		route add 10.3.0.2/32 via 10.31.0.1 dev lan
	END
	ip -n right -batch - <<-'END' || return
		link set lan up
		addr add 10.31.0.3/24 dev lan
	END
	on router sysctl -qw net.bridge.bridge-nf-call-iptables=1
}

# The points on the path from one address to another.
IN="prerouting input" OUT="output postrouting" THROUGH="prerouting forward postrouting"
LEAKED="prerouting forward output postrouting" ITSELF="prerouting input output postrouting"
# The same addresses may be on two packets, of which one is a copy.
# shellcheck disable=SC2034 # used by name
declare -A vrf_ways=(
	["10.30.0.2 10.2.0.2"]=$THROUGH ["10.2.0.2 10.30.0.2"]=$THROUGH
	["10.30.0.2 10.30.0.1"]=$IN ["10.30.0.1 10.30.0.2"]=$OUT
	["10.30.0.2 10.32.0.2"]=$LEAKED ["10.32.0.2 10.30.0.2"]=$LEAKED
	["10.3.0.2 10.32.0.2"]=$LEAKED ["10.32.0.2 10.3.0.2"]=$THROUGH
	["10.30.0.1 10.30.0.9"]=$ITSELF ["10.30.0.9 10.30.0.1"]=$ITSELF
)
# shellcheck disable=SC2034 # used by name
declare -A copies_ways=(["10.3.0.2 10.2.0.2"]="$THROUGH / $OUT" ["10.2.0.2 10.3.0.2"]=$THROUGH)
# shellcheck disable=SC2034 # used by name
declare -A bridge_ways=(
	["10.31.0.2 10.31.0.3"]=$THROUGH ["10.31.0.3 10.31.0.2"]=$THROUGH
	["10.31.0.2 10.3.0.2"]=$THROUGH ["10.3.0.2 10.31.0.2"]=$THROUGH
	["10.31.0.2 10.31.0.1"]=$IN ["10.31.0.1 10.31.0.2"]=$OUT
)

# Echo requests: each, and its reply, are packets on the paths of that name.
# shellcheck disable=SC2034 # used by name
vrf_requests=(
	"left 10.30.0.2 10.2.0.2" "left 10.30.0.2 10.30.0.1" "left 10.30.0.2 10.32.0.2"
	"collector 10.3.0.2 10.32.0.2" "router 10.30.0.1 10.30.0.9 -I blue"
)
# shellcheck disable=SC2034 # used by name
copies_requests=("collector 10.3.0.2 10.2.0.2")
# shellcheck disable=SC2034 # used by name
bridge_requests=("left 10.31.0.2 10.31.0.3" "left 10.31.0.2 10.3.0.2" "left 10.31.0.2 10.31.0.1")

# talk NAME MASK: the ToS of the packets is the mask of the combination, times four.
talk() {
	local -n requests=$1_requests
	local request ns from to options pids=() pid status=0
	for request in "${requests[@]}"; do
		read -r ns from to options <<<"$request"
		# shellcheck disable=SC2086 # options are words
		on "$ns" ping -q -c 1 -W 5 -Q $((4 * $2)) $options -I "$from" "$to" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid" || status=1; done
	return "$status"
}

observe_all_combinations() {
	local mask
	nf flush || return
	for mask in {1..31}; do
		nf set observe "${names[mask]}" && talk "$1" "$mask" || return
	done
	show_flows icmp source destination tos packets bytes | sum_flows >"$TMP/counted"
}

# counted_once NAME WAY: each packet in each combination that has a point on its way.
counted_once() {
	local -n ways=$1_ways
	local mask point packets passes
	for mask in {1..31}; do
		packets=0 passes=0
		for point in ${ways[$2]} /; do
			if [ "$point" = / ]; then
				packets=$((packets + passes)) passes=0
			elif [[ ,${names[mask]}, == *,$point,* ]]; then
				passes=1
			fi
		done
		[ "$packets" = 0 ] || echo "${names[mask]}: $packets $((84 * packets))"
	done | sort >"$TMP/expected"
	while read -r from to tos rest; do
		[ "$from $to" = "$2" ] && echo "${names[tos / 4]}: $rest"
	done <"$TMP/counted" | sort >"$TMP/actual"
	same "$TMP/expected" "$TMP/actual"
}

all_counted_once() {
	local -n all=$1_ways
	local way
	for way in "${!all[@]}"; do
		check "$1: from ${way/ / to }: counted once${2-}" counted_once "$1" "$way"
	done
}

# After the leak, the kernel shows the VRF as input, not the interface; so it is at output and at
# postrouting (masks 8 and 16). The route is that of the other VRF, where the kernel routed it.
leaks_come_from_the_vrf() {
	local mask route
	route=$(back="vrf red" route_of 10.32.0.1 10.32.0.2 vrf red)
	for mask in 8 16; do
		flows_each "icmp 10.30.0.2 10.32.0.2 tos=$((4 * mask))" \
			input=blue masks="*/${route##*/}" || return
	done
}

witness() {
	local point
	for point in prerouting input forward output postrouting; do
		cat <<-END
			table ip ways {
				set $point {
					typeof ip saddr . ip daddr
					size 65535; flags dynamic; counter
				}
				chain $point {
					type filter hook $point priority -500; policy accept;
					ip protocol icmp update @$point { ip saddr . ip daddr }
				}
			}
		END
	done | on router nft -f -
}

# nft_saw: lines "POINT SOURCE DESTINATION PACKETS".
nft_saw() {
	local point
	for point in "${POINTS[@]}"; do
		nft_elements ways "$point" | sed -E "s/^/$point /; s/ [0-9]+$//"
	done | sort
}

ways_are_these() {
	local -n ways=$1_ways
	local way point
	for way in "${!ways[@]}"; do
		for point in ${ways[$way]//\//}; do echo "$point $way"; done
	done | sort -u >"$TMP/ways"
	cut -d ' ' -f 1-3 "$TMP/saw" >"$TMP/saw.ways"
	same "$TMP/ways" "$TMP/saw.ways"
}

# seen_twice SENT: some packet was, or the test would prove nothing.
seen_twice() {
	local most
	most=$(cut -d ' ' -f 4 "$TMP/saw" | sort -n | tail -n 1)
	echo "$most packets of $1"
	[ "$most" -gt "$1" ]
}

# Packets to a group that the kernel sends: reports of IGMP version 2, for each group that is
# joined.
REPORTS=2

group() {
	local point
	on router sysctl -qw net.ipv4.igmp_max_memberships=100 net.ipv4.igmp_qrv="$REPORTS" \
		net.ipv4.conf.to-right.force_igmp_version=2 \
		net.ipv4.conf.to-right.igmpv2_unsolicited_report_interval=10 || return
	for point in "${POINTS[@]}"; do
		cat <<-END
			table ip groups {
				counter $point { }
				chain $point {
					type filter hook $point priority -500; policy accept;
					ip daddr 239.4.4.0/24 counter name $point
				}
			}
		END
	done | on router nft -f -
}

# group_saw POINT COUNT. Input is the last hook of a report.
group_saw() {
	equal "nftables saw at $1" "$2" "$(nft_counter ip groups "$1" | cut -d ' ' -f 1)"
}

# Each combination has a group.
join_groups() {
	local mask
	nf flush || return
	for mask in {1..31}; do
		nf set observe "${names[mask]}" || return
		ip -n router addr add "239.4.4.$mask/32" dev to-right autojoin || return
		eventually 10 group_saw input $((REPORTS * mask)) || return
	done
}

reports_counted_once() {
	local mask
	for mask in {1..31}; do
		[ "${names[mask]}" = forward ] || echo "${names[mask]}: $REPORTS"
	done | sort >"$TMP/expected"
	# Without bytes: sum_flows adds up the last two columns.
	show_flows 2 destination packets packets | sum_flows | sed 's/^239\.4\.4\.//' |
		while read -r mask packets _; do echo "${names[mask]}: $packets"; done |
		sort >"$TMP/actual"
	same "$TMP/expected" "$TMP/actual"
}

reports_seen_twice() {
	local all=$((31 * REPORTS))
	group_saw prerouting "$all" && group_saw input "$all" && group_saw output "$all" &&
		group_saw postrouting $((2 * all))
}

need two_hosts
need load
need nf enable --inactive-timeout 3600 --active-timeout 3600
for name in vrf copies bridge; do
	if ! $name >"$TMP/made" 2>&1; then
		skip "$name" "this kernel has none: $(tail -n 1 "$TMP/made")"
		continue
	fi
	need talk $name 0
	need witness
	check "$name: all 31 combinations can be set" observe_all_combinations $name
	nft_saw >"$TMP/saw"
	all_counted_once $name
	check "$name: nftables sees them at these points too" ways_are_these $name
	[ $name = bridge ] || check "$name: some of them twice" seen_twice 31
	[ $name != vrf ] ||
		check "vrf: leaked packets come from the other VRF" leaks_come_from_the_vrf
	need on router nft flush ruleset
done
if [ -e /sys/module/vrf ]; then
	# Packets that leave by a VRF device with a queue take another path through the kernel.
	need on router tc qdisc add dev blue root pfifo
	check "vrf: all 31 combinations can be set with a queue" observe_all_combinations vrf
	all_counted_once vrf " with a queue"
fi
need group
check "group: all 31 combinations can be set" join_groups
check "group: reports of IGMP are counted once" reports_counted_once
check "group: nftables sees them twice" reports_seen_twice
check "the ledger is exact" ledger_holds
need clean_up
modprobe -qr br_netfilter
done_testing
