#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# hook_dedup.sh with IPv6, where 10.A.0.B is 2001:db8:A::B; and what IPv6 alone has: packets to
# link-local addresses and neighbour discovery in a VRF, and segment routing (SRv6), which puts
# packets into others, takes them out, or changes their destination, on their way through a host.
# Such a packet is one, and is counted at the first of the points with the addresses that it has
# there.
#
#    netns left                netns router                            netns right
#    10.1.0.11-14 -- to-left         |  to-right 10.2.0.1 ------------ r0 10.2.0.2
#    10.30.0.15-17 - vport (VRF blue)|                                    10.61.0.11-17
#                                    | 10.72.0.11-16: segments            10.71.0.11-14: segments

# shellcheck source=selftests/lib/hook_dedup.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/hook_dedup.sh"
begin nft ping tc

# Link-local addresses, of which the VRF does not run the hook anew; but for neighbour discovery.
link_local() {
	ip -n router link show blue &&
		ip -n router addr add fe80::30:1/64 dev vport nodad &&
		ip -n left addr add fe80::30:2/64 dev v nodad
}
way link_local "fe80::30:2 fe80::30:1" "$IN"
way link_local "fe80::30:1 fe80::30:2" "$OUT"
way link_local "fe80::30:3 fe80::30:1" "$IN"
way link_local "fe80::30:3 ff02::1:ff30:1" "$IN"
requests_of[link_local]="left fe80::30:2 fe80::30:1 -I v"
injected_of[link_local]="icmp6 fe80::30:3 fe80::30:1 type=135 ttl=255 len=104
	icmp6 fe80::30:3 ff02::1:ff30:1 type=135 ttl=255 len=104"

# Each way has a number, 11 to 17: that of its hosts and of its segments.
srv6() {
	local ns n
	for ns in left router right; do
		on "$ns" sysctl -qw net.ipv6.conf.all.seg6_enabled=1 \
			net.ipv6.conf.default.seg6_enabled=1 || return
	done
	on left sysctl -qw net.ipv6.conf.l0.seg6_enabled=1 &&
		on right sysctl -qw net.ipv6.conf.r0.seg6_enabled=1 \
			net.ipv6.conf.lo.disable_ipv6=0 &&
		on router sysctl -qw net.ipv6.conf.to-left.seg6_enabled=1 \
			net.ipv6.conf.to-right.seg6_enabled=1 &&
		ip -n router sr tunsrc set "$(at 10.2.0.1)" &&
		ip -n right sr tunsrc set "$(at 10.2.0.2)" || return
	for n in {11..17}; do echo "addr add 10.61.0.$n/32 dev lo"; done | ip_batch right || return
	for n in {11..13}; do echo "addr add 10.1.0.$n/24 dev l0"; done | ip_batch left || return
	ip_batch router <<-'END' || return
		addr add 10.2.0.14/24 dev to-right
		route add 10.61.0.0/16 via 10.2.0.2
		route add 10.71.0.0/16 via 10.2.0.2
	END
	# Put into another packet here, and taken out of one: by this segment's next hop ...
	ip_batch router <<-'END' || return
		route add 10.61.0.11/32 encap seg6 mode encap segs 10.71.0.11 dev to-right
		route add 10.72.0.11/32 encap seg6local action End.DX6 nh6 10.1.0.11 dev to-left
	END
	ip_batch right <<-'END' || return
		route add 10.71.0.11/32 encap seg6local action End.DT6 table local dev r0
		route add 10.71.0.14/32 encap seg6local action End.DT6 table local dev r0
		route add 10.1.0.11/32 encap seg6 mode encap segs 10.72.0.11 dev r0
	END
	# ... given a routing header here, and come by this segment ...
	ip_batch router <<-'END' || return
		route add 10.61.0.12/32 encap seg6 mode inline segs 10.71.0.12 dev to-right
		route add 10.72.0.12/32 encap seg6local action End dev to-left
	END
	ip_batch right <<-'END' || return
		addr add 10.71.0.12/32 dev lo
		route add 10.1.0.12/32 encap seg6 mode inline segs 10.72.0.12 dev r0
	END
	# ... sent from here, or for here, by a table.
	ip_batch router <<-'END' || return
		route add 10.61.0.14/32 encap seg6 mode encap segs 10.71.0.14 dev to-right
		route add 10.72.0.14/32 encap seg6local action End.DT6 table local dev to-left
	END
	ip_batch right <<-'END'
		route add 10.2.0.14/32 encap seg6 mode encap segs 10.72.0.14 dev r0
	END
}
requests_of[srv6]="left 10.1.0.11 10.61.0.11
	left 10.1.0.12 10.61.0.12
	router 10.2.0.14 10.61.0.14"
way srv6 "10.1.0.11 10.61.0.11 > 10.2.0.1 10.71.0.11" "prerouting > forward postrouting"
way srv6 "10.2.0.2 10.72.0.11 > 10.61.0.11 10.1.0.11" "prerouting > forward postrouting"
way srv6 "10.1.0.12 10.61.0.12 > 10.1.0.12 10.71.0.12" "prerouting > forward postrouting"
way srv6 "10.61.0.12 10.72.0.12 > 10.61.0.12 10.1.0.12" "prerouting > forward postrouting"
way srv6 "10.2.0.14 10.61.0.14 > 10.2.0.1 10.71.0.14" "output > postrouting"
way srv6 "10.2.0.2 10.72.0.14 > 10.61.0.14 10.2.0.14" "prerouting > input"

