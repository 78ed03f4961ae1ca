#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets that come in and go out by virtual devices are counted once, with that device as input
# or output, and with the next hop and prefix lengths that ip-route(8) says. The packets inside a
# tunnel, and those of the tunnel itself, are separate flows. Frames for other stations, as a
# mirror port delivers them, are counted where the guide's recipe is followed.
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
begin nft ping tc

# Each kind of device is made by the function of its name.
vlan() {
	ip -n left link add x link l0 type vlan id 20 &&
		ip -n router link add vlan link to-left type vlan id 20
}

# own_link DEVICE KIND...: made of a link's router end.
own_link() {
	ip link add x netns left type veth peer name port netns router &&
		ip -n router link add "$1" type "${@:2}" &&
		ip -n router link set port master "$1" && ip -n router link set port up
}
bridge() { own_link bridge bridge mcast_snooping 0; }
bond() { own_link bond bond mode balance-rr; }
vrf() { own_link blue vrf table 200 && ip -n router link set blue up; }

# tunnel DEVICE KIND
tunnel() {
	ip -n left link add x type "$2" local 10.1.0.2 remote 10.1.0.1 &&
		ip -n router link add "$1" type "$2" local 10.1.0.1 remote 10.1.0.2
}
gre() { tunnel gre gre; }
ipip() { tunnel ipip ipip; }

# wireguard_peer NETNS DEVICE KEY PEER_KEY PEER_ENDPOINT: all addresses are behind the peer. Key
# and endpoint, a struct sockaddr_in, are hexadecimal.
wireguard_peer() {
	local ips='[{"family": 2, "ipaddr": "0.0.0.0", "cidr-mask": 0}]' peer
	peer="{\"public-key\": \"$4\", \"endpoint\": \"$5\", \"allowedips\": $ips}"
	on "$1" python3 -B "$KSRC/tools/net/ynl/pyynl/cli.py" --no-schema \
		--spec "$KSRC/Documentation/netlink/specs/wireguard.yaml" --do set-device \
		--json "{\"ifname\": \"$2\", \"private-key\": \"$3\", \"listen-port\": 51820,
			\"peers\": [$peer]}"
}

# The keys are 32 bytes of 1 and of 2; these are their public keys.
PUBLIC_1=a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209
PUBLIC_2=ce8d3ad1ccb633ec7b70c17814a5c76ecd029685050d344745ba05870e587d59
wireguard() {
	local key_1 key_2
	key_1=$(printf '01%.0s' {1..32}) key_2=$(printf '02%.0s' {1..32})
	ip -n left link add x type wireguard && ip -n router link add wireguard type wireguard &&
		wireguard_peer left x "$key_1" "$PUBLIC_2" 0200ca6c0a0100010000000000000000 &&
		wireguard_peer router wireguard "$key_2" "$PUBLIC_1" \
			0200ca6c0a0100020000000000000000
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
	on router nft flush ruleset || return
	for point in prerouting postrouting; do
		on router nft -f - <<-END || return
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
	nf flush
}

# talk K
talk() {
	on left ping -q -c 2 -i 0.05 -s 100 -I "10.$1.0.2" 10.2.0.2 || return
	on right bash -c "echo hello >/dev/udp/10.1$1.0.1/9"
}

# expected K DEVICE [VRF]: the flows of a talk.
expected() {
	cat <<-END
		icmp 10.$1.0.2 10.2.0.2 input=$2 packets=2 bytes=256 $(
			back=${3:+vrf $3} route_of "10.$1.0.2" 10.2.0.2 iif "$2"
		)
		icmp 10.2.0.2 10.$1.0.2 input=to-right packets=2 bytes=256 $(
			route_of 10.2.0.2 "10.$1.0.2" iif to-right
		)
		udp 10.2.0.2 10.1$1.0.1:9 input=to-right packets=1 bytes=34 $(
			route_of 10.2.0.2 "10.1$1.0.1" iif to-right
		)
	END
}

# carries: these flows, and no other than those of the tunnel itself.
carries() { flows_are '* !10.1.0.*' <"$TMP/expected"; }

# carried POINT: the packets of the tunnel itself, between 10.1.0.2 and 10.1.0.1, are as many as
# nftables counted. (WireGuard gives its handshake a ToS, which makes another flow, and may send
# a keepalive between the two readings.)
carried() {
	local route=(input=0 output=to-left next-hop=0.0.0.0 masks=32/24)
	[ "$1" = prerouting ] && route=(input=to-left output=0 next-hop=0.0.0.0 masks=24/32)
	nft_elements witness "$1" |
		grep -E '^10\.1\.0\.(1 10\.1\.0\.2|2 10\.1\.0\.1) ' >"$TMP/carried"
	show_flows '* 10.1.0.* 10.1.0.*' source destination protocol packets bytes |
		sum_flows >"$TMP/flows"
	same "$TMP/carried" "$TMP/flows" && flows_each '* 10.1.0.* 10.1.0.*' "${route[@]}"
}

need two_hosts
need ip -n left route add blackhole 10.64.0.0/10
need load
need nf enable --inactive-timeout 3600 --active-timeout 3600
K=20
for kind in vlan bridge bond vrf gre ipip wireguard; do
	K=$((K + 1)) device=$kind master=''
	[ $kind = vrf ] && device=port master=blue
	if ! $kind >"$TMP/made" 2>&1; then
		skip "$kind" "this kernel has none: $(tail -n 1 "$TMP/made")"
		continue
	fi
	need connect $K $device $master
	expected $K $device $master >"$TMP/expected"
	for point in prerouting postrouting; do
		need nf set observe $point
		need fresh
		need talk $K
		check "$kind: at $point, each packet once, its interfaces and route" carries
		case $kind in
			gre | ipip | wireguard)
				check "$kind: at $point, the packets of the tunnel itself" \
					eventually 10 carried $point
				;;
		esac
	done
	need disconnect $device
done

# Frames for another station, as from a mirror port: 50 of each of two sizes.
mirror() {
	nf flush && inject <<-'END'
		udp 192.0.2.1:1000 198.51.100.1:53 count=50
		tcp 192.0.2.1:1001 198.51.100.1:80 len=1500 count=50
	END
}
need nf set observe prerouting
need start_injector left l0 02:00:00:00:99:99
check "frames for other stations come in" mirror
check "they reach no hook, and are not counted" flow_count_is '* 192.0.2.1' 0
# What the guide says.
need on router tc qdisc add dev to-left clsact
need on router tc filter add dev to-left ingress matchall \
	action skbedit ptype host pipe action continue
need on router sysctl -qw net.ipv4.conf.to-left.forwarding=0
check "with skbedit, frames for other stations come in" mirror
check "each is counted once, as nothing is forwarded" flows_are '* 192.0.2.1' input=to-left <<'END'
	udp 192.0.2.1:1000 198.51.100.1:53 packets=50 bytes=3200
	tcp 192.0.2.1:1001 198.51.100.1:80 packets=50 bytes=75000
END
check "the ledger is exact" ledger_holds
done_testing
