// SPDX-License-Identifier: GPL-2.0
/*
 * Pushes prepared packets through the PRE_ROUTING hooks of the initial namespace, and
 * tells how long they took: what is measured is the hooks, no driver and no stack.
 *
 *	echo "hit 1000 1000000 2 1" >/sys/kernel/debug/netflow_bench/run
 *	cat /sys/kernel/debug/netflow_bench/run
 *
 * pushes 1,000,000 packets of 1,000 known flows by two CPUs, each with flows of its own,
 * and prints the nanoseconds from the first packet to the last, packets, and packets per
 * second. Patterns are listed below.
 */
#include <linux/debugfs.h>
#include <linux/gcd.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <linux/uaccess.h>
#include <net/ip.h>

/* Packets with softirqs off in a row, as a network device's poll has them. */
#define BATCH 64
#define CPUS_MAX 2

/* What flow the next packet belongs to. */
enum pattern {
	HIT,		/* one of the known flows, each as often, in no order */
	NEW,		/* a flow that never was */
	SWEEP,		/* the same, as one source that scans all addresses makes them */
	COLLIDE,	/* the same, with equal hashes in FreeBSD's ng_netflow of 2005 */
	MIX,		/* 5 % new, of the rest 90 % in a tenth of the known flows */
	HIT6, NEW6,	/* the first two, of IPv6 */
};

static const char * const patterns[] = {
	[HIT] = "hit", [NEW] = "new", [SWEEP] = "sweep", [COLLIDE] = "collide", [MIX] = "mix",
	[HIT6] = "hit6", [NEW6] = "new6",
};

static bool is_ipv6(enum pattern pattern)
{
	return pattern == HIT6 || pattern == NEW6;
}

struct job {
	struct task_struct *task;
	struct sk_buff *skb;
	enum pattern pattern;
	u32 first;	/* of its known flows */
	u32 flows;	/* how many those are */
	u32 step;	/* from one to the next */
	u32 fresh;	/* the next new flow */
	u32 packets;
	u64 start;
	u64 end;
};

static char device[IFNAMSIZ] = "lo";
module_param_string(device, device, sizeof(device), 0444);
MODULE_PARM_DESC(device, "Device that the packets come from");
static bool empty;
module_param(empty, bool, 0444);
MODULE_PARM_DESC(empty, "Register a hook that does nothing but count");

static DEFINE_MUTEX(lock);
static struct dentry *folder;
static u32 fresh;	/* flows that were new once */
static atomic_t waiting;
static struct { u64 ns, packets; } result;

static atomic_long_t counter;

static unsigned int count(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	atomic_long_inc(&counter);
	return NF_ACCEPT;
}

static const struct nf_hook_ops empty_hooks[] = {
	{
		.hook = count,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_PRE_ROUTING,
		.priority = NF_IP_PRI_CONNTRACK_DEFRAG - 1,
	},
	{
		.hook = count,
		.pf = NFPROTO_IPV6,
		.hooknum = NF_INET_PRE_ROUTING,
		.priority = NF_IP6_PRI_CONNTRACK_DEFRAG - 1,
	},
};

/* A packet of known flow n, all of 10/8 to one server. */
static void known(struct iphdr *ip, u32 n)
{
	struct tcphdr *tcp = (struct tcphdr *)(ip + 1);

	ip->saddr = htonl(0x0a000000 | (n & 0xffffff));
	ip->daddr = htonl(0xc0a80001);
	tcp->source = htons(40000);
}

/* A packet of the n-th new flow. */
static void new(struct iphdr *ip, enum pattern pattern, u32 n)
{
	struct tcphdr *tcp = (struct tcphdr *)(ip + 1);

	switch (pattern) {
	case SWEEP:
		ip->saddr = htonl(0x0a000001);
		ip->daddr = htonl(0x80000000 | n);
		tcp->source = htons(40001);
		break;
	case COLLIDE:
		/* Of the addresses as a little-endian host loads them, its hash takes the upper
		 * half of the source and the lowest byte of the destination. */
		ip->saddr = htonl((n & 0xff0000) << 8 | 0x00010001);
		ip->daddr = htonl(0xc0a80000 | (n & 0xffff));
		tcp->source = htons(40002);
		break;
	default:
		ip->saddr = htonl(0x0a000000 | (n & 0xffffff));
		ip->daddr = htonl(0xc0a90001 + (n * 2654435761U >> 24));
		tcp->source = htons(1024 + (n >> 24));
	}
}

