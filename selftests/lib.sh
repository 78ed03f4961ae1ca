# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What all selftests share: TAP output, waiting, the module, the ledger, and
# leaving nothing behind. A test sources this file, calls `begin`, then `check`
# for each behaviour, and ends with `done_testing`.

set -u
export LC_ALL=C

SELFTESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
NAME=$(basename "$0" .sh)
KSFT_SKIP=4

# shellcheck source=selftests/topology.sh
. "$SELFTESTS/topology.sh"
# shellcheck source=selftests/traffic.sh
. "$SELFTESTS/traffic.sh"

### TAP

# begin TOOL...: start of a test that needs these programs.
begin() {
	local tool
	echo "TAP version 13"
	count=0 failed=0 complete='' processes=()
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	[ -n "${NETFLOW_KO:-}" ] || skip_all "NETFLOW_KO does not name the module"
	for tool in netflowctl ip jq "$@"; do
		command -v "$tool" >/dev/null || skip_all "$tool is missing"
	done
	if loaded || [ -n "$(ip netns list)" ]; then
		skip_all "the module is loaded or network namespaces exist: this is no machine for tests"
	fi
	TMP=$(mktemp -d)
	mark="netflow selftest $NAME $$"
	echo "$mark" >/dev/kmsg
	# A signal may come while a command's output is redirected.
	exec {tap}>&1
	trap finish EXIT
	trap 'exit 143' INT TERM
}

skip_all() {
	echo "1..0 # SKIP $*"
	exit $KSFT_SKIP
}

diagnose() { sed 's/^/# /'; }

# check DESCRIPTION COMMAND...: one test line. It runs in this shell; what a failing
# command printed becomes the diagnosis.
check() {
	local description=$1
	shift
	count=$((count + 1))
	if "$@" >"$TMP/check.out" 2>&1; then
		echo "ok $count $description"
	else
		echo "not ok $count $description"
		failed=$((failed + 1))
		{
			echo "failed: $*"
			head -n 20 "$TMP/check.out"
			tail -n +21 "$TMP/check.out" | tail -n 10
		} | diagnose
	fi
}

# skip DESCRIPTION REASON: a behaviour that cannot be tested here.
skip() {
	count=$((count + 1))
	echo "ok $count $1 # SKIP $2"
}

# need COMMAND...: a step that the rest of the test builds on.
need() {
	"$@" >"$TMP/need.out" 2>&1 && return
	count=$((count + 1)) failed=$((failed + 1)) complete=1
	echo "not ok $count set-up: $*"
	diagnose <"$TMP/need.out"
	exit 1
}

done_testing() {
	complete=1
	exit 0
}

finish() {
	local status=$?
	trap - EXIT
	trap '' INT TERM
	exec >&"$tap" 2>&1
	[ -n "$complete" ] || check "the script reaches its end (status $status)" false
	check "can be cleaned up" clean_up
	check "leaves no module, no namespace and a clean kernel log" pristine
	rm -rf "$TMP"
	echo "1..$count"
	exit $((failed > 0))
}

clean_up() {
	local pid status=0
	for pid in "${processes[@]}"; do
		kill -KILL "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	[ -z "$(ip netns list)" ] || ip -all netns delete || status=1
	! loaded || timeout 60 rmmod netflow || status=1
	return $status
}

# What a kernel in trouble writes to its log.
TROUBLE='WARNING:|BUG:|Oops|Call Trace:|general protection|refcount_t:|KASAN|unregister_netdevice: waiting|stall|INFO: task'

kernel_log() { dmesg | awk -v mark="$mark" 'on; index($0, mark) { on = 1 }'; }

pristine() {
	local status=0
	if loaded; then echo "netflow is still loaded"; status=1; fi
	if [ -n "$(ip netns list)" ]; then ip netns list; status=1; fi
	kernel_log >"$TMP/kernel.log"
	without "$TROUBLE" "$TMP/kernel.log" || status=1
	return $status
}

### Small words

# eventually SECONDS COMMAND...: true as soon as the command is; its last output is shown
# otherwise. A slow machine sets TIMEOUT_FACTOR.
eventually() {
	local until=$((SECONDS + $1 * ${TIMEOUT_FACTOR:-1})) output
	shift
	while ! output=$("$@" 2>&1); do
		if [ "$SECONDS" -gt "$until" ]; then
			echo "not within the time allowed: $*"
			echo "$output"
			return 1
		fi
		sleep 0.1
	done
}

# equal WHAT EXPECTED ACTUAL
equal() {
	[ "$2" = "$3" ] && return
	echo "$1: expected $2, got $3"
	return 1
}

