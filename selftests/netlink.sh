#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The netlink interface is what its specification says: the kernel's own client (YNL) reads it,
# asks for every operation and every setting, and sends requests that netflowctl never would.
# In a namespace without traffic.

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin
[ -d "$KSRC/tools/net/ynl" ] || skip_all "KSRC does not name the kernel's source"

need load
python3 -B "$SELFTESTS/netlink.py" >"$TMP/cases" 2>&1
relay "$TMP/cases"
done_testing
