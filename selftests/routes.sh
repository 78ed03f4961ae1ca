#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Output, next hop and prefix lengths before the kernel has routed a packet (prerouting), and
# after it has (forward, postrouting): with several next hops, with marks that nftables sets
# after the exporter, and for packets of this host. A flow keeps the route of its first packet.
#
#    left 10.1.0.2 ----- to-left   router  to-right ----- right 10.2.0.2
#                                  netflow to-collector - collector 10.3.0.2: nfcapd
#
#    10.8.0.0/16 via right and collector      10.7.0.0/16 via right
#    10.9.0.0/16 via right                    10.7.0.0/24 via collector for mark 7

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump nft

set_routes() {
	ip -n router -batch - <<-'END' || return
		route add 10.8.0.0/16 nexthop via 10.2.0.2 nexthop via 10.3.0.2
		route add 10.7.0.0/16 via 10.2.0.2
		route add 10.7.0.0/24 via 10.3.0.2 table 100
		rule add fwmark 7 lookup 100
	END
	# The layer-3 hash of a source and a destination is the same for all their packets.
	on router sysctl -qw net.ipv4.fib_multipath_hash_policy=0
	for ns in right collector; do
		ip -n "$ns" route replace blackhole 10.0.0.0/12 || return
	done
	on router nft -f - <<-'END'
		table ip way {
			chain set-mark {
				type filter hook prerouting priority raw
				ip daddr 10.7.0.0/16 meta mark set 7
			}
			set taken {
				typeof ip daddr . oifname
				size 65535; flags dynamic; counter
			}
			chain taken {
				type filter hook postrouting priority 0
				ip daddr 10.7.0.0-10.9.255.255 update @taken { ip daddr . oifname }
			}
		}
	END
}

# as_taken: the flows have the output interfaces by which nftables saw their packets leave.
as_taken() {
	local destination device mask gateway
	nft_elements way taken >"$TMP/taken"
	while read -r destination device _; do
		case $destination in 10.7.*) mask=24 ;; *) mask=16 ;; esac
		case $device in to-right) gateway=10.2.0.2 ;; *) gateway=10.3.0.2 ;; esac
		echo "udp * $destination:53 output=$device next-hop=$gateway masks=24/$mask"
	done <"$TMP/taken" | flows_are 'udp * 10.[789].*' input=to-left
}

# observe POINT: new flows.
observe() {
	nf set observe "$1" && nf flush && on router nft flush set ip way taken || return
	inject <<-'END'
		udp 10.1.0.2:1 10.8.0.1-20:53
		udp 10.1.0.2:1 10.7.0.1:53
		udp 10.1.0.2:1 10.9.0.1:53
	END
}

both_were_taken() {
	nft_elements way taken | grep '^10\.8\.' | cut -d ' ' -f 2 | sort -u >"$TMP/both"
	printf '%s\n' to-collector to-right >"$TMP/expected"
	same "$TMP/expected" "$TMP/both"
}

# one_of_both: the interface and the next hop belong together.
one_of_both() {
	local right collector
	right=$(index_of router to-right) collector=$(index_of router to-collector)
	show_flows 'udp * 10.8.*' next-hop output >"$TMP/next_hops"
	flows_each 'udp * 10.8.*' input=to-left masks=24/16 &&
		! grep -vxE "10\.2\.0\.2 $right|10\.3\.0\.2 $collector" "$TMP/next_hops"
}

# as_ip_route POINT: what this host sends, from no interface.
as_ip_route() {
	local source destination
	nf set observe "$1" && nf flush || return
	while read -r source destination; do
		on router bash -c "echo >/dev/udp/$destination/9" || return
		echo "udp $source $destination:9 input=0 $(route_of "$source" "$destination")"
	done >"$TMP/expected" <<-'END'
		10.2.0.1 10.9.0.3
		10.3.0.1 10.3.0.2
		127.0.0.1 127.0.0.1
	END
	flows_are udp <"$TMP/expected"
}

need two_hosts
need set_routes
need load
need start_injector left l0 02:00:00:00:01:01
need nf enable --inactive-timeout 3600 --active-timeout 3600

check "flows are observed at prerouting" observe prerouting
check "the kernel uses both next hops" both_were_taken
check "at prerouting, one of several next hops is reported, with its interface" one_of_both
check "a known limit: it is the same one for all flows" \
	equal "next hops" 1 "$(sort -u "$TMP/next_hops" | wc -l)"
check "at prerouting, the exporter does not know a mark that is set later" flow_is \
	'udp * 10.7.0.1' input=to-left output=to-right next-hop=10.2.0.2 masks=24/16
for point in forward postrouting; do
	need observe $point
	check "at $point, output, next hop and masks are those that the kernel has chosen" as_taken
done
check "at output, those of this host's packets are what ip-route(8) says, and input is 0" \
	as_ip_route output
check "at postrouting too" as_ip_route postrouting

# The route changes while a flow is cached.
need start_nfcapd nfcapd
need nf set observe prerouting
need nf flush
need nf collector add 10.3.0.2
inject <<'END'
	udp 10.1.0.2:1 10.9.0.1:53 count=2
END
need ip -n router route replace 10.9.0.0/16 via 10.3.0.2
inject <<'END'
	udp 10.1.0.2:1 10.9.0.1:53 count=3
	udp 10.1.0.2:2 10.9.0.1:53
END
need nf flush
inject <<'END'
	udp 10.1.0.2:1 10.9.0.1:53 count=4
END
need nf flush
need stop_nfcapd
check "a flow keeps the route of its first packet, the next one has the new route" \
	exported_flows_are nfcapd <<'END'
	udp 10.1.0.2:1 10.9.0.1:53 output=to-right next-hop=10.2.0.2 packets=5
	udp 10.1.0.2:1 10.9.0.1:53 output=to-collector next-hop=10.3.0.2 packets=4
	udp 10.1.0.2:2 10.9.0.1:53 output=to-collector next-hop=10.3.0.2 packets=1
END
check "the ledger is exact" ledger_holds

# The cache reuses the memory of a flow: more flows than it holds, with routes and flags, then
# as many without. The collector goes: an ICMP error in its name would be a flow too.
need nf collector del 10.3.0.2
need nf disable
need nf enable --max-flows 64
for round in 1 2 3; do
	inject <<-END
		tcp 10.1.0.2:1-64 10.9.0.$round:80 flags=SPA len=1000 count=2
	END
	need nf flush
done
inject <<'END'
	udp 203.0.113.1:1-64 198.51.100.1:53
END
check "a flow without a route has nothing of a former one" \
	flows_are '*' input=to-left output=0 next-hop=0.0.0.0 masks=0/0 flags=0 <<'END'
	udp 203.0.113.1:1-64 198.51.100.1:53 packets=1 bytes=64
END
done_testing
