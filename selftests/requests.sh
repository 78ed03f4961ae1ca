#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Nobody holds up the generic netlink of the host. Any user sends thousands of flushes in one
# message, in a namespace of their own, whose collector takes nothing; others get their answers
# meanwhile, and the sender can be killed. What was begun ends, and shows when.
#
#    user 65534, a user and network namespace of its own
#    +------------------------------------+
#    | netflow, observes output           |
#    | stuck 192.0.2.1/24: tbf, 1 byte/s  |    collectors at 192.0.2.2 are behind it
#    +------------------------------------+
#
#    netns router: the same, by the administrator
#
# Nor does who enables the exporter where memory is short: the kernel slows down who takes more
# than the memory.high of a control group. Its namespace ends without delay even then.

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin setpriv unshare tc modprobe

FACTOR=${TIMEOUT_FACTOR:-1}
# As many as fit into a message of netlink; on a slow kernel fewer, which take it as long.
REQUESTS=${REQUESTS:-$((10000 / FACTOR))}
# A module with a family of its own, to be loaded meanwhile, where the kernel has it.
MODULE=l2tp_netlink
modprobe -qn "$MODULE" || MODULE=

now() { date +%s%N; }

# milliseconds BEGIN
milliseconds() { echo $((($(now) - $1) / 1000000)); }

# at_most WHAT LIMIT ACTUAL
at_most() {
	[ "$3" -le "$2" ] || { echo "$1: $3 ms, more than $2"; return 1; }
	echo "$1: $3 ms"
}

# start_sender COMMAND...: it has begun to send when this returns.
start_sender() {
	"$@" >"$TMP/sender" 2>&1 &
	sender=$!
	processes+=("$sender")
	eventually 60 grep -q sending "$TMP/sender"
}

# goes_within MILLISECONDS: the sender is gone so soon after it is killed.
goes_within() {
	local begin
	begin=$(now)
	kill -KILL "$sender"
	wait "$sender" 2>/dev/null
	! pgrep -f stuck.py || return
	at_most "the sender's end" "$1" "$(milliseconds "$begin")"
}

# bystander NAME: how long another family's answer and a module took, at most.
bystander() {
	timeout 120 python3 "$SELFTESTS/stuck.py" bystander 3 "$MODULE" >"$TMP/$1"
	local status=$?
	[ -z "$MODULE" ] || modprobe -r "$MODULE"
	return "$status"
}

# answered NAME: beside so many requests that do no harm it takes as long, give or take what packets
# and sweeps take of an emulated machine. Before requests were made not to wait, it was 40 s.
answered() {
	local answer module answer_by_load module_by_load
	read -r answer module <"$TMP/$1"
	read -r answer_by_load module_by_load <"$TMP/by_load"
	at_most "another family" $((5 * answer_by_load + 500 * FACTOR)) "$answer" &&
		at_most "a module" $((5 * module_by_load + 1000 * FACTOR)) "$module"
}

# Not a function: the process that runs in the background is to be the sender itself.
any_user=(setpriv --reuid 65534 --regid 65534 --clear-groups)

CGROUP=/sys/fs/cgroup/netflow-selftest

make_cgroup() {
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control && mkdir "$CGROUP" &&
		echo 1M >"$CGROUP/memory.high"
}

# is_slowed_down: the group has more than its memory.high, but not all that was asked for: 254
# bytes for each flow, as both families are accounted.
is_slowed_down() {
	group_has_at_least $((1 << 20)) && group_has_less_than $((65536 * 254))
}

# group_has_less_than BYTES
group_has_less_than() {
	local current
	current=$(<"$CGROUP/memory.current")
	[ "$current" -lt "$1" ] || says "$current bytes"
}

group_has_at_least() { ! group_has_less_than "$1" || says "less than $1 bytes"; }

# other_namespaces_end: one that ends now is gone soon.
other_namespaces_end() {
	local begin
	add_netns other && ip link add there type veth peer name here netns other || return
	begin=$(now)
	ip netns del other && eventually 30 not_there && at_most "its end" $((1000 * FACTOR)) \
		"$(milliseconds "$begin")"
}

not_there() { ! ip link show there 2>/dev/null; }

# answered_soon NAME
answered_soon() {
	local answer module
	read -r answer module <"$TMP/$1"
	at_most "another family" $((500 * FACTOR)) "$answer" &&
		at_most "a module" $((1000 * FACTOR)) "$module"
}

