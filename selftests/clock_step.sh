#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The time of day is stepped: flows that are exported before have the time that was, those after
# the new one, as tcpdump saw it, and the same in all protocols; and collectors are told templates
# and options anew at once.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                        netflow,        | 10.3.0.1 ----- collector 10.3.0.2:
#                        tcpdump                          nfcapd: v5 2055, v9 2056, IPFIX 4739

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
# shellcheck source=selftests/lib/decoders.sh
. "$SELFTESTS/lib/decoders.sh"
# shellcheck source=selftests/lib/times.sh
. "$SELFTESTS/lib/times.sh"
begin nfcapd nfdump tcpdump tshark python3

STEP=1000.4

# step SECONDS
step() {
	python3 -S -c 'import sys, time
time.clock_settime(time.CLOCK_REALTIME, time.time() + float(sys.argv[1]))' "$1"
}

# announced PORT SET: datagrams with templates, so far.
announced() {
	decode -Y "udp.dstport == $1 && cflow.flowset_id == $2" -T fields -e frame.number | wc -l
}

send_over_a_second() {
	inject <<-END
		udp 10.1.0.2:$1 10.9.0.1:53 count=4 gap=0.37
	END
}

need two_hosts
need load
need start_injector left l0 02:00:00:00:01:01
need start_all
need start_capture "$TMP/link.pcap" router -i any udp
need nf collector add 10.3.0.2
need nf collector add 10.3.0.2:2056 --protocol v9
need nf collector add 10.3.0.2 --protocol ipfix
need nf enable --families ipv4 --inactive-timeout 600 --template-refresh 86400 \
	--template-refresh-datagrams 1000000
# Three copies of what is told at first.
sleep $((3 + ${TIMEOUT_FACTOR:-1}))
need send_over_a_second 1001
need nf flush
stepped=$(date +%s.%N)
check "the time of day is stepped" step "$STEP"
sleep 3
need send_over_a_second 1002
need nf flush
check "it is stepped back" step "-$STEP"
need send_over_a_second 1003
need nf flush
check "the ledger is exact" ledger_holds
check "nothing was lost" nothing_lost
need stop_all
need stop_capture "$TMP/link.pcap"

seen >"$TMP/seen"
for protocol in v5 v9 ipfix; do
	collected_times "nfcapd.$protocol" >"$TMP/$protocol.times"
	check "$protocol: first and last are the times that tcpdump saw" \
		agree "$TMP/$protocol.times"
	check "$protocol: to the millisecond they are those of v5" \
		same "$TMP/v5.times" "$TMP/$protocol.times"
done
jumped() {
	awk -v step="$STEP" -v at="$stepped" '
		$1 == 1001 { before = $3 }
		$1 == 1002 { during = $2 }
		$1 == 1003 { after = $2 }
		END { exit !(before < at && during > at + step && after < at + 60) }' "$TMP/seen"
}
check "tcpdump saw the clock jump" jumped
# Of three copies at first, and one more for each step.
check "v9: templates are told at each step" equal "datagrams" 5 "$(announced 2056 0)"
check "ipfix: templates are told at each step" equal "datagrams" 5 "$(announced 4739 2)"
done_testing
