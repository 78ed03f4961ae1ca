#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Real programs talk through the router, and what a real collector gets is what tcpdump
# saw arrive at the router: every flow with its packets, bytes, ToS and TCP flags, and
# the interfaces, next hop and prefix lengths that the routing table says.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                       netflow, tcpdump | 10.3.0.1 ----- collector 10.3.0.2: nfcapd

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump tcpdump tshark nc ping nft

talk() {
	on left ping -q -c 3 -i 0.2 -s 100 -Q 0x20 10.2.0.2 || return

	ip netns exec right nc -l -N 10.2.0.2 5001 </dev/null >"$TMP/received" &
	local server=$!
	processes+=("$server")
	eventually 10 listening right 5001 || return
	head -c 200000 /dev/zero | on left nc -N 10.2.0.2 5001 || return
	wait "$server"
	equal "bytes that arrived over TCP" 200000 "$(stat -c %s "$TMP/received")" || return

	# Nobody answers at 10.9.0.7, and ToS and ports are exactly these.
	inject <<-'END'
		udp 10.1.0.2:1000 10.9.0.7:53 count=7 len=128 tos=0x10
		udp 10.1.0.2:1000 10.9.0.7:53 count=2 len=60 tos=0xb8
		udp 10.1.0.2:1000 10.9.0.7:53 count=3 len=60 tos=0xb9
		udp 10.1.0.2:1001-1040 10.9.0.7:53 len=99
		47 10.1.0.2 10.9.0.7 count=3 len=1500
	END
}

listening() { on "$1" ss -Hltn "sport = $2" | grep -q LISTEN; }

# The records as tshark decodes them, without ports and counters:
# SOURCE DESTINATION PROTOCOL INPUT OUTPUT NEXT_HOP SOURCE_MASK/DESTINATION_MASK.
decode_export() {
	v5_records "$TMP/link.pcap" \
		srcaddr dstaddr protocol inputint outputint nexthop srcmask dstmask |
		sed 's|\(.*\) |\1/|' | sort -u
}

# The same by ip-route(8).
routes() {
	local source destination protocol input output route
	while read -r source destination protocol; do
		case $source in 10.1.*) input="to-left" ;; *) input="to-right" ;; esac
		route=$(route_of "$source" "$destination" iif "$input")
		output=${route#*output=} output=${output%% *}
		route=${route/output=$output/$(index_of router "$output")}
		echo "$source $destination $protocol $(index_of router "$input") $route"
	done < <(cut -d ' ' -f 1-3 "$TMP/expected" | sort -u) |
		sed 's/next-hop=//; s/masks=//' | sort -u
}

routes_agree() {
	routes >"$TMP/routes"
	decode_export >"$TMP/decoded"
	same "$TMP/routes" "$TMP/decoded"
}

flows_agree() {
	collected nfcapd >"$TMP/collected"
	same "$TMP/expected" "$TMP/collected"
}

# records: what nfcapd has, as $TMP/extended: the key, packets, bytes, flags, first and last.
records() {
	show_exported_flows nfcapd '*' source destination protocol source-port destination-port \
		tos packets bytes flags first last
}

flags_agree() {
	grep -E '^\S+ \S+ 6 ' "$TMP/extended" | cut -d ' ' -f 1-6,9 >"$TMP/flags"
	records | grep -E '^\S+ \S+ 6 ' | cut -d ' ' -f 1-6,9 >"$TMP/collected.flags"
	same "$TMP/flags" "$TMP/collected.flags"
}

# Within a tenth of a second, or more on a slow machine: tcpdump takes its time a little
# earlier than the exporter.
times_agree() {
	cut -d ' ' -f 1-6,10,11 "$TMP/extended" >"$TMP/captured"
	records | cut -d ' ' -f 1-6,10,11 | paste -d ' ' - "$TMP/captured" |
		awk -v tolerance="$((100 * ${TIMEOUT_FACTOR:-1}))" '
			function differ(ms, s) { return (ms - s * 1000) ^ 2 > tolerance ^ 2 }
			$1 != $9 || $4 != $12 { print "another flow: " $0; bad = 1 }
			differ($7, $15) || differ($8, $16) { print "times differ: " $0; bad = 1 }
			END { exit bad || !NR }'
}

need two_hosts
need load
need start_injector left l0 02:00:00:00:01:01
need start_nfcapd nfcapd
need start_capture "$TMP/link.pcap" router -i any ip
check "a collector can be added before the exporter is enabled" nf collector add 10.3.0.2
check "the exporter can be enabled" nf enable --inactive-timeout 600

check "traffic passes" talk
check "the ledger is exact while flows are cached" ledger_holds
check "flush exports all flows" nf flush
check "nothing is cached after the flush" info_is flows.cached=0
check "the ledger is exact after the flush" ledger_holds
need stop_nfcapd
need stop_capture "$TMP/link.pcap"

# What came in, of the capture on all interfaces (sll.pkttype 0: to us).
captured -x "$TMP/link.pcap" 'sll.pkttype == 0' >"$TMP/extended"
cut -d ' ' -f 1-8 "$TMP/extended" | sort >"$TMP/expected"
check "every flow, its packets and bytes are as tcpdump saw them" flows_agree
read -r packets bytes < <(total "$TMP/expected")
check "packets and bytes seen are all that tcpdump saw" \
	info_is packets.seen="$packets" bytes.seen="$bytes"
check "packets and bytes exported are all that tcpdump saw" \
	info_is packets.exported="$packets" bytes.exported="$bytes"
check "interfaces, next hop and prefix lengths are those of the routing table" routes_agree
check "TCP flags are those of all packets together" flags_agree
check "first and last are the times that tcpdump saw" times_agree
check "nfcapd missed nothing in the sequence" nfcapd_missed_nothing
check "the exporter can be disabled" nf disable
check "the module can be unloaded" unload
done_testing
