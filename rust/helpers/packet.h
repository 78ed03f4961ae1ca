/* SPDX-License-Identifier: GPL-2.0 */
/* What is found out of packets of both IP versions in the same way. */
#ifndef _NETFLOW_PACKET_H
#define _NETFLOW_PACKET_H

#include <linux/etherdevice.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_bridge.h>
#include <linux/skbuff.h>

static inline bool is_bridged(const struct sk_buff *skb)
{
#if IS_ENABLED(CONFIG_BRIDGE_NETFILTER)
	return nf_bridge_info_exists(skb);
#else
	return false;
#endif
}

/* br_netfilter runs the hook, not IP. It tells POST_ROUTING no `in`. */
static inline bool is_in_bridge(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	if (!is_bridged(skb))
		return false;
	return state->hook == NF_INET_POST_ROUTING ? !state->in : nf_bridge_in_prerouting(skb);
}

/* It has the Ethernet header that the device of a VRF writes for itself. */
static inline bool has_header_of_vrf(const struct sk_buff *skb, const struct net_device *dev)
{
	return skb_mac_header_was_set(skb) &&
	       skb_mac_offset(skb) + ETH_HLEN == skb_network_offset(skb) &&
	       ether_addr_equal(eth_hdr(skb)->h_dest, dev->dev_addr);
}

/*
 * ip_rcv() and ipv6_rcv() set the transport header behind that of IP. In what other protocols
 * have received it is where the packet began, before the labels of MPLS, unless who sent it
 * has set it: by a veth, or a virtual machine that leaves checksums to the host.
 * __netif_receive_skb() sets it at the latest: where it is not, a program has sent the
 * packet by the device (packet(7)), with a header that tells no transport protocol.
 */
static inline bool is_past_ip_rcv(const struct sk_buff *skb)
{
	return !skb_transport_header_was_set(skb) ||
	       skb_transport_offset(skb) > skb_network_offset(skb);
}

#endif /* _NETFLOW_PACKET_H */
