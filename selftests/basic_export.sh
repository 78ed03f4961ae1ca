#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Real programs talk through the router, and what a real collector gets is what tcpdump
# saw arrive at the router: every flow with its packets, bytes, ToS and TCP flags, and
# the interfaces, next hop and prefix lengths that the routing table says.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, and 10.9.0.0/16 behind it
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

# Each flow as its own counts, then what the route says: SOURCE DESTINATION PROTOCOL and
# INPUT OUTPUT NEXT_HOP SOURCE_MASK DESTINATION_MASK FLAGS, as tshark decodes our datagrams.
decode_export() {
	tshark -n -r "$TMP/link.pcap" -d udp.port==2055,cflow -Y 'udp.dstport == 2055' -T fields -E aggregator=' ' \
		-e cflow.srcaddr -e cflow.dstaddr -e cflow.protocol -e cflow.inputint -e cflow.outputint \
		-e cflow.nexthop -e cflow.srcmask -e cflow.dstmask 2>/dev/null |
		awk -F'\t' '{
			n = split($1, a, " ")
			for (f = 2; f <= NF; f++) { split($f, b, " "); for (i = 1; i <= n; i++) a[i] = a[i] " " b[i] }
			for (i = 1; i <= n; i++) print a[i]
		}' | sort -u
}

# The same by ip-route(8). `fibmatch` shows the route that was found, with its prefix length.
routes() {
	local source destination protocol input output
	while read -r source destination protocol; do
		case $source in 10.1.*) input=to-left output=to-right ;; *) input=to-right output=to-left ;; esac
		echo "$source $destination $protocol $(index_of router "$input") $(index_of router "$output")" \
			"$(ip -n router -j route get "$destination" from "$source" iif "$input" | jq -r '.[0].gateway // "0.0.0.0"')" \
			"$(prefix_length "$source") $(prefix_length "$destination")"
	done < <(cut -d ' ' -f 1-3 "$TMP/expected" | sort -u) | sort -u
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

# The columns of $TMP/extended are the key, packets, bytes, flags, first and last.
flags_agree() {
	awk '$3 == 6 { print $1, $2, $3, $4, $5, $6, $9 }' "$TMP/extended" >"$TMP/flags"
	records nfcapd %flg | awk '$3 == 6 {
		for (i = 1; i <= 8; i++) if (substr($7, i, 1) != ".") flags[i] = 2 ^ (8 - i); else flags[i] = 0
		print $1, $2, $3, $4, $5, $6, flags[1] + flags[2] + flags[3] + flags[4] + flags[5] + flags[6] + flags[7] + flags[8]
	}' | sort >"$TMP/collected.flags"
	same "$TMP/flags" "$TMP/collected.flags"
}

# Within a tenth of a second, or more on a slow machine: tcpdump takes its time a little
# earlier than the exporter.
times_agree() {
	{
		cut -d ' ' -f 1-6,10,11 "$TMP/extended"
		echo collected
		records nfcapd %tsr,%ter
	} | awk -v tolerance="$((100 * ${TIMEOUT_FACTOR:-1}))" '
		function off(a, b) { return (a - b) * 1000 > tolerance || (b - a) * 1000 > tolerance }
		$1 == "collected" { collected = 1; next }
		{ key = $1 " " $2 " " $3 " " $4 " " $5 " " $6 }
		!collected { first[key] = $7; last[key] = $8; next }
		off($7, first[key]) || off($8, last[key]) { print key ": " first[key] " to " last[key] ", collected as " $7 " to " $8; bad = 1 }
		{ count++ }
		END { exit bad || !count }'
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
check "nothing is cached after the flush" info_is .flows.cached 0
check "the ledger is exact after the flush" ledger_holds
need stop_nfcapd
need stop_capture "$TMP/link.pcap"

# What came in, of the capture on all interfaces (sll.pkttype 0: to us).
captured -x "$TMP/link.pcap" 'sll.pkttype == 0' >"$TMP/extended"
cut -d ' ' -f 1-8 "$TMP/extended" | sort >"$TMP/expected"
check "every flow, its packets and bytes are as tcpdump saw them" flows_agree
check "packets and bytes seen are all that tcpdump saw" \
	equal "totals" "$(total "$TMP/expected")" "$(info '"\(.packets.seen) \(.bytes.seen)"')"
check "packets and bytes exported are all that tcpdump saw" \
	equal "totals" "$(total "$TMP/expected")" "$(info '"\(.packets.exported) \(.bytes.exported)"')"
check "interfaces, next hop and prefix lengths are those of the routing table" routes_agree
check "TCP flags are those of all packets together" flags_agree
check "first and last are the times that tcpdump saw" times_agree
check "nfcapd missed nothing in the sequence" grep -q 'Sequence Errors: 0, Bad Packets: 0' "$TMP/nfcapd.log"
check "the exporter can be disabled" nf disable
check "the module can be unloaded" unload
done_testing
