// SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause)
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/netflow.yaml */
/* YNL-GEN kernel source */
/* To regenerate run: tools/net/ynl/ynl-regen.sh */

#include <net/netlink.h>
#include <net/genetlink.h>

#include "netlink.h"

#include <uapi/linux/netflow.h>

/* Integer value ranges */
static const struct netlink_range_validation netflow_a_config_max_flows_range = {
	.min	= NETFLOW_MAX_FLOWS_MIN,
	.max	= NETFLOW_MAX_FLOWS_MAX,
};

static const struct netlink_range_validation netflow_a_config_active_timeout_range = {
	.min	= NETFLOW_TIMEOUT_MIN,
	.max	= NETFLOW_TIMEOUT_MAX,
};

static const struct netlink_range_validation netflow_a_config_inactive_timeout_range = {
	.min	= NETFLOW_TIMEOUT_MIN,
	.max	= NETFLOW_TIMEOUT_MAX,
};

static const struct netlink_range_validation netflow_a_config_template_refresh_range = {
	.min	= NETFLOW_REFRESH_MIN,
	.max	= NETFLOW_REFRESH_SECONDS_MAX,
};

static const struct netlink_range_validation netflow_a_config_template_refresh_datagrams_range = {
	.min	= NETFLOW_REFRESH_MIN,
	.max	= NETFLOW_REFRESH_DATAGRAMS_MAX,
};

/* Common nested types */
const struct nla_policy netflow_collector_nl_policy[NETFLOW_A_COLLECTOR_UNSUPPORTED + 1] = {
	[NETFLOW_A_COLLECTOR_ADDRESS] = NLA_POLICY_MAX_LEN(16),
	[NETFLOW_A_COLLECTOR_PORT] = NLA_POLICY_MIN(NLA_U16, 1),
	[NETFLOW_A_COLLECTOR_DATAGRAMS] = { .type = NLA_UINT, },
	[NETFLOW_A_COLLECTOR_RECORDS] = { .type = NLA_UINT, },
	[NETFLOW_A_COLLECTOR_ERRORS] = { .type = NLA_UINT, },
	[NETFLOW_A_COLLECTOR_SOURCE] = NLA_POLICY_MAX_LEN(16),
	[NETFLOW_A_COLLECTOR_DEVICE] = { .type = NLA_NUL_STRING, .len = NETFLOW_DEVICE_NAME_MAX, },
	[NETFLOW_A_COLLECTOR_LAST_ERROR] = { .type = NLA_U32, },
	[NETFLOW_A_COLLECTOR_PROTOCOL] = NLA_POLICY_MAX(NLA_U32, 2),
	[NETFLOW_A_COLLECTOR_SEQUENCE] = { .type = NLA_U32, },
	[NETFLOW_A_COLLECTOR_UNSUPPORTED] = { .type = NLA_UINT, },
};

const struct nla_policy netflow_config_nl_policy[NETFLOW_A_CONFIG_NAT + 1] = {
	[NETFLOW_A_CONFIG_MAX_FLOWS] = NLA_POLICY_FULL_RANGE(NLA_U32, &netflow_a_config_max_flows_range),
	[NETFLOW_A_CONFIG_ACTIVE_TIMEOUT] = NLA_POLICY_FULL_RANGE(NLA_U32, &netflow_a_config_active_timeout_range),
	[NETFLOW_A_CONFIG_INACTIVE_TIMEOUT] = NLA_POLICY_FULL_RANGE(NLA_U32, &netflow_a_config_inactive_timeout_range),
	[NETFLOW_A_CONFIG_EXPIRY] = NLA_POLICY_MAX(NLA_U32, 1),
	[NETFLOW_A_CONFIG_OBSERVE] = NLA_POLICY_MASK(NLA_U32, 0x1f),
	[NETFLOW_A_CONFIG_ICMP_PORTS] = NLA_POLICY_MAX(NLA_U32, 1),
	[NETFLOW_A_CONFIG_COUNT_OWN] = NLA_POLICY_MAX(NLA_U8, 1),
	[NETFLOW_A_CONFIG_ENGINE_TYPE] = { .type = NLA_U8, },
	[NETFLOW_A_CONFIG_ENGINE_ID] = { .type = NLA_U8, },
	[NETFLOW_A_CONFIG_MAX_PACKET_SIZE] = NLA_POLICY_RANGE(NLA_U32, NETFLOW_PACKET_SIZE_MIN, NETFLOW_PACKET_SIZE_MAX),
	[NETFLOW_A_CONFIG_OBSERVATION_DOMAIN_ID] = { .type = NLA_U32, },
	[NETFLOW_A_CONFIG_TEMPLATE_REFRESH] = NLA_POLICY_FULL_RANGE(NLA_U32, &netflow_a_config_template_refresh_range),
	[NETFLOW_A_CONFIG_TEMPLATE_REFRESH_DATAGRAMS] = NLA_POLICY_FULL_RANGE(NLA_U32, &netflow_a_config_template_refresh_datagrams_range),
	[NETFLOW_A_CONFIG_TRANSPORT_PORTS] = NLA_POLICY_MAX(NLA_U32, 1),
	[NETFLOW_A_CONFIG_FAMILIES] = NLA_POLICY_MASK(NLA_U32, 0x3),
	[NETFLOW_A_CONFIG_SAMPLING] = NLA_POLICY_RANGE(NLA_U32, NETFLOW_SAMPLING_MIN, NETFLOW_SAMPLING_MAX),
	[NETFLOW_A_CONFIG_SAMPLING_MODE] = NLA_POLICY_MAX(NLA_U32, 1),
	[NETFLOW_A_CONFIG_MAX_PAYLOAD] = NLA_POLICY_RANGE(NLA_U32, NETFLOW_PAYLOAD_MIN, NETFLOW_PAYLOAD_MAX),
	[NETFLOW_A_CONFIG_NAT] = NLA_POLICY_MAX(NLA_U32, 3),
};

