// SPDX-License-Identifier: GPL-2.0
/* The helpers of IPv6. See helpers.h. */

#include <linux/ipv6.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/skbuff.h>
#include <net/addrconf.h>
#include <net/flow.h>
#include <net/ip.h>
#include <net/ip6_fib.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/l3mdev.h>
#include <net/seg6.h>
#include <net/sock.h>

#include "helpers.h"
#include "neighbour.h"
#include "packet.h"

#if IS_ENABLED(CONFIG_IPV6)
static bool is_address_of(struct net *net, const struct net_device *dev,
			  const struct in6_addr *address)
{
	return ipv6_mod_enabled() && ipv6_chk_addr(net, address, dev, 0);
}

/*
 * A segment that is an address of this host: ipv6_srh_rcv() sends a packet on that has passed
 * LOCAL_IN with this address, and leaves it in the routing header, behind the segment that is the
 * destination now. What goes by the segments of seg6local(8), which are routes and no addresses,
 * passes no LOCAL_IN.
 */
static bool is_past_local_in(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	const struct ipv6_devconf *all = state->net->ipv6.devconf_all;
	struct ipv6_sr_hdr buffer;
	const struct ipv6_sr_hdr *header;
	const struct in6_addr *segment;
	const struct inet6_dev *idev;
	struct in6_addr address;
	unsigned int offset = 0;

	if (likely(!all || !READ_ONCE(all->seg6_enabled)))
		return false;
	/* As ipv6_srh_rcv() asks, of the device that received it, or of the VRF of that. */
	idev = state->in ? __in6_dev_get(state->in) : NULL;
	if (!idev || !READ_ONCE(idev->cnf.seg6_enabled) ||
	    !ipv6_ext_hdr(ipv6_hdr(skb)->nexthdr) ||
	    ipv6_find_hdr(skb, &offset, NEXTHDR_ROUTING, NULL, NULL) < 0)
		return false;
	header = skb_header_pointer(skb, offset, sizeof(buffer), &buffer);
	if (!header || header->type != IPV6_SRCRT_TYPE_4 ||
	    header->segments_left >= header->first_segment)
		return false;
	offset += sizeof(*header) + (header->segments_left + 1) * sizeof(address);
	segment = skb_header_pointer(skb, offset, sizeof(address), &address);
	return segment && is_address_of(state->net, state->in, segment);
}
#else
static bool is_address_of(struct net *net, const struct net_device *dev,
			  const struct in6_addr *address)
{
	return false;
}

static bool is_past_local_in(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	return false;
}
#endif

/* Behind a VRF's device, the port tells: link-local addresses are its own. */
bool netflow_is_host_address6(const struct sk_buff *skb, const struct nf_hook_state *state,
			      const u8 *address)
{
	const struct net_device *dev = state->in ?: state->out, *port = NULL;
	struct in6_addr addr;

	memcpy(&addr, address, sizeof(addr));
	if (ipv6_l3mdev_skb(IP6CB(skb)->flags))
		port = dev_get_by_index_rcu(state->net, IP6CB(skb)->iif);
	return is_address_of(state->net, port ?: dev, &addr);
}

/* The route that IPv6 has found, NULL if there is none: see route_of(). */
static const struct rt6_info *route_of(const struct sk_buff *skb)
{
	const struct dst_entry *dst = skb_dst(skb);

	if (likely(!dst) || dst->ops->family != AF_INET6 || dst->flags & DST_FAKE_RTABLE)
		return NULL;
	return dst_rt6_info(dst);
}

/*
 * A loopback device receives what IPv6 has sent, with its route and the number of the device that
 * has the address; but also what tc, MPLS or a program gives it, whose route is found behind
 * PRE_ROUTING and is held by no reference, unless by NFQUEUE. Only for an address of the loopback
 * itself have both the same number.
 */
