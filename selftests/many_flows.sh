#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A hundred thousand flows of both IP versions, in NetFlow v9 and IPFIX: nfcapd, tshark and, of
# IPFIX, python-ipfix have each of them, with the packets and bytes that were sent, nfacctd their
# sums, libfixbuf their number, and none of them misses a datagram or a template.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.9.0.0/16, 2001:db8:9::/48
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2:
#                                                         nfcapd: v9 2056, IPFIX 4739
#                                                         nfacctd: IPFIX 2058, tcpdump

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
# shellcheck source=selftests/lib/decoders.sh
. "$SELFTESTS/lib/decoders.sh"
begin nfcapd nfdump nfacctd tcpdump tshark ipfixDump

unset "PORT[v5]"

# Ports of each IP version, in turns of both. A slow kernel has fewer.
PORTS=$((50000 / ${TIMEOUT_FACTOR:-1})) TURN=1000

talk() {
	local first last
	for ((first = 1; first <= PORTS; first += TURN)); do
		last=$((first + TURN - 1))
		inject <<-END || return
			udp 10.1.0.2:$first-$last 10.9.0.1:53 len=100
			udp [2001:db8:1::2]:$first-$last [2001:db8:9::1]:53 len=120
		END
	done
}

# What is sent, as `collected` tells it.
sent() {
	{
		seq -f "10.1.0.2 10.9.0.1 17 %.0f 53 0 1 100" $PORTS
		seq -f "2001:db8:1::2 2001:db8:9::1 17 %.0f 53 0 1 120" $PORTS
	} | sort
}

nfcapd_has_all() {
	collected "nfcapd.$1" >"$TMP/collected"
	same "$TMP/sent" "$TMP/collected"
}

# decode_all: a line for each datagram: port, remark, sequence number that tshark expected, ids of
# Sets; then of each record: IP version, source address of that version, source port.
decode_all() {
	decode -T fields -E aggregator=' ' -e udp.dstport -e _ws.expert.message \
		-e cflow.sequence_analysis.expected_sn -e cflow.flowset_id -e cflow.ip_version \
		-e cflow.srcaddr -e cflow.srcaddrv6 -e cflow.srcport >"$TMP/decoded"
}

# tshark_has_all PORT: address and port tell the flows apart. A datagram may have both IP versions.
tshark_has_all() {
	awk '{ print $1, $4 }' "$TMP/sent" | sort >"$TMP/expected"
	awk -F'\t' -v port="$1" '$1 == port {
		records = split($5, version, " ")
		split($6, v4, " "); split($7, v6, " "); split($8, source, " ")
		at4 = at6 = 0
		for (i = 1; i <= records; i++)
			print (version[i] == 4 ? v4[++at4] : v6[++at6]), source[i]
	}' "$TMP/decoded" | sort >"$TMP/records"
	same "$TMP/expected" "$TMP/records"
}

# no_remarks PORT: of lengths, templates or sequence numbers.
no_remarks() {
	awk -F'\t' -v port="$1" '$1 == port && ($2 || $3)' "$TMP/decoded" >"$TMP/remarks"
	without . "$TMP/remarks"
}

# nfacctd_has_all: the sums for each destination.
nfacctd_has_all() {
	sed 1d "$TMP/nfacctd.csv"
	awk -F, -v ports="$PORTS" '
		NR > 1 { packets[$1] += $2; bytes[$1] += $3 }
		END {
			v4 = "10.9.0.1"
			v6 = "2001:db8:9::1"
			exit !(packets[v4] == ports && bytes[v4] == ports * 100 &&
				packets[v6] == ports && bytes[v6] == ports * 120)
		}' "$TMP/nfacctd.csv"
}

# ipfix_messages: those of the capture, one behind the other.
ipfix_messages() {
	decode --disable-protocol cflow -Y 'udp.dstport == 4739' -T fields -e udp.payload |
		python3 -S -c 'import sys
for line in sys.stdin: sys.stdout.buffer.write(bytes.fromhex(line))' >"$TMP/messages"
}

python_ipfix_has_all() {
	python3 -B -W ignore::SyntaxWarning "$SELFTESTS/lib/ipfix_flows.py" \
		<"$TMP/messages" >"$TMP/read" || return
	sort "$TMP/read" >"$TMP/records"
	same "$TMP/sent" "$TMP/records"
}

# fixbuf_has_all: of each flow a record and, as often as tshark has seen templates, these two,
# three of options, and a record of the options that are told with them. It remarks on gaps of
# sequence numbers and records without a template.
fixbuf_has_all() {
	local times
	times=$(awk -F'\t' '$1 == 4739 && $4 ~ /^2( 2)*$/ { n++ } END { print +n }' \
		"$TMP/decoded")
	ipfixDump --stats <"$TMP/messages" >"$TMP/stats" 2>"$TMP/remarks" || return
	without . "$TMP/remarks" || return
	local of_templates='s/.*File Stats.* ([0-9]+) Template Records.*/\1/p'
	local of_records='/0x012d/d; s/^ *([0-9]+) \(0x.*\| *([0-9]+) *$/\1 \2/p'
	equal "templates" $((5 * times)) "$(sed -nE "$of_templates" "$TMP/stats")" &&
		equal "records" "256 $PORTS 257 $PORTS 300 $times 302 $times" \
			"$(sed -nE "$of_records" "$TMP/stats" | xargs)"
}

need two_hosts
need also_ipv6
# The reports of MLD that follow new addresses.
sleep 2
need load
need start_injector left l0 02:00:00:00:01:01
need start_all
NFACCTD_KEY=dst_host need start_nfacctd 2058
need start_capture "$TMP/link.pcap" collector -i c0 udp dst port 2056 or udp dst port 4739
need nf collector add 10.3.0.2:2056 --protocol v9
need nf collector add 10.3.0.2 --protocol ipfix
need nf collector add 10.3.0.2:2058 --protocol ipfix
# So they are exported while others come.
need nf enable --max-flows 262144 --inactive-timeout 1
check "flows of both IP versions pass" talk
check "they are exported" nf flush
check "nothing was lost" nothing_lost
check "the ledger is exact" ledger_holds
need stop_all
need stop_nfacctd
need stop_capture "$TMP/link.pcap"

sent >"$TMP/sent"
need decode_all
for protocol in v9 ipfix; do
	check "$protocol: nfcapd has every flow" nfcapd_has_all "$protocol"
	port=${PORT[$protocol]}
	check "$protocol: tshark has every flow" tshark_has_all "$port"
	check "$protocol: tshark has no remark" no_remarks "$port"
done
check "v9: nfcapd missed nothing" equal "sequence errors" 0 "$(sequence_errors v9)"
check "ipfix: nfcapd missed nothing but records of options" errors_of_options \
	< <(awk -F'\t' '$1 == 4739 { print $4 }' "$TMP/decoded")
check "ipfix: nfacctd has every packet and byte" nfacctd_has_all
check "ipfix: nfacctd missed nothing" \
	without "expecting flow|discarding|unknown template|WARN|ERROR" "$TMP/nfacctd.log"
need ipfix_messages
check "ipfix: python-ipfix has every flow, and misses nothing" python_ipfix_has_all
check "ipfix: libfixbuf has every flow, and misses nothing" fixbuf_has_all
done_testing
