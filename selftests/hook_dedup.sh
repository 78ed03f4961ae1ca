#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets that pass a netfilter hook twice are counted once, for each of the 31 combinations of
# observation points. They do so
# - in a VRF, with the enslaved device and with that of the VRF;
# - leaked from one VRF into another, as received and as sent from here (a copy that TEE makes
#   of a received packet is another packet);
# - on a bridge with br_netfilter, as bridged and as routed;
# - to a multicast group, if the kernel itself sent them, as original and as loopback copy.
#
#    netns left                netns router                            netns right
#    v 10.30.0.2/24 --- vport, enslaved to the VRF blue
#                              10.30.0.1 |  to-right 10.2.0.1 -------- r0 10.2.0.2
#                 wport, enslaved to the VRF red
#                              10.32.0.1 |---------------------------- w 10.32.0.2/24
#  lan 10.31.0.2/24 --- port1 \          |
#                              bridge    |  to-collector 10.3.0.1 ---- collector 10.3.0.2
#                       port2 /          |
#                           | 10.31.0.1  |
#                           +--------------------------------------- lan 10.31.0.3/24
#
# hook_dedup6.sh does the same with IPv6.

# shellcheck source=selftests/lib/hook_dedup.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/hook_dedup.sh"
begin nft ping tc

# Reports of IGMP version 2.
# shellcheck disable=SC2034 # used by the library
GROUP=239.4.4. GROUP_BITS=24

report_fast() {
	on router sysctl -qw net.ipv4.igmp_max_memberships=100 net.ipv4.igmp_qrv="$REPORTS" \
		net.ipv4.conf.to-right.force_igmp_version=2 \
		net.ipv4.conf.to-right.igmpv2_unsolicited_report_interval=10
}
join_group() { ip -n router addr add "$1/32" dev to-right autojoin; }

need hosts
need load
need nf enable --inactive-timeout 3600 --active-timeout 3600
for kind in vrf copies bridge; do try $kind; done
[ ! -e /sys/module/vrf ] || try_queue
need report_fast
try_group IGMP
check "the ledger is exact" ledger_holds
need clean_up
modprobe -qr br_netfilter
done_testing
