// SPDX-License-Identifier: GPL-2.0
/* See helpers.h. */

#include <linux/cpuhotplug.h>
#include <linux/memcontrol.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/percpu.h>
#include <linux/prefetch.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sctp.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/tcp.h>
#include <linux/timekeeping.h>
#include <linux/timer.h>
#include <linux/udp.h>
#include <net/flow.h>
#include <net/genetlink.h>
#include <net/inet_dscp.h>
#include <net/ip.h>
#include <net/ip_fib.h>
#include <net/l3mdev.h>
#include <net/netns/generic.h>
#include <net/route.h>
#include <net/sock.h>

#include "helpers.h"
#include "neighbour.h"
#include "packet.h"

/* Counters of 64 bits are read while others write them. */
#ifndef CONFIG_64BIT
#error "netflow needs a 64-bit kernel"
#endif

/*
 * What each CPU counts is its own while bottom halves are disabled. Where they can be
 * preempted, two could count at once, and lose packets.
 */
#if defined(CONFIG_PREEMPT_RT) && !defined(CONFIG_PREEMPT_RT_NEEDS_BH_LOCK)
#error "netflow needs a kernel without CONFIG_PREEMPT_RT, or with CONFIG_PREEMPT_RT_NEEDS_BH_LOCK=y"
#endif

void netflow_spin_lock(struct spinlock *lock)
{
	spin_lock(lock);
}

void netflow_spin_unlock(struct spinlock *lock)
{
	spin_unlock(lock);
}

void netflow_spin_lock_bh(struct spinlock *lock)
{
	spin_lock_bh(lock);
}

void netflow_spin_unlock_bh(struct spinlock *lock)
{
	spin_unlock_bh(lock);
}

int netflow_spin_trylock_bh(struct spinlock *lock)
{
	return spin_trylock_bh(lock);
}

/*
 * The route that IPv4 has found, NULL if there is none: tunnels and IPv6 leave entries of
 * other kinds behind, and br_netfilter one that stands for no route.
 */
static const struct rtable *route_of(const struct sk_buff *skb)
{
	const struct dst_entry *dst = skb_dst(skb);

	if (likely(!dst) || dst->ops->family != AF_INET || dst->flags & DST_FAKE_RTABLE)
		return NULL;
	return dst_rtable(dst);
}

static bool has_output_route(const struct sk_buff *skb)
{
	const struct rtable *rt = route_of(skb);

	return rt && rt_is_output_route(rt);
}

void netflow_packet_view(const struct sk_buff *skb, const struct nf_hook_state *state,
			 struct packet_view *view)
{
	int offset = skb_network_offset(skb);

	*view = (struct packet_view) {
		.data = skb->data + offset,
		.linear = skb_headlen(skb) - offset,
		.len = skb->len - offset,
		/* Where groups are forwarded, POSTROUTING is not told `in`. */
		.input = ipv4_l3mdev_skb(IPCB(skb)->flags) ? IPCB(skb)->iif :
			 state->in ? state->in->ifindex : skb->skb_iif,
		.mark = skb->mark,
		.ipcb_flags = IPCB(skb)->flags,
		.gso_size = skb_shinfo(skb)->gso_size,
		.output_route = has_output_route(skb),
		.bridged = is_bridged(skb),
		.bh_disabled = softirq_count(),
	};
}

int netflow_copy_headers(const struct sk_buff *skb, void *to, u32 len)
{
	return skb_copy_bits(skb, skb_network_offset(skb), to, len);
}

u16 netflow_gso_segs(const struct sk_buff *skb)
{
	return skb_shinfo(skb)->gso_segs;
}

/*
 * Headers up to the payload of the inner packet, 0 if there is no tunnel. Whoever
 * set the inner header is not trusted to have done so.
 */
