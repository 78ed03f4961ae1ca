#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A file of the configuration: a namespace becomes what it says, by what differs alone, or stays as
# it was; and a file that was saved brings the state back.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2: nfcapd

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump nft

# The state that a file can describe, as the commands that list it have it.
state() {
	local info config
	info=$(nf --json info) && config=$(nf --json show config) || return
	jq -nS --argjson info "$info" --argjson config "$config" '{
		enabled: $info.enabled, settings: ($config | del(.ifaces)),
		collectors: ($info.collectors |
			map({address, port, protocol, source, device}) | sort),
		ifaces: ($info.ifaces | map({key: .ifname, value: .number}) | from_entries)}'
}

# state_is FILE
state_is() { state >"$TMP/state" && same "$1" "$TMP/state"; }

# changes FILE FILE: what differs between two states, in the words of `apply --json`.
changes() {
	jq -nS --slurpfile old "$1" --slurpfile new "$2" '
		$old[0] as $old | $new[0] as $new |
		[({enabled: [$old.enabled, $new.enabled]} | .enabled | select(.[0] != .[1]) |
			{change: "enabled", old: .[0], new: .[1]}),
		($new.settings | to_entries[] | select(.value != $old.settings[.key]) |
			{change: "setting", name: .key, old: $old.settings[.key], new: .value}),
		(($old.collectors - $new.collectors)[] | {change: "collector", old: ., new: null}),
		(($new.collectors - $old.collectors)[] | {change: "collector", old: null, new: .}),
		($old.ifaces + $new.ifaces | keys[] | select($old.ifaces[.] != $new.ifaces[.]) |
			{change: "iface", ifname: ., old: $old.ifaces[.], new: $new.ifaces[.]})]
		| sort'
}

# apply_tells BEFORE FILE: it tells what has changed since that state, and nothing else.
apply_tells() {
	nf --json apply "$2" >"$TMP/told" && state >"$TMP/after" || return
	changes "$1" "$TMP/after" >"$TMP/expected"
	jq -S sort "$TMP/told" >"$TMP/told.sorted"
	same "$TMP/expected" "$TMP/told.sorted"
}

# changes_nothing COMMAND...: it prints nothing, and the counters of collectors go on.
changes_nothing() {
	local before
	before=$(nf --json collector list)
	equal "output" "" "$("$@" 2>&1)" &&
		equal "collectors" "$before" "$(nf --json collector list)"
}

# refused_whole STATE PATTERN FILE
refused_whole() { refused "$2" nf apply "$3" && state_is "$1"; }

send() { inject <<<"udp 10.1.0.2:$1 10.9.0.1:53 count=5"; }

need two_hosts
need load
need count_by_nft
need start_injector left l0 02:00:00:00:01:01
need start_nfcapd nfcapd
# Nobody listens at the other ports, and no ICMP message is to say so.
need on collector nft -f - <<'END'
	table ip silent {
		chain ports {
			type filter hook prerouting priority -500;
			udp dport { 9, 9995 } drop
		}
	}
END

state >"$TMP/first"
cat >"$TMP/router.toml" <<'END'
enabled = true
[settings]
max-flows = 4096
inactive-timeout = 300
expiry = "strict"
observe = ["forward", "prerouting"]
engine-id = 7
[[collectors]]
address = "10.3.0.2"
[[collectors]]
address = "10.3.0.2"
port = 9995
source = "10.2.0.1"
device = "to-collector"
[interfaces]
to-left = 70000
"not.yet" = 9
END
cat >"$TMP/expected" <<'END'
set max-flows 4096 (was 65536)
set inactive-timeout 300 (was 15)
set expiry strict (was lazy)
set observe prerouting,forward (was prerouting)
set engine-id 7 (was 0)
iface set not.yet --number 9
iface set to-left --number 70000
collector add 10.3.0.2:2055
collector add 10.3.0.2:9995 --source 10.2.0.1 --device to-collector
enable
END
tells_all() {
	nf apply --check "$TMP/router.toml" >"$TMP/checked" && same "$TMP/expected" "$TMP/checked"
}
check "a check tells all that would change" tells_all
check "and changes nothing" state_is "$TMP/first"
check "what is told is what changes" apply_tells "$TMP/first" "$TMP/router.toml"
state >"$TMP/router"
# From the text above, not from what was told.
check "and is what the file says" jq -e '.enabled and .ifaces == {"to-left": 70000, "not.yet": 9}
	and (.settings |
		[.max_flows, .inactive_timeout, .expiry, .observe, .engine_id, .active_timeout] ==
		[4096, 300, "strict", ["prerouting", "forward"], 7, 1800])
	and .collectors == [
		{address: "10.3.0.2", port: 2055, protocol: "v5", source: null, device: null},
		{address: "10.3.0.2", port: 9995, protocol: "v5", source: "10.2.0.1",
			device: "to-collector"}
	]' "$TMP/router"
