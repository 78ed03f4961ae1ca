#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Sampling: one packet of so many is accounted, the others are in an account of the ledger, and
# collectors are told in which way.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2:
#                                                         nfcapd: v5 2055, v9 2056, IPFIX 4739,
#                                                         nfacctd 2058, tcpdump

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
# shellcheck source=selftests/lib/decoders.sh
. "$SELFTESTS/lib/decoders.sh"
begin nfcapd nfdump nfacctd tcpdump tshark nft nc ethtool taskset

# ignored_is PACKETS BYTES: by sampling, and nothing else.
ignored_is() {
	info_is packets.ignored_by.not_sampled="$1" packets.ignored="$1" \
		bytes.ignored_by.not_sampled="$2" bytes.ignored="$2"
}

# scaled_up PROTOCOL PACKETS BYTES: collectors multiply what they get by the rate that they are
# told, which gives what was sent.
scaled_up() { equal "packets and bytes" "$2 $3" "$(collected "nfcapd.$1" | total | xargs)"; }

start_collectors() {
	rm -rf "$TMP"/nfcapd.* "$TMP/nfacctd.csv"
	start_all && start_nfacctd 2058 sampling_rate && nf collector add 10.3.0.2 &&
		nf collector add 10.3.0.2:2056 --protocol v9 &&
		nf collector add 10.3.0.2 --protocol ipfix &&
		nf collector add 10.3.0.2:2058 --protocol v9
}

# Their ports are closed then: answers would be packets, too.
stop_collectors() {
	local port
	stop_all && stop_nfacctd || return
	for port in 2055 2056 2058 4739; do
		nf collector del "10.3.0.2:$port" || return
	done
}

# rates_of_nfacctd: of all that it has.
rates_of_nfacctd() { awk -F, 'NR > 1 { print $(NF - 2) }' "$TMP/nfacctd.csv" | sort -u | xargs; }

# told PORT FIELD...: what tshark reads there, each combination once.
told() {
	local port=$1 fields
	shift
	fields=("${@/#/-e cflow.}")
	# shellcheck disable=SC2068 # words
	decode -Y "udp.dstport == $port && cflow.${1}" -T fields ${fields[@]} | sort -u | xargs
}

packets_of() { show_flows "udp 10.1.0.2:$1 10.9.0.1:53" packets; }

# Each of two flows that alternate is selected about as often. Of 200 in all, the standard
# deviation is 7.
both_are_selected() {
	local first second
	first=$(packets_of 1) second=$(packets_of 2)
	echo "$first and $second packets"
	equal "sum" 200 $((${first:-0} + ${second:-0})) &&
		[ "$first" -gt 50 ] && [ "$second" -gt 50 ]
}

# left_out_since BEFORE PACKETS: at least so many.
left_out_since() {
	local now
	now=$(info packets.ignored_by.not_sampled)
	echo "$1 packets were left out before, $now now"
	[ "$now" -ge $(($1 + $2)) ]
}

# Packets of up to 64 KB, which stand for many.
send_tcp() {
	ip netns exec right nc -l -N 10.2.0.2 5001 </dev/null >/dev/null &
	local server=$!
	processes+=("$server")
	eventually 10 listening 5001 || return
	head -c 3000000 /dev/zero | on left nc -N 10.2.0.2 5001 || return
	wait "$server"
}

listening() { on right ss -Hltun "sport = $1" | grep -q .; }

# The router got fewer packets than the right host, which has its offloads off.
router_saw_fewer() {
	local router wire
	router=$(nft_flows router | grep ' 6 ' | total) wire=$(captured "$TMP/right.pcap" | total)
	echo "router and wire: $router, $wire"
	[ "${router% *}" -gt 0 ] && [ "${router% *}" -lt "${wire% *}" ]
}

need two_hosts
need load
need start_injector left l0 02:00:00:00:01:01
# Each CPU selects among the packets that it sees.
need taskset -p 1 "$INJECTOR_PID"
need start_capture "$TMP/link.pcap" collector -i c0 udp
need start_collectors
check "one of a hundred packets is to be accounted" \
	nf enable --inactive-timeout 600 --sampling 100 --sampling-mode deterministic
inject <<'END'
	udp 10.1.0.2:1000 10.9.0.1:53 count=400 len=100
	udp 10.1.0.2:1001 10.9.0.1:53 count=600 len=100
END
check "of 400 and 600 packets, 4 and 6 are" flows_are <<'END'
	udp 10.1.0.2:1000 10.9.0.1:53 packets=4 bytes=400
	udp 10.1.0.2:1001 10.9.0.1:53 packets=6 bytes=600
