#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Namespaces whose collectors take nothing end without delay, hundreds of them: while they do,
# no other can be made. Each leaves an exact ledger. So does the module, which gives all of them
# together two seconds.
#
#    COUNT namespaces, each with
#    +------------------------------------+
#    | netflow, observes output           |
#    | stuck 192.0.2.1/24: tbf, 1 byte/s  |    16 collectors are behind it
#    +------------------------------------+

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin tc modprobe unshare

FACTOR=${TIMEOUT_FACTOR:-1}
# Fewer where all takes longer: to make 200 takes half an hour with the debug kernel.
COUNT=${COUNT:-$((200 / FACTOR))}

# start_namespaces COUNT: they are there when this returns.
start_namespaces() {
	coproc HOLDER { exec python3 -B "$SELFTESTS/stuck.py" hold "$1" 2>&1; }
	# shellcheck disable=SC2153 # set by coproc
	holder=$HOLDER_PID
	processes+=("$holder")
	local line
	: >"$TMP/seen"
	while read -r -t $((60 * FACTOR)) line <&"${HOLDER[0]}"; do
		case $line in
			"seen "*) echo "${line#seen }" >>"$TMP/seen" ;;
			ready) return ;;
			*) echo "$line" ;;
		esac
	done
	return 1
}

end_namespaces() {
	eval "exec ${HOLDER[1]}>&-"
	wait "$holder"
}

# end_within SECONDS COUNT: so many namespaces end. Meanwhile others are made, each of which
# takes half as long at most.
end_within() {
	local begin=$SECONDS start slowest
	until logged_ledgers_hold "$2" >"$TMP/logged"; do
		start=$(date +%s%N)
		unshare -n true || return
		slowest=$((($(date +%s%N) - start) / 1000000))
		[ "$slowest" -le $(($1 * 500)) ] || says "another takes $slowest ms" || return
		[ $((SECONDS - begin)) -le "$1" ] || { cat "$TMP/logged"; return 1; }
	done
}

# as_seen: the ledgers in the log have seen what the namespaces told.
as_seen() {
	sort "$TMP/seen" >"$TMP/expected"
	cut -d ' ' -f 1 "$TMP/ledgers" | sort >"$TMP/actual"
	same "$TMP/expected" "$TMP/actual"
}

# some_lost: in each of them; a slow kernel may leave none the time to send.
some_lost() {
	awk -v slow="$((FACTOR > 1))" '
		$4 == 0 { bad = 1 }
		{ sent += $3 }
		END { exit bad || !(sent || slow) }' "$TMP/ledgers"
}

# unloads_within SECONDS
unloads_within() {
	local begin=$SECONDS
	timeout 600 rmmod netflow || return
	[ $((SECONDS - begin)) -le "$1" ] || { echo "$((SECONDS - begin)) s"; return 1; }
}

need modprobe -a dummy sch_tbf

need load
need start_namespaces "$COUNT"
need end_namespaces
check "$COUNT namespaces end soon, with exact ledgers, and others can be made" \
	end_within $((10 * FACTOR)) "$COUNT"
check "which have what was seen" as_seen
check "some was sent, and the rest is lost" some_lost
need unload

# What is logged from here on is of the module's end.
mark+=", rmmod"
echo "$mark" >/dev/kmsg
need load
need start_namespaces 20
check "the module goes within its time with 20 such namespaces" unloads_within $((4 * FACTOR))
check "with exact ledgers" logged_ledgers_hold 20
check "which have what was seen" as_seen
check "some was sent, and the rest is lost" some_lost
need end_namespaces
done_testing
