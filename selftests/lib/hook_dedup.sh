# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What hook_dedup.sh, which shows the topology, and its twin of IPv6 share: the kinds of ways that
# packets take, in addresses of IPv4 (see family.sh), and how they are counted.

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/netflow.sh"
# shellcheck source=selftests/lib/points.sh
. "$SELFTESTS/lib/points.sh"
# shellcheck source=selftests/lib/family.sh
. "$SELFTESTS/lib/family.sh"

# Gateways are permanent neighbours: IPv6 takes another way when one does not answer.
vrf() {
	link left v 02:00:00:00:30:02 vport 02:00:00:00:30:01 &&
		link right w 02:00:00:00:32:02 wport 02:00:00:00:32:01 || return
	ip_batch router <<-'END' || return
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
	ip_batch left <<-'END' || return
		link set v up
		addr add 10.30.0.2/24 dev v
		neigh add 10.30.0.1 lladdr 02:00:00:00:30:01 dev v nud permanent
		route add 10.2.0.2/32 via 10.30.0.1 dev v
		route add 10.32.0.0/24 via 10.30.0.1 dev v
	END
	ip_batch right <<-'END'
		link set w up
		addr add 10.32.0.2/24 dev w
		neigh add 10.32.0.1 lladdr 02:00:00:00:32:01 dev w nud permanent
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
	nft_batch router <<-END
		table $FAMILY copies {
			chain copies {
				type filter hook prerouting priority -400; policy accept;
				$FAMILY saddr 10.3.0.2 $FAMILY daddr 10.2.0.2 \
					dup to 10.30.0.2 device "vport"
			}
		}
	END
}

bridge() {
	modprobe -q br_netfilter || return
	ip link add lan netns left type veth peer name port1 netns router || return
	ip link add lan netns right type veth peer name port2 netns router || return
	ip_batch router <<-'END' || return
		link add bridge address 02:00:00:00:31:01 type bridge mcast_snooping 0
		link set port1 master bridge
		link set port2 master bridge
		link set port1 up
		link set port2 up
		link set bridge up
		addr add 10.31.0.1/24 dev bridge
	END
	ip_batch left <<-'END' || return
		link set lan up
		addr add 10.31.0.2/24 dev lan
		neigh add 10.31.0.1 lladdr 02:00:00:00:31:01 dev lan nud permanent
		route add 10.3.0.2/32 via 10.31.0.1 dev lan
	END
	ip_batch right <<-'END' || return
		link set lan up
		addr add 10.31.0.3/24 dev lan
	END
	on router sysctl -qw "net.bridge.bridge-nf-call-${FAMILY}tables=1"
}

# The points on the way from one address to another.
IN="prerouting input" OUT="output postrouting" THROUGH="prerouting forward postrouting"
LEAKED="prerouting forward output postrouting" ITSELF="prerouting input output postrouting"

# way KIND "FROM TO" POINTS: the points on that way. The same addresses may be on two packets, of
# which one is a copy, behind a /. A packet whose addresses change on its way has a > there, in
# both. length_of[ADDRESSES]: that of a packet with these, if it is not the usual one.
declare -A ways_of length_of
way() {
	local addresses
	addresses=$(at "$2")
	ways_of[$1]+=$addresses$'\t'$3$'\n'
}

way vrf "10.30.0.2 10.2.0.2" "$THROUGH"
way vrf "10.2.0.2 10.30.0.2" "$THROUGH"
way vrf "10.30.0.2 10.30.0.1" "$IN"
way vrf "10.30.0.1 10.30.0.2" "$OUT"
way vrf "10.30.0.2 10.32.0.2" "$LEAKED"
way vrf "10.32.0.2 10.30.0.2" "$LEAKED"
way vrf "10.3.0.2 10.32.0.2" "$LEAKED"
way vrf "10.32.0.2 10.3.0.2" "$THROUGH"
way vrf "10.30.0.1 10.30.0.9" "$ITSELF"
way vrf "10.30.0.9 10.30.0.1" "$ITSELF"

way copies "10.3.0.2 10.2.0.2" "$THROUGH / $OUT"
way copies "10.2.0.2 10.3.0.2" "$THROUGH"

