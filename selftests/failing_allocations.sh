#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Allocations fail. Every allocation of the module fails once, and only that one: the command
# is then refused with one line and has changed nothing, or it succeeds. Then many fail at
# random, under traffic, and the ledger stays exact.
# Needs a kernel with fault injection (`make vm KERNEL=debug`).
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2: nfcapd

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"

# Allocations of these two kinds are made to fail: kmalloc, and whole pages.
FAULTS=(/sys/kernel/debug/failslab /sys/kernel/debug/fail_page_alloc)
if [ ! -e /proc/self/fail-nth ] || [ ! -e "${FAULTS[0]}/require-start" ]; then
	echo "TAP version 13"
	skip_all "this kernel cannot make allocations fail"
fi
begin nfcapd nfdump

# The kernel shows the stack when an allocation has failed; that is no trouble here.
TROUBLE=${TROUBLE/Call Trace:|/}

# faults NAME VALUE: of both kinds.
faults() { tee "${FAULTS[@]/%//$1}" <<<"$2" >/dev/null; }

faults verbose 0
faults ignore-gfp-wait 0
echo 0 >"${FAULTS[1]}/min-order"
echo 0 >"${FAULTS[1]}/ignore-gfp-highmem"
faults stacktrace-depth 32

# fail_below START END: from now on only allocations fail that a function in this range
# has asked for, directly or not.
fail_below() {
	faults require-start "$1"
	faults require-end "$2"
}

# What the loader calls in a new module.
fail_below_init() {
	local start end
	# Functions at the same address are one.
	start=$(grep -m 1 ' do_one_initcall$' /proc/kallsyms | cut -d ' ' -f 1)
	end=$(cut -d ' ' -f 1 /proc/kallsyms | sort -u | grep -A 1 "$start" | tail -n 1)
	fail_below "0x$start" "0x$end"
}

# The functions of the loaded module. Its place changes with each load.
fail_below_module() {
	local size base
	read -r _ size _ _ _ base _ < <(grep '^netflow ' /proc/modules)
	fail_below "$base" "$(printf '0x%x' $((base + size)))"
}

# failing N COMMAND...: the N-th allocation in the range fails. Sets `hit` if there are so many.
failing() {
	local n=$1 left status=0
	shift
	faults times 1000
	(
		echo "$n" >/proc/self/fail-nth
		exec "$@"
	) || status=$?
	left=$(sort -n "${FAULTS[@]/%//times}" | head -n 1)
	hit=$((1000 - left))
	return "$status"
}

# sweep STATE UNDO COMMAND...: each allocation fails once. If that makes the command fail
# then STATE prints the same as before, otherwise UNDO takes back what it did.
sweep() {
	local state=$1 undo=$2 before n status
	shift 2
	before=$($state) || return
	for ((n = 1; n <= 500; n++)); do
		status=0
		failing "$n" "$@" >"$TMP/sweep.out" 2>"$TMP/sweep.err" || status=$?
		if [ "$hit" = 0 ]; then
			if [ "$status" != 0 ]; then
				echo "without a failing allocation: status $status"
				cat "$TMP/sweep.err"
				return 1
			fi
			$undo || { echo "cannot be undone: $undo"; return 1; }
			echo "$((n - 1)) $NAME $*" >>"$TMP/swept"
			[ "$n" -gt 1 ] || { echo "no allocation failed"; return 1; }
			return 0
		fi
		if [ "$status" = 0 ]; then
			$undo || { echo "allocation $n: cannot be undone: $undo"; return 1; }
		else
			if [ "$(wc -l <"$TMP/sweep.err")" != 1 ]; then
				echo "allocation $n, status $status: not one line on stderr:"
				cat "$TMP/sweep.err"
				return 1
			fi
		fi
		equal "allocation $n, status $status: state" "$before" "$($state)" || return
	done
	echo "no end of allocations"
	return 1
}

# What there is, for comparison.
modules() { lsmod | grep -c '^netflow '; true; }
namespaces() { ip netns list; }
state() { nf --json info | jq -S 'del(.sys_uptime, .enable_error, .flows.created, .expired)'; }
nothing() { :; }

fail_below_init
check "loading" sweep modules unload insmod "$NETFLOW_KO"
check "loading, with the exporter enabled" \
	sweep modules unload insmod "$NETFLOW_KO" enable=1 max_flows=4096

need load
fail_below_module
check "a new namespace" sweep namespaces "ip netns del extra" ip netns add extra
need two_hosts
check "enabling" sweep state "nf disable" netflowctl --netns router enable
# An allocation may fail without harm: there are pages instead of a larger block. Settings stay.
need nf enable --max-flows 4096
need nf disable
check "enabling, with a cache of a few pages" sweep state "nf disable" \
	netflowctl --netns router enable --max-flows 4096
check "adding a collector" sweep state "nf collector del 10.3.0.2" \
	netflowctl --netns router collector add 10.3.0.2
need start_nfcapd nfcapd
need nf collector add 10.3.0.2
need nf enable --max-flows 256 --inactive-timeout 600
check "adding a second collector" sweep state "nf collector del 10.3.0.9" \
	netflowctl --netns router collector add 10.3.0.9
check "reading the state" sweep nothing nothing netflowctl --netns router info

need start_injector left l0 02:00:00:00:01:01
inject <<'END'
	udp 10.1.0.2:1-200 10.9.0.1:53 count=2 len=100
END
check "packets are accounted" info_is packets.cached=400
check "reading the flows" sweep nothing nothing netflowctl --netns router flows
check "reading changes nothing" info_is packets.cached=400 packets.exported=0

refill() {
	inject <<-'END'
		udp 10.1.0.2:1-50 10.9.0.1:53 len=100
	END
}
exported_or_lost() { info_is packets.cached=0 packets.pending=0 && ledger_holds && refill; }
check "exporting: the ledger is exact" \
	sweep nothing exported_or_lost netflowctl --netns router flush
check "what was not sent is lost, the rest was not" \
	info_is "packets | .exported + .lost + .cached=$(info packets.seen)"

# Any allocation of the module's, in any context. A datagram for which there is no memory is sent
# again, as one for which there is no room.
faults times -1
faults interval 3
faults probability 50
for round in 1 2 3 4 5 6 7 8; do
	inject <<-END
		udp 10.1.0.2:1-250 10.9.0.$round:53 count=3 len=200
		tcp 10.1.0.2:1-100 10.9.1.$round:80 len=60 flags=SF
	END
	nf flush >"$TMP/flush.out" 2>&1
	nf set inactive-timeout $((600 + round)) >"$TMP/set.out" 2>&1
	nf --json flows >"$TMP/flows.out" 2>&1
	nf disable >"$TMP/disable.out" 2>&1
	nf enable --max-flows $((round * 64)) >"$TMP/enable.out" 2>&1
done
faults probability 0
check "the ledger is exact after failures at random" ledger_holds
if [ "$(info enabled)" = false ]; then
	need nf enable --max-flows 256
fi
sent=$(info packets.exported)
refill
check "afterwards flows can be flushed" nf flush
check "and packets received since are exported" info_is "packets.exported>=$((sent + 50))"
need nf disable
need stop_nfcapd
read -r packets bytes < <(collected nfcapd | total)
check "the collector has what the ledger calls exported" \
	info_is packets.exported="$packets" bytes.exported="$bytes"
diagnose <"$TMP/swept"
done_testing
