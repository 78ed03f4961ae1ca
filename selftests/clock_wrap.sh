#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# SysUptime wraps to 0 after 49.7 days. The module is loaded with a clock that wraps within
# seconds; times of flows before, across and after the wrap are what tcpdump saw.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                        netflow,        | 10.3.0.1 ----- collector 10.3.0.2: nfcapd
#                        tcpdump
#
#    port         first  last  export
#    1001  before   |      |     |
#    1002  before   |      |    -+- at the wrap -
#    1003  across   |     -+-----|--------------- after it
#    1004  after                         |      |     |

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
# shellcheck source=selftests/lib/times.sh
. "$SELFTESTS/lib/times.sh"
begin nfcapd nfdump tcpdump tshark

uptime_ms() {
	local seconds hundredths
	IFS='. ' read -r seconds hundredths _ </proc/uptime
	echo $((seconds * 1000 + 10#$hundredths * 10))
}

start() { nf collector add 10.3.0.2 && nf enable --inactive-timeout 600 --active-timeout 1800; }

# How many seconds before the wrap to load: twice the time that a start takes, and some for
# the packets.
rehearse() {
	local began=$SECONDS
	load && start && nf flush && unload || return
	AHEAD=$((2 * (SECONDS - began) + 4))
}

load_before_wrap() { load uptime_offset=$((2 ** 32 - $(uptime_ms) - AHEAD * 1000)); }

wrapped() { info_is 'sys_uptime<2147483648'; }

# What tshark reads in our datagrams: lines "PORT FIRST LAST", and "late ..." for any flow
# that ends after the uptime of its datagram. Ages are less than half the clock's range.
decoded() {
	v5_records "$TMP/link.pcap" srcport timestart timeend sysuptime unix_secs unix_nsecs |
		awk -v range=4294967.296 '
			function age(t) { t = $4 - t; return t < -range / 2 ? t + range : t }
			age($2) < 0 || age($3) < 0 { print "late", $0 }
			{
				now = $5 + $6 / 1e9
				printf "%d %.3f %.3f\n", $1, now - age($2), now - age($3)
			}' | sort
}

# header_wraps: SysUptime of the datagrams is near its end at first, and near 0 in the end.
header_wraps() {
	local first last
	v5_records "$TMP/link.pcap" srcport sysuptime |
		cut -d ' ' -f 2 | cut -d . -f 1 >"$TMP/uptimes"
	first=$(head -n 1 "$TMP/uptimes") last=$(tail -n 1 "$TMP/uptimes")
	echo "from $first to $last s"
	[ "$first" -gt 4294900 ] && [ "$last" -lt 60 ]
}

need two_hosts
need start_injector left l0 02:00:00:00:01:01
need start_nfcapd nfcapd
need start_capture "$TMP/link.pcap" router -i any udp
need rehearse
need load_before_wrap
need start

inject <<'END'
	udp 10.1.0.2:1001 10.9.0.1:53 count=3 gap=0.2
END
need nf flush
inject <<'END'
	udp 10.1.0.2:1003 10.9.0.1:53
	udp 10.1.0.2:1002 10.9.0.1:53 count=3 gap=0.2
END
check "the clock has not wrapped yet" info_is 'sys_uptime>2147483648'
check "it wraps" eventually $((AHEAD + 5)) wrapped
sleep 0.3
inject <<'END'
	udp 10.1.0.2:1003 10.9.0.1:53
	udp 10.1.0.2:1004 10.9.0.1:53 count=3 gap=0.2
END
check "no flow expired because of the wrap" \
	info_is expired.inactive=0 expired.active=0 flows.cached=3
need nf flush
check "the ledger is exact" ledger_holds
need stop_nfcapd
need stop_capture "$TMP/link.pcap"
seen >"$TMP/seen"
decoded >"$TMP/decoded"
collected_times nfcapd >"$TMP/collected"
check "the clock of the datagrams wraps" header_wraps
check "by tshark, first and last are the times that tcpdump saw" agree "$TMP/decoded"
check "no flow ends after the uptime of its datagram" without late "$TMP/decoded"
check "by nfdump, first and last are the times that tcpdump saw" agree "$TMP/collected"
done_testing