way bridge "10.31.0.2 10.31.0.3" "$THROUGH"
way bridge "10.31.0.3 10.31.0.2" "$THROUGH"
way bridge "10.31.0.2 10.3.0.2" "$THROUGH"
way bridge "10.3.0.2 10.31.0.2" "$THROUGH"
way bridge "10.31.0.2 10.31.0.1" "$IN"
way bridge "10.31.0.1 10.31.0.2" "$OUT"

# Echo requests: each, and its reply, are packets on the ways of that kind. Packets made by hand
# leave `left`.
declare -A requests_of=(
	[vrf]="left 10.30.0.2 10.2.0.2
		left 10.30.0.2 10.30.0.1
		left 10.30.0.2 10.32.0.2
		collector 10.3.0.2 10.32.0.2
		router 10.30.0.1 10.30.0.9 -I blue"
	[copies]="collector 10.3.0.2 10.2.0.2"
	[bridge]="left 10.31.0.2 10.31.0.3
		left 10.31.0.2 10.3.0.2
		left 10.31.0.2 10.31.0.1"
) injected_of=()

# talk KIND MASK: the ToS of the packets is the mask of the combination, times four.
talk() {
	local ns from to options pids=() pid tos status=0
	while read -r ns from to options; do
		# shellcheck disable=SC2086 # options are words
		on "$ns" ping -q -c 1 -W 5 -Q $((4 * $2)) $options -I "$from" "$to" &
		pids+=($!)
	done < <(of_family <<<"${requests_of[$1]}")
	for pid in "${pids[@]}"; do wait "$pid" || status=1; done
	tos=" tos=$((4 * $2))"$'\n'
	[ -z "${injected_of[$1]-}" ] || inject <<<"${injected_of[$1]//$'\n'/$tos}$tos" || return
	return "$status"
}

observe_all_combinations() {
	local mask
	nf flush || return
	for mask in {1..31}; do
		nf set observe "${names[mask]}" && talk "$1" "$mask" || return
	done
	show_flows '* * * tos>=4' source destination tos packets bytes | sum_flows >"$TMP/counted"
}

# each_pass ADDRESSES POINTS: lines "POINT FROM TO" of a way, and "/" at its end and before a copy.
each_pass() {
	local from to rest=$1 word
	read -r from to _ rest <<<"$rest"
	for word in $2 /; do
		case $word in
			">") read -r from to _ rest <<<"$rest" ;;
			/) echo / ;;
			*) echo "$word $from $to" ;;
		esac
	done
}

# counted_once ADDRESSES POINTS: each packet in each combination that has a point on its way, at
# the first of these.
counted_once() {
	local mask point from to passed
	each_pass "$1" "$2" >"$TMP/passes"
	for mask in {1..31}; do
		passed=''
		while read -r point from to; do
			if [ "$point" = / ]; then
				passed=''
			elif [[ ! $passed && ,${names[mask]}, == *,$point,* ]]; then
				passed=1
				echo "$from $to ${names[mask]} 1 ${length_of[$from $to]-$LENGTH}"
			fi
		done <"$TMP/passes"
	done | sum_flows >"$TMP/expected"
	while read -r from to mask rest; do
		[[ " $1 " == *" $from $to "* ]] && echo "$from $to ${names[mask / 4]} $rest"
	done <"$TMP/counted" | sort >"$TMP/actual"
	same "$TMP/expected" "$TMP/actual"
}

all_counted_once() {
	local addresses points
	while IFS=$'\t' read -r addresses points; do
		[ -z "$addresses" ] ||
			check "$1: from ${addresses/ / to }: counted once${2-}" \
				counted_once "$addresses" "$points"
	done <<<"${ways_of[$1]}"
}

# After the leak, the kernel shows the VRF as input, not the interface; so it is at output and at
# postrouting (masks 8 and 16). The route is that of the other VRF, where the kernel routed it.
leaks_come_from_the_vrf() {
	local mask route words
	read -ra words <<<"$(at 10.32.0.1 10.32.0.2 10.30.0.2)"
	route=$(back="vrf red" route_of "${words[0]}" "${words[1]}" vrf red)
	for mask in 8 16; do
		flows_each "$PING ${words[2]} ${words[1]} tos=$((4 * mask))" \
			input=blue masks="*/${route##*/}" || return
	done
}

