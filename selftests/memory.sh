#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What happens where memory is short: a cache that does not fit is refused, and nobody else pays
# for the attempt. The largest cache takes 106 bytes for each of 8388608 flows, 848 MiB.

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin unshare
MIB=$((1 << 20))
LEAVE=$((600 * MIB))
CGROUP=/sys/fs/cgroup/netflow-selftest

available() { awk '/^MemAvailable:/ { print $2 * 1024 }' /proc/meminfo; }

bystander=0 member=0

# use_memory MIB NAME: a process that has and keeps so much; its number is in $NAME.
use_memory() {
	python3 -S -c "
import time
used = bytearray($1 << 20)
used[::4096] = b'x' * ($1 << 8)
print(flush=True)
time.sleep(3600)" >"$TMP/$2" &
	processes+=($!)
	printf -v "$2" %d $!
	eventually 60 test -s "$TMP/$2"
}

# Memory that cannot be taken back: nothing is swapped here.
fill() {
	local bytes=$(($(available) - LEAVE))
	[ "$bytes" -gt 0 ] || return 0
	mkdir "$TMP/full" && mount -t tmpfs -o size=100% full "$TMP/full" &&
		head -c "$bytes" /dev/zero >"$TMP/full/zeros"
}

empty() { ! mountpoint -q "$TMP/full" || umount "$TMP/full"; }

make_cgroup() {
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control || return
	mkdir "$CGROUP" && echo $((200 * MIB)) >"$CGROUP/memory.max"
}

# in_cgroup COMMAND...
in_cgroup() { sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$CGROUP" "$@"; }

lives() { [ -e "/proc/$1/status" ] && ! grep -q '^State:.*Z' "/proc/$1/status"; }

nobody_was_killed() {
	local pid
	for pid; do
		lives "$pid" || { echo "process $pid is gone"; return 1; }
	done
	kernel_log >"$TMP/kernel.log"
	without 'oom-kill|Out of memory|oom_reaper' "$TMP/kernel.log"
}

group_was_at_its_limit() { ! grep -x "max 0" "$CGROUP/memory.events"; }

nearly_all_is_available() { [ "$(available)" -gt $((LEAVE * 3 / 4)) ]; }

# virtiofs allocates without fail when an inode is evicted, of which the kernel warns if that
# happens while memory is reclaimed: with 0, no inode is evicted for want of memory.
pressure=$(sysctl -n vm.vfs_cache_pressure)
need sysctl -q vm.vfs_cache_pressure=0
need add_netns router
need load
need use_memory 300 bystander
need fill
check "a cache that finds no memory is refused" \
	refused "not enough memory for the cache: ask for fewer flows" nf enable --max-flows 8388608
check "no process was killed for it" nobody_was_killed "$bystander"
check "the refusal changed nothing" info_is enabled=false flows.max=65536
check "what was reserved so far is given back" eventually 20 nearly_all_is_available
check "a cache that fits is not refused" nf enable --max-flows 1048576
need nf disable
need empty

need make_cgroup
need in_cgroup true
use_memory 100 member
echo "$member" >"$CGROUP/cgroup.procs"
check "a cache that its control group may not have is refused" \
	refused "^netflowctl: enable: not enough memory for the cache: ask for fewer flows with \
max-flows: cannot allocate memory$" in_cgroup netflowctl --netns router enable --max-flows 8388608
check "no process of the group was killed for it" nobody_was_killed "$member"
check "nobody was to be killed either" grep -qx "oom_kill 0" "$CGROUP/memory.events"
check "the group was at its limit" group_was_at_its_limit
# After one that failed and took long, the next attempt has to wait for a second.
check "the group can have a smaller cache" eventually 10 \
	in_cgroup netflowctl --netns router enable --max-flows 262144
check "its memory is charged to the group" test "$(<"$CGROUP/memory.current")" -gt $((20 * MIB))
need nf disable
need sysctl -q vm.vfs_cache_pressure="$pressure"
done_testing
