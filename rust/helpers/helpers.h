/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What C has only as inline function or macro, for the abstractions in
 * rust/linux; and what takes several of these to find out of a packet: its input
 * interface, and whether it is looped, leaked or a group copy.
 */
#ifndef _NETFLOW_HELPERS_H
#define _NETFLOW_HELPERS_H

#include <linux/types.h>

struct fib_route;
struct fib_query;
struct fib6_query;
struct fib6_route;
struct genl_info;
struct hlist_node;
struct mem_cgroup;
struct net;
struct netlink_callback;
struct nf_hook_state;
struct nlattr;
struct packet_facts;
struct packet_view;
struct sk_buff;
struct socket;
struct spinlock;
struct timer_list;
struct xarray;

/* A flag beside IPSKB_*: IPv6 has received it at LOCAL_IN, and sent it on to its next segment. */
#define NETFLOW_PAST_LOCAL_IN (1U << 31)

/*
 * What a hook reads of every packet, as it stands in the C structs. All is as wide as
 * a register: else the compiler puts what is small together, only to be taken apart.
 */
struct packet_view {
	const void *data;	/* network header */
	u32 linear;		/* bytes at data that can be read there */
	u32 len;		/* bytes from the network header to the end */
	u32 input;		/* index of the device that received it, 0 if there is none */
	u32 mark;
	u32 ipcb_flags;		/* IPSKB_*, of IPv6 too; NETFLOW_PAST_LOCAL_IN */
	u32 gso_size;
	/* The rest is 0 if not, and anything else if so. */
	u32 output_route;	/* its route was found in order to send it */
	u32 bridged;		/* comes from br_netfilter */
	u32 bh_disabled;
};

/* What more there is to know of a packet that goes out, or was bridged. */
struct packet_facts {
	bool in_bridge;		/* br_netfilter runs the hook, not IP */
	bool ipvs;		/* was routed by IPVS */
	bool to_l3_master;	/* goes out by the device of a VRF */
	bool to_here;		/* its route is a local one */
	bool to_group;		/* its route is that of a group or a broadcast */
	bool group_copy;	/* copy of what is sent to a group, to be received here */
	bool through_vrf;	/* was received, and the device of a VRF sends it on */
	bool past_ip_rcv;	/* IP has received it, not MPLS alone */
	bool through_xfrm_device; /* the device of an XFRM interface or a VTI sends it on */
	bool in_nf_duplicate;	/* TEE or nft's dup has just made it */
};

/* What the FIB is asked with, see struct flowi4. */
struct fib_query {
	__be32 saddr;
	__be32 daddr;
	u32 iif;
	u32 mark;
	u8 tos;
	u8 proto;
	__be16 sport;
	__be16 dport;
};

/* The fields of a struct fib_result that outlive the RCU read lock; all 0 if there is no route. */
struct fib_route {
	__be32 gateway;		/* 0 if there is none, or none of IPv4 */
	u32 oif;
	u8 prefixlen;
	u8 type;		/* RTN_* */
};

/* The same for IPv6, see struct flowi6; with addresses as bytes. */
struct fib6_query {
	u8 saddr[16];
	u8 daddr[16];
	u32 iif;
	u32 oif;		/* the device whose routes are preferred; no others if link-local */
	u32 mark;
	u32 flowinfo;		/* traffic class and flow label, in host byte order */
	u8 proto;
	__be16 sport;
	__be16 dport;
};

/* The fields of a struct fib6_result; all 0 if there is no route. */
struct fib6_route {
	u8 gateway[16];		/* 0 if there is none */
	u32 oif;
	u8 prefixlen;
	u8 type;		/* RTN_* */
};

/* Where packets come from and go to; IPv4 addresses have zeros behind them. */
struct conntrack_ends {
	u8 src[16];
	u8 dst[16];
	__be16 sport;
	__be16 dport;
	u8 family;		/* AF_INET or AF_INET6 */
	u8 proto;
};

void netflow_spin_lock(struct spinlock *lock);
void netflow_spin_unlock(struct spinlock *lock);
void netflow_spin_lock_bh(struct spinlock *lock);
void netflow_spin_unlock_bh(struct spinlock *lock);
int netflow_spin_trylock_bh(struct spinlock *lock);

void netflow_packet_view(const struct sk_buff *skb, const struct nf_hook_state *state,
			 struct packet_view *view);
int netflow_copy_headers(const struct sk_buff *skb, void *to, u32 len);
u16 netflow_gso_segs(const struct sk_buff *skb);
u16 netflow_gso_tunnel_headers(const struct sk_buff *skb);
u32 netflow_output(const struct nf_hook_state *state);
u32 netflow_device(const struct nf_hook_state *state);
__be32 netflow_skb_gateway(const struct sk_buff *skb);
u32 netflow_skb_iif(const struct sk_buff *skb);
void netflow_packet_facts(const struct sk_buff *skb, const struct nf_hook_state *state,
			  struct packet_facts *facts);
void netflow_fib_lookup(struct net *net, u32 l3mdev_of, const struct fib_query *queries,
			struct fib_route *routes, u32 n);

void netflow_packet6_view(const struct sk_buff *skb, const struct nf_hook_state *state,
			  struct packet_view *view);
void netflow_packet6_facts(const struct sk_buff *skb, const struct nf_hook_state *state,
			   struct packet_facts *facts);