witness() {
	local point
	for point in "${POINTS[@]}"; do
		cat <<-END
			table $FAMILY ways {
				set $point {
					typeof $FAMILY saddr . $FAMILY daddr
					size 65535; flags dynamic; counter
				}
				chain $point {
					type filter hook $point priority -500; policy accept;
					$FAMILY dscp 1-31 \
						update @$point { $FAMILY saddr . $FAMILY daddr }
				}
			}
		END
	done | on router nft -f -
}

# nft_saw: lines "POINT SOURCE DESTINATION PACKETS".
nft_saw() {
	local point
	for point in "${POINTS[@]}"; do
		nft_elements ways "$point" router "$FAMILY" | sed -E "s/^/$point /; s/ [0-9]+$//"
	done | sort
}

ways_are_these() {
	local addresses points
	while IFS=$'\t' read -r addresses points; do
		[ -z "$addresses" ] || each_pass "$addresses" "$points" | grep -v /
	done <<<"${ways_of[$1]}" | sort -u >"$TMP/ways"
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

# try KIND: all that is to be said of the packets on its ways.
try() {
	if ! "$1" >"$TMP/made" 2>&1; then
		skip "$1" "this kernel has none: $(tail -n 1 "$TMP/made")"
		return
	fi
	need talk "$1" 0
	need witness
	check "$1: all 31 combinations can be set" observe_all_combinations "$1"
	nft_saw >"$TMP/saw"
	all_counted_once "$1"
	check "$1: nftables sees them at these points too" ways_are_these "$1"
	case $1 in
		vrf | copies) check "$1: some of them twice" seen_twice 31 ;;
	esac
	[ "$1" != vrf ] ||
		check "vrf: leaked packets come from the other VRF" leaks_come_from_the_vrf
	need on router nft flush ruleset
}

# Packets that leave by a VRF device with a queue take another path through the kernel.
try_queue() {
	need on router tc qdisc add dev blue root pfifo
	check "vrf: all 31 combinations can be set with a queue" observe_all_combinations vrf
	all_counted_once vrf " with a queue"
}

# Packets to a group that the kernel sends: reports, for each group that is joined. GROUP is the
# address of a group without its last part, of GROUP_BITS.
REPORTS=2

group() {
	local point
	for point in "${POINTS[@]}"; do
		cat <<-END
			table $FAMILY groups {
				counter $point { }
				chain $point {
					type filter hook $point priority -500; policy accept;
					$FAMILY daddr ${GROUP}0/$GROUP_BITS counter name $point
				}
			}
		END
	done | on router nft -f -
}

# group_saw POINT COUNT. Input is the last hook of a report.
group_saw() {
	equal "nftables saw at $1" "$2" "$(nft_counter "$FAMILY" groups "$1" | cut -d ' ' -f 1)"
}

# Each combination has a group.
join_groups() {
	local mask
	nf flush || return
	for mask in {1..31}; do
		nf set observe "${names[mask]}" || return
		join_group "$GROUP$mask" || return
		eventually 10 group_saw input $((REPORTS * mask)) || return
	done
}

reports_counted_once() {
	local mask
	for mask in {1..31}; do
		[ "${names[mask]}" = forward ] || echo "${names[mask]}: $REPORTS"
	done | sort >"$TMP/expected"
	# Without bytes: sum_flows adds up the last two columns.
	show_flows "* * $GROUP*" destination packets packets | sum_flows | sed "s/^$GROUP//" |
		while read -r mask packets _; do echo "${names[mask]}: $packets"; done |
		sort >"$TMP/actual"
	same "$TMP/expected" "$TMP/actual"
}

reports_seen_twice() {
	local all=$((31 * REPORTS))
	group_saw prerouting "$all" && group_saw input "$all" && group_saw output "$all" &&
		group_saw postrouting $((2 * all))
}

# try_group PROTOCOL
try_group() {
	need group
	check "group: all 31 combinations can be set" join_groups
	check "group: reports of $1 are counted once" reports_counted_once
	check "group: nftables sees them twice" reports_seen_twice
}
