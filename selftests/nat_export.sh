#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# NAT in NetFlow v9 and IPFIX: flows have the addresses and ports with which their packets leave the
# router, and each session that begins or ends is told, as conntrack(8) lists it. Of what nobody can
# be told there is a count.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                         netflow, nft   | 10.3.0.1 ----- collector 10.3.0.2:
#                                                         nfcapd: v5 2055, v9 2056, IPFIX 4739
#                                                         nfacctd 2058, tcpdump
#    IPv6 likewise, see also_ipv6.
#
#    SNAT: to 10.9.1.0/24, from 10.2.0.200       masquerade: to 10.9.2.0/24 and right
#    DNAT: 10.1.0.1:8000 is 10.9.3.1:53, and port 8080 is right's port 80

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
# shellcheck source=selftests/lib/decoders.sh
. "$SELFTESTS/lib/decoders.sh"
begin nfcapd nfdump nfacctd tcpdump tshark nft nc conntrack

# Connections of each kind of NAT, and of a burst.
EACH=50 BURST=$((20000 / ${TIMEOUT_FACTOR:-1}))

translate() {
	on router nft -f - <<-'END'
		table inet translation {
			chain untracked {
				type filter hook prerouting priority raw
				ip daddr 10.9.9.9 notrack
			}
			chain destination {
				type nat hook prerouting priority dstnat
				ip daddr 10.1.0.1 udp dport 8000 dnat ip to 10.9.3.1:53
				ip6 daddr 2001:db8:1::1 udp dport 8000 \
					dnat ip6 to [2001:db8:9:3::1]:53
				ip daddr 10.1.0.1 tcp dport 8080 dnat ip to 10.2.0.2:80
			}
			chain source {
				type nat hook postrouting priority srcnat
				ip daddr 10.9.1.0/24 udp dport 53 snat ip to 10.2.0.200:20000-60000
				ip6 daddr 2001:db8:9:1::/64 udp dport 53 snat ip6 to 2001:db8:2::200
				ip daddr 10.9.2.0/24 masquerade
				ip6 daddr 2001:db8:9:2::/64 masquerade
				ip daddr 10.2.0.2 masquerade
			}
		}
	END
}

# Whether a socket of the kernel's own listens for connections that begin (1) and end (3).
listening() { on router cat /proc/net/netlink | awk '$2 == 12 && $4 == "00000005"' | grep -q .; }

silent() { ! listening; }

served() { on right ss -Hltn "sport = 80" | grep -q LISTEN; }

talk() {
	inject <<-END || return
		udp 10.1.0.2:1001-$((1000 + EACH)) 10.9.1.1:53 udplen=44
		udp 10.1.0.2:2001-$((2000 + EACH)) 10.9.2.1:53 count=2 udplen=44
		udp 10.1.0.2:3001-$((3000 + EACH)) 10.1.0.1:8000 udplen=44
		udp 10.1.0.2:4001-$((4000 + EACH)) 10.9.0.1:53 udplen=44
		udp [2001:db8:1::2]:1001-$((1000 + EACH)) [2001:db8:9:1::1]:53 udplen=24
		udp [2001:db8:1::2]:2001-$((2000 + EACH)) [2001:db8:9:2::1]:53 udplen=24
		udp [2001:db8:1::2]:3001-$((3000 + EACH)) [2001:db8:1::1]:8000 udplen=24
		udp [2001:db8:1::2]:4001-$((4000 + EACH)) [2001:db8:9::1]:53 udplen=24
	END
	ip netns exec right nc -l -N 10.2.0.2 80 </dev/null >"$TMP/received" &
	local server=$!
	processes+=("$server")
	eventually 10 served || return
	head -c 20000 /dev/zero | on left nc -N 10.1.0.1 8080 || return
	wait "$server"
}

# connections: those of left, as conntrack(8) lists them, a line each: protocol, source, port,
# destination, port; the same as they leave; whether there were answers.
connections() {
	{ on router conntrack -L -f ipv4 && on router conntrack -L -f ipv6; } 2>/dev/null |
		awk '$1 == "udp" || $1 == "tcp" {
			seen["src"] = seen["dst"] = seen["sport"] = seen["dport"] = 0
			for (i = 4; i <= NF; i++) {
				if (split($i, word, "=") != 2 || !(word[1] in seen)) continue
				value[word[1], ++seen[word[1]]] = word[2]
			}
			print $2, value["src", 1], value["sport", 1], value["dst", 1],
				value["dport", 1], value["dst", 2], value["dport", 2],
				value["src", 2], value["sport", 2],
				(/UNREPLIED/ ? "silent" : "answered")
		}' | grep -E '^[0-9]+ (10\.1\.0\.2|2001:db8:1::2) ' | sort
}

# At PREROUTING, of both directions.
flows_as_they_come() {
	awk '{ print $1, $2, $3, $4, $5, $6, $7, $8, $9 }
		$10 == "answered" { print $1, $8, $9, $6, $7, $4, $5, $2, $3 }' \
		"$TMP/connections" | sort
}