/* NETFLOW_CMD_ENABLE - do */
static const struct nla_policy netflow_enable_nl_policy[NETFLOW_A_INFO_CONFIG + 1] = {
	[NETFLOW_A_INFO_CONFIG] = NLA_POLICY_NESTED(netflow_config_nl_policy),
};

/* NETFLOW_CMD_SET - do */
static const struct nla_policy netflow_set_nl_policy[NETFLOW_A_INFO_CONFIG + 1] = {
	[NETFLOW_A_INFO_CONFIG] = NLA_POLICY_NESTED(netflow_config_nl_policy),
};

/* NETFLOW_CMD_IFACE_SET - do */
static const struct nla_policy netflow_iface_set_nl_policy[NETFLOW_A_IFACE_NUMBER + 1] = {
	[NETFLOW_A_IFACE_NAME] = { .type = NLA_NUL_STRING, .len = 15, },
	[NETFLOW_A_IFACE_NUMBER] = { .type = NLA_U32, },
};

/* NETFLOW_CMD_COLLECTOR_ADD - do */
static const struct nla_policy netflow_collector_add_nl_policy[NETFLOW_A_INFO_COLLECTOR + 1] = {
	[NETFLOW_A_INFO_COLLECTOR] = NLA_POLICY_NESTED(netflow_collector_nl_policy),
};

/* NETFLOW_CMD_COLLECTOR_DEL - do */
static const struct nla_policy netflow_collector_del_nl_policy[NETFLOW_A_INFO_COLLECTOR + 1] = {
	[NETFLOW_A_INFO_COLLECTOR] = NLA_POLICY_NESTED(netflow_collector_nl_policy),
};

/* Ops table for netflow */
static const struct genl_split_ops netflow_nl_ops[] = {
	{
		.cmd	= NETFLOW_CMD_INFO_GET,
		.doit	= netflow_nl_info_get_doit,
		.flags	= GENL_CMD_CAP_DO,
	},
	{
		.cmd	= NETFLOW_CMD_FLOW_GET,
		.dumpit	= netflow_nl_flow_get_dumpit,
		.flags	= GENL_UNS_ADMIN_PERM | GENL_CMD_CAP_DUMP,
	},
	{
		.cmd		= NETFLOW_CMD_ENABLE,
		.doit		= netflow_nl_enable_doit,
		.policy		= netflow_enable_nl_policy,
		.maxattr	= NETFLOW_A_INFO_CONFIG,
		.flags		= GENL_UNS_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd		= NETFLOW_CMD_SET,
		.doit		= netflow_nl_set_doit,
		.policy		= netflow_set_nl_policy,
		.maxattr	= NETFLOW_A_INFO_CONFIG,
		.flags		= GENL_UNS_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd		= NETFLOW_CMD_IFACE_SET,
		.doit		= netflow_nl_iface_set_doit,
		.policy		= netflow_iface_set_nl_policy,
		.maxattr	= NETFLOW_A_IFACE_NUMBER,
		.flags		= GENL_UNS_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd	= NETFLOW_CMD_DISABLE,
		.doit	= netflow_nl_disable_doit,
		.flags	= GENL_UNS_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd	= NETFLOW_CMD_FLUSH,
		.doit	= netflow_nl_flush_doit,
		.flags	= GENL_UNS_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd		= NETFLOW_CMD_COLLECTOR_ADD,
		.doit		= netflow_nl_collector_add_doit,
		.policy		= netflow_collector_add_nl_policy,
		.maxattr	= NETFLOW_A_INFO_COLLECTOR,
		.flags		= GENL_UNS_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd		= NETFLOW_CMD_COLLECTOR_DEL,
		.doit		= netflow_nl_collector_del_doit,
		.policy		= netflow_collector_del_nl_policy,
		.maxattr	= NETFLOW_A_INFO_COLLECTOR,
		.flags		= GENL_UNS_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd	= NETFLOW_CMD_IFACE_GET,
		.dumpit	= netflow_nl_iface_get_dumpit,
		.flags	= GENL_CMD_CAP_DUMP,
	},
};

struct genl_family netflow_nl_family __ro_after_init = {
	.name		= NETFLOW_FAMILY_NAME,
	.version	= NETFLOW_FAMILY_VERSION,
	.netnsok	= true,
	.parallel_ops	= true,
	.module		= THIS_MODULE,
	.split_ops	= netflow_nl_ops,
	.n_split_ops	= ARRAY_SIZE(netflow_nl_ops),
};
