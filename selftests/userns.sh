#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Namespaces that any user can make: how much memory a cache may have there is for the root of
# the host to say, by the load parameter max_flows_userns.
#
#    user 65534: unshare --user --map-root-user --net      router: of the host's root

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin setpriv unshare

# of_a_user COMMAND: runs in a new network namespace of a new user namespace.
of_a_user() {
	setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs \
		unshare --user --map-root-user --net sh -ec "$1"
}

of_a_user true 2>/dev/null || skip_all "this kernel allows no user namespaces"

# max_flows_of_a_user: unless set.
max_flows_of_a_user() { of_a_user 'netflowctl --json info' | jq .flows.max; }

# log_has TEXT
log_has() {
	kernel_log >"$TMP/kernel.log"
	grep -F "netflow: $1" "$TMP/kernel.log"
}

check "a limit of 0 is refused" refused "invalid" load max_flows_userns=0
check "the log says what it must be" \
	log_has "cannot load: max_flows_userns must be from 1 to 8388608"
check "so is a timeout above the other" refused "invalid" load inactive_timeout=90 active_timeout=60
check "the log names both as they are typed there" \
	log_has "cannot load: inactive_timeout must not be greater than active_timeout"

need add_netns router
need load
check "65536 flows are what a user may have" \
	of_a_user 'netflowctl enable --max-flows 65536; netflowctl disable'
check "one more is refused, and the text names the parameter" \
	refused "max_flows_userns" of_a_user 'netflowctl enable --max-flows 65537'
check "the root of the host may have more" nf enable --max-flows 65537
need unload

need load max_flows=5000 max_flows_userns=1000
check "a user begins with what he may have" equal max-flows 1000 "$(max_flows_of_a_user)"
check "the root of the host begins with what max_flows says" info_is flows.max=5000
check "a user can enable without asking for fewer" \
	of_a_user 'netflowctl enable; netflowctl disable'
check "more cannot be set either" \
	refused "max_flows_userns" of_a_user 'netflowctl set max-flows 1001'
check "fewer can" \
	of_a_user 'netflowctl set max-flows 10; netflowctl enable; netflowctl disable'
check "it is for lack of permission" \
	refused "not permitted" of_a_user 'netflowctl enable --max-flows 1001'
check "settings are named as they are typed" \
	refused "set: inactive-timeout must not be greater than active-timeout" \
	nf set inactive-timeout 1801
done_testing
