#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A packet is counted once, whatever the observation points are: for each of their 31
# combinations and each kind of path, packets are counted as often as they were sent if
# nftables sees them at one of the points, and not at all otherwise.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                        netflow, nft    | 10.3.0.1 ----- collector 10.3.0.2: nfcapd
#                        127.0.0.1: nfcapd
#
# The router is a member of the groups 239.1.1.1 (left) and 239.2.2.2 (right). observe6.sh does
# the same with IPv6.

# shellcheck source=selftests/lib/observe.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/observe.sh"
begin nfcapd nfdump nft

observe_all
done_testing