# At FORWARD, after DNAT and before SNAT; without those where both happen.
flows_between() {
	awk '$10 == "silent" { print $1, $2, $3, $8, $9, $6, $7, $8, $9 }' "$TMP/connections" | sort
}

# records PROTOCOL: all that nfcapd wrote: the words of `connections`, natEvent (0 of a flow),
# packets, and the time of an event.
records() {
	nfdump -q -N -R "$TMP/nfcapd.$1" -o json | jq -r '.[]
		| [.proto, .src4_addr // .src6_addr, .src_port, .dst4_addr // .dst6_addr, .dst_port,
			.src4_xlt_ip // .src6_xlt_ip // "-", .src_xlt_port,
			.dst4_xlt_ip // .dst6_xlt_ip // "-", .dst_xlt_port,
			.nat_event_id // 0, .in_packets // 0, .t_event // "-"]
		| join(" ")'
}

# told_flows PROTOCOL
told_flows() { records "$1" | awk '$10 == 0 { NF = 9; print }' | sort; }

# told_events PROTOCOL EVENT...
told_events() { records "$1" | awk -v events=" ${*:2} " '
	index(events, " " $10 " ") { NF = 9; print }' | sort; }

flows_are_translated() {
	told_flows "$1" >"$TMP/told"
	same "$TMP/flows" "$TMP/told"
}

# but_ipv6 FILE: with `-` for addresses behind NAT of IPv6, of which nfdump knows those in v9 alone,
# and nfacctd none.
but_ipv6() { awk '/:/ { $6 = $8 = "-" } { print }' "$1" | sort; }

ipv4_flows_are_translated() {
	told_flows "$1" >"$TMP/told"
	but_ipv6 "$TMP/flows" >"$TMP/expected"
	same "$TMP/expected" "$TMP/told"
}

# tshark_has_ipv6: in IPFIX, source and destination of the flows of IPv6, as they come and leave.
tshark_has_ipv6() {
	awk '/:/ { print $2, $4, $6, $8 }' "$TMP/flows" | sort >"$TMP/expected"
	decode -Y 'udp.dstport == 4739 && cflow.post_nat_source_ipv6_address && !cflow.nat_event' \
		-T fields -E aggregator=' ' -e cflow.srcaddrv6 -e cflow.dstaddrv6 \
		-e cflow.post_nat_source_ipv6_address -e cflow.post_nat_destination_ipv6_address |
		awk -F'\t' '{
			records = split($1, a, " "); split($2, b, " ")
			split($3, c, " "); split($4, d, " ")
			for (i = 1; i <= records; i++) print a[i], b[i], c[i], d[i]
		}' | sort >"$TMP/told"
	same "$TMP/expected" "$TMP/told"
}

# Of those that are translated, which is the case where the two ends differ.
sessions() {
	awk '$2 " " $3 " " $4 " " $5 != $6 " " $7 " " $8 " " $9 { NF = 9; print }' \
		"$TMP/connections"
}

# events_are_told PROTOCOL EVENT...
events_are_told() {
	told_events "$@" >"$TMP/told"
	same "$TMP/sessions" "$TMP/told"
}

ipv4_events_are_told() {
	told_events "$@" >"$TMP/told"
	but_ipv6 "$TMP/sessions" >"$TMP/expected"
	same "$TMP/expected" "$TMP/told"
}

by_nfacctd() {
	# POST_NAT_SRC_IP and so on come first or last, as nfacctd likes.
	python3 - "$TMP/nfacctd.csv" <<-'END' | sort >"$TMP/told"
		import csv, sys
		names = ["PROTOCOL", "SRC_IP", "SRC_PORT", "DST_IP", "DST_PORT", "POST_NAT_SRC_IP",
		         "POST_NAT_SRC_PORT", "POST_NAT_DST_IP", "POST_NAT_DST_PORT"]
		numbers = {"udp": "17", "tcp": "6"}
		for row in csv.DictReader(open(sys.argv[1])):
		    if int(row["PACKETS"]):
		        print(*(numbers.get(row[name], row[name]) or "-" for name in names))
	END
	but_ipv6 "$TMP/flows" >"$TMP/expected"
	same "$TMP/expected" "$TMP/told"
}

# times_are_within FIRST LAST: of all events, in seconds.
times_are_within() {
	records v9 | awk '$10 { print $12 "Z" }' | date -f - +%s |
		awk -v first="$1" -v last="$2" '$1 < first || $1 > last' >"$TMP/odd"
	without . "$TMP/odd"
}

events_told() { info_is nat_state.events.exported="$1"; }

burst_ended() {
	local told
	told=$(info 'nat_state.events | .exported + .overrun')
	echo "$told of $1"
	[ "$told" = "$1" ]
}

need two_hosts
need also_ipv6
# The reports of MLD that follow new addresses.
sleep 2
need translate
need load
need start_injector left l0 02:00:00:00:01:01
need start_all
export NFACCTD_KEY=src_host,dst_host,src_port,dst_port,proto
NFACCTD_KEY+=,post_nat_src_host,post_nat_dst_host,post_nat_src_port,post_nat_dst_port
need start_nfacctd 2058
need start_capture "$TMP/link.pcap" collector -i c0 udp
need nf collector add 10.3.0.2
need nf collector add 10.3.0.2:2056 --protocol v9
need nf collector add 10.3.0.2 --protocol ipfix
need nf collector add 10.3.0.2:2058 --protocol ipfix
need nf enable --inactive-timeout 600
check "NAT is told when it is asked for" nf set nat all
check "connections are listened for" eventually 10 listening
# Templates follow within a second.
sleep 1.5
began=$(date +%s)
check "connections are made" talk
connections >"$TMP/connections"
sessions >"$TMP/sessions"
flows_as_they_come >"$TMP/flows"
sessions=$(wc -l <"$TMP/sessions")
check "conntrack has translated them" equal "sessions" $((6 * EACH + 1)) "$sessions"
check "each beginning is exported" eventually 10 events_told "$sessions"
check "the flows are exported" nf flush
need on router conntrack -F -f ipv4
need on router conntrack -F -f ipv6
check "each end is exported" eventually 10 events_told $((2 * sessions))
check "nothing was lost" info_is nat_state.events.overrun=0 nat_state.events.malformed=0 \
	nat_state.events.send_failed=0 nat_state.untracked_flows=0 packets.lost=0
check "the ledger is exact" ledger_holds
ended=$(date +%s)
need stop_all
need stop_nfacctd
need stop_capture "$TMP/link.pcap"
check "v9: nfcapd has what conntrack made of each flow" flows_are_translated v9
check "ipfix: nfcapd has that of IPv4" ipv4_flows_are_translated ipfix
check "ipfix: tshark has that of IPv6" tshark_has_ipv6
# Those of IPv6 are NAT translations in both protocols.
check "v9: nfcapd has each beginning" events_are_told v9 1
check "v9: nfcapd has each end" events_are_told v9 2
check "ipfix: nfcapd has each beginning" ipv4_events_are_told ipfix 4 1
check "ipfix: nfcapd has each end" ipv4_events_are_told ipfix 5 2
check "events have the time of their connections" times_are_within "$began" $((ended + 1))
check "nfacctd has what conntrack made of each flow" by_nfacctd
check "v9: nfcapd missed nothing" equal "sequence errors" 0 "$(sequence_errors v9)"
for port in 2056 4739; do
	check "tshark knows all templates and misses no datagram to port $port" understood "$port"
done

need rm -rf "$TMP"/nfcapd.*
need start_all
need start_capture "$TMP/link.pcap" collector -i c0 udp
need nf set nat flows observe forward
check "no connections are listened for any more" eventually 10 silent
check "connections are made again" talk
connections >"$TMP/connections"
flows_between >"$TMP/flows"
need inject <<<"udp 10.1.0.2:5000 10.9.9.9:53 udplen=44"
check "the flows at forward are exported" nf flush
need stop_all
need stop_capture "$TMP/link.pcap"
# Those over TCP are translated twice.
forwarded() {
	told_flows v9 | grep '^17 ' | grep -v ' 5000 10.9.9.9 ' >"$TMP/told"
	same "$TMP/flows" "$TMP/told"
}
check "at forward nfcapd has how packets leave" forwarded
check "what conntrack does not know is counted" info_is "nat_state.untracked_flows>=1"
check "no more events were told" events_told $((2 * sessions))
# By the lazy expiry, which is the default, it would stay.
need nf set inactive-timeout 1
need inject <<<"udp 10.1.0.2:5001 10.9.2.1:53 count=9 udplen=44"
check "a flow does not outlast its connection" eventually 8 info_is expired.inactive=1
need nf set inactive-timeout 600

need on router sysctl -qw net.netfilter.nf_conntrack_max=262144
need nf set nat events observe prerouting
need eventually 10 listening
sleep 1.5
need on router conntrack -F -f ipv4
before=$(info 'nat_state.events | .exported + .overrun')
burst() {
	local first
	for ((first = 1; first <= BURST; first += 1000)); do
		inject <<<"udp 10.1.0.2:$first-$((first + 999)) 10.9.2.1:53 udplen=44" || return
	done
	on router conntrack -F -f ipv4
}
check "many connections end at once" burst
check "each event is exported or counted as lost" \
	eventually 20 burst_ended $((before + 2 * BURST))
for collector in 10.3.0.2:2056 10.3.0.2:4739 10.3.0.2:2058; do
	need nf collector del "$collector"
done
V5_UNSUPPORTED='collectors[0].unsupported'
before=$(info "$V5_UNSUPPORTED")
need inject <<<"udp 10.1.0.2:6000 10.9.2.1:53 udplen=44"
check "v5 has no record of an event" eventually 10 info_is "nat_state.events.unsupported>=1"
check "which is no flow that it has no record of" info_is "$V5_UNSUPPORTED=$before"
check "NAT is told no more" nf set nat off
check "the ledger is exact at the end" ledger_holds
check "the module can be unloaded" unload
done_testing
