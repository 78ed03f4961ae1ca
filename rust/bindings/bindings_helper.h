/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bindgen reads: C that this module uses and that the kernel crate's own
 * bindings do not have. bindgen_parameters lists which of it is emitted.
 */

#include <linux/if_packet.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <net/ip.h>
#include <net/net_namespace.h>
#include <uapi/linux/netfilter_ipv4.h>
#include <uapi/linux/netflow.h>
#include <uapi/linux/rtnetlink.h>

#include "netlink.h"
#include "../helpers/helpers.h"

/* Macros that bindgen does not evaluate. */
const u32 NETFLOW_IPSKB_FORWARDED = IPSKB_FORWARDED;
const u32 NETFLOW_IPSKB_L3SLAVE = IPSKB_L3SLAVE;
const u32 NETFLOW_LOOPBACK_IFINDEX = LOOPBACK_IFINDEX;
const u32 NETFLOW_GFP_RESERVE =
	(__force u32)(GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
