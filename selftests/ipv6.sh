#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Flows of IPv6: what makes one, what is read of it, its routes, what cannot be accounted, and
# where it ends when no collector's format has it. IPv4 packets that carry IPv6 are IPv4. NetFlow
# v5 cannot name the next hop of an IPv4 route with an IPv6 gateway.
#
#    left 10.1.0.2 ---------- router  to-right ----- right 10.2.0.2
#         2001:db8:1::2       netflow, nft                2001:db8:2::2, 2001:db8:9::/48
#    collector 10.3.0.2 -----

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nft ping nfcapd nfdump

A=2001:db8:1::2 B=2001:db8:9::1

# nftables counts what netflow is to count at prerouting, of IPv6.
count_by_nft6() {
	on router nft -f - <<-'END'
		table ip6 witness {
			counter seen { }
			chain count {
				type filter hook prerouting priority -500
				counter name seen
			}
		}
	END
}

# ipv6_as_nft: packets and bytes of IPv6 are those that nftables saw.
ipv6_as_nft() {
	local seen
	seen=$(info "ipv6 | \"\(.packets.seen) \(.bytes.seen)\"")
	equal "packets and bytes" "$(nft_counter ip6 witness seen)" "$seen"
}

# packets SOURCE DESTINATION[:TYPE_AND_CODE]
packets() { show_flows "icmp6 $1 $2" packets | awk '{ sum += $1 } END { print sum + 0 }'; }

# says_of_adding PATTERN COLLECTOR...: on standard error; nothing if PATTERN is empty.
says_of_adding() {
	nf collector add "${@:2}" 2>"$TMP/said" || return
	[ "$(wc -l <"$TMP/said")" = "${1:+1}" ] || [ -z "$1$(cat "$TMP/said")" ] || return
	grep -q "$1" "$TMP/said" || [ -z "$1" ]
}

need two_hosts
need also_ipv6
# The reports of MLD that follow new addresses.
sleep 2
need ip -n router route add 10.8.0.0/16 via inet6 2001:db8:2::2 dev to-right
need load
need count_by_nft6
need start_injector left l0 02:00:00:00:01:01
need nf enable --inactive-timeout 3600 --active-timeout 3600
check "both families are accounted unless told otherwise" \
	equal "families" '["ipv4","ipv6"]' "$(nf --json show config | jq -c .families)"
check "they cannot change while the exporter is enabled" refused families nf set families ipv4

inject <<END
	udp [$A]:1000 [$B]:53 len=100 count=3
	udp [2001:db8:1::3]:1000 [$B]:53 len=101 count=2
	udp [$A]:1000 [2001:db8:9::2]:53 len=102 count=2
	udp [$A]:1001 [$B]:53 len=103 count=2
	udp [$A]:1000 [$B]:54 len=104 count=2
	tcp [$A]:1000 [$B]:53 len=105 count=2
	udp [$A]:1000 [$B]:53 len=106 count=2 tos=1
	udp [$A]:1000 [$B]:53 len=107 count=2 tos=128
	udp [$B]:53 [$A]:1000 len=108 count=2
END
check "packets that differ in one field of the key, or in direction, are of different flows" \
	flows_are '*' input=to-left <<END
	udp [$A]:1000 [$B]:53 tos=0 packets=3 bytes=300
	udp [2001:db8:1::3]:1000 [$B]:53 tos=0 packets=2 bytes=202
	udp [$A]:1000 [2001:db8:9::2]:53 tos=0 packets=2 bytes=204
	udp [$A]:1001 [$B]:53 tos=0 packets=2 bytes=206
	udp [$A]:1000 [$B]:54 tos=0 packets=2 bytes=208
	tcp [$A]:1000 [$B]:53 tos=0 packets=2 bytes=210
	udp [$A]:1000 [$B]:53 tos=1 packets=2 bytes=212
	udp [$A]:1000 [$B]:53 tos=128 packets=2 bytes=214
	udp [$B]:53 [$A]:1000 tos=0 packets=2 bytes=216
END
check "they are all that is seen of IPv6, in packets and bytes" ipv6_as_nft
check "none of it is of IPv4" info_is ipv4.packets.seen=0 ipv6.flows_created=9
need nf flush
check "without a collector they are lost for want of one" \
	info_is ipv6.packets.lost_by.no_collector=19 ipv6.packets.lost_by.unsupported=0