stuck_router() {
	add_netns router && ip -n router -batch - <<-END &&
		link set lo up
		link add stuck type dummy
		addr add 192.0.2.1/24 dev stuck
		link set stuck up
		neigh add 192.0.2.2 lladdr 02:00:00:00:00:01 dev stuck nud permanent
	END
		on router tc qdisc add dev stuck root tbf rate 8bit \
			burst 2000 limit 100000000
}

# send_flows FIRST LAST: from the router to itself.
send_flows() {
	on router python3 -c "
import sys
sys.path[:0] = ['$SELFTESTS']
import stuck
stuck.send_flows($1, $2)"
}

disabling_is() { equal "disabling" "$1" "$(info disabling)"; }

# all_are_refused: side by side, as it is being disabled for two seconds only, which a slow kernel
# takes for one command. Each has a folder of its own for what it says.
all_are_refused() {
	local command process status=0 requests=()
	for command in enable disable flush; do
		mkdir -p "$TMP/$command"
		(TMP=$TMP/$command; refused "being disabled.*busy" nf "$command") &
		requests+=($!)
	done
	for process in "${requests[@]}"; do
		wait "$process" || status=1
	done
	return "$status"
}

need load
need modprobe -a dummy sch_tbf
need start_sender python3 "$SELFTESTS/stuck.py" load "$REQUESTS"
need bystander by_load
need goes_within $((10000 * FACTOR))

check "any user sends $REQUESTS flushes and infos in one message" start_sender \
	"${any_user[@]}" unshare -Urn python3 -B "$SELFTESTS/stuck.py" attack "$REQUESTS"
check "meanwhile another family answers, and a module with one is loaded" \
	bystander by_attack
check "as soon as beside as many other requests" answered by_attack
check "the sender can be killed" goes_within $((5000 * FACTOR))

need make_cgroup
need start_sender "${any_user[@]}" unshare -Urn python3 -B "$SELFTESTS/stuck.py" enable 65536
need tee "$CGROUP/cgroup.procs" <<<"$sender"
check "any user enables the exporter, with a memory.high of 1 MiB" kill -USR1 "$sender"
check "meanwhile another family answers, and a module with one is loaded" \
	bystander by_enable
check "at once" answered_soon by_enable
check "while the kernel slows down who reserves the cache" is_slowed_down
check "the sender can be killed, and its namespace goes" goes_within $((1000 * FACTOR))
check "which does not wait for the cache" is_slowed_down
check "others end without delay" other_namespaces_end
check "then the memory is given back" eventually 60 group_has_less_than 1048576
need rmdir "$CGROUP"

need stuck_router
need make_cgroup
need start_sender ip netns exec router python3 -B "$SELFTESTS/stuck.py" enable 65536
need tee "$CGROUP/cgroup.procs" <<<"$sender"
need kill -USR1 "$sender"
check "while it is being enabled, that is told" eventually 10 info_is enabling=true enabled=false
check "it cannot be enabled" refused "being enabled.*busy" nf enable
check "nor disabled" refused "being enabled.*busy" nf disable
check "nor flushed" refused "being enabled.*busy" nf flush
check "nor can a setting change" refused "being enabled.*busy" nf set inactive-timeout 5
check "a collector can be added" nf collector add 192.0.2.2
check "and removed" nf collector del 192.0.2.2
check "who asked for it can go" goes_within $((1000 * FACTOR))
check "it is enabled all the same" eventually 60 info_is enabling=false enabled=true flows.max=65536
check "the memory is charged to the group" group_has_at_least $((65536 * 106))
check "it can be disabled" nf disable
need rmdir "$CGROUP"

need nf enable --observe output --max-flows 16384
need nf collector add 192.0.2.2
need send_flows 1000 9000
begin=$(now)
check "a flush returns" nf flush
check "after its time" at_most "the flush" $((4000 * FACTOR)) "$(milliseconds "$begin")"
check "then all flows are exported or lost" \
	info_is packets.cached=0 packets.pending=0 "packets.lost>0"
need send_flows 1000 9000
nf disable &
disable=$!
check "while it is being disabled, that is told" eventually 10 disabling_is true
check "it cannot be enabled, disabled again or flushed" all_are_refused
check "the ledger holds then too" ledger_holds
check "then disable returns" wait "$disable"
check "and it has been disabled" disabling_is false
check "all flows are exported or lost" info_is enabled=false packets.cached=0 packets.pending=0
check "it can be enabled again" nf enable
need send_flows 1000 9000
nf disable &
disable=$!
check "while it is being disabled" eventually 10 disabling_is true
check "the tool can be interrupted" kill -INT "$disable"
check "the module can go" unload
check "with an exact ledger" logged_ledgers_hold 1
done_testing
