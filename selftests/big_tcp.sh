#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# BIG TCP: packets of more than 65,535 bytes, whose IPv4 header has a total length of 0,
# count as the packets on the wire that they stand for, as tcpdump sees them arrive at the
# right host, which has all offloads off.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2
#    sends up to 180 KB    netflow, nft  |                tcpdump
#    in one packet                       | 10.3.0.1 ----- collector 10.3.0.2: nfcapd

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump tcpdump tshark nft nc ethtool python3

# With tcp_tso_rtt_log, the kernel makes large packets also for hosts that are further away
# than some 100 µs. Both windows are wide from the start: on a slow machine cubic's congestion
# window would stay small.
send_large() {
	on left ethtool -K l0 tx on sg on tso on gso on &&
		ip -n left link set l0 gso_max_size 180000 gso_ipv4_max_size 180000 &&
		ip -n left route replace default via 10.1.0.1 initcwnd 500 &&
		ip -n right route replace default via 10.2.0.1 initrwnd 500 &&
		on left sysctl -qw net.ipv4.tcp_wmem="4096 4000000 8000000" \
			net.ipv4.tcp_tso_rtt_log=20 net.ipv4.tcp_congestion_control=reno &&
		on right sysctl -qw net.ipv4.tcp_rmem="4096 2000000 4000000"
}

listening() { on right ss -Hltn "sport = 5001" | grep -q LISTEN; }

send() {
	ip netns exec right nc -l -N 10.2.0.2 5001 </dev/null >"$TMP/received" &
	local server=$!
	processes+=("$server")
	eventually 10 listening || return
	on left python3 -S -c '
import socket
s = socket.create_connection(("10.2.0.2", 5001))
s.sendall(bytes(5_000_000))
' || return
	wait "$server"
	equal "bytes that arrived" 5000000 "$(stat -c %s "$TMP/received")"
}

# TCP chooses the size of its packets: up to ten connections, until one was large.
send_until_large() {
	local try
	for ((try = 0; try < 10; try++)); do
		send || return
		! big_came_in >/dev/null || return 0
	done
}

# What came in with a total length of 0.
count_big() {
	on router nft -f - <<-'END'
		table ip big {
			counter big { }
			chain big {
				type filter hook prerouting priority -500
				ip length 0 counter name big
			}
		}
	END
}

big_came_in() { on router nft list counter ip big big | grep -E 'packets [1-9]'; }

from_left() { grep -E '^10\.1\.0\.2 \S+ \S+ \S+ 5001 '; }

need two_hosts
need send_large
need load
need start_nfcapd nfcapd
need nf collector add 10.3.0.2
need nf enable
need count_big
need start_capture "$TMP/right.pcap" right -i r0 ip
check "TCP in packets of more than 64 KB" send_until_large
need stop_capture "$TMP/right.pcap"
check "the router got some with a total length of 0" big_came_in
need nf flush
check "the ledger is exact" ledger_holds
check "nothing was ignored" info_is packets.ignored=0
need stop_nfcapd
captured "$TMP/right.pcap" | from_left >"$TMP/expected"
collected nfcapd | from_left >"$TMP/collected"
check "packets and bytes are those of the wire" same "$TMP/expected" "$TMP/collected"
done_testing
