#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# SysUptime begins again at 0 after 49.7 days. The module is loaded with a clock that does
# so within seconds; times of flows before, across and after that are what tcpdump saw.
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
begin nfcapd nfdump tcpdump tshark

uptime_ms() { awk '{ printf "%.0f\n", $1 * 1000 }' /proc/uptime; }

start() { nf collector add 10.3.0.2 && nf enable --inactive-timeout 600 --active-timeout 1800; }

# Finds out how many seconds ahead of the wrap to load: what it takes to start, twice over,
# and some for the packets.
rehearse() {
	local began=$SECONDS
	load && start && nf flush && unload || return
	AHEAD=$((2 * (SECONDS - began) + 4))
}

load_before_wrap() { load uptime_offset=$((2 ** 32 - $(uptime_ms) - AHEAD * 1000)); }

wrapped() { info_is '.sys_uptime < 2147483648' true; }

# What tcpdump saw: lines "PORT FIRST LAST".
seen() {
	tshark -n -r "$TMP/link.pcap" -Y 'udp.dstport == 53' -T fields -e udp.srcport -e frame.time_epoch 2>/dev/null |
		awk '!($1 in first) { first[$1] = $2 } { last[$1] = $2 } END { for (port in first) print port, first[port], last[port] }' | sort
}

# What tshark reads in our datagrams: lines "PORT FIRST LAST", and "late ..." for any flow
# that ends after the uptime of its datagram. Ages are less than half the clock's range.
decoded() {
	tshark -n -r "$TMP/link.pcap" -d udp.port==2055,cflow -Y 'udp.dstport == 2055' -T fields \
		-e cflow.sysuptime -e cflow.unix_secs -e cflow.unix_nsecs -e cflow.srcport -e cflow.timestart -e cflow.timeend 2>/dev/null |
		awk -F'\t' -v range=4294967.296 '
			function age(t) { t = $1 - t; return t < -range / 2 ? t + range : t }
			{
				n = split($4, port, ","); split($5, first, ","); split($6, last, ",")
				for (i = 1; i <= n; i++) {
					if (age(last[i]) < 0 || age(first[i]) < 0) print "late", $0
					printf "%d %.3f %.3f\n", port[i], $2 + $3 / 1e9 - age(first[i]), $2 + $3 / 1e9 - age(last[i])
				}
			}' | sort
}

# agree FILE: ports, and times within a tenth of a second.
agree() {
	cut -d ' ' -f 1 "$TMP/seen" >"$TMP/ports.seen"
	cut -d ' ' -f 1 "$1" >"$TMP/ports"
	same "$TMP/ports.seen" "$TMP/ports" || return
	paste -d ' ' "$TMP/seen" "$1" | awk '
		function off(a, b) { return a - b > 0.1 || b - a > 0.1 }
		off($2, $5) || off($3, $6) { print "tcpdump: " $2 " to " $3 ", collected: " $5 " to " $6 ", port " $1; bad = 1 }
		END { exit bad }'
}

# header_wraps: SysUptime of the datagrams is near its end at first, and near 0 in the end.
header_wraps() {
	tshark -n -r "$TMP/link.pcap" -d udp.port==2055,cflow -Y 'udp.dstport == 2055' -T fields -e cflow.sysuptime 2>/dev/null >"$TMP/uptimes"
	awk 'NR == 1 { first = $1 } { last = $1 } END { print first, last; exit !(first > 4294900 && last < 60) }' "$TMP/uptimes"
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
check "the clock has not wrapped yet" info_is '.sys_uptime > 2147483648' true
check "it wraps" eventually $((AHEAD + 5)) wrapped
sleep 0.3
inject <<'END'
	udp 10.1.0.2:1003 10.9.0.1:53
	udp 10.1.0.2:1004 10.9.0.1:53 count=3 gap=0.2
END
check "no flow expired because of the wrap" info_is '"\(.expired.inactive) \(.expired.active) \(.flows.cached)"' "0 0 3"
need nf flush
check "the ledger is exact" ledger_holds
need stop_nfcapd
need stop_capture "$TMP/link.pcap"
seen >"$TMP/seen"
decoded >"$TMP/decoded"
records nfcapd %tsr,%ter | awk '{ print $4, $7, $8 }' | sort >"$TMP/collected"
check "the clock of the datagrams wraps" header_wraps
check "by tshark, first and last are the times that tcpdump saw" agree "$TMP/decoded"
check "no flow ends after the uptime of its datagram" without late "$TMP/decoded"
check "by nfdump, first and last are the times that tcpdump saw" agree "$TMP/collected"
done_testing