static bool is_looped_by_loopback(const struct sk_buff *skb, const struct net_device *in)
{
	const struct inet6_dev *idev = ip6_dst_idev(skb_dst(skb));

	if (IP6CB(skb)->iif != in->ifindex)
		return true;
	return !skb_dst_is_noref(skb) && idev && idev->dev == in;
}

/*
 * Sent by this host, and received by it. It has the route that it was sent by, and nothing of
 * that tells it from one that was found for what is received. So the device has to: it is the
 * loopback, or that of a VRF, which keeps its own Ethernet header, unless what it receives is
 * a copy of what was sent to a group.
 */
static bool is_looped(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	const struct net_device *in = state->in, *port;

	if (!in || !route_of(skb))
		return false;
	if (in->flags & IFF_LOOPBACK)
		return is_looped_by_loopback(skb, in);
	if (skb->pkt_type == PACKET_LOOPBACK)
		return true;
	if (!netif_is_l3_master(in))
		return false;
	if (has_header_of_vrf(skb, in))
		return true;
	if (!ipv6_addr_is_multicast(&ipv6_hdr(skb)->daddr))
		return false;
	/* The port of the VRF that the copy was made for: link-local addresses are its own. */
	port = dev_get_by_index_rcu(state->net, IP6CB(skb)->iif);
	return is_address_of(state->net, port ?: in, &ipv6_hdr(skb)->saddr);
}

/*
 * nf_dup_ipv6() has made it, although it does not know any more (NFQUEUE was between): it has the
 * number of the device that has received the original, but comes from the device that it goes out
 * by. So does what is forwarded to a group, which has a flag.
 */
static bool is_sent_copy(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	const struct inet6_skb_parm *parm = IP6CB(skb);

	return state->in && state->in == state->out && parm->iif != state->in->ifindex &&
	       !(parm->flags & IP6SKB_FORWARDED);
}

/*
 * The flags that IPv4 has, where IPv6 tells the same otherwise.
 *
 * A packet that was received has a number of its device, which all clear that send it anew (into
 * a tunnel, by the device of a VRF): with it, a packet that goes out was forwarded.
 *
 * A VRF runs PRE_ROUTING for neighbour discovery too, but sets no flag.
 */
static u32 ipcb_flags(const struct sk_buff *skb, const struct nf_hook_state *state, bool looped)
{
	const struct inet6_skb_parm *parm = IP6CB(skb);
	bool from_l3_slave, forwarded = false, past_local_in = false;

	from_l3_slave = ipv6_l3mdev_skb(parm->flags);
	switch (state->hook) {
	case NF_INET_PRE_ROUTING:
		from_l3_slave |= state->in && netif_is_l3_master(state->in) && !looped;
		break;
	case NF_INET_FORWARD:
		past_local_in = is_past_local_in(skb, state);
		break;
	case NF_INET_POST_ROUTING:
		forwarded = parm->iif && !is_sent_copy(skb, state);
#if IS_ENABLED(CONFIG_IP_VS)
		forwarded &= !skb->ipvs_property;
#endif
		past_local_in = forwarded && is_past_local_in(skb, state);
		break;
	}
	return (from_l3_slave ? IPSKB_L3SLAVE : 0) | (forwarded ? IPSKB_FORWARDED : 0) |
	       (past_local_in ? NETFLOW_PAST_LOCAL_IN : 0);
}

void netflow_packet6_view(const struct sk_buff *skb, const struct nf_hook_state *state,
			  struct packet_view *view)
{
	bool comes_in = state->hook == NF_INET_PRE_ROUTING || state->hook == NF_INET_LOCAL_IN;
	bool looped = comes_in && is_looped(skb, state);
	int offset = skb_network_offset(skb);

	*view = (struct packet_view) {
		.data = skb->data + offset,
		.linear = skb_headlen(skb) - offset,
		.len = skb->len - offset,
		.input = ipv6_l3mdev_skb(IP6CB(skb)->flags) ? IP6CB(skb)->iif :
			 state->in ? state->in->ifindex : skb->skb_iif,
		.mark = skb->mark,
		.ipcb_flags = ipcb_flags(skb, state, looped),
		.gso_size = skb_shinfo(skb)->gso_size,
		.output_route = looped,
		.bridged = is_bridged(skb),
		.bh_disabled = softirq_count(),
	};
}

