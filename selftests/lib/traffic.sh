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

# total FILE: packets and bytes of all its flows.
total() { awk '{ packets += $(NF - 1); bytes += $NF } END { printf "%.0f %.0f\n", packets, bytes }' "$1"; }

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
	read -r -t 60 answer <&"${INJECTOR[0]}" || return
	[ "$answer" = sent ] && return
	echo "$answer"
	return 1
}

### Counting by nftables

# count_by_nft [NETNS]: from now on nftables counts what passes PRE_ROUTING, by flow.
count_by_nft() {
	on "${1:-router}" nft -f - <<-'END'
		table ip witness {
			set ports {
				typeof ip saddr . ip daddr . ip protocol . th sport . th dport
				size 65535; flags dynamic; counter
			}
			set messages {
				typeof ip saddr . ip daddr . ip protocol . icmp type . icmp code
				size 65535; flags dynamic; counter
			}
			set others {
				typeof ip saddr . ip daddr . ip protocol
				size 65535; flags dynamic; counter
			}
			chain count {
				type filter hook prerouting priority -500; policy accept;
				ip protocol { tcp, udp } ip frag-off & 0x1fff == 0 update @ports { ip saddr . ip daddr . ip protocol . th sport . th dport } accept
				ip frag-off & 0x1fff == 0 update @messages { ip saddr . ip daddr . ip protocol . icmp type . icmp code } accept
				update @others { ip saddr . ip daddr . ip protocol } accept
			}
		}
	END
}

# nft_flows NETNS: what it has counted, without TOS.
nft_flows() {
	on "$1" nft -n list table ip witness | awk '
		/^\t(set|chain) / { set = $2 }
		/counter packets [0-9]/ {
			gsub(/elements = |[{},.] |[{},]/, " ")
			if (set == "ports") print $1, $2, $3, $4, $5, $8, $10
			if (set == "messages") print $1, $2, $3, 0, $4 * 256 + $5, $8, $10
			if (set == "others") print $1, $2, $3, 0, 0, $6, $8
		}' | sum_flows
}

### Counting by a capture

# start_capture FILE NETNS TCPDUMP_ARGUMENT...
start_capture() {
	local file=$1 ns=$2
	shift 2
	ip netns exec "$ns" tcpdump -Z root --immediate-mode -U -B 32768 -s 1600 -w "$file" "$@" 2>"$file.log" &
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
captured() { python3 -S "$SELFTESTS/replay/capture_flows.py" "$@" | sort; }

### Collectors

# start_nfcapd NAME [PORT] [NETNS]: collects into $TMP/NAME.
start_nfcapd() {
	local port=${2:-2055} ns=${3:-collector}
	mkdir -p "$TMP/$1"
	ip netns exec "$ns" nfcapd -w "$TMP/$1" -p "$port" -t 86400 -B 4000000 >"$TMP/$1.log" 2>&1 &
	nfcapd_pid=$! nfcapd_port=$port
	processes+=("$nfcapd_pid")
	eventually 20 received_all "$nfcapd_pid" "$port"
}

# received_all PID PORT: the process has read all that waits on its UDP port.
received_all() {
	awk -v port="$(printf ':%04X' "$2")" '
		substr($2, length($2) - 4) == port { there = 1; split($5, q, ":"); if (q[2] + 0 != 0 || q[2] ~ /[1-9A-F]/) waits = 1; drops += $13 }
		END { if (drops) print drops " datagrams were dropped"; exit !there || waits || drops }' "/proc/$1/net/udp"
}

# stop_nfcapd: makes it write its file. One at a time is enough for every test.
stop_nfcapd() {
	eventually 20 received_all "$nfcapd_pid" "$nfcapd_port" || return
	kill "$nfcapd_pid"
	wait "$nfcapd_pid"
	return 0
}

# start_nfacctd PORT: in the namespace `collector`. Its log is $TMP/nfacctd.log.
start_nfacctd() {
	nfacctd_port=${1:-2056}
	cat >"$TMP/nfacctd.conf" <<-END
		daemonize: false
		nfacctd_ip: 10.3.0.2
		nfacctd_port: $nfacctd_port
		nfacctd_disable_checks: false
		nfacctd_pipe_size: 4000000
		plugins: print[x]
		plugin_buffer_size: 10240
		plugin_pipe_size: 1024000
		aggregate[x]: src_host,dst_host,src_port,dst_port,proto,tos
		print_output[x]: csv
		print_output_file[x]: $TMP/nfacctd.csv
		print_refresh_time[x]: 86400
		print_cache_entries[x]: 16411
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
	sed 1d "$TMP/nfacctd.csv" | awk -F, '{ print $1, $2, $5 == "udp" ? 17 : $5 == "tcp" ? 6 : $5, $3, $4, $6, $7, $8 }' |
		sum_flows >"$TMP/by_nfacctd"
}

# records NAME FORMAT: raw flow records, one a line: their key (ICMP's type.code as a
# port), and fields as nfdump(1) names them.
records() {
	nfdump -q -N -R "$TMP/$1" -o "csv:%sa,%da,%pr,%sp,%dp,%tos,$2" | sed 1d | grep , | tr , ' ' |
		awk '$5 ~ /\./ { split($5, icmp, "."); $5 = icmp[1] * 256 + icmp[2] } { print }'
}

# collected NAME: flows by nfdump.
collected() { records "$1" %pkt,%byt | sum_flows; }

# What nfcapd got is what nftables saw in the router, flow by flow.
collected_as_nft_saw() {
	nft_flows router >"$TMP/expected"
	collected nfcapd | without_tos >"$TMP/collected"
	same "$TMP/expected" "$TMP/collected"
}