# same EXPECTED_FILE ACTUAL_FILE: equal and not empty.
same() {
	[ -s "$1" ] || { echo "nothing was expected: $1 is empty"; return 1; }
	diff -U0 --label "expected" --label "actual" "$1" "$2"
}

# without PATTERN FILE: no line matches.
without() { ! grep -E -e "$1" "$2"; }

# refused PATTERN COMMAND...: it fails with one clear line on standard error that
# matches, whatever the case, and nothing on standard output.
refused() {
	local pattern=$1 status=0 said
	shift
	"$@" >"$TMP/refused.out" 2>"$TMP/refused.err" || status=$?
	said=$(<"$TMP/refused.err")
	if [ $status = 0 ]; then
		echo "succeeded: $*"
	elif [ $status -ge 126 ]; then
		echo "status $status: $*"
	elif [ -s "$TMP/refused.out" ]; then
		echo "wrote to standard output: $(<"$TMP/refused.out")"
	elif [ -z "$said" ] || [[ $said == *$'\n'* ]]; then
		echo "not one line on standard error"
	elif ! [[ ${said,,} =~ $pattern ]]; then
		echo "the message does not match '$pattern'"
	else
		return 0
	fi
	echo "$said"
	return 1
}

### The module

loaded() { lsmod | grep -q '^netflow '; }

load() { insmod "$NETFLOW_KO" "$@"; }

unload() { timeout 60 rmmod netflow; }

# nf COMMAND...: netflowctl in the namespace `router`.
nf() { netflowctl --netns router "$@"; }

# info FILTER [NETNS]: one value of netflowctl's state.
info() { netflowctl --netns "${2:-router}" --json info | jq -r "$1"; }

# info_is FILTER VALUE [NETNS]
info_is() { equal "$1" "$2" "$(info "$1" "${3:-router}")"; }

# ledger_holds [NETNS]: at rest every packet and byte is in exactly one account, the
# reasons add up to the sums, and the cache's share is what the flow list shows. Each
# flow that was created has expired once or is cached.
ledger_holds() {
	local ns=${1:-router} tries
	# State and flows are read one after the other; flows may expire in between.
	for tries in {1..5}; do
		netflowctl --netns "$ns" --json info >"$TMP/info.json" || return
		netflowctl --netns "$ns" --json flows >"$TMP/flows.json" || return
		jq -rn --slurpfile i "$TMP/info.json" --slurpfile f "$TMP/flows.json" '
			def require(what; a; b): if a == b then empty else "\(what): \(a) is not \(b)" end;
			$i[0] as $info | $f[0] as $flows
			| (("packets", "bytes") as $unit | $info[$unit] as $l
				| require("\($unit) seen, and the sum of the accounts";
					$l.seen; $l.ignored + $l.cached + $l.pending + $l.exported + $l.lost),
				  require("\($unit) ignored, and its reasons"; $l.ignored; [$l.ignored_by[]] | add),
				  require("\($unit) lost, and its reasons"; $l.lost; [$l.lost_by[]] | add),
				  require("at rest: \($unit) pending"; $l.pending; 0),
				  require("at rest: \($unit) cached, and those of the listed flows"; $l.cached; [$flows[][$unit]] | add // 0)),
			  require("at rest: flows cached, and listed"; $info.flows.cached; $flows | length),
			  require("at rest: flows created, and those that expired or are cached";
				$info.flows.created; ([$info.expired[]] | add) + $info.flows.cached)' >"$TMP/ledger.out" || return
		[ -s "$TMP/ledger.out" ] || return 0
		if grep -qv '^at rest' "$TMP/ledger.out"; then break; fi
	done
	echo "after $tries tries:"
	cat "$TMP/ledger.out" "$TMP/info.json"
	return 1
}

# The last ledger that the module wrote to the kernel log: "seen ignored exported lost"
# of packets, then of bytes, one namespace a line.
logged_ledgers() {
	kernel_log | sed -nE 's/.*netflow: netns [0-9]+: packets seen=([0-9]+) ignored=([0-9]+) exported=([0-9]+) lost=([0-9]+),? bytes seen=([0-9]+) ignored=([0-9]+) exported=([0-9]+) lost=([0-9]+).*/\1 \2 \3 \4 \5 \6 \7 \8/p'
}

# logged_ledgers_hold COUNT: that many namespaces ended, each with an exact ledger.
logged_ledgers_hold() {
	logged_ledgers >"$TMP/ledgers"
	equal "namespaces that logged their ledger" "$1" "$(wc -l <"$TMP/ledgers")" || return
	awk '$1 != $2 + $3 + $4 || $5 != $6 + $7 + $8 { print "does not add up: " $0; bad = 1 } END { exit bad }' "$TMP/ledgers"
}
