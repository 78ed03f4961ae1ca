#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# hook_paths.sh with IPv6, where 10.A.0.B is 2001:db8:A::B; and further tunnels, of IPv6 in IPv6
# and of IPv6 in IPv4. See hook_dedup6.sh for segment routing.

# shellcheck source=selftests/lib/hook_paths.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/hook_paths.sh"
begin nft tc

ip6tnl() {
	ip_batch router <<-'END' || return
		link add ip6in6 type ip6tnl mode ip6ip6 local 10.2.0.1 remote 10.2.0.2
		link set ip6in6 up
		route add 10.59.0.0/16 dev ip6in6
	END
	path 70 "routed to a tunnel of IPv6" "$THROUGH"
	received+=("70 10.59.0.1")
	path 71 "sent by a tunnel of IPv6" "$OUT"
	sent+=("71 10.59.0.1")
}

sit() {
	ip -n router link add sit type sit local 10.2.0.1 remote 10.2.0.2 &&
		ip -n router link set sit up &&
		ip_batch router <<<"route add 10.60.0.0/16 dev sit" || return
	path 72 "routed to a tunnel of IPv4" "$THROUGH"
	received+=("72 10.60.0.1")
	path 73 "sent by a tunnel of IPv4" "$OUT"
	sent+=("73 10.60.0.1")
}

need hosts
for kind in loopback vrf mpls policy xfrm_interface vti gre ip6tnl sit copies ipvs queue; do
	need_kind $kind
done
count_all
count_mpls_from_here
check "the ledger is exact" ledger_holds
done_testing
