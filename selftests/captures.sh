#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Real traffic of many kinds, of IPv4 and IPv6, and captures with every fault that we know: what
# nfcapd collects of each through v5, v9 and IPFIX is what tshark reads in it; of the latter, also
# what make_captures.py says that it has put in. The topology is drawn in replay_captures.sh, which
# does the work.

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump tshark mergecap editcap capinfos tcpdump tcpreplay nft

need cp -r "$SELFTESTS/captures" "$TMP/real"
need mkdir "$TMP/all"
need mv "$TMP/real" "$TMP/all/real"
make_captures() { python3 -B "$SELFTESTS/replay/make_captures.py" "$TMP/all/made" >"$TMP/made"; }
need make_captures

"$SELFTESTS/replay_captures.sh" "$TMP/all" >"$TMP/report" 2>"$TMP/errors"
status=$?

# details NAME: the line of a capture, and those below it.
details() {
	local line on=''
	while IFS= read -r line; do
		case $line in
			"$1  "*) on=1 ;;
			[!\ ]*) on='' ;;
		esac
		[ -z "$on" ] || echo "$line"
	done <"$TMP/report"
}

# says NAME PATTERN: its line matches.
says() {
	details "$1" >"$TMP/details"
	echo "$(<"$TMP/details")"
	[[ $(<"$TMP/details") =~ $2 ]]
}

says_so() {
	tail -n 20 "$TMP/report" "$TMP/errors"
	[ "$status" = 0 ]
}

for capture in "$TMP"/all/real/*.pcap*; do
	name=real/${capture##*/}
	check "$name: all flows agree" says "$name" ' [1-9][0-9]* flows +0 differ'
done
number='[0-9]+'
while IFS=$'\t' read -r name packets flows; do
	if [ "$packets" = 0 ]; then
		check "made/$name: no packet for a router" says "made/$name" 'skipped: .'
	else
		check "made/$name: the packets and flows that were put in" says "made/$name" \
			" ${packets/#-/$number} packets +${flows/#-/$number} flows +0 differ"
	fi
done <"$TMP/made"
check "the replay says so too" says_so
done_testing
