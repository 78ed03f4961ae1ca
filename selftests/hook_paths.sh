#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The paths that packets take through netfilter's hooks: on each of them a packet is counted
# once, at the first of the observation points that it passes, for each of the 31 combinations
# of points. nftables says at which hooks packets pass, and how often; what is one packet there,
# and what is a copy, is stated below. The packets of a path have its number as source port,
# those of a combination have 1000 and its mask as destination port.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                        netflow, nft    | 10.3.0.1 ----- collector 10.3.0.2
#                                        | gre, xfrm, vti to 10.2.0.2; VRF blue
#
# See hook_dedup.sh for what is received by VRFs and bridges, and observe.sh for groups.
# hook_paths6.sh does the same with IPv6.

# shellcheck source=selftests/lib/hook_paths.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/hook_paths.sh"
begin nft tc

need hosts
for kind in loopback vrf mpls policy xfrm_interface vti gre copies ipvs queue; do
	need_kind $kind
done
count_all
count_mpls_from_here
check "the ledger is exact" ledger_holds
done_testing
