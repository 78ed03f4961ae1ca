#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets that come in and go out by devices of other kinds than a plain link are counted
# once, with that device as input or output, and with the next hop and prefix lengths that
# ip-route(8) says; what a tunnel carries, and the packets that carry it, are flows of
# their own.
#
#    netns left                      netns router                         netns right
#    x 10.K.0.2/24 ==== the device, 10.K.0.1/24 | to-right 10.2.0.1 ----- 10.2.0.2
#    10.1K.0.0/16       netflow, nft            |
#    l0 10.1.0.2 ------ to-left 10.1.0.1        |
#
# Tunnels are between 10.1.0.2 and 10.1.0.1; others have a link of their own (x and port),
# and a VLAN is on that of l0.

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nft ping python3

# Each kind of device is made by the function of its name.
vlan() {
	ip -n left link add x link l0 type vlan id 20 && ip -n router link add vlan link to-left type vlan id 20
}

# own_link DEVICE KIND...: made of a link's router end.
own_link() {
	ip link add x netns left type veth peer name port netns router && ip -n router link add "$1" type "${@:2}" &&
		ip -n router link set port master "$1" && ip -n router link set port up
}
bridge() { own_link bridge bridge mcast_snooping 0; }
bond() { own_link bond bond mode balance-rr; }
vrf() { own_link blue vrf table 200 && ip -n router link set blue up; }

# tunnel DEVICE KIND
tunnel() {
	ip -n left link add x type "$2" local 10.1.0.2 remote 10.1.0.1 && ip -n router link add "$1" type "$2" local 10.1.0.1 remote 10.1.0.2
}
gre() { tunnel gre gre; }
ipip() { tunnel ipip ipip; }

# The public keys that belong to 32 bytes of 1, and of 2.
PUBLIC_1=a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209
PUBLIC_2=ce8d3ad1ccb633ec7b70c17814a5c76ecd029685050d344745ba05870e587d59
wireguard() {
	ip -n left link add x type wireguard && ip -n router link add wireguard type wireguard &&
		on left python3 -S "$SELFTESTS/wireguard.py" x 1 51820 "$PUBLIC_2" 10.1.0.1 &&
		on router python3 -S "$SELFTESTS/wireguard.py" wireguard 2 51820 "$PUBLIC_1" 10.1.0.2
}

# connect K DEVICE [VRF]: addresses, and routes from the left host to the right one.
connect() {
	ip -n left -batch - <<-END || return
		link set x up
		addr add 10.$1.0.2/24 dev x
		route replace 10.2.0.2/32 via 10.$1.0.1 dev x
	END
	ip -n router -batch - <<-END
		link set $2 up
		addr add 10.$1.0.1/24 dev $2
		${3:+route add 10.$1.0.0/24 dev $2}
		${3:+route add 10.2.0.2/32 dev to-right vrf $3}
		route add 10.1$1.0.0/16 via 10.$1.0.2 dev $2
	END
}

disconnect() {
	ip -n left link delete x
	[ "$1" = port ] && set -- blue
	ip -n router link delete "$1"
}

# fresh: no flows, and nftables begins to count packets anew, where they come in and go out.
fresh() {
	local point
	{
		echo "flush ruleset"
		for point in prerouting postrouting; do
			cat <<-END
				table ip witness {
					set $point {
						typeof ip saddr . ip daddr . ip protocol
						size 65535; flags dynamic; counter
					}
					chain $point {
						type filter hook $point priority -500; policy accept;
						update @$point { ip saddr . ip daddr . ip protocol }
					}
				}
			END
		done
	} | on router nft -f - && nf flush
}

# talk K
talk() {
	on left ping -q -c 2 -i 0.05 -s 100 -I "10.$1.0.2" 10.2.0.2 || return
	on right bash -c "echo hello >/dev/udp/10.1$1.0.1/9"
}

# flow SOURCE DESTINATION PROTOCOL INPUT PACKETS BYTES: what there is to expect of it, by
# the routes to the destination and back, with prefix lengths as `fibmatch` shows them.
flow() {
	{
		ip -n router -j route get fibmatch "$2" from "$1" iif "$4"
		# shellcheck disable=SC2086 # $back is words
		ip -n router -j route get fibmatch "$1" ${back:-}
		ip -n router -j link
	} | jq -rs --arg flow "$1 $2 $3" --arg input "$4" --arg counts "$5 $6" '
		def length: .[0].dst | if contains("/") then split("/")[1] else "32" end;
		(.[2] | map({(.ifname): .ifindex}) | add) as $index
		| "\($flow) \($index[$input]) \($index[.[0][0].dev]) \(.[0][0].gateway // "0.0.0.0") \(.[1] | length) \(.[0] | length) \($counts)"'
}

# flows NETWORKS: ours of packets to or from an address that matches.
flows() {
	nf --json flows | jq -r --arg networks "$1" '.[] | select(.src_addr + " " + .dst_addr | test($networks))
		| "\(.src_addr) \(.dst_addr) \(.proto) \(.input) \(.output) \(.next_hop) \(.src_mask) \(.dst_mask) \(.packets) \(.bytes)"' | sort
}

# expect K DEVICE [VRF]: the flows of a talk.
expect() {
	{
		back=${3:+vrf $3} flow "10.$1.0.2" 10.2.0.2 1 "$2" 2 256
		flow 10.2.0.2 "10.$1.0.2" 1 to-right 2 256
		flow 10.2.0.2 "10.1$1.0.1" 17 to-right 1 34
	} | sort >"$TMP/expected"
}

# carries K: just that, and nothing else from or to the networks there.
carries() {
	flows "10\\.1?$1\\." >"$TMP/flows"
	same "$TMP/expected" "$TMP/flows"
}

# carried POINT: the packets of the tunnel itself, between 10.1.0.2 and 10.1.0.1.
carried() {
	local route="0 $left 0.0.0.0 32 24"
	[ "$1" = prerouting ] && route="$left 0 0.0.0.0 24 32"
	on router nft -n list set ip witness "$1" | awk -v route="$route" '/10.1.0.1 .*10.1.0.2 |10.1.0.2 .*10.1.0.1 / {
		gsub(/elements = |[{},.] |[{},]/, " ")
		print $1, $2, $3, route, $6, $8
	}' >"$TMP/carried"
	# WireGuard gives its handshake a ToS, which makes a flow of its own.
	flows '10\.1\.0\.. 10\.1\.0\..' | sum_flows >"$TMP/flows"
	same "$TMP/carried" "$TMP/flows"
}

need two_hosts
need ip -n left route add blackhole 10.64.0.0/10
# Nobody shall speak unasked.
for ns in left router; do
	need on $ns sysctl -qw net.ipv6.conf.default.disable_ipv6=1
done
need load
need nf enable --inactive-timeout 3600 --active-timeout 3600
left=$(index_of router to-left)
K=20
for kind in vlan bridge bond vrf gre ipip wireguard; do
	K=$((K + 1)) device=$kind master=''
	[ $kind = vrf ] && device=port master=blue
	if ! $kind >"$TMP/made" 2>&1; then
		skip "$kind" "this kernel has none: $(tail -n 1 "$TMP/made")"
		continue
	fi
	need connect $K $device $master
	need expect $K $device $master
	for point in prerouting postrouting; do
		need nf set observe $point
		need fresh
		need talk $K
		check "$kind: at $point, each packet once, its interfaces and route" carries $K
		case $kind in
			gre | ipip | wireguard) check "$kind: at $point, the packets of the tunnel itself" carried $point ;;
		esac
	done
	need disconnect $device
done
check "the ledger is exact" ledger_holds
done_testing
