# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What all selftests of the module share: the module, its state, the ledger, and the check
# that a test leaves nothing behind. See tap.sh for how a test is written.

# shellcheck source=selftests/lib/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
# shellcheck source=selftests/lib/topology.sh
. "$SELFTESTS/lib/topology.sh"
# shellcheck source=selftests/lib/traffic.sh
. "$SELFTESTS/lib/traffic.sh"
# shellcheck source=selftests/lib/flows.sh
. "$SELFTESTS/lib/flows.sh"

# The kernel's source: its own client of netlink specifications, and its own selftests' library.
# shellcheck source=/dev/null
KSRC=${KSRC:-$(. /usr/src/netflow-kernel/stock 2>/dev/null && echo "${TREE%/*}/source")}
export KSRC

# begin TOOL...: start of a test that needs these programs.
begin() {
	echo "TAP version 13"
	processes=()
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	[ -n "${NETFLOW_KO:-}" ] || skip_all "NETFLOW_KO does not name the module"
	need_tools netflowctl ip jq python3 "$@"
	if loaded || [ -n "$(ip netns list)" ]; then
		skip_all "not a machine for tests: the module is loaded or network namespaces exist"
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

# What a kernel in trouble writes to its log, and the module if its ledger does not add up.
TROUBLE='WARNING:|BUG:|Oops|Call Trace:|general protection|refcount_t:|KASAN|stall|INFO: task'
TROUBLE+='|unregister_netdevice: waiting|packets are in no account'

kernel_log() { dmesg | awk -v mark="$mark" 'on; index($0, mark) { on = 1 }'; }

pristine() {
	local status=0
	if loaded; then echo "netflow is still loaded"; status=1; fi
	if [ -n "$(ip netns list)" ]; then ip netns list; status=1; fi
	kernel_log >"$TMP/kernel.log"
	without "$TROUBLE" "$TMP/kernel.log" || status=1
	return $status
}

# relay FILE: what a test by the kernel's Python library has printed becomes checks of this one.
relay() {
	local line diagnosis=''
	while IFS= read -r line; do
		case $line in
			"ok "*"# SKIP"*) skip "$(case_of "$line")" "${line#*# SKIP }" ;;
			"ok "*) check "$(case_of "$line")" true ;;
			"not ok "*) check "$(case_of "$line")" says "$diagnosis" ;;
			"# "*) diagnosis+=${line#"# "}$'\n' && continue ;;
			"TAP version"* | 1..*) ;;
			*) diagnosis+=$line$'\n' && continue ;;
		esac
		diagnosis=''
	done <"$1"
	check "all cases were run" grep -q '^# Totals: pass:[1-9]' "$1"
}

# case_of LINE: what was tested: "TEST.CASE" or "TEST.CASE.VARIANT".
case_of() { sed -E 's/^(not )?ok [0-9]+ [^.]*\.//; s/ # .*//; s/_/ /g; s/\./: /' <<<"$1"; }

says() {
	echo "$1"
	return 1
}

### The module

loaded() { lsmod | grep -q '^netflow '; }

load() { insmod "$NETFLOW_KO" "$@"; }

unload() { timeout 60 rmmod netflow; }

# nf COMMAND...: netflowctl in the namespace `router`.
nf() { netflowctl --netns router "$@"; }

# info PATH [NETNS]: one value of the exporter's state, such as packets.lost_by.cache_full.
info() { netflowctl --netns "${2:-router}" --json info | jq -r ".$1"; }

# info_is [-n NETNS] PATH=NUMBER...: several values of the state. >, <, >= and <= compare too.
info_is() {
	local netns=router wanted path operator value i=0 status=0 paths=() values
	[ "$1" = -n ] && { netns=$2; shift 2; }
	for wanted; do
		paths+=("(.${wanted%%[=<>]*})")
	done
	path=$(IFS=,; echo "${paths[*]}")
	mapfile -t values < <(netflowctl --netns "$netns" --json info | jq -r "$path")
	for wanted; do
		path=${wanted%%[=<>]*} value=${values[i]-nothing}
		i=$((i + 1)) operator=${wanted#"$path"}
		operator=${operator%%[!=<>]*}
		wanted=${wanted#"$path$operator"}
		case $operator in
			=) [ "$value" = "$wanted" ] && continue ;;
			">") [ "$value" -gt "$wanted" ] && continue ;;
			"<") [ "$value" -lt "$wanted" ] && continue ;;
			">=") [ "$value" -ge "$wanted" ] && continue ;;
			"<=") [ "$value" -le "$wanted" ] && continue ;;
		esac
		echo "$path: expected $operator $wanted, got $value"
		status=1
	done
	return "$status"
}

# nothing_lost [NETNS]
nothing_lost() { info_is -n "${1:-router}" packets.lost=0 bytes.lost=0; }

# ledger_holds [NETNS]: at rest every packet and byte is in exactly one account, the
# reasons add up to the sums, and the cache's share is what the flow list shows. Each
# flow that was created has expired once or is cached.
ledger_holds() {
	local ns=${1:-router} tries
	# State and flows are read one after the other; flows may expire in between.
	for tries in {1..5}; do
		netflowctl --netns "$ns" --json info >"$TMP/info.json" || return
		netflowctl --netns "$ns" --json flows >"$TMP/flows.json" || return
		jq -rn --slurpfile i "$TMP/info.json" --slurpfile f "$TMP/flows.json" \
			-f "$SELFTESTS/lib/ledger.jq" >"$TMP/ledger.out" || return
		[ -s "$TMP/ledger.out" ] || return 0
		if grep -qv '^at rest' "$TMP/ledger.out"; then break; fi
		sleep 0.3
	done
	echo "after $tries tries:"
	cat "$TMP/ledger.out" "$TMP/info.json"
	return 1
}

# The ledgers that the module wrote to the kernel log, one for each namespace that ended:
# "seen ignored exported lost" of packets, then of bytes.
logged_ledgers() {
	local counts='seen=([0-9]+) ignored=([0-9]+) exported=([0-9]+) lost=([0-9]+)'
	local ledger="netflow: netns [0-9]+: packets $counts,? bytes $counts"
	kernel_log | sed -nE "s/.*$ledger.*/\1 \2 \3 \4 \5 \6 \7 \8/p"
}

# logged_ledgers_hold COUNT: that many namespaces ended, each with an exact ledger.
logged_ledgers_hold() {
	local p_seen p_ignored p_exported p_lost seen ignored exported lost
	logged_ledgers >"$TMP/ledgers"
	equal "namespaces that logged their ledger" "$1" "$(wc -l <"$TMP/ledgers")" || return
	while read -r p_seen p_ignored p_exported p_lost seen ignored exported lost; do
		equal "packets" "$p_seen" $((p_ignored + p_exported + p_lost)) || return
		equal "bytes" "$seen" $((ignored + exported + lost)) || return
	done <"$TMP/ledgers"
}

# logged_exports: packets and bytes that all these namespaces exported.
logged_exports() { logged_ledgers | cut -d ' ' -f 3,7 | total; }
