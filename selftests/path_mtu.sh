#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Datagrams are not larger than the MTU of the path, as far as the router knows it, and pass links
# with a smaller one, whether or not ICMP does: those of IPv4 are sent without DF.
# `max-packet-size` keeps them from being fragmented there. With IPv6, ICMP tells. Those of v9 and
# IPFIX have no more payload than `max-payload`, which leaves room for tunnels further on.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2 | 10.4.0.1
#                                                                            | MTU 1400
#                                             far 10.4.0.2: nfcapd, nftables +
#                                                 2001:db8:4::2

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump nft tcpdump tshark

set_up_far() {
	add_netns far &&
		ip link add c1 netns collector mtu 1400 type veth peer name f0 netns far mtu 1400 &&
		ip -n collector addr add 10.4.0.1/24 dev c1 && ip -n collector link set c1 up &&
		ip -n far addr add 10.4.0.2/24 dev f0 && ip -n far link set f0 up &&
		ip -n far link set lo up && ip -n far route add default via 10.4.0.1 &&
		ip -n router route add 10.4.0.0/24 via 10.3.0.2 || return
	on collector sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 || return
	on collector sysctl -qw net.ipv6.conf.c1.disable_ipv6=0 &&
		on far sysctl -qw net.ipv6.conf.f0.disable_ipv6=0 || return
	ip -n collector addr add 2001:db8:4::1/64 dev c1 nodad &&
		ip -n far addr add 2001:db8:4::2/64 dev f0 nodad &&
		ip -n far -6 route add default via 2001:db8:4::1 &&
		ip -n router -6 route add 2001:db8:4::/64 via 2001:db8:3::2 &&
		on collector sysctl -qw net.ipv6.conf.all.forwarding=1 || return
	# Before defragmentation.
	on far nft -f - <<-'END' || return
		table ip arrivals {
			counter fragments {}
			counter with-df {}
			chain count {
				type filter hook prerouting priority -500;
				ip protocol udp ip frag-off & 0x3fff != 0 counter name fragments
				ip protocol udp ip frag-off & 0x4000 != 0 counter name with-df
			}
		}
		table ip6 arrivals {
			counter fragments {}
			counter datagrams {}
			chain count {
				type filter hook prerouting priority -500;
				exthdr frag exists counter name fragments
				udp dport 2056 counter name datagrams
			}
		}
	END
	on collector nft -f - <<-'END'
		table ip firewall {
			chain answers {
				type filter hook output priority 0;
				icmp type destination-unreachable drop
			}
		}
	END
}

# arrivals_are COUNTER PACKETS [FAMILY]
arrivals_are() {
	equal "$1" "$2" "$(on far nft -j list counter "${3:-ip}" arrivals "$1" |
		jq '.nftables[] | .counter // empty | .packets')"
}

# export_flows FIRST_PORT LAST_PORT
export_flows() { inject <<<"udp 10.1.0.2:$1-$2 10.9.0.1:53 len=100" && nf flush; }

# sent_is RECORDS: in all, without an error.
sent_is() { info_is "collectors[0].records=$1" "collectors[0].errors=0"; }

# The router knows the MTU of the path to the IPv6 address.
mtu6_is_known() { ip -n router -6 route get 2001:db8:4::2 | grep -w 'mtu 1400'; }
mtu6_is_unknown() { ! mtu6_is_known; }

# exports_in RECORDS FIRST_PORT LAST_PORT: so many of them are in a datagram.
exports_in() {
	local before after
	before=$(info "collectors[0].datagrams")
	export_flows "$2" "$3" || return
	after=$(info "collectors[0].datagrams")
	equal "datagrams" $((($3 - $2 + $1) / $1)) $((after - before))
}

# capture COMMAND...: what is sent to the collector while it runs. $TMP/payloads has the port and
# the bytes of payload of each datagram.
capture() {
	start_capture "$TMP/link.pcap" collector -i c0 udp || return
	"$@" || return
	stop_capture "$TMP/link.pcap" || return
	tshark -n -r "$TMP/link.pcap" -T fields -E separator=' ' -e udp.dstport -e udp.length |
		awk '{ print $1, $2 - 8 }' >"$TMP/payloads"
}

