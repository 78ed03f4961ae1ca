#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets that netfilter shows more than once are counted once, for each of the 31
# combinations of observation points: in a VRF, with the enslaved device and with that of
# the VRF; and on a bridge
# with br_netfilter, as bridged packets and as routed ones.
#
#    netns left                netns router                            netns right
#    v 10.30.0.2/24 --- vport, enslaved to the VRF blue
#                              10.30.0.1 |  to-right 10.2.0.1 -------- r0 10.2.0.2
#  lan 10.31.0.2/24 --- port1 \          |
#                              bridge    |  to-collector 10.3.0.1 ---- collector 10.3.0.2
#                       port2 /          |
#                           | 10.31.0.1  |
#                           +--------------------------------------- lan 10.31.0.3/24

# shellcheck source=selftests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin nft ping tc

POINTS=(prerouting input forward output postrouting)

# names[MASK]: the points whose bits are set.
names=("")
for mask in {1..31}; do
	for bit in {0..4}; do
		((mask >> bit & 1)) && names[mask]+=${names[mask]:+,}${POINTS[bit]}
	done
done

vrf() {
	ip link add v netns left type veth peer name vport netns router || return
	ip -n router -batch - <<-'END' || return
		link add blue type vrf table 200
		link set blue up
		link set vport master blue
		link set vport up
		addr add 10.30.0.1/24 dev vport
		route add 10.2.0.2/32 dev to-right vrf blue
		route add 10.30.0.0/24 dev vport
	END
	ip -n left -batch - <<-'END'
		link set v up
		addr add 10.30.0.2/24 dev v
		route add 10.2.0.2/32 via 10.30.0.1 dev v
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

# The points on the way from one address to another.
IN="prerouting input" OUT="output postrouting" THROUGH="prerouting forward postrouting"
# shellcheck disable=SC2034 # used by name
declare -A vrf_ways=(
	["10.30.0.2 10.2.0.2"]=$THROUGH ["10.2.0.2 10.30.0.2"]=$THROUGH
	["10.30.0.2 10.30.0.1"]=$IN ["10.30.0.1 10.30.0.2"]=$OUT
)
# shellcheck disable=SC2034 # used by name
declare -A bridge_ways=(
	["10.31.0.2 10.31.0.3"]=$THROUGH ["10.31.0.3 10.31.0.2"]=$THROUGH
	["10.31.0.2 10.3.0.2"]=$THROUGH ["10.3.0.2 10.31.0.2"]=$THROUGH
	["10.31.0.2 10.31.0.1"]=$IN ["10.31.0.1 10.31.0.2"]=$OUT
)

# Who asks whom: each request, and its reply, are packets on the ways of that name.
# shellcheck disable=SC2034 # used by name
vrf_requests=("left 10.30.0.2 10.2.0.2" "left 10.30.0.2 10.30.0.1")
# shellcheck disable=SC2034 # used by name
bridge_requests=("left 10.31.0.2 10.31.0.3" "left 10.31.0.2 10.3.0.2" "left 10.31.0.2 10.31.0.1")

# talk NAME MASK: what is sent has the mask of the combination as its type of service.
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
	nf --json flows | jq -r '.[] | select(.proto == 1)
		| "\(.src_addr) \(.dst_addr) \(.tos / 4) \(.packets) \(.bytes)"' | sum_flows >"$TMP/counted"
}

# counted_once NAME WAY: one packet in each combination that has a point on the way.
counted_once() {
	local -n ways=$1_ways
	local mask point
	for mask in {1..31}; do
		for point in ${ways[$2]}; do
			[[ ,${names[mask]}, == *,$point,* ]] && echo "${names[mask]}: 1 84" && break
		done
	done | sort >"$TMP/expected"
	while read -r from to mask rest; do
		[ "$from $to" = "$2" ] && echo "${names[mask]}: $rest"
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

witness() {
	local point
	for point in prerouting input forward output postrouting; do
		cat <<-END
			table ip ways {
				set $point { typeof ip saddr . ip daddr; size 65535; flags dynamic; counter; }
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
	on router nft -n list table ip ways | awk '
		/^\tset / { point = $2 }
		/counter packets [0-9]/ { gsub(/elements = |[{},.] |[{},]/, " "); print point, $1, $2, $5 }' | sort
}

ways_are_these() {
	local -n ways=$1_ways
	local way point
	for way in "${!ways[@]}"; do
		for point in ${ways[$way]}; do echo "$point $way"; done
	done | sort >"$TMP/ways"
	cut -d ' ' -f 1-3 "$TMP/saw" >"$TMP/saw.ways"
	same "$TMP/ways" "$TMP/saw.ways"
}

# seen_twice: some packet was, or the test would prove nothing.
seen_twice() { awk -v sent="$1" '$4 > sent { twice = 1; print } END { exit !twice }' "$TMP/saw"; }

need two_hosts
for ns in left router right; do
	need on $ns sysctl -qw net.ipv6.conf.default.disable_ipv6=1
done
need load
need nf enable --inactive-timeout 3600 --active-timeout 3600
for name in vrf bridge; do
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
	need on router nft flush ruleset
done
if [ -e /sys/module/vrf ]; then
	# Packets that leave by a VRF device with a queue take another way through the kernel.
	need on router tc qdisc add dev blue root pfifo
	check "vrf: all 31 combinations can be set with a queue" observe_all_combinations vrf
	all_counted_once vrf " with a queue"
fi
check "the ledger is exact" ledger_holds
need clean_up
modprobe -qr br_netfilter
done_testing
