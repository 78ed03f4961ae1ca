// SPDX-License-Identifier: GPL-2.0
/*
 * Reads a dump of all flows and prints how many there are: what the kernel's part of a
 * dump takes, without turning it into text.
 */
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../rust/bindings/uapi/linux/netflow.h"

static char buffer[1 << 17];

static struct {
	struct nlmsghdr nl;
	struct genlmsghdr genl;
	char payload[64];
} request;

static int ask(int fd, int type, int cmd, int flags, const char *name)
{
	struct nlattr *attr = (struct nlattr *)request.payload;

	request.nl = (struct nlmsghdr) {
		.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN), .nlmsg_type = type,
		.nlmsg_flags = NLM_F_REQUEST | flags,
	};
	request.genl = (struct genlmsghdr) { .cmd = cmd, .version = 1 };
	if (name) {
		attr->nla_type = CTRL_ATTR_FAMILY_NAME;
		attr->nla_len = NLA_HDRLEN + strlen(name) + 1;
		strcpy(request.payload + NLA_HDRLEN, name);
		request.nl.nlmsg_len += NLA_ALIGN(attr->nla_len);
	}
	return send(fd, &request, request.nl.nlmsg_len, 0) < 0;
}

static int family(int fd)
{
	struct nlmsghdr *nl = (struct nlmsghdr *)buffer;
	struct nlattr *attr;
	int left, len;

	if (ask(fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0, NETFLOW_FAMILY_NAME))
		return -1;
	len = recv(fd, buffer, sizeof(buffer), 0);
	if (len < 0 || nl->nlmsg_type == NLMSG_ERROR)
		return -1;
	attr = (struct nlattr *)((char *)NLMSG_DATA(nl) + GENL_HDRLEN);
	for (left = nl->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN); left > 0;) {
		if (attr->nla_type == CTRL_ATTR_FAMILY_ID)
			return *(unsigned short *)((char *)attr + NLA_HDRLEN);
		left -= NLA_ALIGN(attr->nla_len);
		attr = (struct nlattr *)((char *)attr + NLA_ALIGN(attr->nla_len));
	}
	return -1;
}

int main(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
	unsigned long flows = 0;
	int id = family(fd);

	if (id < 0 || ask(fd, id, NETFLOW_CMD_FLOW_GET, NLM_F_DUMP, NULL)) {
		perror("read_dump");
		return 1;
	}
	for (;;) {
		int len = recv(fd, buffer, sizeof(buffer), 0);
		struct nlmsghdr *nl;

		if (len < 0) {
			perror("read_dump");
			return 1;
		}
		for (nl = (struct nlmsghdr *)buffer; NLMSG_OK(nl, len); nl = NLMSG_NEXT(nl, len)) {
			if (nl->nlmsg_type == NLMSG_DONE) {
				printf("%lu\n", flows);
				return 0;
			}
			if (nl->nlmsg_type == NLMSG_ERROR) {
				fprintf(stderr, "read_dump: refused\n");
				return 1;
			}
			flows++;
		}
	}
}
