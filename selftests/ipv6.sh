#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# IPv6 is not counted at any observation point; IPv4 packets that carry IPv6 are. NetFlow v5
# cannot name the next hop of an IPv4 route with an IPv6 gateway.
#
#    left 10.1.0.2 ---------- router  to-right ----- right 10.2.0.2
#         2001:db8:1::2       netflow, nft                2001:db8:2::2; 10.8.0.0/16, 10.9.0.0/16

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nft ping

set_up() {
	on router sysctl -qw net.ipv6.conf.all.forwarding=1 &&
		ip -n left addr add 2001:db8:1::2/64 dev l0 nodad &&
		ip -n router addr add 2001:db8:1::1/64 dev to-left nodad &&
		ip -n router addr add 2001:db8:2::1/64 dev to-right nodad &&
		ip -n right addr add 2001:db8:2::2/64 dev r0 nodad &&
		ip -n left route add default via 2001:db8:1::1 &&
		ip -n right route add default via 2001:db8:2::1 &&
		ip -n router route add 10.8.0.0/16 via inet6 2001:db8:2::2 dev to-right &&
		on router nft -f - <<-'END'
			table ip6 witness {
				counter forwarded { }
				chain forwarded {
					type filter hook forward priority 0
					icmpv6 type 128-129 counter name forwarded
				}
			}
		END
}

need two_hosts
need set_up
need load
need start_injector left l0 02:00:00:00:01:01
need nf enable --inactive-timeout 3600 --active-timeout 3600 \
	--observe prerouting,input,forward,output,postrouting
check "IPv6 is forwarded" on left ping -q -c 3 -i 0.2 2001:db8:2::2
check "the router answers IPv6" on left ping -q -c 3 -i 0.2 2001:db8:1::1
check "nftables saw it" equal "packets" 6 "$(nft_counter ip6 witness forwarded | cut -d ' ' -f 1)"
check "none of it is counted, at any point" info_is packets.seen=0 flows.created=0

for point in prerouting forward; do
	need nf set observe $point
	inject <<-'END'
		41 10.1.0.2 10.9.0.1 len=120 count=2
		udp 10.1.0.2:1 10.8.0.1:53 len=80 count=3
	END
	check "$point: IPv6 in IPv4 is a flow of protocol 41, an IPv6 gateway is no next hop" \
		flows_are '*' output=to-right masks=24/16 bytes=240 <<-'END'
			41 10.1.0.2 10.9.0.1 next-hop=10.2.0.2 packets=2
			udp 10.1.0.2:1 10.8.0.1:53 next-hop=0.0.0.0 packets=3
		END
	need nf flush
done
check "a collector with an IPv6 address is refused" \
	refused ipv4 nf collector add "[2001:db8:2::2]:2055"
check "the ledger is exact" ledger_holds
done_testing