END
check "the others are in an account of their own" ignored_is 990 99000
check "every packet was seen" info_is packets.seen=1000 bytes.seen=100000
check "the ledger is exact" ledger_holds
check "what was accounted is exported" nf flush
check "as it was counted" info_is packets.exported=10 bytes.exported=1000
sleep 2.5
need stop_collectors
need stop_capture "$TMP/link.pcap"
for protocol in v5 v9 ipfix; do
	check "$protocol: nfcapd scales it up to what was sent" scaled_up "$protocol" 1000 100000
done
check "nfacctd reads the rate" equal "sampling_rate" 100 "$(rates_of_nfacctd)"
check "v5: the header states rate and mode" equal "mode and rate" "1 100" \
	"$(told 2055 samplingmode samplerate)"
check "v9: options state them" equal "interval and algorithm" "100 1" \
	"$(told 2056 sampling_interval sampling_algorithm)"
check "ipfix: options state them" equal "interval and algorithm" "100 1" \
	"$(told 4739 sampling_interval sampling_algorithm)"
check "ipfix: no datagram states anything else" equal "interval of samplers" 100 \
	"$(told 4739 sampler_random_interval)"

# Flows that alternate: a fixed interval sees one of them only.
need nf disable
need nf enable --sampling 10
inject <<'END'
	udp 10.1.0.2:1-2 10.9.0.1:53 count=1000 len=100
END
check "every tenth packet is always of the same flow" \
	flow_count_is "udp 10.1.0.2 10.9.0.1:53" 1
check "the rate cannot change while flows are in the cache" \
	refused "sampling.*disable it first" nf set sampling 20
check "nor can the mode" refused "sampling.*disable it first" nf set sampling-mode random
need nf disable
check "random packets can be selected" nf enable --sampling-mode random
inject <<'END'
	udp 10.1.0.2:1-2 10.9.0.1:53 count=1000 len=100
END
check "one of each ten is, of whichever flow" both_are_selected
need nf disable
check "the rate can be greater" nf enable --sampling 16383
before=$(info packets.ignored_by.not_sampled)
inject <<'END'
	udp 10.1.0.2:3 10.9.0.1:53 count=200 len=100
END
check "of a few packets, at most one is accounted at the greatest one" left_out_since "$before" 199
need nf disable
need start_collectors
check "all packets can be accounted again" nf enable --sampling 1
inject <<'END'
	udp 10.1.0.2:4 10.9.0.1:53 count=123 len=100
END
check "all are, at once" flow_is "udp 10.1.0.2:4 10.9.0.1:53" packets=123 bytes=12300
need nf flush
sleep 2.5
need stop_collectors
for protocol in v5 v9 ipfix; do
	check "$protocol: nfcapd takes it for what was sent" scaled_up "$protocol" 123 12300
done
check "nfacctd reads a rate of 1" equal "sampling_rate" 1 "$(rates_of_nfacctd)"
check "the ledger is exact after all" ledger_holds

# What stands for several packets is accounted or left out as a whole.
need nf disable
need on right ethtool -K r0 gro off gso off tso off
need on left ethtool -K l0 tx on sg on tso on gso on
need count_by_nft router
before=$(info packets.seen) before_bytes=$(info bytes.seen)
need nf enable --sampling 3 --observe forward
need start_capture "$TMP/right.pcap" right -i r0 tcp
check "large packets pass" send_tcp
need stop_capture "$TMP/right.pcap"
check "the router got fewer packets than were on the wire" router_saw_fewer
check "the ledger has all that they stand for, accounted or not" equal "packets and bytes" \
	"$(captured "$TMP/right.pcap" | total | xargs)" \
	"$(($(info packets.seen) - before)) $(($(info bytes.seen) - before_bytes))"
check "the ledger is exact with them" ledger_holds

# Packets of both IP versions are of one sequence.
need nf disable
need also_ipv6
# The reports of MLD that follow new addresses.
sleep 2
need nf enable --sampling 20 --sampling-mode deterministic --observe prerouting
inject <<'END'
	udp [2001:db8:1::2]:1 [2001:db8:9::1]:53 count=110 len=100
	udp 10.1.0.2:5 10.9.0.1:53 count=90 len=100
END
check "of 110 packets of IPv6 and 90 of IPv4, every twentieth is accounted" flows_are <<'END'
	udp [2001:db8:1::2]:1 [2001:db8:9::1]:53 packets=5 bytes=500
	udp 10.1.0.2:5 10.9.0.1:53 packets=5 bytes=500
END
check "the ledger is exact for both" ledger_holds
check "the module can be unloaded" unload
done_testing