u16 netflow_gso_tunnel_headers(const struct sk_buff *skb)
{
	int len = skb_inner_transport_header(skb) - skb_network_header(skb);
	const struct tcphdr *tcp;
	struct tcphdr buffer;

	if (!skb->encapsulation || len < (int)sizeof(struct iphdr) || len > U16_MAX / 2)
		return 0;
	if (skb_shinfo(skb)->gso_type & SKB_GSO_SCTP)
		return len + sizeof(struct sctphdr);
	if (!(skb_shinfo(skb)->gso_type & (SKB_GSO_TCPV4 | SKB_GSO_TCPV6)))
		return len + sizeof(struct udphdr);
	tcp = skb_header_pointer(skb, skb_network_offset(skb) + len, sizeof(buffer), &buffer);
	return tcp ? len + __tcp_hdrlen(tcp) : 0;
}

u32 netflow_output(const struct nf_hook_state *state)
{
	return state->out ? state->out->ifindex : 0;
}

/* Index of the device whose VRF the kernel has routed it in, or will. */
u32 netflow_device(const struct nf_hook_state *state)
{
	const struct net_device *dev = state->in ?: state->out;

	return dev ? dev->ifindex : 0;
}

__be32 netflow_skb_gateway(const struct sk_buff *skb)
{
	const struct rtable *rt = skb_rtable(skb);

	return rt && rt->rt_uses_gateway && rt->rt_gw_family == AF_INET ? rt->rt_gw4 : 0;
}

/* Index of the device that received it last, in a VRF that of the VRF; 0 if it was made here. */
u32 netflow_skb_iif(const struct sk_buff *skb)
{
	return skb->skb_iif;
}

/*
 * Static functions have no address here, but a name; LTO and live patches add to its
 * end. Kept are the last that has this name and the last that has not, so that it is
 * looked up once.
 */
static bool is_ip_mc_finish_output(const void *fn)
{
	static const void *is, *is_not;
	char name[sizeof("ip_mc_finish_output")];

	if (fn == READ_ONCE(is))
		return true;
	if (fn == READ_ONCE(is_not))
		return false;
	snprintf(name, sizeof(name), "%ps", fn);
	if (strcmp(name, "ip_mc_finish_output")) {
		WRITE_ONCE(is_not, fn);
		return false;
	}
	WRITE_ONCE(is, fn);
	return true;
}

/* Its route leads to a group or is a broadcast. */
static bool is_to_group(const struct rtable *rt)
{
	return rt && rt->rt_flags & (RTCF_MULTICAST | RTCF_BROADCAST);
}

/*
 * ip_mc_output() runs the hook for a clone, to be received here, and for what goes
 * out. The clone lacks the socket of its sender; but what IGMP sends or what is
 * forwarded has none, and only what is done with the two next tells them apart.
 */
static bool is_group_copy(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	if (state->hook != NF_INET_POST_ROUTING || skb->sk || !is_to_group(route_of(skb)))
		return false;
	if (!IS_ENABLED(CONFIG_KALLSYMS))
		return state->sk && !state->sk->sk_kern_sock;
	return is_ip_mc_finish_output(state->okfn);
}

/*
 * vrf_xmit() routes a packet anew and clears IPCB(), so that what was received and
 * sent to the device of the VRF looks as if it was sent from here. Left are skb_iif, and
 * the Ethernet header that the device of the VRF wrote for itself. What merely passes
 * vrf_ip_out(), such as copies by TEE and ESP around something received, has none.
 *
 * LOCAL_OUT is not told the device of the VRF, but skb->dev is still the one (if not
 * NULL it is valid there, as nf_queue() holds it), and ip_output() tells it to
 * POST_ROUTING as `in`.
 */
static bool is_through_vrf(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	const struct net_device *dev = state->in ?: skb->dev;

	return skb->skb_iif && !IPCB(skb)->flags && dev && netif_is_l3_master(dev) &&
	       has_header_of_vrf(skb, dev);
}

