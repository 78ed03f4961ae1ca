#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Aggregated packets (GSO, GRO) count as the packets on the wire that they stand for. The
# right host, which has all offloads off, sees those.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2
#    sends up to 64 KB          netflow  |                counts what arrives
#    in one packet                       | 10.3.0.1 ----- collector 10.3.0.2: nfcapd

# shellcheck source=selftests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin nfcapd nfdump nft nc ethtool

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

# by_port FILE: of the flow to each port, the packets and bytes.
by_port() { awk '$1 == "10.1.0.2" { print $5, $(NF - 1), $NF }' "$1"; }

# of_port PORT FILE
of_port() { by_port "$2" | sed -n "s/^$1 //p"; }

# router_saw_fewer PORT: otherwise the test would prove nothing.
router_saw_fewer() {
	nft_flows router >"$TMP/router"
	nft_flows right >"$TMP/right"
	awk -v router="$(of_port "$1" "$TMP/router")" -v right="$(of_port "$1" "$TMP/right")" '
		BEGIN { print "router and right host saw: " router ", " right; exit !(router + 0 && router + 0 < right + 0) }'
}

# on_the_wire PORT: what was collected is what the right host saw.
on_the_wire() { equal "packets and bytes" "$(of_port "$1" "$TMP/right")" "$(of_port "$1" "$TMP/collected")"; }

need two_hosts
need load
need start_nfcapd nfcapd
need nf collector add 10.3.0.2
need nf enable
need count_by_nft router
need count_by_nft right

need on left ethtool -K l0 tx on sg on tso on gso on tx-udp-segmentation on tx-sctp-segmentation on
check "TCP in large packets (TSO)" send_tcp 5001
check "TCP: the router got fewer packets than the right host" router_saw_fewer 5001
check "UDP in large packets (USO)" send_udp
check "UDP: the router got fewer packets than the right host" router_saw_fewer 7001
if modprobe -q sctp; then
	check "SCTP in large packets" send_sctp
	check "SCTP: the router got fewer packets than the right host" router_saw_fewer 0
fi
need on left ethtool -K l0 tx off
need on router ethtool -K to-left gro on
check "TCP in packets that the router aggregates (GRO)" send_tcp 5002

need nf flush
check "the ledger is exact" ledger_holds
need stop_nfcapd
router_saw_fewer 5002 >"$TMP/gro" && aggregated=yes
collected nfcapd >"$TMP/collected"
check "TSO: packets and bytes are those of the wire" on_the_wire 5001
check "USO: packets and bytes are those of the wire" on_the_wire 7001
if [ -e /sys/module/sctp ]; then
	# Its ports are not told: they are 0.
	check "SCTP: packets and bytes are those of the wire" on_the_wire 0
else
	skip "SCTP: packets and bytes are those of the wire" "this kernel has no SCTP"
fi
if [ "${aggregated:-}" ]; then
	check "GRO: packets and bytes are those of the wire" on_the_wire 5002
else
	skip "GRO: packets and bytes are those of the wire" "GRO has not aggregated anything: $(cat "$TMP/gro")"
fi
done_testing