void netflow_skb_gateway6(const struct sk_buff *skb, u8 *gateway);
void netflow_fib6_lookup(struct net *net, u32 l3mdev_of, const struct fib6_query *queries,
			 struct fib6_route *routes, u32 n);
bool netflow_is_host_address6(const struct sk_buff *skb, const struct nf_hook_state *state,
			      const u8 *address);

void *netflow_alloc_percpu(size_t size, size_t align);
void netflow_free_percpu(void *each);
void *netflow_this_cpu_ptr(void *each);
void *netflow_per_cpu_ptr(void *each, unsigned int cpu);
unsigned int netflow_this_cpu(void);
unsigned int netflow_cpus_online(void);
void netflow_local_bh_disable(void);
void netflow_local_bh_enable(void);
void netflow_timer_setup(struct timer_list *timer, void (*function)(struct timer_list *));
void netflow_timer_arm(struct timer_list *timer);
int netflow_cpuhp_setup(int (*dead)(unsigned int cpu, struct hlist_node *node));
void netflow_cpuhp_teardown(u32 state);
int netflow_cpuhp_add(u32 state, struct hlist_node *node);
void netflow_cpuhp_remove(u32 state, struct hlist_node *node);

struct mem_cgroup *netflow_memcg_get(void);
void netflow_memcg_put(struct mem_cgroup *memcg);
struct mem_cgroup *netflow_memcg_set_active(struct mem_cgroup *memcg);

void *netflow_net_generic(const struct net *net, unsigned int id);
u32 netflow_net_inum(const struct net *net);
bool netflow_net_is_of_init_user_ns(const struct net *net);
bool netflow_net_is_alive(const struct net *net);

void netflow_sock_receive_nothing(struct socket *sock);
void netflow_sock_set_sndbuf(struct socket *sock, u32 bytes);
void netflow_sock_set_mtu_discover(struct socket *sock, int how);
void netflow_sock_set_recverr(struct socket *sock);
int netflow_sock_error(struct socket *sock);
void netflow_sock_lock_port(struct socket *sock);
__be32 netflow_sock_source(const struct socket *sock);
int netflow_sock_bind_device(struct socket *sock, const char *name);
bool netflow_sock_neigh_is_valid(struct socket *sock, __be32 daddr, __be16 dport);
u32 netflow_sock_route_mtu(struct socket *sock, __be32 daddr, __be16 dport);

int netflow_check_ipv6(struct net *net);
void netflow_sock6_set_v6only(struct socket *sock);
void netflow_sock6_set_mtu_discover(struct socket *sock, int how);
void netflow_sock6_set_recverr(struct socket *sock);
bool netflow_sock6_sends_from(const struct socket *sock, const u8 *source);
bool netflow_sock6_neigh_is_valid(struct socket *sock, const u8 *daddr, __be16 dport);
u32 netflow_sock6_route_mtu(struct socket *sock, const u8 *daddr, __be16 dport);

void *netflow_conntrack_get(void);
void netflow_conntrack_put(void);
bool netflow_conntrack_post_nat(void *find_get, struct net *net, struct conntrack_ends *ends);
int netflow_conntrack_listen(struct net *net, int rcvbuf, struct socket **result);
int netflow_conntrack_receive(struct socket *sock, void *buffer, size_t size);
u32 netflow_conntrack_missed(const struct socket *sock);

u32 netflow_dev_index(struct net *net, const char *name);
u32 netflow_notified_dev(void *info, char *name);
u32 netflow_next_dev(struct net *net, u32 after, char *name, char *alias, size_t alias_len);
bool netflow_is_host_address(const struct nf_hook_state *state, __be32 address);
void netflow_xa_init(struct xarray *xa);
int netflow_xa_store_u32(struct xarray *xa, u32 index, u32 value);
bool netflow_xa_load_u32(struct xarray *xa, u32 index, u32 *value);

u64 netflow_mem_available(void);
u32 netflow_random_below(u32 n);
void netflow_prefetchw(const void *what);
void netflow_cond_resched(void);
u64 netflow_boottime_ns(void);
u64 netflow_cycles(void);
void netflow_clock_pair(s64 *boottime_ns, s64 *real_ns);

bool netflow_genl_is_first(const struct sk_buff *skb, const struct nlmsghdr *nlh);
struct net *netflow_genl_info_net(const struct genl_info *info);
const void *netflow_genl_attrdata(const struct genl_info *info);
int netflow_genl_attrlen(const struct genl_info *info);
void *netflow_genlmsg_put(struct sk_buff *skb, const struct genl_info *info, int flags);
int netflow_genlmsg_reply(struct sk_buff *skb, struct genl_info *info);
const struct genl_info *netflow_genl_info_dump(struct netlink_callback *cb);
void netflow_genl_dump_check_consistent(struct netlink_callback *cb, void *hdr);
struct nlattr *netflow_nla_nest_start(struct sk_buff *skb, int type);
void netflow_nla_nest_end(struct sk_buff *skb, struct nlattr *start);
const void *netflow_skb_tail(const struct sk_buff *skb);
void netflow_nlmsg_trim(struct sk_buff *skb, const void *mark);
u32 netflow_skb_len(const struct sk_buff *skb);

#endif /* _NETFLOW_HELPERS_H */