/*
 * The devices xfrm and vti send a packet on by dst_output(), so that xfrm4_output() runs
 * POST_ROUTING anew, before the packet is encrypted. They clear IPCB() and let the packet
 * come from the device that it goes out by. What a policy alone has encrypted comes from the
 * device that received it, having been forwarded, or from none.
 */
static bool is_through_xfrm_device(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	return state->hook == NF_INET_POST_ROUTING && state->in && state->in == state->out &&
	       !(IPCB(skb)->flags & IPSKB_FORWARDED) && skb_dst(skb) && dst_xfrm(skb_dst(skb));
}

void netflow_packet_facts(const struct sk_buff *skb, const struct nf_hook_state *state,
			  struct packet_facts *facts)
{
	const struct rtable *rt = route_of(skb);

	*facts = (struct packet_facts) {
		.in_bridge = is_in_bridge(skb, state),
#if IS_ENABLED(CONFIG_IP_VS)
		.ipvs = skb->ipvs_property,
#endif
		.to_l3_master = state->out && netif_is_l3_master(state->out),
		.to_here = rt && rt->rt_flags & RTCF_LOCAL,
		.to_group = is_to_group(rt),
		.group_copy = is_group_copy(skb, state),
		.through_vrf = is_through_vrf(skb, state),
		.past_ip_rcv = is_past_ip_rcv(skb),
		.through_xfrm_device = is_through_xfrm_device(skb, state),
#if IS_ENABLED(CONFIG_NF_DUP_IPV4)
		.in_nf_duplicate = current->in_nf_duplicate,
#endif
	};
}

static void fib_route(struct net *net, struct flowi4 *fl4, struct fib_route *route)
{
	/* A lookup that succeeds sets what is read; to clear it all takes a tenth of its time. */
	struct fib_result res __uninitialized;

	*route = (struct fib_route) {};
	if (fib_lookup(net, fl4, &res, 0))
		return;
	*route = (struct fib_route) {
		.gateway = res.nhc->nhc_gw_family == AF_INET ? res.nhc->nhc_gw.ipv4 : 0,
		.oif = res.nhc->nhc_dev ? res.nhc->nhc_dev->ifindex : 0,
		.prefixlen = res.prefixlen,
		.type = res.type,
	};
}

void netflow_fib_lookup(struct net *net, u32 l3mdev_of, const struct fib_query *queries,
			struct fib_route *routes, u32 n)
{
	struct flowi4 fl4 __uninitialized;
	kuid_t uid = INVALID_UID;
	int l3mdev = 0;
	u32 i;

	rcu_read_lock();
	/* Only rules ask for these two, and it takes a hundred instructions to find them. */
	if (fib4_has_custom_rules(net)) {
		uid = sock_net_uid(net, NULL);
		l3mdev = l3mdev_master_ifindex_by_index(net, l3mdev_of);
	}
	for (i = 0; i < n; i++) {
		const struct fib_query *query = &queries[i];

		flowi4_init_output(&fl4, 0, query->mark, query->tos, RT_SCOPE_UNIVERSE,
				   query->proto, 0, query->daddr, query->saddr,
				   query->dport, query->sport, uid);
		fl4.flowi4_iif = query->iif;
		fl4.flowi4_l3mdev = l3mdev;
		fib_route(net, &fl4, &routes[i]);
	}
	rcu_read_unlock();
}

/*
 * Per-CPU pointers go through Rust as plain ones: gcc's named address space is
 * taken off and put on again here.
 */
void *netflow_alloc_percpu(size_t size, size_t align)
{
	void __percpu *each = __alloc_percpu_gfp(size, max_t(size_t, align, SMP_CACHE_BYTES),
						 GFP_KERNEL_ACCOUNT);

	return (void *)(unsigned long)each;
}

void netflow_free_percpu(void *each)
{
	free_percpu((void __percpu __force *)(unsigned long)each);
}

void *netflow_this_cpu_ptr(void *each)
{
	return raw_cpu_ptr((void __percpu __force *)(unsigned long)each);
}

