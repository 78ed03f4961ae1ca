// SPDX-License-Identifier: GPL-2.0
/*
 * The helpers of conntrack. See helpers.h.
 *
 * nf_conntrack is a module that need not be there: of its symbols only the one is used that is
 * asked for by name, and all else is inline or netlink.
 */

#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/random.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <net/netfilter/nf_conntrack_tuple.h>
#include <net/netfilter/nf_conntrack_zones.h>
#include <net/sock.h>

#include "helpers.h"

#if IS_ENABLED(CONFIG_NF_CONNTRACK)
/* Keeps nf_conntrack until the put; NULL if it is not there. Any context. */
void *netflow_conntrack_get(void)
{
	return symbol_get(nf_conntrack_find_get);
}

void netflow_conntrack_put(void)
{
	symbol_put(nf_conntrack_find_get);
}

/* Addresses in a tuple are as long as those of its family, with zeros behind them. */
static void put_tuple(struct nf_conntrack_tuple *tuple, const struct conntrack_ends *ends)
{
	memset(tuple, 0, sizeof(*tuple));
	tuple->src.l3num = ends->family;
	memcpy(&tuple->src.u3, ends->src, sizeof(tuple->src.u3));
	tuple->src.u.all = ends->sport;
	tuple->dst.protonum = ends->proto;
	memcpy(&tuple->dst.u3, ends->dst, sizeof(tuple->dst.u3));
	tuple->dst.u.all = ends->dport;
}

/* nf_ct_invert_tuple(), but that ICMP is not asked about. */
static void put_inverse(struct conntrack_ends *ends, const struct nf_conntrack_tuple *tuple)
{
	memcpy(ends->src, &tuple->dst.u3, sizeof(ends->src));
	memcpy(ends->dst, &tuple->src.u3, sizeof(ends->dst));
	ends->sport = tuple->dst.u.all;
	ends->dport = tuple->src.u.all;
}

static struct nf_conntrack_tuple_hash *find(typeof(&nf_conntrack_find_get) find_get,
					    struct net *net, const struct conntrack_ends *ends)
{
	struct nf_conntrack_tuple tuple;

	put_tuple(&tuple, ends);
	return find_get(net, &nf_ct_zone_dflt, &tuple);
}

/*
 * Maps the addresses and ports that packets have at a hook to those with which they leave this
 * host. Returns false if there is no such connection. `find_get` is what netflow_conntrack_get()
 * has returned. Any context.
 *
 * At a hook before NAT they have the tuple of their direction, and leave as the inverse of the
 * other one. Behind NAT they have the inverse of the other one already.
 */
bool netflow_conntrack_post_nat(void *find_get, struct net *net, struct conntrack_ends *ends)
{
	struct conntrack_ends inverse = {
		.family = ends->family,
		.proto = ends->proto,
		.sport = ends->dport,
		.dport = ends->sport,
	};
	struct nf_conntrack_tuple_hash *hash;
	struct nf_conn *ct;

	hash = find(find_get, net, ends);
	if (hash) {
		ct = nf_ct_tuplehash_to_ctrack(hash);
		put_inverse(ends, &ct->tuplehash[!NF_CT_DIRECTION(hash)].tuple);
		nf_conntrack_put(&ct->ct_general);
		return true;
	}
	memcpy(inverse.src, ends->dst, sizeof(inverse.src));
	memcpy(inverse.dst, ends->src, sizeof(inverse.dst));
	hash = find(find_get, net, &inverse);
	if (!hash)
		return false;
	nf_conntrack_put(&nf_ct_tuplehash_to_ctrack(hash)->ct_general);
	return true;
}
#else
void *netflow_conntrack_get(void)
{
	return NULL;
}

void netflow_conntrack_put(void)
{
}

bool netflow_conntrack_post_nat(void *find_get, struct net *net, struct conntrack_ends *ends)
{
	return false;
}
#endif

/*
 * Makes a socket that is told of connections as they begin and end, of a network namespace that it
 * does not keep. Process context; CAP_NET_ADMIN there. -EAGAIN if nfnetlink has to be loaded first,
 * which begins here, as does the loading of ctnetlink; neither is waited for: modprobe would wait
 * for pernet_ops_rwsem, whose owner may wait for the caller. A symbol of nfnetlink shows that it is
 * there, so that netlink_create() does not load it; then the socket keeps it.
 *
 * It is a listener like others: nothing is taken from them, and the kernel notes events of
 * connections that begin while there is one (net.netfilter.nf_conntrack_events). What does not fit
 * into `rcvbuf` is counted, and does not stop what comes later.
 */
int netflow_conntrack_listen(struct net *net, int rcvbuf, struct socket **result)
{
	struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		/* No process asks for that, unlike for its own number. */
		.nl_pid = BIT(31) | get_random_u32(),
		.nl_groups = BIT(NFNLGRP_CONNTRACK_NEW - 1) | BIT(NFNLGRP_CONNTRACK_DESTROY - 1),
	};
	struct socket *sock;
	int one = 1;
	int err;

	if (!symbol_get(nfnetlink_has_listeners)) {
		request_module_nowait("nfnetlink");
		return -EAGAIN;
	}
	err = sock_create_kern(net, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, &sock);
	symbol_put(nfnetlink_has_listeners);
	if (err)
		return err;
	WRITE_ONCE(sock->sk->sk_rcvbuf, rcvbuf);
	err = sock->ops->setsockopt(sock, SOL_NETLINK, NETLINK_NO_ENOBUFS, KERNEL_SOCKPTR(&one),
				    sizeof(one));
	if (!err)
		err = kernel_bind(sock, (void *)&address, sizeof(address));
	if (err) {
		sock_release(sock);
		return err;
	}
	*result = sock;
	return 0;
}

/*
 * Takes the next message, without waiting. Returns how many bytes of it are in `buffer`, which may
 * be too small for all; 0 if it is not of the kernel, as any administrator of the namespace can
 * send some; -EAGAIN if there is none. Process context.
 */
int netflow_conntrack_receive(struct socket *sock, void *buffer, size_t size)
{
	struct kvec vector = { .iov_base = buffer, .iov_len = size };
	struct sockaddr_nl from = {};
	struct msghdr message = { .msg_name = &from };
	int len;

	len = kernel_recvmsg(sock, &message, &vector, 1, size, MSG_DONTWAIT);
	return len >= 0 && from.nl_pid ? 0 : len;
}

/* How many messages did not fit, modulo 2^32. Any context. */
u32 netflow_conntrack_missed(const struct socket *sock)
{
	return atomic_read(&sock->sk->sk_drops);
}