inject <<END
	tcp [$A]:2000 [$B]:80 len=60 flags=S label=74565
	tcp [$A]:2000 [$B]:80 len=1500 flags=PA label=12
END
check "the flow label is that of the first packet, and no part of the key" \
	flow_is tcp packets=2 bytes=1560 flags=SPA label=74565

inject <<END
	udp [$A]:3000 [$B]:1 extensions=0,60,43,51,60 len=100 count=2
	udp [$A]:3001 [$B]:1 extensions=60,60,60,60,60,60,60,60,60,60,60,60 len=160
	udp [$A]:3002 [$B]:1 extensions=60,60,60,60,60,60,60,60,60,60,60,60,60 len=160
	udp [$A]:3003 [$B]:1 extensions=60,43 claims=9 len=64
	59 $A $B len=80
	50 $A $B len=81
	icmp6 $A $B type=1 code=4
	132 [$A]:3004 [$B]:3005
END
check "extension headers are passed, 12 at most, and not beyond the end of the packet" \
	flows_are '* * *' <<END
	tcp [$A]:2000 [$B]:80 packets=2
	udp [$A]:3000 [$B]:1 packets=2
	udp [$A]:3001 [$B]:1 packets=1
	60 [$A]:0 [$B]:0 packets=1 bytes=160
	43 [$A]:0 [$B]:0 packets=1 bytes=64
	59 [$A]:0 [$B]:0 packets=1
	50 [$A]:0 [$B]:0 packets=1
	icmp6 [$A]:0 [$B]:260 packets=1
	132 [$A]:3004 [$B]:3005 packets=1
END
need nf flush

inject <<END
	udp [$A]:4000 [$B]:1 extensions=44 more=1 id=7 len=96
	udp [$A]:4000 [$B]:1 extensions=44 frag=48 id=7 len=72
	tcp [$A]:4001 [$B]:1 extensions=44 len=80
END
check "only the first fragment has ports, and a fragment that is the whole packet" flows_are <<END
	udp [$A]:4000 [$B]:1 packets=1 bytes=96
	udp [$A]:0 [$B]:0 packets=1 bytes=72
	tcp [$A]:4001 [$B]:1 packets=1 bytes=80
END
need nf flush

# IPv6 itself drops what is truncated, but for what a bridge or a tunnel hands over.
inject <<END
	udp [$A]:5000 [$B]:1 totlen=200 len=64
	udp [$A]:5001 [$B]:1 version=5
END
check "what IPv6 drops before the hook is not seen" flow_count_is '*' 0
check "packets and bytes are still those that nftables saw" ipv6_as_nft

need ip -n router route add 2001:db8:a::/48 via 2001:db8:2::2
need ip -n router route add unreachable 2001:db8:b::/48
need ip -n router route add 2001:db8:c::/48 dev to-collector
need ip -n router route add 2001:db8:d::/48 via 2001:db8:2::2 table 77
need ip -n router -6 rule add tos 0x20 lookup 77
inject <<END
	udp [$A]:1 [2001:db8:a::1]:1
	udp [$A]:1 [2001:db8:c::1]:1
	udp [$A]:1 [2001:db8:2::2]:1
	udp [$A]:1 [2001:db8:1::1]:1
	udp [$A]:1 [2001:db8:b::1]:1
	udp [$A]:1 [2001:db8:d::1]:1 tos=0x20
	udp [2001:db8:77::1]:1 [2001:db8:d::1]:1
	udp [$A]:1 [ff0e::1234]:1
END
for to in 2001:db8:a::1 2001:db8:c::1 2001:db8:2::2; do
	# shellcheck disable=SC2046 # words
	check "the route to $to is that of ip-route(8)" \
		flow_is "udp * [$to]:*" $(route_of "$A" "$to" iif to-left)
done
check "what stays here has no output" \
	flow_is 'udp * [2001:db8:1::1]:*' output=0 next-hop=:: masks=64/128
check "an unreachable route has no output, but a prefix" \
	flow_is 'udp * [2001:db8:b::1]:*' output=0 next-hop=:: masks=64/48
check "rules of policy routing are asked" \
	flow_is 'udp * [2001:db8:d::1]:* tos=32' output=to-right next-hop=2001:db8:2::2 masks=64/48
check "a destination without a route has none" \
	flow_is 'udp * [2001:db8:d::1]:* tos=0' output=0 next-hop=:: masks=0/0
