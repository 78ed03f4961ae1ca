# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What all selftests of the module share: the module, the ledger, and leaving nothing
# behind. See tap.sh for how a test is written.

# shellcheck source=selftests/lib/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
# shellcheck source=selftests/lib/topology.sh
. "$SELFTESTS/lib/topology.sh"
# shellcheck source=selftests/lib/traffic.sh
. "$SELFTESTS/lib/traffic.sh"

# begin TOOL...: start of a test that needs these programs.
begin() {
	echo "TAP version 13"
	processes=()
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	[ -n "${NETFLOW_KO:-}" ] || skip_all "NETFLOW_KO does not name the module"
	need_tools netflowctl ip jq "$@"
	if loaded || [ -n "$(ip netns list)" ]; then
		skip_all "the module is loaded or network namespaces exist: this is no machine for tests"
	fi
	mark="netflow selftest $NAME $$"
	echo "$mark" >/dev/kmsg
	make_ready
}

check_after() {
	check "can be cleaned up" clean_up
	check "leaves no module, no namespace and a clean kernel log" pristine
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

# What a kernel in trouble writes to its log, and the module when its books do not balance.
TROUBLE='WARNING:|BUG:|Oops|Call Trace:|general protection|refcount_t:|KASAN|unregister_netdevice: waiting|stall|INFO: task'
TROUBLE+='|packets are in no account'

kernel_log() { dmesg | awk -v mark="$mark" 'on; index($0, mark) { on = 1 }'; }

pristine() {
	local status=0
	if loaded; then echo "netflow is still loaded"; status=1; fi
	if [ -n "$(ip netns list)" ]; then ip netns list; status=1; fi
	kernel_log >"$TMP/kernel.log"
	without "$TROUBLE" "$TMP/kernel.log" || status=1
	return $status
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
		sleep 0.3
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
