#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets to groups and broadcast addresses: their route, and how often they are counted, at
# each point. The router forwards 239.5.5.5 from left to right, 239.6.6.6 from left to right and
# to the collector, and no other group.
#
#    left 10.1.0.2 ----- to-left   router  to-right ----- right
#                                  netflow to-collector - collector

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nft python3

SENT=3

# A multicast router such as pimd, whose routes are set by hand. It ends with the script.
start_multicast_router() {
	ip netns exec router python3 -S -c '
import signal, socket, struct, sys
MRT_INIT, MRT_ADD_VIF, MRT_ADD_MFC, VIFF_USE_IFINDEX = 200, 202, 204, 8
router = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
router.setsockopt(socket.IPPROTO_IP, MRT_INIT, 1)
for vif, device in enumerate(sys.argv[1:]):
    router.setsockopt(socket.IPPROTO_IP, MRT_ADD_VIF,
        struct.pack("=HBBIi4s", vif, VIFF_USE_IFINDEX, 1, 0, socket.if_nametoindex(device),
            bytes(4)))
for group, ttls in ("239.5.5.5", [0, 1, 0]), ("239.6.6.6", [0, 1, 1]):
    router.setsockopt(socket.IPPROTO_IP, MRT_ADD_MFC, struct.pack("=4s4sH32s2x16x",
        socket.inet_aton("10.1.0.2"), socket.inet_aton(group), 0, bytes(ttls)))
print("ready", flush=True)
signal.pause()
' to-left to-right to-collector >"$TMP/multicast.log" 2>&1 &
	processes+=($!)
	eventually 20 grep -qx ready "$TMP/multicast.log"
}

# What goes to groups, by the interface that it goes out by.
witness() {
	on router nft -f - <<-'END'
		table ip groups {
			set forwarded {
				typeof ip daddr . oifname
				size 65535; flags dynamic; counter
			}
			chain forwarded {
				type filter hook forward priority 0
				ip daddr 224.0.0.0/4 update @forwarded { ip daddr . oifname }
			}
		}
	END
}

# forwards GROUP "DEVICE PACKETS"...: what nftables saw leave.
forwards() {
	equal "forwarded" "${*:2}" \
		"$(nft_elements groups forwarded | grep "^$1 " | cut -d ' ' -f 2,3 | xargs)"
}

# receive POINTS: from left, SENT packets each.
receive() {
	nf set observe "$1" && nf flush && on router nft flush set ip groups forwarded || return
	inject <<-END
		udp 10.1.0.2:1 239.5.5.5:53 count=$SENT
		udp 10.1.0.2:1 239.6.6.6:53 count=$SENT
		udp 10.1.0.2:1 239.7.7.7:53 count=$SENT
		udp 10.1.0.2:1 10.1.0.255:53 count=$SENT
		udp 10.1.0.2:1 255.255.255.255:53 count=$SENT
	END
}

# send POINTS: from the router to the right, SENT packets each.
send() {
	nf set observe "$1" && nf flush || return
	on router python3 -S -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"to-right")
s.bind(("10.2.0.1", 1))
for to in "239.2.2.2", "239.5.5.5", "10.2.0.255", "255.255.255.255":
    for _ in range(int(sys.argv[1])):
        s.sendto(bytes(36), (to, 53))
' "$SENT"
}

need two_hosts
# Broadcasts must not be routed by it.
need ip -n router route add default via 10.2.0.2
need start_multicast_router
need witness
need load
need start_injector left l0 01:00:5e:05:05:05
need nf enable --inactive-timeout 3600 --active-timeout 3600

need receive prerouting
check "the kernel forwards one group" forwards 239.5.5.5 "to-right $SENT"
check "the kernel forwards another group to two interfaces" \
	forwards 239.6.6.6 "to-collector $SENT to-right $SENT"
check "at prerouting there is no output, and only the source has a prefix" \
	flows_are 'udp * *:53' input=to-left output=0 next-hop=0.0.0.0 <<END
	udp * 239.5.5.5:53 masks=24/0 packets=$SENT
	udp * 239.6.6.6:53 masks=24/0 packets=$SENT
	udp * 239.7.7.7:53 masks=24/0 packets=$SENT
	udp * 10.1.0.255:53 masks=24/32 packets=$SENT
	udp * 255.255.255.255:53 masks=24/0 packets=$SENT
END
for points in forward postrouting forward,postrouting; do
	need receive $points
	check "$points: the output is that of the first packet, each copy counts" \
		flows_are 'udp * *:53' input=to-left next-hop=0.0.0.0 masks=24/0 <<-END
			udp * 239.5.5.5:53 output=to-right packets=$SENT
			udp * 239.6.6.6:53 output=to-right|to-collector packets=$((2 * SENT))
		END
done
need receive prerouting,forward,postrouting
check "with prerouting, each packet counts once" flows_each 'udp * 239.[56].*' packets=$SENT

for points in output postrouting prerouting,input,forward,output,postrouting; do
	need send $points
	check "$points: what this host sends has the interface that it leaves by" \
		flows_are 'udp * *:53' input=0 output=to-right next-hop=0.0.0.0 packets=$SENT <<-END
			udp * 239.2.2.2:53 masks=32/0
			udp * 239.5.5.5:53 masks=32/0
			udp * 10.2.0.255:53 masks=32/32
			udp * 255.255.255.255:53 masks=32/0
		END
done
check "the ledger is exact" ledger_holds
done_testing
