#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Wrong load parameters, commands out of order, wrong values, and commands that a user may not
# give are refused with one clear line, and change nothing. In the initial namespace, without
# traffic. (See netlink.sh for requests that no tool would send.)

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin setpriv unshare choom

# load_refused PARAMETERS: and the kernel log names the parameter and its range.
load_refused() {
	local parameters=$1 explanation=$2 lines
	lines=$(kernel_log | grep -c netflow:)
	# shellcheck disable=SC2086 # words
	refused "invalid (parameters|argument)|out of range" \
		insmod "$NETFLOW_KO" $parameters || return
	if loaded; then echo "loaded"; return 1; fi
	[ -z "$explanation" ] && return
	kernel_log | grep netflow: | tail -n +$((lines + 1)) >"$TMP/said"
	grep -E "$explanation" "$TMP/said" && return
	echo "the kernel log does not say '$explanation':"
	cat "$TMP/said"
	return 1
}

INITIAL=/proc/self/ns/net
state() { netflowctl --json info | jq 'del(.sys_uptime, .enable_error)'; }

unchanged() {
	state >"$TMP/now"
	same "$TMP/state" "$TMP/now"
}

# A control group with little memory, and a command in it that the kernel's OOM killer must not
# kill: so the kernel refuses the memory. It also shows the stack, which is no failure here.
CGROUP=/sys/fs/cgroup/netflow-selftest
TROUBLE=${TROUBLE/Call Trace:|/}

make_cgroup() {
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control && mkdir "$CGROUP" &&
		echo 48M >"$CGROUP/memory.max"
}

with_little_memory() {
	# shellcheck disable=SC2016 # for the other shell
	sh -c 'echo $$ >"$0/cgroup.procs" && exec choom -n -1000 -- "$@"' "$CGROUP" "$@"
}

load_without_memory() {
	refused "allocate memory" \
		with_little_memory insmod "$NETFLOW_KO" enable=1 max_flows=8388608 || return
	if loaded; then echo "loaded"; return 1; fi
	kernel_log | grep "netflow: cannot enable: not enough memory.*max.flows"
}

as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs "$@"; }

without_net_admin() { setpriv --bounding-set=-net_admin "$@"; }

for command in info flows enable disable flush "collector list" "collector add 192.0.2.1"; do
	# shellcheck disable=SC2086 # words
	check "without the module '$command' is refused" refused "module|loaded" netflowctl $command
done

while read -r parameters explanation; do
	check "load with ${parameters//,/ } is refused" \
		load_refused "${parameters//,/ }" "$explanation"
done <<'END'
max_flows=0 max.flows.*1 .*8388608
max_flows=8388609 max.flows.*1 .*8388608
max_flows=-1
max_flows=many
max_flows=4294967296
active_timeout=0 active.timeout.*1 .*604800
active_timeout=604801 active.timeout.*1 .*604800
inactive_timeout=0 inactive.timeout.*1 .*604800
inactive_timeout=604801,active_timeout=604800 inactive.timeout.*1 .*604800
inactive_timeout=61,active_timeout=60 inactive.timeout.*active.timeout
enable=maybe
END
check "the smallest values are accepted" \
	load enable=1 max_flows=1 active_timeout=1 inactive_timeout=1
check "the smallest values are in force" \
	info_is -n $INITIAL enabled=true flows.max=1 active_timeout=1 inactive_timeout=1
need unload

if make_cgroup 2>/dev/null; then
	check "load with more flows than there is memory for is refused" load_without_memory
else
	skip "load with more flows than there is memory for is refused" \
		"this kernel cannot limit memory"
fi

need load
check "a second insmod is refused" refused "exists" insmod "$NETFLOW_KO"
state >"$TMP/state"
check "disable when not enabled is refused" refused "enabled" netflowctl disable
check "flush when not enabled is refused" refused "enabled" netflowctl flush
while IFS='|' read -r wrong explanation; do
	# shellcheck disable=SC2086 # words
	check "enable $wrong is refused" refused "$explanation" netflowctl enable $wrong </dev/null
done <<'END'
--max-flows 0|max-flows.*1 to 8388608
--max-flows 8388609|max-flows.*1 to 8388608
--max-flows -1|unexpected argument '-1'
--max-flows ten|'ten' for '--max-flows
--active-timeout 0|active-timeout.*1 to 604800
--active-timeout 604801|active-timeout.*1 to 604800
--inactive-timeout 0|inactive-timeout.*1 to 604800
--inactive-timeout 604801|inactive-timeout.*1 to 604800
--inactive-timeout 20 --active-timeout 10|inactive-timeout must not be greater than active-timeout
--inactive-timeout 1801|inactive-timeout must not be greater than active-timeout
--frobnicate|unexpected argument '--frobnicate'
surplus|unexpected argument 'surplus'
END
if [ -e "$CGROUP" ]; then
	check "enable with more flows than there is memory for is refused" \
		refused "not enough memory.*fewer flows with max-flows" \
		with_little_memory netflowctl enable --max-flows 8388608
fi
check "an unknown command is refused" \
	refused "unrecognized subcommand 'frobnicate'" netflowctl frobnicate
check "an unknown namespace is refused" refused "nowhere" netflowctl --netns nowhere info
check "nothing of this has changed anything" unchanged

check "a plain user may read the state" as_nobody netflowctl info
for command in enable disable flush flows "collector add 192.0.2.1" "collector del 192.0.2.1"; do
	# shellcheck disable=SC2086 # words
	check "a plain user may not: $command" refused "permi" as_nobody netflowctl $command
	# shellcheck disable=SC2086 # words
	check "root without CAP_NET_ADMIN may not: $command" \
		refused "permi" without_net_admin netflowctl $command
done
check "a plain user changed nothing" unchanged
if as_nobody unshare --user --map-root-user --net true 2>/dev/null; then
	check "in a namespace of their own a plain user may" \
		as_nobody unshare --user --map-root-user --net \
		sh -ec 'netflowctl enable --max-flows 100; netflowctl flows; netflowctl disable'
else
	skip "in a namespace of their own a plain user may" "this kernel does not allow them one"
fi

need netflowctl enable --max-flows 100 --active-timeout 60 --inactive-timeout 6
need netflowctl collector add 192.0.2.1
check "enable when enabled is refused" refused "enabled" netflowctl enable --max-flows 200
check "it changed nothing" info_is -n $INITIAL flows.max=100 active_timeout=60 inactive_timeout=6 \
	'collectors | length=1'
check "the module can be unloaded while enabled" unload
[ ! -e "$CGROUP" ] || need rmdir "$CGROUP"
done_testing