/* ip6_finish_output2() runs the hook anew for a clone, to be received here. */
static bool is_group_copy(const struct nf_hook_state *state)
{
	return state->hook == NF_INET_POST_ROUTING && state->okfn == dev_loopback_xmit;
}

/* See is_through_vrf() and is_through_xfrm_device() of IPv4: what clears IPCB(), clears IP6CB(). */
static bool is_through_vrf(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	const struct net_device *dev = state->in ?: skb->dev;

	return skb->skb_iif && !IP6CB(skb)->iif && dev && netif_is_l3_master(dev) &&
	       has_header_of_vrf(skb, dev);
}

static bool is_through_xfrm_device(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	return state->hook == NF_INET_POST_ROUTING && state->in && state->in == state->out &&
	       !IP6CB(skb)->iif && skb_dst(skb) && dst_xfrm(skb_dst(skb));
}

void netflow_packet6_facts(const struct sk_buff *skb, const struct nf_hook_state *state,
			   struct packet_facts *facts)
{
	const struct rt6_info *rt = route_of(skb);

	*facts = (struct packet_facts) {
		.in_bridge = is_in_bridge(skb, state),
#if IS_ENABLED(CONFIG_IP_VS)
		.ipvs = skb->ipvs_property,
#endif
		.to_l3_master = state->out && netif_is_l3_master(state->out),
		.to_here = rt && rt->rt6i_flags & RTF_LOCAL,
		.to_group = ipv6_addr_is_multicast(&ipv6_hdr(skb)->daddr),
		.group_copy = is_group_copy(state),
		.through_vrf = is_through_vrf(skb, state),
		.past_ip_rcv = is_past_ip_rcv(skb),
		.through_xfrm_device = is_through_xfrm_device(skb, state),
#if IS_ENABLED(CONFIG_NF_DUP_IPV6)
		.in_nf_duplicate = current->in_nf_duplicate,
#endif
	};
}

/* Gateway of the route that the kernel has found, all zero if there is none. */
void netflow_skb_gateway6(const struct sk_buff *skb, u8 *gateway)
{
	const struct rt6_info *rt = route_of(skb);

	if (rt && rt->rt6i_flags & RTF_GATEWAY)
		memcpy(gateway, &rt->rt6i_gateway, sizeof(rt->rt6i_gateway));
	else
		memset(gateway, 0, sizeof(struct in6_addr));
}

#if IS_ENABLED(CONFIG_IPV6)
static u8 type_of(u32 flags, u8 rejects, bool anycast)
{
	if (flags & RTF_REJECT)
		return rejects;
	if (flags & RTF_LOCAL)
		return RTN_LOCAL;
	return anycast ? RTN_ANYCAST : RTN_UNICAST;
}

/*
 * Makes a route of what is found, as forwarding does. It does not tell which kind of unreachable
 * it is. Only a rule, or a link-local destination, asks for the device, which is not one that a
 * received packet goes out by.
 */
static void make_route(struct net *net, struct flowi6 *fl6, u32 oif, int flags,
		       struct fib6_route *route)
{
	const struct fib6_info *from;
	const struct rt6_info *rt;
	struct dst_entry *dst;

	fl6->flowi6_oif = flags & RT6_LOOKUP_F_IFACE ? oif : 0;
	dst = ip6_route_lookup(net, fl6, NULL, flags);
	rt = dst_rt6_info(dst);
	from = rcu_dereference(rt->from);
	if (from && from != net->ipv6.fib6_null_entry) {
		route->prefixlen = from->fib6_dst.plen;
		route->type = type_of(dst->error ? RTF_REJECT : rt->rt6i_flags, RTN_UNREACHABLE,
				      ipv6_anycast_destination(dst, &fl6->daddr));
		if (rt->rt6i_flags & RTF_GATEWAY)
			memcpy(route->gateway, &rt->rt6i_gateway, sizeof(route->gateway));
		route->oif = dst_dev(dst) ? dst_dev(dst)->ifindex : 0;
	}
	dst_release(dst);
}

