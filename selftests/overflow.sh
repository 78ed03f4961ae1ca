#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Flows of more bytes than a v5 record can count (2^32, 4,294,967,296): a flow is exported
# early when its bytes come near to that; a flow that was faster is exported in several
# records, whose sum is right. The kernel's pktgen sends datagrams of 65,000 bytes
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
	for line in "xmit_mode netif_receive" "delay 0" "pkt_size $((SIZE + 14))" \
		"dst_mac 02:00:00:00:01:01" "src_min 10.1.0.2" "src_max 10.1.0.2" \
		"udp_src_min 1000" "udp_src_max 1000" "udp_dst_min 53" "udp_dst_max 53"; do
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

# has_several_records DESTINATION: records of one time, which share what exceeds 32 bits.
has_several_records() {
	show_exported_flows nfcapd "* * $1" first last bytes | awk '
		{ records[$1 " " $2]++; bytes[$1 " " $2] += $3 }
		END {
			for (flow in records) {
				print records[flow] " records, " bytes[flow] " bytes"
				several = several || records[flow] > 1 && bytes[flow] >= 2 ^ 32
			}
			exit !several
		}'
}

need two_hosts
need ip -n router route replace blackhole 10.9.0.0/16
need load
need count_by_nft
need start_nfcapd nfcapd
need nf collector add 10.3.0.2
need nf enable --inactive-timeout 3600 --active-timeout 3600
need set_up_pktgen

check "a flow of less than 2^32 - 65536 bytes" send 10.9.0.1 $((NEAR - 1))
sleep 2.5
check "nothing is exported" info_is expired.overflow=0
check "one more packet of the flow" send 10.9.0.1 1
check "and the flow is exported" eventually 5 info_is expired.overflow=1
check "it leaves the cache" info_is flows.cached=0
check "it is exported in one record" info_is "collectors[0].records=1"
check "the ledger is exact" ledger_holds

check "three times as much, before the next look for expired flows" send 10.9.0.2 $((3 * NEAR))
need nf flush
check "flows were exported early" info_is 'expired.overflow>=2'
check "the ledger is exact beyond 32 bits" ledger_holds
check "nothing was lost" nothing_lost
need stop_nfcapd
check "packets and bytes collected are those that nftables saw" collected_as_nft_saw
check "the record of the first flow is right" \
	exported_flow_is nfcapd '* * 10.9.0.1' packets=$NEAR bytes=$((NEAR * SIZE))
check "no record exceeds 32 bits" exported_flows_each nfcapd '*' "bytes<$((2 ** 32))"
check "a flow that exceeds 32 bits has several records" has_several_records 10.9.0.2
check "nfcapd missed nothing" nfcapd_missed_nothing
on router bash -c 'echo rem_device_all >/proc/net/pktgen/kpktgend_0'
check "pktgen is left alone" modprobe -r pktgen
done_testing
