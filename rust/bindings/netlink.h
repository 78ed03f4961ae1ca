/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/netflow.yaml */
/* YNL-GEN kernel header */
/* To regenerate run: tools/net/ynl/ynl-regen.sh */

#ifndef _LINUX_NETFLOW_GEN_H
#define _LINUX_NETFLOW_GEN_H

#include <net/netlink.h>
#include <net/genetlink.h>

#include <uapi/linux/netflow.h>

/* Common nested types */
extern const struct nla_policy netflow_collector_nl_policy[NETFLOW_A_COLLECTOR_UNSUPPORTED + 1];
extern const struct nla_policy netflow_config_nl_policy[NETFLOW_A_CONFIG_NAT + 1];

int netflow_nl_info_get_doit(struct sk_buff *skb, struct genl_info *info);
int netflow_nl_flow_get_dumpit(struct sk_buff *skb,
			       struct netlink_callback *cb);
int netflow_nl_enable_doit(struct sk_buff *skb, struct genl_info *info);
int netflow_nl_set_doit(struct sk_buff *skb, struct genl_info *info);
int netflow_nl_iface_set_doit(struct sk_buff *skb, struct genl_info *info);
int netflow_nl_disable_doit(struct sk_buff *skb, struct genl_info *info);
int netflow_nl_flush_doit(struct sk_buff *skb, struct genl_info *info);
int netflow_nl_collector_add_doit(struct sk_buff *skb, struct genl_info *info);
int netflow_nl_collector_del_doit(struct sk_buff *skb, struct genl_info *info);
int netflow_nl_iface_get_dumpit(struct sk_buff *skb,
				struct netlink_callback *cb);

extern struct genl_family netflow_nl_family;

#endif /* _LINUX_NETFLOW_GEN_H */