# A segment that is an address of this host: such a packet has been received, and is sent on.
srv6_address() {
	[ -n "$(ip -6 -n router route show "$(at 10.72.0.11)")" ] || return
	ip_batch left <<-'END'
		route add 10.61.0.13/32 encap seg6 mode inline segs 10.1.0.1 dev l0
	END
}
requests_of[srv6_address]="left 10.1.0.13 10.61.0.13"
way srv6_address "10.1.0.13 10.1.0.1 > 10.1.0.13 10.61.0.13" \
	"prerouting input > forward postrouting"
way srv6_address "10.61.0.13 10.1.0.13" "$THROUGH"

# Taken out by a segment of the VRF, and by one whose route leads into it.
srv6_vrf() {
	ip -n router link show blue && on router sysctl -qw net.vrf.strict_mode=1 || return
	ip_batch router <<-'END' || return
		route add 10.61.0.0/16 via 10.2.0.2 dev to-right vrf blue onlink
		route add 10.72.0.15/32 encap seg6local action End.DT6 vrftable 200 dev blue
		route add 10.72.0.16/32 encap seg6local action End.DT6 table 99 dev to-left
		route add 10.30.0.16/32 dev blue table 99
	END
	ip_batch left <<-'END' || return
		addr add 10.30.0.15/24 dev v
		addr add 10.30.0.16/24 dev v
		route add 10.61.0.15/32 via 10.30.0.1 dev v
		route add 10.61.0.16/32 via 10.30.0.1 dev v
	END
	ip_batch right <<-'END'
		route add 10.30.0.15/32 encap seg6 mode encap segs 10.72.0.15 dev r0
		route add 10.30.0.16/32 encap seg6 mode encap segs 10.72.0.16 dev r0
	END
}
requests_of[srv6_vrf]="left 10.30.0.15 10.61.0.15
	left 10.30.0.16 10.61.0.16"
way srv6_vrf "10.30.0.15 10.61.0.15" "$THROUGH"
way srv6_vrf "10.30.0.16 10.61.0.16" "$THROUGH"
way srv6_vrf "10.2.0.2 10.72.0.15 > 10.61.0.15 10.30.0.15" "prerouting > $THROUGH"
way srv6_vrf "10.2.0.2 10.72.0.16 > 10.61.0.16 10.30.0.16" "prerouting > forward output postrouting"

# A segment that is an address of this host in the VRF.
srv6_vrf_address() {
	[ -n "$(ip -6 -n router route show vrf blue "$(at 10.61.0.0/16)")" ] || return
	on router sysctl -qw net.ipv6.conf.vport.seg6_enabled=1 net.ipv6.conf.blue.seg6_enabled=1 ||
		return
	ip_batch left <<-'END' || return
		addr add 10.30.0.17/24 dev v
		route add 10.61.0.17/32 encap seg6 mode inline segs 10.30.0.1 dev v
	END
	ip_batch right <<-'END'
		route add 10.30.0.17/32 via 10.2.0.1 dev r0
	END
}
requests_of[srv6_vrf_address]="left 10.30.0.17 10.61.0.17"
way srv6_vrf_address "10.30.0.17 10.30.0.1 > 10.30.0.17 10.61.0.17" \
	"prerouting input > forward postrouting"
way srv6_vrf_address "10.61.0.17 10.30.0.17" "$THROUGH"

# A routing header of one segment and an IPv6 header; or a routing header of two.
for ends in "10.2.0.1 10.71.0.11" "10.2.0.1 10.71.0.14" "10.2.0.2 10.72.0.11" \
	"10.2.0.2 10.72.0.14" "10.2.0.2 10.72.0.15" "10.2.0.2 10.72.0.16"; do
	length_of[$(at "$ends")]=$((LENGTH + 64))
done
for ends in "10.1.0.12 10.71.0.12" "10.61.0.12 10.72.0.12" "10.61.0.12 10.1.0.12" \
	"10.1.0.13 10.1.0.1" "10.1.0.13 10.61.0.13" \
	"10.30.0.17 10.30.0.1" "10.30.0.17 10.61.0.17"; do
	length_of[$(at "$ends")]=$((LENGTH + 40))
done

# Reports of MLD version 1.
# shellcheck disable=SC2034 # used by the library
GROUP=ff0e::4: GROUP_BITS=112

report_fast() {
	on router sysctl -qw net.ipv6.conf.to-right.force_mld_version=1 \
		net.ipv6.conf.to-right.mldv1_unsolicited_report_interval=10
}

# A program that joins the groups that it reads, and stays in them: with each address that is added
# to a device, IPv6 would report all of its groups anew.
start_joiner() {
	mkfifo "$TMP/groups" || return
	ip netns exec router python3 -S -c '
import socket, struct, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
device = struct.pack("=I", socket.if_nametoindex("to-right"))
for group in map(str.strip, iter(sys.stdin.readline, "")):
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
        socket.inet_pton(socket.AF_INET6, group) + device)
' <"$TMP/groups" &
	processes+=($!)
	exec {groups}>"$TMP/groups"
}
join_group() { echo "$1" >&"$groups"; }

need hosts
need load
need nf enable --inactive-timeout 3600 --active-timeout 3600
for kind in vrf copies bridge; do try $kind; done
[ ! -e /sys/module/vrf ] || try_queue
if [ -e /sys/module/vrf ]; then
	need start_injector left v "$(on router cat /sys/class/net/vport/address)"
fi
for kind in link_local srv6 srv6_address srv6_vrf srv6_vrf_address; do try $kind; done
need report_fast
need start_joiner
try_group MLD
check "the ledger is exact" ledger_holds
need clean_up
modprobe -qr br_netfilter
done_testing