void *netflow_per_cpu_ptr(void *each, unsigned int cpu)
{
	return cpu_possible(cpu) ?
	       per_cpu_ptr((void __percpu __force *)(unsigned long)each, cpu) : NULL;
}

unsigned int netflow_this_cpu(void)
{
	return raw_smp_processor_id();
}

unsigned int netflow_cpus_online(void)
{
	return num_online_cpus();
}

void netflow_local_bh_disable(void)
{
	local_bh_disable();
}

void netflow_local_bh_enable(void)
{
	local_bh_enable();
}

void netflow_timer_setup(struct timer_list *timer, void (*function)(struct timer_list *))
{
	timer_setup(timer, function, TIMER_PINNED);
}

void netflow_timer_arm(struct timer_list *timer)
{
	if (!timer_pending(timer))
		mod_timer(timer, jiffies);	/* which is rounded up to the next tick */
}

/*
 * Called on another CPU, when the one is offline but still has its timers: they are
 * moved at CPUHP_TIMERS_PREPARE, which comes later on the way down.
 */
int netflow_cpuhp_setup(int (*dead)(unsigned int cpu, struct hlist_node *node))
{
	return cpuhp_setup_state_multi(CPUHP_BP_PREPARE_DYN, "netflow:dead", NULL, dead);
}

void netflow_cpuhp_teardown(u32 state)
{
	cpuhp_remove_multi_state(state);
}

int netflow_cpuhp_add(u32 state, struct hlist_node *node)
{
	return cpuhp_state_add_instance_nocalls(state, node);
}

void netflow_cpuhp_remove(u32 state, struct hlist_node *node)
{
	cpuhp_state_remove_instance_nocalls(state, node);
}

u64 netflow_cycles(void)
{
	return get_cycles();
}

/* NULL without CONFIG_MEMCG, or where it is switched off. */
struct mem_cgroup *netflow_memcg_get(void)
{
	return get_mem_cgroup_from_mm(current->mm);
}

void netflow_memcg_put(struct mem_cgroup *memcg)
{
	mem_cgroup_put(memcg);
}

struct mem_cgroup *netflow_memcg_set_active(struct mem_cgroup *memcg)
{
	return set_active_memcg(memcg);
}

void *netflow_net_generic(const struct net *net, unsigned int id)
{
	return net_generic(net, id);
}

u32 netflow_net_inum(const struct net *net)
{
	return net->ns.inum;
}

bool netflow_net_is_of_init_user_ns(const struct net *net)
{
	return net->user_ns == &init_user_ns;
}

bool netflow_net_is_alive(const struct net *net)
{
	return check_net(net);
}

/*
 * Nobody reads from it. With no room at all, sock_queue_err_skb() refuses an ICMP error, which
 * would keep a reference to a conntrack for as long as there is the socket: nf_conntrack could
 * not be unloaded. UDP accepts one datagram all the same, but resets its conntrack before.
 */
void netflow_sock_receive_nothing(struct socket *sock)
{
	WRITE_ONCE(sock->sk->sk_rcvbuf, 0);
}

/* Index of the device of this name, 0 if there is none; alternative names are none. */
u32 netflow_dev_index(struct net *net, const char *name)
{
	struct net_device *dev;
	u32 index = 0;

	rcu_read_lock();
	dev = dev_get_by_name_rcu(net, name);
	if (dev && !strncmp(dev->name, name, IFNAMSIZ))
		index = dev->ifindex;
	rcu_read_unlock();
	return index;
}

/*
 * Index of the device that a notifier is told of; its name is copied. RTNL is held. 0 if the
 * device has gone before: while someone keeps a reference to it, NETDEV_UNREGISTER is repeated,
 * and another one may have the index by then.
 */
u32 netflow_notified_dev(void *info, char *name)
{
	const struct net_device *dev = netdev_notifier_info_to_dev(info);

	memcpy(name, dev->name, IFNAMSIZ);
	return dev->reg_state == NETREG_UNREGISTERED ? 0 : dev->ifindex;
}

