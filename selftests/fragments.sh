#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Fragments are accounted as they arrive, before the kernel reassembles them: the first has
# ports, the others have none. Those that the kernel makes when a packet leaves are made behind
# the last hook: at forward, output and postrouting the whole packet is one, a known limit.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2: nfcapd

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump nft ping

send() {
	on left ping -q -c 2 -i 0.2 -s 4000 10.2.0.2 || return
	inject <<-'END'
		udp 10.1.0.2:1000 10.9.0.1:53 id=1 more=1 len=1500
		udp 10.1.0.2:1000 10.9.0.1:53 id=1 more=1 len=1500 frag=1480
		udp 10.1.0.2:1000 10.9.0.1:53 id=1 len=500 frag=2960
		tcp 10.1.0.2:1001 10.9.0.1:80 id=2 len=620 frag=1200 flags=F
		tcp 10.1.0.2:1001 10.9.0.1:80 id=2 len=620 more=1 flags=A
		udp 10.1.0.2:1002 10.9.0.1:53 id=3 len=28 frag=65512
	END
}

need two_hosts
need load
need count_by_nft
need start_injector left l0 02:00:00:00:01:01
need start_nfcapd nfcapd
need nf collector add 10.3.0.2
need nf enable

check "fragments pass" send
need nf flush
# Connection tracking has the kernel reassemble before its own hook.
check "connection tracking can be switched on" \
	on router nft add rule ip witness count ct state new counter
on router nft add chain ip witness track '{ type filter hook prerouting priority 0; }'
check "with a rule of its own" \
	on router nft add rule ip witness track ct state new counter
check "fragments pass with connection tracking" send
need nf flush
check "the ledger is exact" ledger_holds
need stop_nfcapd
check "every fragment was accounted, ports in the first one only" collected_as_nft_saw
check "the other fragments of a datagram are one flow without ports" \
	exported_flows_are nfcapd 'udp 10.1.0.2 10.9.0.1:0' <<'END'
	udp 10.1.0.2:0 10.9.0.1:0 packets=3 bytes=2028
	udp 10.1.0.2:0 10.9.0.1:0 packets=3 bytes=2028
END

# Packets of 1500 bytes to right, whose link takes 1400: two fragments each, with a header of
# 20 bytes each.
leave() {
	nf set observe "$1" && nf flush && on router nft reset counters >/dev/null || return
	if [ "$1" = output ]; then
		on router bash -c "head -c 1472 /dev/zero >/dev/udp/10.9.0.2/53"
	else
		inject <<-'END'
			udp 10.1.0.2:1 10.9.0.2:53 len=1500 count=10
		END
	fi
}
# At egress there is the Ethernet header, too: 14 bytes.
fragments_left() {
	equal "fragments, and their bytes" "$(($1 * 2)) $(($1 * (1520 + 2 * 14)))" \
		"$(nft_counter netdev leave sent)"
}
need ip -n router link set to-right mtu 1400
# What conntrack has not put together: it would not let the kernel make the fragments smaller.
need on router nft flush ruleset
need on router nft -f - <<'END'
	table netdev leave {
		counter sent { }
		chain leave {
			type filter hook egress device "to-right" priority 0
			ip daddr 10.9.0.2 counter name sent
		}
	}
END
for point in forward postrouting output; do
	packets=10
	[ $point = output ] && packets=1
	check "packets are too large for the link: $point" leave $point
	check "they leave as two fragments each" eventually 10 fragments_left $packets
	check "a known limit: at $point each counts once, with one header" \
		flow_is 'udp * 10.9.0.2:53' packets="$packets" bytes=$((packets * 1500))
done
done_testing