/*
 * fib6_lookup() is exported if nft's fib expression for IPv6 is a module, as it is in Debian. It
 * takes less time, but does not do what rules of policy routing say of routes that they find
 * (suppress_prefixlength), nor goes on to the next rule after `throw`.
 */
static void fib6_route(struct net *net, struct flowi6 *fl6, u32 oif, int flags,
		       struct fib6_route *route)
{
#if IS_MODULE(CONFIG_NFT_FIB_IPV6) && defined(CONFIG_IPV6_MULTIPLE_TABLES)
	struct fib6_result res = {};

	if (fib6_has_custom_rules(net)) {
		make_route(net, fl6, oif, flags, route);
		return;
	}
	if (fib6_lookup(net, oif, fl6, &res, flags | RT6_LOOKUP_F_DST_NOREF) || !res.f6i ||
	    res.f6i == net->ipv6.fib6_null_entry)
		return;
	route->prefixlen = res.f6i->fib6_dst.plen;
	route->type = type_of(res.fib6_flags, res.fib6_type,
			      __ipv6_anycast_destination(&res.f6i->fib6_dst, res.fib6_flags,
							 &fl6->daddr));
	if (!res.nh)
		return;
	if (res.nh->fib_nh_gw_family)
		memcpy(route->gateway, &res.nh->fib_nh_gw6, sizeof(route->gateway));
	route->oif = res.nh->fib_nh_dev ? res.nh->fib_nh_dev->ifindex : 0;
#else
	make_route(net, fl6, oif, flags, route);
#endif
}

void netflow_fib6_lookup(struct net *net, u32 l3mdev_of, const struct fib6_query *queries,
			 struct fib6_route *routes, u32 n)
{
	kuid_t uid = INVALID_UID;
	int l3mdev = 0;
	u32 i;

	memset(routes, 0, n * sizeof(*routes));
	/* Bridges hand packets over all the same. */
	if (!ipv6_mod_enabled())
		return;
	rcu_read_lock();
	/* Only rules ask for these two. */
	if (fib6_has_custom_rules(net)) {
		uid = sock_net_uid(net, NULL);
		l3mdev = l3mdev_master_ifindex_by_index(net, l3mdev_of);
	}
	for (i = 0; i < n; i++) {
		const struct fib6_query *query = &queries[i];
		struct flowi6 fl6 = {
			.flowi6_iif = query->iif,
			.flowi6_mark = query->mark,
			.flowi6_proto = query->proto,
			.flowi6_uid = uid,
			.flowi6_l3mdev = l3mdev,
			.flowlabel = htonl(query->flowinfo),
			.fl6_sport = query->sport,
			.fl6_dport = query->dport,
		};
		int flags = 0;

		memcpy(&fl6.saddr, query->saddr, sizeof(fl6.saddr));
		memcpy(&fl6.daddr, query->daddr, sizeof(fl6.daddr));
		if (ipv6_addr_type(&fl6.saddr) & IPV6_ADDR_UNICAST)
			flags |= RT6_LOOKUP_F_HAS_SADDR;
		if (rt6_need_strict(&fl6.daddr))
			flags |= RT6_LOOKUP_F_IFACE;
		fib6_route(net, &fl6, query->oif, flags, &routes[i]);
	}
	rcu_read_unlock();
}
#else
void netflow_fib6_lookup(struct net *net, u32 l3mdev_of, const struct fib6_query *queries,
			 struct fib6_route *routes, u32 n)
{
	memset(routes, 0, n * sizeof(*routes));
}
#endif