/*
 * Index of the device with the least one above `after`, 0 if there is none. Its name and its alias
 * are copied, the latter as far as there is room. A name that is being changed may be mixed.
 */
u32 netflow_next_dev(struct net *net, u32 after, char *name, char *alias, size_t alias_len)
{
	unsigned long index = (unsigned long)after + 1;
	const struct dev_ifalias *from;
	const struct net_device *dev;

	rcu_read_lock();
	dev = xa_find(&net->dev_by_index, &index, S32_MAX, XA_PRESENT);
	if (dev) {
		memcpy(name, dev->name, IFNAMSIZ);
		from = rcu_dereference(dev->ifalias);
		strscpy(alias, from ? from->ifalias : "", alias_len);
	}
	rcu_read_unlock();
	return dev ? index : 0;
}

/* Whether this host has the address, in the VRF that the packet is in. */
bool netflow_is_host_address(const struct nf_hook_state *state, __be32 address)
{
	const struct net_device *dev = state->in ?: state->out;

	return inet_addr_type_dev_table(state->net, dev, address) == RTN_LOCAL;
}

void netflow_xa_init(struct xarray *xa)
{
	xa_init_flags(xa, XA_FLAGS_ACCOUNT);
}

int netflow_xa_store_u32(struct xarray *xa, u32 index, u32 value)
{
	return xa_err(xa_store(xa, index, xa_mk_value(value), GFP_KERNEL));
}

bool netflow_xa_load_u32(struct xarray *xa, u32 index, u32 *value)
{
	const void *entry = xa_load(xa, index);

	if (!xa_is_value(entry))
		return false;
	*value = xa_to_value(entry);
	return true;
}

void netflow_sock_set_sndbuf(struct socket *sock, u32 bytes)
{
	WRITE_ONCE(sock->sk->sk_sndbuf, max_t(u32, bytes, SOCK_MIN_SNDBUF));
}

void netflow_sock_set_mtu_discover(struct socket *sock, int how)
{
	ip_sock_set_mtu_discover(sock->sk, how);
}

void netflow_sock_set_recverr(struct socket *sock)
{
	ip_sock_set_recverr(sock->sk);
}

int netflow_sock_error(struct socket *sock)
{
	return sock_error(sock->sk);
}

/* The port counts as one that was asked for, which SOCK_DESTROY leaves to a UDP socket. */
void netflow_sock_lock_port(struct socket *sock)
{
	lock_sock(sock->sk);
	sock->sk->sk_userlocks |= SOCK_BINDPORT_LOCK;
	release_sock(sock->sk);
}

__be32 netflow_sock_source(const struct socket *sock)
{
	return inet_sk(sock->sk)->inet_saddr;
}

/*
 * Binds it to the device that has this name now: another one if it was made anew, the
 * same one again if SOCK_DESTROY took it away.
 */
int netflow_sock_bind_device(struct socket *sock, const char *name)
{
	struct sock *sk = sock->sk;
	struct net_device *dev;
	int ifindex;

	rcu_read_lock();
	dev = dev_get_by_name_rcu(sock_net(sk), name);
	ifindex = dev ? dev->ifindex : 0;
	rcu_read_unlock();
	if (!ifindex)
		return -ENODEV;
	if (READ_ONCE(sk->sk_bound_dev_if) == ifindex)
		return 0;
	/* Else the kernel wants CAP_NET_RAW of whoever asks for what we send. */
	WRITE_ONCE(sk->sk_bound_dev_if, 0);
	return sock_bindtoindex(sk, ifindex, true);
}

/* The route that a datagram would be sent by, or an ERR_PTR(). */
static struct rtable *sock_route(struct socket *sock, __be32 daddr, __be16 dport)
{
	const struct sock *sk = sock->sk;
	struct flowi4 fl4;

