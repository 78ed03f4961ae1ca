#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Aggregated packets (GSO, GRO) count as the packets on the wire that they stand for, as
# tcpdump sees them at a host that has offloads off: for those that the left host makes, at
# the right host; for those that the router makes, at the left host.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2
#    sends up to 64 KB      netflow, nft |                tcpdump
#    in one packet;                      | 10.3.0.1 ----- collector 10.3.0.2: nfcapd
#    tcpdump

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump tcpdump tshark nft nc ethtool

listening() { on right ss -Hltun "sport = $1" | grep -q .; }

send_tcp() {
	ip netns exec right nc -l -N 10.2.0.2 "$1" </dev/null >/dev/null &
	local server=$!
	processes+=("$server")
	eventually 10 listening "$1" || return
	head -c 1500000 /dev/zero | on left nc -N 10.2.0.2 "$1" || return
	wait "$server"
}

# UDP_SEGMENT (103): one call sends datagrams of 1000 bytes each, the last of 500.
send_udp() {
	on left python3 -S -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_UDP, 103, 1000)
s.bind(("10.1.0.2", 7000))
for _ in range(3):
    s.sendto(bytes(20500), ("10.9.0.1", 7001))
'
}

# One-to-one SCTP sockets: as much as fits goes into one packet.
receive_sctp() {
	on right python3 -S -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
s.bind(("10.2.0.2", 5003))
s.listen(1)
connection, _ = s.accept()
while connection.recv(1 << 16):
    pass
'
}

send_sctp() {
	receive_sctp &
	local server=$!
	processes+=("$server")
	on left python3 -S -c '
import socket, time
for _ in range(100):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    try:
        s.connect(("10.2.0.2", 5003))
        break
    except OSError:
        time.sleep(0.1)
for _ in range(300):
    s.sendall(bytes(4000))
s.shutdown(socket.SHUT_WR)
s.close()
' || return
	wait "$server"
}

# of_port PORT FILE: packets and bytes of the left host's flow to that port.
of_port() {
	sed -nE "s/^10\.1\.0\.2 \S+ \S+ \S+ $1 ([0-9]+ )?([0-9]+ [0-9]+)$/\2/p" "$2" | total
}

# router_saw_fewer PORT CAPTURED: otherwise the test would prove nothing.
router_saw_fewer() {
	local router wire
	nft_flows router >"$TMP/router"
	router=$(of_port "$1" "$TMP/router") wire=$(of_port "$1" "$2")
	echo "router and wire: $router, $wire"
	[ "${router% *}" -gt 0 ] && [ "${router% *}" -lt "${wire% *}" ]
}

# The device waits a little for the next packet of a connection, so that GRO aggregates on a
# slow machine too. (The file is in the sysfs of the router.)
aggregate() {
	on router ethtool -K to-left gro on &&
		on router sh -c 'echo 2000000 >/sys/class/net/to-left/gro_flush_timeout'
}

# on_the_wire PORT CAPTURED: what was collected is what was captured.
on_the_wire() {
	[ "$(of_port "$1" "$2")" != "0 0" ] || { echo "nothing was captured"; return 1; }
	equal "packets and bytes" "$(of_port "$1" "$2")" "$(of_port "$1" "$TMP/collected")"
}

need two_hosts
need load
need start_nfcapd nfcapd
need nf collector add 10.3.0.2
need nf enable
need count_by_nft router

need start_capture "$TMP/right.pcap" right -i r0 ip
need on left ethtool -K l0 tx on sg on tso on gso on tx-udp-segmentation on tx-sctp-segmentation on
check "TCP in large packets (TSO)" send_tcp 5001
check "UDP in large packets (USO)" send_udp
if modprobe -q sctp; then
	check "SCTP in large packets" send_sctp
fi
need stop_capture "$TMP/right.pcap"

need on left ethtool -K l0 tx off
need aggregate
need start_capture "$TMP/left.pcap" left -i l0 ip
check "TCP in packets that the router aggregates (GRO)" send_tcp 5002
need stop_capture "$TMP/left.pcap"

need nf flush
check "the ledger is exact" ledger_holds
need stop_nfcapd
collected nfcapd >"$TMP/collected"
captured "$TMP/right.pcap" >"$TMP/right"
captured "$TMP/left.pcap" >"$TMP/left"
check "TSO: the router got fewer packets" router_saw_fewer 5001 "$TMP/right"
check "TSO: packets and bytes are those of the wire" on_the_wire 5001 "$TMP/right"
check "USO: the router got fewer packets" router_saw_fewer 7001 "$TMP/right"
check "USO: packets and bytes are those of the wire" on_the_wire 7001 "$TMP/right"
if [ -e /sys/module/sctp ]; then
	check "SCTP: the router got fewer packets" router_saw_fewer 5003 "$TMP/right"
	check "SCTP: packets and bytes are those of the wire" on_the_wire 5003 "$TMP/right"
else
	skip "SCTP: packets and bytes are those of the wire" "this kernel has no SCTP"
fi
check "GRO: the router aggregated packets" router_saw_fewer 5002 "$TMP/left"
check "GRO: packets and bytes are those that the sender sent" on_the_wire 5002 "$TMP/left"
done_testing
