#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Counters of 32 bits in v5 records, of flows that exceed them: a flow is exported early
# when its bytes come near to 2^32 (4,294,967,296); what was faster than that is told in
# several records, whose sum is right. The kernel's pktgen sends datagrams of 65,000 bytes
# as if they came in from the left, and a black hole takes them behind the exporter.
#
#    left ----- router to-left 10.1.0.1 | 10.3.0.1 ----- collector 10.3.0.2: nfcapd
#               pktgen, netflow, nft    |
#               black hole: 10.9.0.0/16 |

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump nft modprobe

SIZE=65000
# The first multiple of SIZE that is not less than 2^32 - 65536.
NEAR=66076
[ -d /proc/net/pktgen ] || modprobe -q pktgen || skip_all "no pktgen in this kernel"

pg() { on router bash -c "echo '$2' >/proc/net/pktgen/$1"; }

set_up_pktgen() {
	local line
	pg kpktgend_0 "add_device to-left" || return
	for line in "xmit_mode netif_receive" "delay 0" "pkt_size $((SIZE + 14))" "dst_mac 02:00:00:00:01:01" \
		"src_min 10.1.0.2" "src_max 10.1.0.2" "udp_src_min 1000" "udp_src_max 1000" "udp_dst_min 53" "udp_dst_max 53"; do
		pg to-left "$line" || return
	done
}

# send DESTINATION PACKETS: the most of them in bursts of 64, which are faster.
send() {
	local burst count
	pg to-left "dst $1" || return
	for burst in 64 1; do
		count=$((burst == 1 ? $2 % 64 : $2 - $2 % 64))
		[ "$count" = 0 ] && continue
		pg to-left "burst $burst" && pg to-left "count $count" && pg pgctrl start || return
		on router grep -q "pkts-sofar: $count " /proc/net/pktgen/to-left || return
	done
}

# expired REASON: so many.
expired() { info_is ".expired.$1" "$2"; }

# parts DESTINATION: its records, "PACKETS BYTES FIRST LAST", one a line.
parts() { awk -v to="$1" '$2 == to { print $7, $8, $9, $10 }' "$TMP/records"; }

# no_record_is_wider: than 32 bits. What nfdump lists as plain numbers, it was told in these.
no_record_is_wider() { awk '$8 >= 2 ^ 32 { print; bad = 1 } END { exit bad || !NR }' "$TMP/records"; }

# Two records of the same flow tell of the same time, and share what exceeds 32 bits.
some_flow_has_several() {
	parts "$1" | awk '
		{ n[$3 " " $4]++; bytes[$3 " " $4] += $2 }
		END { for (flow in n) { print n[flow] " records, " bytes[flow] " bytes"; if (n[flow] > 1 && bytes[flow] >= 2 ^ 32) several = 1 }; exit !several }'
}

need two_hosts
need ip -n router route replace blackhole 10.9.0.0/16
need load
need count_by_nft
need start_nfcapd nfcapd
need nf collector add 10.3.0.2
need nf enable --inactive-timeout 3600 --active-timeout 3600
need set_up_pktgen

check "just below 2^32 - 65536 bytes" send 10.9.0.1 $((NEAR - 1))
sleep 2.5
check "nothing is exported" expired overflow 0
check "one more packet" send 10.9.0.1 1
check "and the flow is exported" eventually 5 expired overflow 1
check "it leaves the cache" info_is .flows.cached 0
check "in one record" equal "records" 1 "$(info '.collectors[0].records')"
check "the ledger is exact" ledger_holds

check "three times that, faster than flows are looked at" send 10.9.0.2 $((3 * NEAR))
need nf flush
check "flows were exported early" info_is '.expired.overflow >= 2' true
check "the ledger is exact beyond 32 bits" ledger_holds
check "nothing was lost" info_is .packets.lost 0
need stop_nfcapd
records nfcapd %pkt,%byt,%tsr,%ter >"$TMP/records"
check "packets and bytes collected are those that nftables saw" collected_as_nft_saw
check "the record of the first flow is right" \
	equal "packets and bytes" "$NEAR $((NEAR * SIZE))" "$(parts 10.9.0.1 | cut -d ' ' -f 1,2)"
check "every record keeps to 32 bits" no_record_is_wider
check "a flow that exceeds 32 bits is told in several" some_flow_has_several 10.9.0.2
check "nfcapd missed nothing" grep -q 'Sequence Errors: 0, Bad Packets: 0' "$TMP/nfcapd.log"
on router bash -c 'echo rem_device_all >/proc/net/pktgen/kpktgend_0'
check "pktgen is left alone" modprobe -r pktgen
done_testing