	return ip_route_output_ports(sock_net(sk), &fl4, sk, daddr, inet_sk(sk)->inet_saddr,
				     dport, inet_sk(sk)->inet_sport, IPPROTO_UDP,
				     READ_ONCE(inet_sk(sk)->tos) & INET_DSCP_MASK,
				     READ_ONCE(sk->sk_bound_dev_if));
}

/*
 * Whether the link-layer address is known that a datagram would be sent to. If not, the
 * kernel asks for it. Without a route there is nothing to be known.
 */
bool netflow_sock_neigh_is_valid(struct socket *sock, __be32 daddr, __be16 dport)
{
	struct rtable *rt = sock_route(sock, daddr, dport);
	bool valid;

	if (IS_ERR(rt))
		return true;
	valid = neigh_is_valid(&rt->dst, &daddr);
	ip_rt_put(rt);
	return valid;
}

/* MTU of the path that a datagram would take, as far as this host knows it; 0 without a route. */
u32 netflow_sock_route_mtu(struct socket *sock, __be32 daddr, __be16 dport)
{
	struct rtable *rt = sock_route(sock, daddr, dport);
	u32 mtu;

	if (IS_ERR(rt))
		return 0;
	mtu = dst_mtu(&rt->dst);
	ip_rt_put(rt);
	return mtu;
}

u64 netflow_mem_available(void)
{
	return (u64)si_mem_available() << PAGE_SHIFT;
}

u32 netflow_random_below(u32 n)
{
	return n ? get_random_u32_below(n) : 0;
}

void netflow_prefetchw(const void *what)
{
	prefetchw(what);
}

void netflow_cond_resched(void)
{
	cond_resched();
}

u64 netflow_boottime_ns(void)
{
	return ktime_get_boottime_ns();
}

void netflow_clock_pair(s64 *boottime_ns, s64 *real_ns)
{
	ktime_t now = ktime_get();

	*boottime_ns = ktime_to_ns(ktime_mono_to_any(now, TK_OFFS_BOOT));
	*real_ns = ktime_to_ns(ktime_mono_to_real(now));
}

/* What has been looked at of a datagram is pulled; there was no headroom. */
bool netflow_genl_is_first(const struct sk_buff *skb, const struct nlmsghdr *nlh)
{
	return (const void *)nlh == skb->head;
}

struct net *netflow_genl_info_net(const struct genl_info *info)
{
	return genl_info_net(info);
}

const void *netflow_genl_attrdata(const struct genl_info *info)
{
	return nlmsg_attrdata(info->nlhdr, GENL_HDRLEN + info->family->hdrsize);
}

int netflow_genl_attrlen(const struct genl_info *info)
{
	return nlmsg_attrlen(info->nlhdr, GENL_HDRLEN + info->family->hdrsize);
}

void *netflow_genlmsg_put(struct sk_buff *skb, const struct genl_info *info, int flags)
{
	return __genlmsg_iput(skb, info, flags);
}

int netflow_genlmsg_reply(struct sk_buff *skb, struct genl_info *info)
{
	return genlmsg_reply(skb, info);
}

const struct genl_info *netflow_genl_info_dump(struct netlink_callback *cb)
{
	return genl_info_dump(cb);
}

void netflow_genl_dump_check_consistent(struct netlink_callback *cb, void *hdr)
{
	genl_dump_check_consistent(cb, hdr);
}

struct nlattr *netflow_nla_nest_start(struct sk_buff *skb, int type)
{
	return nla_nest_start(skb, type);
}

void netflow_nla_nest_end(struct sk_buff *skb, struct nlattr *start)
{
	nla_nest_end(skb, start);
}

const void *netflow_skb_tail(const struct sk_buff *skb)
{
	return skb_tail_pointer(skb);
}

void netflow_nlmsg_trim(struct sk_buff *skb, const void *mark)
{
	nlmsg_trim(skb, mark);
}

u32 netflow_skb_len(const struct sk_buff *skb)
{
	return skb->len;
}
