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

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin setpriv unshare tc modprobe

# As many as fit into a message of netlink.
REQUESTS=${REQUESTS:-10000}
FACTOR=${TIMEOUT_FACTOR:-1}
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

# Each of these becomes the next one: the process that is started is the one that sends.
ATTACK=(setpriv --reuid 65534 --regid 65534 --clear-groups
	unshare -Urn python3 -B "$SELFTESTS/stuck.py" attack "$REQUESTS")

stuck_router() {
	ip netns add router && ip -n router -batch - <<-END &&
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

need load
need modprobe -a dummy sch_tbf
need start_sender python3 "$SELFTESTS/stuck.py" load "$REQUESTS"
need bystander by_load
need goes_within $((10000 * FACTOR))

check "any user sends $REQUESTS flushes and infos in one message" start_sender \
	"${ATTACK[@]}"
check "meanwhile another family answers, and a module with one is loaded" \
	bystander by_attack
check "as soon as beside as many other requests" answered by_attack
check "the sender can be killed" goes_within $((5000 * FACTOR))

need stuck_router
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
check "it cannot be enabled" refused "being disabled.*busy" nf enable
check "nor disabled again" refused "being disabled.*busy" nf disable
check "nor flushed" refused "being disabled.*busy" nf flush
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