/* The same of IPv6: all of 2001:db8::/32, and both addresses end in other bytes than they begin. */
static void known6(struct ipv6hdr *ip, u32 n)
{
	struct tcphdr *tcp = (struct tcphdr *)(ip + 1);

	ip->saddr.s6_addr32[3] = htonl(n);
	ip->daddr.s6_addr32[3] = htonl(1);
	tcp->source = htons(40000);
}

static void new6(struct ipv6hdr *ip, u32 n)
{
	struct tcphdr *tcp = (struct tcphdr *)(ip + 1);

	ip->saddr.s6_addr32[3] = htonl(n);
	ip->daddr.s6_addr32[3] = htonl(n * 2654435761U >> 24 | 0x100);
	tcp->source = htons(1024 + (n >> 24));
}

static u32 next_known(struct job *job, u32 n)
{
	n += job->step;
	return n >= job->flows ? n - job->flows : n;
}

static int okfn(struct net *net, struct sock *sk, struct sk_buff *skb)
{
	return 0;
}

static int push(void *data)
{
	struct job *job = data;
	struct sk_buff *skb = job->skb;
	u8 pf = is_ipv6(job->pattern) ? NFPROTO_IPV6 : NFPROTO_IPV4;
	struct ipv6hdr *ip6 = ipv6_hdr(skb);
	struct iphdr *ip = ip_hdr(skb);
	u32 left = job->packets, n = 0, i;
	u64 random = 88172645463325252ULL;

	atomic_dec(&waiting);
	while (atomic_read(&waiting))
		cpu_relax();
	job->start = ktime_get_ns();
	while (left) {
		u32 batch = min(left, BATCH);

		local_bh_disable();
		for (i = 0; i < batch; i++) {
			switch (job->pattern) {
			case HIT:
				known(ip, job->first + n);
				n = next_known(job, n);
				break;
			case HIT6:
				known6(ip6, job->first + n);
				n = next_known(job, n);
				break;
			case NEW6:
				new6(ip6, job->fresh++);
				break;
			case MIX:
				/* xorshift (Marsaglia, 2003) */
				random ^= random << 13;
				random ^= random >> 7;
				random ^= random << 17;
				if ((u8)random < 13) {
					new(ip, NEW, job->fresh++);
				} else {
					u32 tenth = job->flows / 10 + 1;
					bool hot = (u8)(random >> 8) < 230;

					n = ((random >> 32) * (hot ? tenth : job->flows)) >> 32;
					known(ip, job->first + n);
				}
				break;
			default:
				new(ip, job->pattern, job->fresh++);
			}
			if (nf_hook(pf, NF_INET_PRE_ROUTING, &init_net, NULL, skb, skb->dev, NULL,
				    okfn) != 1) {
				/* Somebody else owns it now. */
				pr_err("a hook did not let a packet through\n");
				job->skb = NULL;
				local_bh_enable();
				goto out;
			}
		}
		local_bh_enable();
		left -= batch;
		cond_resched();
	}
out:
	job->packets -= left;
	job->end = ktime_get_ns();
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

static void put_ipv4(struct sk_buff *skb)
{
	struct iphdr *ip = skb_put_zero(skb, sizeof(*ip));

	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 64;
	ip->protocol = IPPROTO_TCP;
	skb->protocol = htons(ETH_P_IP);
}

static void put_ipv6(struct sk_buff *skb)
{
	struct ipv6hdr *ip = skb_put_zero(skb, sizeof(*ip));

	ip->version = 6;
	ip->hop_limit = 64;
	ip->nexthdr = IPPROTO_TCP;
	ip->saddr.s6_addr32[0] = htonl(0x20010db8);
	ip->daddr.s6_addr32[0] = htonl(0x20010db8);
	ip->daddr.s6_addr32[1] = htonl(0xffff0000);
	skb->protocol = htons(ETH_P_IPV6);
}

static struct sk_buff *prepare(struct net_device *dev, enum pattern pattern)
{
	struct sk_buff *skb = alloc_skb(256, GFP_KERNEL);
	struct tcphdr *tcp;

	if (!skb)
		return NULL;
	skb_reserve(skb, 64);
	skb_reset_network_header(skb);
	if (is_ipv6(pattern))
		put_ipv6(skb);
	else
		put_ipv4(skb);
	skb_set_transport_header(skb, skb->len);
	tcp = skb_put_zero(skb, sizeof(*tcp) + 20);
	tcp->doff = 5;
	tcp->dest = htons(80);
	tcp->ack = 1;
	if (is_ipv6(pattern))
		ipv6_hdr(skb)->payload_len = htons(skb->len - sizeof(struct ipv6hdr));
	else
		ip_hdr(skb)->tot_len = htons(skb->len);
	memset(skb->cb, 0, sizeof(skb->cb));
	skb->pkt_type = PACKET_HOST;
	skb->dev = dev;
	return skb;
}

static int run(enum pattern pattern, u32 flows, u32 packets, u32 cpus, bool disjoint)
{
	struct job jobs[CPUS_MAX] = {};
	struct net_device *dev;
	u64 start = U64_MAX, end = 0;
	int err = 0, i;

	dev = dev_get_by_name(&init_net, device);
	if (!dev)
		return -ENODEV;
	result.packets = 0;
	atomic_set(&waiting, cpus);
	for (i = 0; i < cpus; i++) {
		struct job *job = &jobs[i];
		u32 part = disjoint ? max(flows / cpus, 1u) : flows;

		job->pattern = pattern;
		job->packets = packets / cpus;
		job->flows = part;
		job->first = disjoint ? i * part : 0;
		/* Far apart, and each of them once in a round. */
		for (job->step = part * 5 / 8; gcd(job->step, part) != 1; job->step++)
			;
		job->fresh = fresh + (disjoint ? i * job->packets : 0);
		job->skb = prepare(dev, pattern);
		job->task = kthread_create_on_cpu(push, job, i, "netflow_bench/%u");
		if (!job->skb || IS_ERR(job->task)) {
			err = -ENOMEM;
			break;
		}
	}
	fresh += packets;
	for (i = 0; !err && i < cpus; i++)
		wake_up_process(jobs[i].task);
	for (i = 0; i < cpus; i++) {
		struct job *job = &jobs[i];

		while (!err && !READ_ONCE(job->end))
			schedule_timeout_uninterruptible(1);
		if (!IS_ERR_OR_NULL(job->task))
			kthread_stop(job->task);
		kfree_skb(job->skb);
		start = min(start, job->start);
		end = max(end, job->end);
		result.packets += job->packets;
	}
	result.ns = end - start;
	dev_put(dev);
	return err;
}

static ssize_t run_write(struct file *file, const char __user *user, size_t len, loff_t *pos)
{
	u32 flows, packets, cpus, disjoint;
	char text[80] = {}, name[16];
	int pattern, err;

	if (len >= sizeof(text) || copy_from_user(text, user, len))
		return -EINVAL;
	if (sscanf(text, "%15s %u %u %u %u", name, &flows, &packets, &cpus, &disjoint) != 5)
		return -EINVAL;
	pattern = match_string(patterns, ARRAY_SIZE(patterns), name);
	if (pattern < 0 || !flows || !packets || !cpus || cpus > min(CPUS_MAX, num_online_cpus()))
		return -EINVAL;
	mutex_lock(&lock);
	err = run(pattern, flows, packets, cpus, disjoint);
	mutex_unlock(&lock);
	return err ?: len;
}

static ssize_t run_read(struct file *file, char __user *user, size_t len, loff_t *pos)
{
	char text[80];
	int n;

	mutex_lock(&lock);
	n = scnprintf(text, sizeof(text), "%llu %llu\n", result.ns, result.packets);
	mutex_unlock(&lock);
	return simple_read_from_buffer(user, len, pos, text, n);
}

static const struct file_operations run_ops = {
	.owner = THIS_MODULE,
	.write = run_write,
	.read = run_read,
};

static int __init bench_init(void)
{
	int err = 0;

	if (empty)
		err = nf_register_net_hooks(&init_net, empty_hooks, ARRAY_SIZE(empty_hooks));
	if (err)
		return err;
	folder = debugfs_create_dir("netflow_bench", NULL);
	debugfs_create_file("run", 0600, folder, NULL, &run_ops);
	return 0;
}

static void __exit bench_exit(void)
{
	debugfs_remove(folder);
	if (empty)
		nf_unregister_net_hooks(&init_net, empty_hooks, ARRAY_SIZE(empty_hooks));
}

module_init(bench_init);
module_exit(bench_exit);
MODULE_DESCRIPTION("Driver of the bench of netflow");
MODULE_LICENSE("GPL");
