#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Malformed packets. The exporter does not see those that the kernel drops on arrival, and it
# trusts no header of the others. The kernel does not check packets that a program of the
# router sends through the device of a VRF.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2: nfcapd

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump nft

# kernel_counter NAME: of the router, as nstat(8) has it.
kernel_counter() { on router nstat -asz "$1" | sed -nE "s/^$1 +([0-9]+) .*/\1/p"; }

dropped_by_ip() {
	echo $(($(kernel_counter IpInHdrErrors) + $(kernel_counter IpExtInTruncatedPkts)))
}

# inject_into_vrf: the packets that standard input describes.
inject_into_vrf() { on router python3 -S "$SELFTESTS/lib/inject.py" blue 02:00:00:00:02:02; }

# ignored REASON PACKETS BYTES
ignored() { info_is packets.ignored_by."$1=$2" bytes.ignored_by."$1=$3"; }

need two_hosts
need load
need count_by_nft
need start_injector left l0 02:00:00:00:01:01
need start_nfcapd nfcapd
need nf collector add 10.3.0.2
need nf enable --inactive-timeout 600

inject <<'END'
	udp 10.1.0.2:1 10.9.0.1:53 version=6
	udp 10.1.0.2:1 10.9.0.1:53 version=0
	udp 10.1.0.2:1 10.9.0.1:53 ihl=4
	udp 10.1.0.2:1 10.9.0.1:53 ihl=0
	udp 10.1.0.2:1 10.9.0.1:53 ihl=15 len=40
	udp 10.1.0.2:1 10.9.0.1:53 totlen=65
	udp 10.1.0.2:1 10.9.0.1:53 totlen=65535
	udp 10.1.0.2:1 10.9.0.1:53 totlen=19
	udp 10.1.0.2:1 10.9.0.1:53 totlen=0
	udp 10.1.0.2:1 10.9.0.1:53 csum=0x1234
	udp 10.1.0.2:1 10.9.0.1:53 cut=19
	udp 10.1.0.2:1 10.9.0.1:53 cut=1
	udp 10.1.0.2:1 10.9.0.1:53 cut=40
	udp 10.1.0.2:1 10.9.0.1:53 options=0101010101010101 cut=24
END
check "the kernel itself drops 14 malformed packets" equal "dropped" 14 "$(dropped_by_ip)"
check "malformed packets never reach the exporter" info_is packets.seen=0

inject <<'END'
	udp 10.1.0.2:1 10.9.0.1:53 ethertype=0806
	udp 10.1.0.2:1 10.9.0.1:53 ethertype=86dd
	udp 10.1.0.2:1 10.9.0.1:53 ethertype=8100
	udp 10.1.0.2:1 10.9.0.1:53 ethertype=88b5
	udp 10.1.0.2:1 10.9.0.1:53 ethertype=0040
END
check "other protocols than IPv4 never reach the exporter" info_is packets.seen=0

PADDING=$(printf %080d 0)
inject <<END
	tcp 10.1.0.2:101 10.9.0.1:80 len=20 flags=S
	tcp 10.1.0.2:102 10.9.0.1:80 len=23 flags=S
	tcp 10.1.0.2:103 10.9.0.1:80 len=24 flags=S
	tcp 10.1.0.2:104 10.9.0.1:80 len=33 flags=S
	tcp 10.1.0.2:105 10.9.0.1:80 len=34 flags=S
	tcp 10.1.0.2:106 10.9.0.1:80 len=60 totlen=33 flags=S
	udp 10.1.0.2:201 10.9.0.1:53 len=20
	udp 10.1.0.2:202 10.9.0.1:53 len=22
	udp 10.1.0.2:203 10.9.0.1:53 len=24
	udp 10.1.0.2:204 10.9.0.1:53 len=60 totlen=28
	icmp 10.1.0.2 10.9.0.2 len=20
	icmp 10.1.0.2 10.9.0.3 len=21
	icmp 10.1.0.2 10.9.0.4 len=22 type=3 code=4
	udp 10.1.0.2:301 10.9.0.1:53 options=01010101
	udp 10.1.0.2:302 10.9.0.1:53 options=$PADDING
	udp 10.1.0.2:303 10.9.0.1:53 len=60 options=$PADDING
	tcp 10.1.0.2:304 10.9.0.1:80 len=80 flags=SEC options=$PADDING
	0 10.1.0.2 10.9.0.1
	255 10.1.0.2 10.9.0.1
	udp 0.0.0.0:401 255.255.255.255:67
	udp 127.0.0.1:402 127.0.0.1:53
	udp 224.0.0.1:403 10.9.0.1:53
	udp 10.1.0.2:404 240.0.0.1:53
	udp 10.9.0.1:405 10.9.0.1:405
	udp 10.1.0.2:0 10.9.0.1:0
	udp 10.1.0.2:406 10.9.0.1:53 ttl=0
END
check "flags of a TCP header that is cut off before them are 0" \
	flows_each 'tcp *:103-104 *' flags=0
check "flags at the very end of the packet are read" flow_is 'tcp *:105 *' flags=S
check "flags beyond the total length are not read" flow_is 'tcp *:106 *' flags=0
check "flags after 40 bytes of IP options are read" flow_is 'tcp *:304 *' flags=SEC
check "the ledger is exact" ledger_holds
need nf flush
need stop_nfcapd
check "every packet that nftables saw is in its flow" collected_as_nft_saw
check "none was ignored or lost" info_is packets.ignored=0 packets.lost=0

if ip -n router link add blue type vrf table 200 2>/dev/null; then
	need ip -n router link set blue up
	need ip -n router route add 10.9.0.0/16 via 10.2.0.2 dev to-right vrf blue
	need nf set observe output
	packets=$(info packets.exported) bytes=$(info bytes.exported)
	need inject_into_vrf <<-'END'
		udp 10.2.0.1:1 10.9.0.1:53 version=6 len=101 count=3
		udp 10.2.0.1:1 10.9.0.1:53 version=0 len=102
		udp 10.2.0.1:1 10.9.0.1:53 ihl=4 len=202 count=2
		udp 10.2.0.1:1 10.9.0.1:53 ihl=15 len=40
		udp 10.2.0.1:1 10.9.0.1:53 totlen=19 len=1400
		udp 10.2.0.1:1 10.9.0.1:53 totlen=0 len=20
		udp 10.2.0.1:1 10.9.0.1:53 totlen=151 len=150 count=4
		udp 10.2.0.1:1 10.9.0.1:53 totlen=65535 len=28 count=7
		udp 10.2.0.1:1 10.9.0.1:53 len=64 count=5
	END
	check "a header that contradicts itself is malformed" \
		ignored malformed 9 $((3 * 101 + 102 + 2 * 202 + 40 + 1400 + 20))
	check "a length that exceeds the packet is truncated" \
		ignored truncated 11 $((4 * 150 + 7 * 28))
	check "a packet that is whole is in its flow" info_is packets.cached=5 bytes.cached=320
	check "nothing was exported or lost meanwhile" \
		info_is packets.exported="$packets" bytes.exported="$bytes" packets.lost=0
	check "the ledger is exact with them" ledger_holds
else
	skip "malformed and truncated packets are counted" "this kernel has no VRF"
fi
done_testing
