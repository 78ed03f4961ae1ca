#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# observe.sh with IPv6, where 10.A.0.B is 2001:db8:A::B, and 239.A.0.B is ff0e::A:B. All are all
# nodes (ff02::1) to left, and all routers (ff02::2) to the router, which is one of both. What it
# sends to a group within itself (ff01::/16) passes the hooks as if it went out, too.

# shellcheck source=selftests/lib/observe.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/observe.sh"
begin nfcapd nfdump nft

ways[ff01::1]="from the router to a group within itself"
sent+=(ff01::1)

observe_all
done_testing
