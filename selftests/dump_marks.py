#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""dump_marks.py COMMAND...: lists the flows, and runs COMMAND when the first part has come.

Prints how many flows there were, and whether a message says that the list is not
consistent, as NLM_F_DUMP_INTR does.
"""

import subprocess
import sys

from netlink import N, NLM_F_DUMP, NLM_F_DUMP_INTR, NLMSG_DONE, Netlink, command_header


def main():
    netlink = Netlink()
    netlink.send(netlink.family("netflow"), command_header(N["CMD_FLOW_GET"]), NLM_F_DUMP)
    messages = netlink.receive()
    subprocess.run(sys.argv[1:], check=True)
    while messages[-1][0] != NLMSG_DONE:
        messages += netlink.receive()
    marked = any(flags & NLM_F_DUMP_INTR for _, flags, _ in messages)
    print(len(messages) - 1, "flows,", "interrupted" if marked else "consistent")


main()
