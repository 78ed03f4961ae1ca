#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What a route that is looked up before the kernel has chosen one can tell, and what the
# points behind that choice do: with several next hops, with marks that nftables sets in
# between, and for packets of this host; output, next hop and prefix lengths. A flow keeps
# the route of its first packet.
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
				typeof ip daddr . oif
				size 65535; flags dynamic
			}
			chain taken {
				type filter hook postrouting priority 0
				ip daddr { 10.7.0.0/16, 10.8.0.0/16, 10.9.0.0/16 } update @taken { ip daddr . oif }
			}
		}
	END
}

# reported: lines "DESTINATION INPUT OUTPUT NEXT_HOP SOURCE_MASK DESTINATION_MASK" of the
# flows to 10.7, 10.8 and 10.9.
reported() {
	nf --json flows | jq -r '.[] | select(.dst_addr | test("^10\\.[789]\\.")) |
		"\(.dst_addr) \(.input) \(.output) \(.next_hop) \(.src_mask) \(.dst_mask)"' |
		sort >"$TMP/reported"
}

# taken INPUT: the same, as nftables saw packets go.
taken() {
	local to device mask
	on router nft -n list set ip way taken | grep -oE '10\.[789]\.[0-9.]+ \. [^ ,]+' | while read -r to _ device; do
		device=${device//\"/}
		case $to in 10.7.*) mask=24 ;; *) mask=16 ;; esac
		case $device in
			to-right | "$right") echo "$to $1 $right 10.2.0.2 24 $mask" ;;
			to-collector | "$collector") echo "$to $1 $collector 10.3.0.2 24 $mask" ;;
			*) echo "$to $1 $device" ;;
		esac
	done | sort >"$TMP/expected"
}

# observed POINT: what is reported of new flows.
observed() {
	nf set observe "$1" && nf flush && on router nft flush set ip way taken || return
	inject <<-'END' || return
		udp 10.1.0.2:1 10.8.0.1-20:53
		udp 10.1.0.2:1 10.7.0.1:53
		udp 10.1.0.2:1 10.9.0.1:53
	END
	reported && taken "$left"
}

as_taken() { observed "$1" && same "$TMP/expected" "$TMP/reported"; }

# only FLOWS PATTERN: of the flows that match, all lines match the pattern too.
only() {
	grep "$1" "$TMP/reported" >"$TMP/matching" || { echo "no flow to $1"; return 1; }
	! grep -vE "$2" "$TMP/matching"
}

both_were_taken() { grep -q " $right " "$TMP/expected" && grep -q " $collector " "$TMP/expected"; }

# as_ip_route POINT DESTINATION...: what this host sends, from no interface.
as_ip_route() {
	local to
	nf set observe "$1" && nf flush || return
	shift
	for to in "$@"; do
		on router bash -c "echo >/dev/udp/$to/9" || return
		ip -n router -j route get "$to" | jq -r '.[0] | "\(.dst) \(.dev) \(.gateway // "0.0.0.0") \(.prefsrc)"'
	done | while read -r to device gateway source; do
		echo "$to 0 $(index_of router "$device") $gateway $(prefix_length "$source") $(prefix_length "$to")"
	done | sort >"$TMP/expected"
	nf --json flows | jq -r '.[] | select(.proto == 17) |
		"\(.dst_addr) \(.input) \(.output) \(.next_hop) \(.src_mask) \(.dst_mask)"' | sort >"$TMP/reported"
	same "$TMP/expected" "$TMP/reported"
}

need two_hosts
left=$(index_of router to-left) right=$(index_of router to-right) collector=$(index_of router to-collector)
need set_routes
need load
need start_injector left l0 02:00:00:00:01:01
need nf enable --inactive-timeout 3600 --active-timeout 3600

check "flows are observed at prerouting" observed prerouting
check "the kernel uses both next hops" both_were_taken
check "at prerouting, one of several next hops is reported, with its interface" \
	only '^10\.8\.' " $left ($right 10\.2\.0\.2|$collector 10\.3\.0\.2) 24 16$"
check "at prerouting, a mark that is set later is not known" only '^10\.7\.' " $left $right 10\.2\.0\.2 24 16$"
for point in forward postrouting; do
	check "at $point, output, next hop and masks are those of what the kernel has chosen" as_taken $point
done
check "of what this host sends, they are what ip-route(8) says, and input is 0" \
	as_ip_route output 10.9.0.3 10.3.0.2 127.0.0.1
check "at postrouting too" as_ip_route postrouting 10.9.0.3 10.3.0.2 127.0.0.1

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
records nfcapd %out,%nh,%pkt | awk '{ print $4, $7, $8, $9 }' | sort >"$TMP/records"
printf '%s\n' "1 $right 10.2.0.2 5" "1 $collector 10.3.0.2 4" "2 $collector 10.3.0.2 1" | sort >"$TMP/expected"
check "a flow keeps the route of its first packet, the next one has the new route" same "$TMP/expected" "$TMP/records"
check "the ledger is exact" ledger_holds

# Cells of the cache are used again: more flows than there are with routes and flags, then
# as many without. Nobody listens any more, and an answer that says so would be a flow too.
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
nf --json flows | jq -r '.[] | "\(.input) \(.output) \(.next_hop) \(.src_mask) \(.dst_mask) \(.tcp_flags) \(.packets) \(.bytes)"' |
	sort | uniq -c | sed 's/^ *//' >"$TMP/reported"
echo "64 $left 0 0.0.0.0 0 0 0 1 64" >"$TMP/expected"
check "a flow without any route has nothing of a former one" same "$TMP/expected" "$TMP/reported"
done_testing