check "a group has none at prerouting" flow_is 'udp * [ff0e::1234]:*' output=0 masks=64/0
need nf flush

for points in prerouting input forward output postrouting \
	prerouting,input,forward,output,postrouting input,output forward,postrouting; do
	need nf set observe "$points"
	need on left ping -q -c 2 -i 0.2 2001:db8:2::2
	need on left ping -q -c 2 -i 0.2 2001:db8:1::1
	need on router ping -q -c 2 -i 0.2 2001:db8:1::1
	need on router ping -q -c 2 -i 0.2 2001:db8:2::2
	forwarded=0 in=0 out=0 own=0
	case ,$points, in *,prerouting,*) forwarded=2 in=2 own=2 ;; esac
	case ,$points, in *,input,*) in=2 own=2 ;; esac
	case ,$points, in *,forward,*) forwarded=2 ;; esac
	case ,$points, in *,output,*) out=2 own=2 ;; esac
	case ,$points, in *,postrouting,*) forwarded=2 out=2 own=2 ;; esac
	check "$points: a forwarded packet is counted once, if at all" \
		equal "packets" "$forwarded" "$(packets $A '[2001:db8:2::2]:32768')"
	check "$points: one that is received" \
		equal "packets" "$in" "$(packets $A '[2001:db8:1::1]:32768')"
	check "$points: one that is sent" \
		equal "packets" "$out" "$(packets 2001:db8:2::1 '[2001:db8:2::2]:32768')"
	check "$points: one that this host sends to itself" \
		equal "packets" "$own" "$(packets 2001:db8:1::1 '[2001:db8:1::1]:32768')"
	need nf flush
done

need nf set observe prerouting
need start_nfcapd nfcapd
check "who adds a collector of v5 alone is told that it has no IPv6" \
	says_of_adding "v5 has no records of IPv6" 10.3.0.2
check "once" says_of_adding "" 10.3.0.2:2056
check "but not who adds one of IPFIX" says_of_adding "" 10.3.0.2 --protocol ipfix
need nf collector del 10.3.0.2:2056
need nf collector del 10.3.0.2:4739
inject <<END
	udp [$A]:6000 [$B]:1 len=100 count=5
	udp 10.1.0.2:6001 10.9.0.1:1 len=100 count=4
END
before=$(info ipv6.packets.exported)
need nf flush
check "v5 has no record of IPv6: the flow is lost as unsupported" \
	info_is ipv6.packets.lost_by.unsupported=5 ipv6.bytes.lost_by.unsupported=500 \
	ipv6.packets.exported="$before"
check "flows of IPv4 are exported beside it" info_is ipv4.packets.exported=4
need stop_nfcapd
check "the collector has those" exported_flows_are nfcapd <<'END'
	udp 10.1.0.2:6001 10.9.0.1:1 packets=4
END
check "the ledger is exact, for each family and for both" ledger_holds

for point in prerouting forward; do
	need nf set observe $point
	inject <<-'END'
		41 10.1.0.2 10.9.0.1 len=120 count=2
		udp 10.1.0.2:1 10.8.0.1:53 len=80 count=3
	END
	check "$point: IPv6 in IPv4 is a flow of protocol 41, an IPv6 gateway is no next hop" \
		flows_are '* 10.* *' output=to-right masks=24/16 bytes=240 <<-'END'
			41 10.1.0.2 10.9.0.1 next-hop=10.2.0.2 packets=2
			udp 10.1.0.2:1 10.8.0.1:53 next-hop=0.0.0.0 packets=3
		END
	need nf flush
done

need nf set observe prerouting
need nf disable
need nf enable --families ipv4
seen=$(info ipv6.packets.seen)
inject <<END
	udp [$A]:7000 [$B]:1 count=3
	udp 10.1.0.2:7001 10.9.0.1:1
END
check "families ipv4: IPv6 is not seen" flows_are <<'END'
	udp 10.1.0.2:7001 10.9.0.1:1 packets=1
END
check "families ipv4: nor counted" info_is ipv6.packets.seen="$seen"
need nf disable
need nf enable --families ipv6
inject <<END
	udp [$A]:7000 [$B]:1 count=3
	udp 10.1.0.2:7001 10.9.0.1:1
END
check "families ipv6: IPv4 is not seen" flows_are <<END
	udp [$A]:7000 [$B]:1 packets=3
END
check "the ledger is exact" ledger_holds
done_testing
