# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sending packets, counting them by other programs than the module, and collecting
# flow records. See netflow.sh.
#
# Flows are compared as sorted lines
#	SOURCE DESTINATION PROTOCOL SOURCE_PORT DESTINATION_PORT TOS PACKETS BYTES
# or without TOS, where the counting program does not tell it.

# sum_flows: adds up lines of the same flow.
sum_flows() {
	awk '{
		key = $1
		for (i = 2; i <= NF - 2; i++) key = key " " $i
		packets[key] += $(NF - 1)
		bytes[key] += $NF
	} END {
		for (key in packets) printf "%s %.0f %.0f\n", key, packets[key], bytes[key]
	}' | sort
}

without_tos() { awk '{ print $1, $2, $3, $4, $5, $7, $8 }' | sum_flows; }

# total: packets and bytes of all flows that it reads.
total() {
	awk '{ packets += $(NF - 1); bytes += $NF }
		END { printf "%.0f %.0f\n", packets, bytes }' "$@"
}

### Packets made by hand

# start_injector NETNS DEVICE DESTINATION_MAC: one is enough, it reads from `inject`.
start_injector() {
	coproc INJECTOR { exec ip netns exec "$1" python3 -S "$SELFTESTS/lib/inject.py" "$2" "$3"; }
	# shellcheck disable=SC2153 # set by coproc
	processes+=("$INJECTOR_PID")
	inject </dev/null
}

# inject: sends the packets that standard input describes, as inject.py explains.
inject() {
	local answer
	{ cat && echo end; } >&"${INJECTOR[1]}" || return
	read -r -t "$((60 * ${TIMEOUT_FACTOR:-1}))" answer <&"${INJECTOR[0]}" || return
	[ "$answer" = sent ] && return
	echo "$answer"
	return 1
}

### Counting by nftables

# count_by_nft [NETNS]: from now on nftables counts what passes PRE_ROUTING, by flow.
count_by_nft() { on "${1:-router}" nft -f "$SELFTESTS/lib/witness.nft"; }

# nft_flows NETNS: what it has counted, without ToS.
nft_flows() {
	local from to protocol kind code counts
	{
		nft_elements witness ports "$1"
		while read -r from to protocol kind code counts; do
			echo "$from $to $protocol 0 $((kind * 256 + code)) $counts"
		done < <(nft_elements witness kinds "$1")
		while read -r from to protocol counts; do
			echo "$from $to $protocol 0 0 $counts"
		done < <(nft_elements witness others "$1")
	} | sum_flows
}

# nft_elements TABLE SET [NETNS [FAMILY]]: the elements of a set, each with its packets and bytes.
nft_elements() {
	on "${3:-router}" nft -n list set "${4:-ip}" "$1" "$2" | awk '/counter packets [0-9]/ {
		gsub(/elements = |counter packets|bytes|[{},.] |["{},]/, " ")
		$1 = $1
		print
	}' | sort
}

# nft_counter FAMILY TABLE NAME: packets and bytes.
nft_counter() {
	on router nft -j list counter "$@" |
		jq -r '.nftables[] | .counter // empty | "\(.packets) \(.bytes)"'
}

### Counting by a capture

# start_capture FILE NETNS TCPDUMP_ARGUMENT...
start_capture() {
	local file=$1 ns=$2
	shift 2
	ip netns exec "$ns" tcpdump -Z root --immediate-mode -U -B 32768 -s 1600 -w "$file" "$@" \
		2>"$file.log" &
	capture_pid=$!
	processes+=("$capture_pid")
	eventually 20 grep -q 'listening on' "$file.log"
}

# stop_capture FILE: when nothing has been written for a while.
stop_capture() {
	local size=-1 quiet=0
	while [ $quiet -lt 5 ]; do
		sleep 0.1
		if [ "$(stat -c %s "$1")" = "$size" ]; then
			quiet=$((quiet + 1))
		else
			quiet=0 size=$(stat -c %s "$1")
		fi
	done
	kill "$capture_pid"
	wait "$capture_pid"
	grep -q '^0 packets dropped by kernel' "$1.log" && return
	echo "the capture is not complete:"
	cat "$1.log"
	return 1
}

# captured [-x] FILE [FILTER]: the flows in a capture file, as tshark reads it.
captured() { python3 -B -S "$SELFTESTS/replay/capture_flows.py" "$@" | sort; }

# v5_records CAPTURE FIELD...: of each record that the capture has on its way to port 2055,
# these fields, as tshark decodes them (`cflow.` is left out) and a line each. A field of the
# header is that of the record's datagram.
v5_records() {
	local capture=$1 fields
	shift
	fields=("${@/#/-e cflow.}")
	# shellcheck disable=SC2068 # words
	tshark -n -r "$capture" -d udp.port==2055,cflow -Y 'udp.dstport == 2055' -T fields \
		-E aggregator=' ' ${fields[@]} 2>/dev/null | awk -F'\t' '{
			records = 0
			for (f = 1; f <= NF; f++) {
				of[f] = split($f, words, " ")
				for (i = 1; i <= of[f]; i++) value[f, i] = words[i]
				if (of[f] > records) records = of[f]
			}
			for (i = 1; i <= records; i++) {
				line = ""
				for (f = 1; f <= NF; f++)
					line = line " " (of[f] == 1 ? value[f, 1] : value[f, i])
				print substr(line, 2)
			}
		}'
}

