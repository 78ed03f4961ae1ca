#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What cannot be exported is counted as lost, with its reason, and flows expire without a
# collector too. Records that could not be sent have sequence numbers: a collector that can be
# reached again knows how many it has missed.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2: nfcapd, tcpdump
#
#    192.0.2.1: a collector to which there is no route

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump tcpdump tshark

# send FIRST_PORT LAST_PORT: a flow of two packets from each.
send() { inject <<<"udp 10.1.0.2:$1-$2 10.9.0.1:53 len=100 count=2"; }

# export_flows FIRST_PORT LAST_PORT
export_flows() { send "$1" "$2" && nf flush; }

# lost_is WITHOUT_COLLECTOR NOT_SENT BYTES
lost_is() {
	info_is packets.lost_by.no_collector="$1" packets.lost_by.send_failed="$2" bytes.lost="$3"
}

# collector_is ADDRESS DATAGRAMS RECORDS ERRORS
collector_is() {
	local collector="collectors[] | select(.address == \"$1\") | "
	equal "datagrams, records and errors of $1" "$2 $3 $4" \
		"$(info "$collector [.datagrams, .records, .errors] | join(\" \")")"
}

# Number and length of each datagram that arrived.
sequence() {
	tshark -n -r "$TMP/link.pcap" -d udp.port==2055,cflow -T fields \
		-e cflow.sequence -e cflow.count 2>/dev/null | tr '\t' '+' | xargs
}

# collected_ports_are FIRST-LAST...: each with the two packets that were sent.
collected_ports_are() {
	local ports
	for ports; do
		echo "udp 10.1.0.2:$ports 10.9.0.1:53 packets=2 bytes=200"
	done | exported_flows_are nfcapd
}

need two_hosts
need load
need start_injector left l0 02:00:00:00:01:01
need start_nfcapd nfcapd
need start_capture "$TMP/link.pcap" collector -i c0 udp dst port 2055
need nf enable --inactive-timeout 1

need send 1 5
check "without a collector flows expire" eventually 10 info_is expired.inactive=5
check "they count as lost" lost_is 10 0 1000
check "the ledger is exact without a collector" ledger_holds

first=$(info flow_sequence)
need nf set inactive-timeout 600
need nf collector add 10.3.0.2
check "35 flows are exported" export_flows 101 135
check "they are exported in two datagrams" collector_is 10.3.0.2 2 35 0

need ip -n router route add unreachable 10.3.0.2
check "flows are exported without a route to the collector" export_flows 201 240
check "what is not sent counts as lost" lost_is 10 80 9000
check "the datagrams count as errors" collector_is 10.3.0.2 2 35 2
check "the ledger is exact without a route" ledger_holds
need ip -n router route del unreachable 10.3.0.2
check "when the route is back, sending works again" export_flows 301 303
check "they are sent at once" collector_is 10.3.0.2 3 38 2

need nf collector add 192.0.2.1
check "with one of two collectors reachable" export_flows 401 410
check "nothing more is lost" lost_is 10 80 9000
check "it gets all" collector_is 10.3.0.2 4 48 2
check "the other's errors count" collector_is 192.0.2.1 0 0 1
check "the ledger is exact with one of two" ledger_holds
check "packets exported are those of all that was sent" info_is packets.exported=$((2 * 48))
need stop_nfcapd
need stop_capture "$TMP/link.pcap"
check "records that were not sent are numbered" equal "sequence numbers and counts" \
	"$first+30 $((first + 30))+5 $((first + 75))+3 $((first + 78))+10" "$(sequence)"
check "nfcapd sees the gap" grep -q 'Sequence Errors: [1-9]' "$TMP/nfcapd.log"
check "it has what was sent, and not what was lost" \
	collected_ports_are 101-135 301-303 401-410
done_testing