# largest PORT: bytes of payload.
largest() { awk -v port="$1" '$1 == port { print $2 }' "$TMP/payloads" | sort -n | tail -n 1; }

# keeps_to BYTES PORT: full datagrams have no room for another record, of up to 67 bytes and 3 of
# padding.
keeps_to() {
	local bytes
	bytes=$(largest "$2")
	echo "the largest datagram to port $2 has $bytes bytes of payload, $1 are allowed"
	[ "$bytes" -le "$1" ] && [ "$bytes" -gt $(($1 - 70)) ]
}

need two_hosts
need also_ipv6
need set_up_far
need load
need start_injector left l0 02:00:00:00:01:01
need start_nfcapd nfcapd 2055 far
need nf collector add 10.4.0.2
need nf enable --inactive-timeout 600

# 30 records take 1,492 bytes.
check "650 flows are exported over a link of MTU 1400 without ICMP" export_flows 1 650
check "in 22 datagrams" info_is collectors[0].datagrams=22
check "the 21 larger ones arrive in two fragments each" eventually 10 arrivals_are fragments 42
check "none forbids that" arrivals_are with-df 0

need on far nft reset counters
need ip -n router route change 10.4.0.0/24 via 10.3.0.2 mtu 1400
check "by a route that states the MTU they are in datagrams of 28" exports_in 28 1001 1650
check "no fragment arrives" arrivals_are fragments 0
# Every host has to accept 576 bytes: these take two fragments of at most 400.
need ip -n router route change 10.4.0.0/24 via 10.3.0.2 mtu 400
check "by one that states less than 576 they are in datagrams of 10" exports_in 10 4501 4510
check "in fragments" eventually 10 arrivals_are fragments 2
need on far nft reset counters

need ip -n router route change 10.4.0.0/24 via 10.3.0.2
need nf set max-packet-size 1400
check "650 flows are exported in datagrams of 28" exports_in 28 2001 2650
check "no fragment arrives" arrivals_are fragments 0
need nf set max-packet-size 576
check "100 flows are exported in datagrams of 10" exports_in 10 3001 3100
need nf set max-packet-size 9000
check "with jumbo frames, in datagrams of 30, as v5 has at most" exports_in 30 4001 4100
check "a smaller size is refused" \
	refused "max-packet-size: .*576 to 9000" nf set max-packet-size 575
check "a larger size is refused" \
	refused "max-packet-size: .*576 to 9000" nf set max-packet-size 9001
check "all were sent" sent_is 2160
check "nothing is lost" nothing_lost
check "the ledger is exact" ledger_holds
need stop_nfcapd
check "all records have arrived" exported_flow_count_is nfcapd '*' 2160
check "nfcapd missed nothing" nfcapd_missed_nothing

need nf collector del 10.4.0.2
need nf collector add "[2001:db8:4::2]:2056"
need nf set max-packet-size 1500
check "over IPv6 the MTU is not known at first" mtu6_is_unknown
check "flows are exported" export_flows 5001 5029
check "what was too large was answered" eventually 10 mtu6_is_known
check "it did not arrive" arrivals_are datagrams 0 ip6
check "from then on datagrams have 27 records" exports_in 27 6001 6054
check "they arrive" eventually 10 arrivals_are datagrams 2 ip6
check "no fragment does" arrivals_are fragments 0 ip6

need nf collector del "[2001:db8:4::2]:2056"
need nf collector add 10.3.0.2
need nf collector add 10.3.0.2:2056 --protocol v9
need nf collector add 10.3.0.2 --protocol ipfix
# The MTU leaves 1,472.
for payload in 1400 512 8972; do
	[ "$payload" = 1400 ] || need nf set max-payload "$payload"
	check "max-payload $payload: those of v5 have 30 records" capture exports_in 30 7001 7300
	check "24 + 30 * 48 bytes" equal "payload" 1464 "$(largest 2055)"
	limit=$((payload < 1472 ? payload : 1472))
	check "those of v9 have up to $limit bytes" keeps_to "$limit" 2056
	check "those of IPFIX have up to $limit bytes" keeps_to "$limit" 4739
done
done_testing
