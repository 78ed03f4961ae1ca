#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Four different collectors get a long stream of records: none misses a record, none prints a
# warning, and packets and bytes of every flow are those that nftables counted at the router.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                        netflow, nft    | 10.3.0.1 ----- collector 10.3.0.2:
#                                                           nfcapd (nfdump)  :2055, tcpdump
#                                                           nfacctd (pmacct) :2056
#                                                           ra (argus)       :2057

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump nfacctd ra tcpdump tshark nft

FLOWS=1000 ROUNDS=8

# ra lists a record as soon as it gets it, and ends when it is told to.
start_ra() {
	ip netns exec collector stdbuf -oL ra -C 10.3.0.2:2057 -n -L -1 -c ' ' \
		-s saddr daddr proto sport dport spkts sbytes >"$TMP/ra.out" 2>"$TMP/ra.log" &
	ra_pid=$!
	processes+=("$ra_pid")
	eventually 20 received_all "$ra_pid" 2057
}

stop_ra() {
	eventually 20 received_all "$ra_pid" 2057 || return
	kill -INT "$ra_pid" && sleep 1
	kill "$ra_pid" 2>/dev/null
	wait "$ra_pid"
	sed -E 's/^(\S+ \S+) udp /\1 17 /; s/^(\S+ \S+) tcp /\1 6 /' "$TMP/ra.out" |
		sum_flows >"$TMP/by_ra"
}

# by_tshark: flows in the datagrams, as tshark decodes them.
by_tshark() {
	v5_records "$TMP/link.pcap" srcaddr dstaddr protocol srcport dstport packets octets |
		sum_flows
}

# sequence_has_no_gap: each datagram's number is that of the records before it.
sequence_has_no_gap() {
	local sequence count records=0 datagrams=0
	while read -r sequence count; do
		equal "sequence number of datagram $datagrams" "$records" "$sequence" || return
		records=$((records + count)) datagrams=$((datagrams + 1))
	done < <(tshark -n -r "$TMP/link.pcap" -d udp.port==2055,cflow -T fields \
		-e cflow.sequence -e cflow.count 2>/dev/null)
	[ "$datagrams" -ge 50 ] || { echo "$datagrams datagrams"; return 1; }
}

# remarks: the expert information of tshark on the datagrams, or "none".
remarks() {
	tshark -n -r "$TMP/link.pcap" -d udp.port==2055,cflow -Y _ws.expert -T fields \
		-e frame.number -e _ws.expert.message >"$TMP/remarks" 2>"$TMP/remarks.log" ||
		{ cat "$TMP/remarks.log"; return; }
	if [ -s "$TMP/remarks" ]; then cat "$TMP/remarks"; else echo none; fi
}

need two_hosts
need load
need count_by_nft
need start_injector left l0 02:00:00:00:01:01
need start_nfcapd nfcapd
need start_nfacctd 2056
need start_capture "$TMP/link.pcap" collector -i c0 udp dst port 2055
need nf collector add 10.3.0.2
need nf collector add 10.3.0.2:2056
need start_ra
need nf collector add 10.3.0.2:2057
need nf enable --inactive-timeout 1 --active-timeout 2

check "traffic passes" inject <<END
	udp 10.1.0.2:1-$FLOWS 10.9.0.1:53 count=$ROUNDS gap=0.8
	tcp 10.1.0.2:1-$FLOWS 10.9.0.2:80 flags=FA len=52
END
need nf flush
check "the ledger is exact" ledger_holds
check "many records were exported" info_is "flow_sequence>=$((2 * FLOWS))"
need stop_nfcapd
need stop_nfacctd
need stop_capture "$TMP/link.pcap"
nft_flows router >"$TMP/expected"

collected nfcapd | without_tos >"$TMP/by_nfcapd"
check "nfcapd: every flow" same "$TMP/expected" "$TMP/by_nfcapd"
check "nfcapd: no gap" nfcapd_missed_nothing
without_tos <"$TMP/by_nfacctd" >"$TMP/by_nfacctd.flows"
check "nfacctd: every flow" same "$TMP/expected" "$TMP/by_nfacctd.flows"
check "nfacctd: no gap and no warning" \
	without "expecting flow|discarding|WARN|ERROR" "$TMP/nfacctd.log"
by_tshark >"$TMP/by_tshark"
check "tshark: every flow" same "$TMP/expected" "$TMP/by_tshark"
check "tshark: no gap" sequence_has_no_gap
check "tshark: no expert information" equal "remarks" none "$(remarks)"
need stop_ra
check "ra: every flow" same "$TMP/expected" "$TMP/by_ra"
check "ra: no warning" equal "lines on standard error" "" "$(cat "$TMP/ra.log")"
done_testing
