# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Times of flows: what tcpdump saw, and what collectors have. Flows of these tests are named by
# their source ports. See netflow.sh, which has to be sourced before.

# seen: lines "PORT FIRST LAST" of $TMP/link.pcap, in seconds.
seen() {
	tshark -n -r "$TMP/link.pcap" -Y 'udp.dstport == 53' -T fields -e udp.srcport \
		-e frame.time_epoch 2>/dev/null | awk '
		!($1 in first) { first[$1] = $2 }
		{ last[$1] = $2 }
		END { for (port in first) print port, first[port], last[port] }' | sort
}

# collected_times NAME: the same by nfdump.
collected_times() {
	local port first last
	while read -r port first last; do
		printf '%d %d.%03d %d.%03d\n' "$port" $((first / 1000)) $((first % 1000)) \
			$((last / 1000)) $((last % 1000))
	done < <(show_exported_flows "$1" '*' source-port first last)
}

# agree FILE: ports, and times within a tenth of a second of those in $TMP/seen.
agree() {
	cut -d ' ' -f 1 "$TMP/seen" >"$TMP/ports.seen"
	cut -d ' ' -f 1 "$1" >"$TMP/ports"
	same "$TMP/ports.seen" "$TMP/ports" || return
	paste -d ' ' "$TMP/seen" "$1" | awk '
		function off(a, b) { return a - b > 0.1 || b - a > 0.1 }
		off($2, $5) || off($3, $6) { print "port, tcpdump, collected: " $0; bad = 1 }
		END { exit bad }'
}