### Collectors

# start_nfcapd NAME [PORT [NETNS [OPTION...]]]: collects into $TMP/NAME.
start_nfcapd() {
	local port=${2:-2055} ns=${3:-collector}
	mkdir -p "$TMP/$1"
	ip netns exec "$ns" nfcapd -w "$TMP/$1" -p "$port" -t 86400 -B 4000000 "${@:4}" \
		>"$TMP/$1.log" 2>&1 &
	nfcapd_pid=$! nfcapd_port=$port
	processes+=("$nfcapd_pid")
	eventually 20 received_all "$nfcapd_pid" "$port"
}

# received_all PID PORT: the process has read all that waits on its UDP port.
received_all() {
	local port
	port=$(printf ':%04X' "$2")
	cat "/proc/$1/net/udp" "/proc/$1/net/udp6" 2>/dev/null | awk -v port="$port" '
		substr($2, length($2) - 4) == port {
			there = 1
			waits = waits || $5 !~ /:0*$/
			drops += $13
		}
		END {
			if (drops) print drops " datagrams were dropped"
			exit !there || waits || drops
		}'
}

# stop_nfcapd: makes it write its file. One at a time is enough for every test.
stop_nfcapd() {
	eventually 20 received_all "$nfcapd_pid" "$nfcapd_port" || return
	kill "$nfcapd_pid"
	wait "$nfcapd_pid"
	return 0
}

# start_nfacctd PORT [PRIMITIVE]: in the namespace `collector`. Its log is $TMP/nfacctd.log. With
# a further primitive, its flows are for those who read $TMP/nfacctd.csv themselves; so they are
# if NFACCTD_KEY has other primitives. NFACCTD_MORE is more of its configuration. Records go to
# the plugin by ZeroMQ: of nfacctd's own ring, a plugin that is slow may read a slot twice, which
# it says only when it happens often.
start_nfacctd() {
	nfacctd_port=${1:-2056}
	cat >"$TMP/nfacctd.conf" <<-END
		daemonize: false
		nfacctd_ip: 10.3.0.2
		nfacctd_port: $nfacctd_port
		nfacctd_disable_checks: false
		nfacctd_pipe_size: 4000000
		plugins: print[x]
		plugin_pipe_zmq: true
		plugin_buffer_size: 10240
		aggregate[x]: ${NFACCTD_KEY:-src_host,dst_host,src_port,dst_port,proto,tos}${2:+,$2}
		print_output[x]: csv
		print_output_file[x]: $TMP/nfacctd.csv
		print_refresh_time[x]: 86400
		print_cache_entries[x]: 16411
		${NFACCTD_MORE:-}
	END
	ip netns exec collector nfacctd -f "$TMP/nfacctd.conf" >"$TMP/nfacctd.log" 2>&1 &
	nfacctd_pid=$!
	processes+=("$nfacctd_pid")
	eventually 20 received_all "$nfacctd_pid" "$nfacctd_port"
}

# stop_nfacctd: its flows, with ToS, are then in $TMP/by_nfacctd. It writes what it has when
# it is interrupted (which a shell's background processes ignore, were it not for nfacctd's
# own handler).
stop_nfacctd() {
	eventually 20 received_all "$nfacctd_pid" "$nfacctd_port" || return
	kill -INT "$nfacctd_pid"
	eventually 20 test -s "$TMP/nfacctd.csv" || return
	wait "$nfacctd_pid"
	# SRC_IP,DST_IP,SRC_PORT,DST_PORT,PROTOCOL,TOS,PACKETS,BYTES
	local from to sport dport protocol rest
	sed -E '1d; s/,udp,/,17,/; s/,tcp,/,6,/; s/,icmp,/,1,/; s/,gre,/,47,/; s/,/ /g' \
		"$TMP/nfacctd.csv" |
		while read -r from to sport dport protocol rest; do
			echo "$from $to $protocol $sport $dport $rest"
		done | sum_flows >"$TMP/by_nfacctd"
}

# collected NAME: flows by nfdump.
collected() {
	show_exported_flows "$1" '*' source destination protocol source-port destination-port \
		tos packets bytes | sum_flows
}

# nfcapd_missed_nothing: no gap in the sequence numbers, and no datagram that it cannot read.
nfcapd_missed_nothing() {
	grep 'Sequence Errors' "$TMP/nfcapd.log"
	grep -q 'Sequence Errors: 0, Bad Packets: 0' "$TMP/nfcapd.log"
}

# What nfcapd got is what nftables saw in the router, flow by flow.
collected_as_nft_saw() {
	nft_flows router >"$TMP/expected"
	collected nfcapd | without_tos >"$TMP/collected"
	same "$TMP/expected" "$TMP/collected"
}
