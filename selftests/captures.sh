#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Real traffic of many kinds: what nfcapd collects of each capture in captures/ is what
# tshark reads in it. The topology is drawn in replay_captures.sh, which does the work.

# shellcheck source=selftests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin nfcapd nfdump tshark mergecap tcpreplay

"$SELFTESTS/replay_captures.sh" "$SELFTESTS/captures" >"$TMP/report" 2>&1
status=$?

# details NAME: the lines below that of a capture.
details() { awk -v name="$1" '/^[^ ]/ { on = $1 == name } on' "$TMP/report"; }

says_so() {
	cat "$TMP/report"
	[ "$status" = 0 ]
}

agrees() { details "$1"; details "$1" | grep -q ' 0 differ'; }

for capture in "$SELFTESTS"/captures/*.pcap*; do
	name=${capture##*/}
	if left_out=$(details "$name" | grep -o 'nothing that an IPv4 router accepts.*'); then
		check "$name: $left_out" says_so
	else
		check "$name: all flows agree" agrees "$name"
	fi
done
check "the replay says so too" says_so
done_testing