/* Whether the kernel has IPv6 (-EAFNOSUPPORT), and a device, be it the loopback (-ENETDOWN). */
int netflow_check_ipv6(struct net *net)
{
	const struct net_device *dev;
	bool has = false;

	if (!ipv6_mod_enabled())
		return -EAFNOSUPPORT;
	rcu_read_lock();
	for_each_netdev_rcu(net, dev) {
		const struct inet6_dev *idev = __in6_dev_get(dev);

		has = idev && !READ_ONCE(idev->cnf.disable_ipv6);
		if (has)
			break;
	}
	rcu_read_unlock();
	return has ? 0 : -ENETDOWN;
}

/* Without CONFIG_IPV6 there are no sockets of it, and none of these is called. */
void netflow_sock6_set_v6only(struct socket *sock)
{
	ip6_sock_set_v6only(sock->sk);
}

void netflow_sock6_set_mtu_discover(struct socket *sock, int how)
{
	WRITE_ONCE(inet6_sk(sock->sk)->pmtudisc, how);
}

void netflow_sock6_set_recverr(struct socket *sock)
{
	ip6_sock_set_recverr(sock->sk);
}

/*
 * Whether datagrams come from the address that the socket was to be bound to, or if that is
 * unspecified, from where the route says. Unlike IPv4, IPv6 does not look whether it still is one
 * of this host when it sends.
 */
bool netflow_sock6_sends_from(const struct socket *sock, const u8 *source)
{
	const struct sock *sk = sock->sk;
	struct net *net = sock_net(sk);
	const struct net_device *dev;
	struct in6_addr addr;
	bool is_ours;

	memcpy(&addr, source, sizeof(addr));
	if (!ipv6_addr_equal(&inet6_sk(sk)->saddr, &addr))
		return false;
	if (ipv6_addr_any(&addr))
		return true;
	rcu_read_lock();
	dev = dev_get_by_index_rcu(net, READ_ONCE(sk->sk_bound_dev_if));
	is_ours = is_address_of(net, dev, &addr);
	rcu_read_unlock();
	return is_ours;
}

/* See sock_route() of IPv4. */
static struct dst_entry *sock6_route(const struct socket *sock, const struct in6_addr *daddr,
				     __be16 dport)
{
	const struct sock *sk = sock->sk;
	struct flowi6 fl6 = {
		.flowi6_oif = READ_ONCE(sk->sk_bound_dev_if),
		.flowi6_mark = READ_ONCE(sk->sk_mark),
		.flowi6_proto = IPPROTO_UDP,
		.flowi6_uid = sk_uid(sk),
		.saddr = inet6_sk(sk)->saddr,
		.daddr = *daddr,
		.fl6_dport = dport,
		.fl6_sport = inet_sk(sk)->inet_sport,
	};

	security_sk_classify_flow(sk, flowi6_to_flowi_common(&fl6));
	return ip6_dst_lookup_flow(sock_net(sk), sk, &fl6, NULL);
}

/* See netflow_sock_neigh_is_valid(). */
bool netflow_sock6_neigh_is_valid(struct socket *sock, const u8 *daddr, __be16 dport)
{
	struct dst_entry *dst;
	struct in6_addr addr;
	bool valid;

	memcpy(&addr, daddr, sizeof(addr));
	dst = sock6_route(sock, &addr, dport);
	if (IS_ERR(dst))
		return true;
	valid = neigh_is_valid(dst, &addr);
	dst_release(dst);
	return valid;
}

/* See netflow_sock_route_mtu(). */
u32 netflow_sock6_route_mtu(struct socket *sock, const u8 *daddr, __be16 dport)
{
	struct dst_entry *dst;
	struct in6_addr addr;
	u32 mtu;

	memcpy(&addr, daddr, sizeof(addr));
	dst = sock6_route(sock, &addr, dport);
	if (IS_ERR(dst))
		return 0;
	mtu = dst_mtu(dst);
	dst_release(dst);
	return mtu;
}