need send 1000
need nf flush
check "applied again, it changes nothing" changes_nothing nf apply "$TMP/router.toml"

check "the state can be saved" nf save "$TMP/saved.toml"
check "what was saved leaves nothing to do" changes_nothing nf apply "$TMP/saved.toml"

other() {
	nf set expiry lazy active-timeout 777 count-own on && nf iface del to-left &&
		nf iface set to-right --number 5 && nf collector del 10.3.0.2:9995 &&
		nf collector add 10.3.0.2:9995 --source 10.1.0.1 && nf collector add 10.3.0.2:9 &&
		nf disable && nf set max-flows 128
}
need other
state >"$TMP/other"
check "it brings the state back" apply_tells "$TMP/other" "$TMP/saved.toml"
check "all of it" state_is "$TMP/router"

# What the kernel refuses comes last, after all else was changed.
sed 's/"strict"/"lazy"/; s/70000/8/; s/^source.*/source = "203.0.113.9"/' "$TMP/router.toml" \
	>"$TMP/refused.toml"
check "a source that is not of this host leaves everything as it was" refused_whole "$TMP/router" \
	'collector add 10.3.0.2:9995 --source 203.0.113.9 .*address of this host.*; .* is undone' \
	"$TMP/refused.toml"
sed 's/4096/1024/; s/70000/8/; s/= 300/= 3000/' "$TMP/router.toml" >"$TMP/refused.toml"
check "so do settings that contradict each other, and the exporter is enabled again" refused_whole \
	"$TMP/router" 'set max-flows 1024 inactive-timeout 3000: .*; .* is undone' \
	"$TMP/refused.toml"

mistakes() {
	local status=0
	sed 's/"strict"/"eager"/; s/^source/sorce/' "$TMP/router.toml" >"$TMP/wrong.toml"
	nf apply "$TMP/wrong.toml" >"$TMP/wrong.out" 2>"$TMP/wrong" || status=$?
	equal "status" 2 "$status" && equal "output" "" "$(<"$TMP/wrong.out")" || return
	sed "s|.*/wrong.toml:||; s/: .*//" "$TMP/wrong" >"$TMP/places"
	printf '%s\n' 5:10 13:1 >"$TMP/expected"
	same "$TMP/expected" "$TMP/places" && state_is "$TMP/router"
}
check "mistakes are all told with line and column" mistakes

# The cache is made anew meanwhile.
sed 's/4096/8192/' "$TMP/router.toml" >"$TMP/larger.toml"
need send 2000
printf '%s\n' disable "set max-flows 8192 (was 4096)" enable >"$TMP/expected"
restarts() { nf apply "$TMP/larger.toml" >"$TMP/told" && same "$TMP/expected" "$TMP/told"; }
check "max-flows changes while flows are in the cache" restarts
need send 3000
check "and none is lost" nothing_lost
check "the ledger adds up" ledger_holds
need nf disable
need stop_nfcapd
check "a real collector has every packet" collected_as_nft_saw

nothing_is_left() {
	echo 'enabled = false' >"$TMP/none.toml"
	nf apply "$TMP/none.toml" || return
	state | jq -e '.enabled == false and .collectors == [] and .ifaces == {}
		and .settings.engine_id == 7'
}
check "without collectors and interfaces there are none, and settings stay" nothing_is_left
done_testing
