#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Several collectors get the same datagrams, and each datagram's header is right.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2: nfcapd :2055
#                                                                             nfacctd :2056

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump nfacctd tcpdump tshark nft

# decode: each datagram on the collector's link by tshark, as columns. Fields of records
# are lists with commas.
FIELDS="port payload version count uptime seconds nanoseconds sequence time packets last first
	length_ engine_type engine_id sampling_mode sampling_rate source_as destination_as"
decode() {
	tshark -n -r "$TMP/link.pcap" -d udp.port==2055-2056,cflow -T fields \
		-e udp.dstport -e udp.payload -e cflow.version -e cflow.count -e cflow.sysuptime \
		-e cflow.unix_secs -e cflow.unix_nsecs -e cflow.sequence -e frame.time_epoch \
		-e cflow.packets -e cflow.timeend -e cflow.timestart -e udp.length \
		-e cflow.engine_type -e cflow.engine_id -e cflow.samplingmode -e cflow.samplerate \
		-e cflow.srcas -e cflow.dstas \
		>"$TMP/datagrams" 2>"$TMP/tshark.log"
}

# datagrams PORT PROGRAM: an awk program over those to a port; the names of FIELDS are variables.
datagrams() {
	local field number=0 columns=''
	for field in $FIELDS; do
		number=$((number + 1))
		columns+="$field = \$$number; "
	done
	awk -F'\t' -v wanted="$1" -v slowness="${TIMEOUT_FACTOR:-1}" \
		"{ $columns } port != wanted { next } { number++ } $2" "$TMP/datagrams"
}

same_payloads() {
	datagrams 2055 '{ print payload }' >"$TMP/payloads.2055"
	datagrams 2056 '{ print payload }' >"$TMP/payloads.2056"
	same "$TMP/payloads.2055" "$TMP/payloads.2056"
}

# shellcheck disable=SC2016 # an awk program
headers_are_right() {
	datagrams 2055 '
		function fault(what) { print "datagram " number ": " what ": " $0; bad = 1 }
		{ records = split(packets, list, ","); clock = seconds + nanoseconds / 1e9 }
		version != 5 { fault("version") }
		count != records { fault("count, with " records " records") }
		records < 1 || records > 30 { fault("number of records") }
		length_ != 8 + 24 + 48 * records { fault("length") }
		sequence != sum { fault("flow_sequence, after " sum + 0 " records") }
		clock > time + 0.01 || clock < time - 0.5 * slowness { fault("wall clock") }
		{ sum += records }
		END { if (number < 2) { print number " datagrams"; bad = 1 }; exit bad }'
}

# shellcheck disable=SC2016 # an awk program
nothing_more_is_stated() {
	datagrams 2055 '
		{
			stated = engine_type "," engine_id "," sampling_mode "," sampling_rate
			stated = stated "," source_as "," destination_as
		}
		split(stated, list, ",") != 4 + 2 * count || stated !~ /^0(,0)*$/ {
			print "datagram " number ": " stated
			bad = 1
		}
		END { exit bad || !number }'
}

# tshark gives SysUptime, first and last in seconds.
uptime_is_not_before_last() {
	v5_records "$TMP/link.pcap" timestart timeend sysuptime >"$TMP/times"
	awk '$1 > $2 || $2 > $3 + 0.0005 { print "first, last, uptime: " $0; bad = 1 }
		END { exit bad || !NR }' "$TMP/times"
}

both_collected() {
	collected nfcapd >"$TMP/by_nfcapd"
	nft_flows router >"$TMP/expected"
	without_tos <"$TMP/by_nfcapd" >"$TMP/collected"
	same "$TMP/expected" "$TMP/collected" && same "$TMP/by_nfcapd" "$TMP/by_nfacctd"
}

# Each collector's counters say what tcpdump saw going to it.
counters_are_right() {
	local port counters
	for port in 2055 2056; do
		counters="collectors[] | select(.port == $port) | [.datagrams, .records]"
		equal "datagrams and records to $port" \
			"$(datagrams "$port" '{ sum += count } END { print number, sum }')" \
			"$(info "$counters | join(\" \")")" ||
			return
	done
}

list_is() {
	equal "collectors" "$1" \
		"$(nf --json collector list | jq -r '[.[] | "\(.address):\(.port)"] | join(" ")')"
}

need two_hosts
need load
need count_by_nft
need start_injector left l0 02:00:00:00:01:01
need start_nfcapd nfcapd
need start_nfacctd
need start_capture "$TMP/link.pcap" collector -i c0 udp

check "a collector without port gets 2055" nf collector add 10.3.0.2
check "a second collector on the same host" nf collector add 10.3.0.2:2056
check "both are listed" list_is "10.3.0.2:2055 10.3.0.2:2056"
need nf enable --inactive-timeout 1 --active-timeout 60

# 65 flows: two full datagrams and a part of one, if they expire together.
inject <<'END'
	udp 10.1.0.2:1-65 10.9.0.1:53 count=2 len=100
END
check "a datagram that is not full is sent all the same" \
	eventually 15 info_is packets.exported=130
inject <<'END'
	udp 10.1.0.2:1-31 10.9.0.2:53 tos=8
END
need nf flush
check "the ledger is exact" ledger_holds
need stop_nfcapd
need stop_nfacctd
need stop_capture "$TMP/link.pcap"
need decode

check "both collected every flow" both_collected
check "both got the same bytes in the same order" same_payloads
check "version, count, length, sequence and time of each datagram are right" headers_are_right
check "engine, sampling and AS numbers are 0" nothing_more_is_stated
check "no flow ends after the uptime of its datagram" uptime_is_not_before_last
check "the counters of each collector are right" counters_are_right
check "nfcapd missed nothing" nfcapd_missed_nothing
check "nfacctd missed nothing" \
	without "expecting flow|discarding|WARN|ERROR" "$TMP/nfacctd.log"

check "a collector that was added before is refused" \
	refused "added before" nf collector add 10.3.0.2:2056
while read -r absurd explanation; do
	check "the collector $absurd is refused" \
		refused "$explanation" nf collector add "${absurd//\"/}" </dev/null
done <<'END'
0.0.0.0 0\.0\.0\.0/8 .*give the address of the collector
0.1.2.3 0\.0\.0\.0/8 .*give the address of the collector
224.0.0.1 multicast.*give the address of one host
239.255.255.255 multicast.*give the address of one host
240.0.0.1 reserved.*give the address of one host
255.255.255.255 broadcast.*give the address of one host
10.3.0.2:0 "0" is not a port \(1 to 65535\)
10.3.0.2:65536 "65536" is not a port \(1 to 65535\)
10.3.0.2: "" is not a port \(1 to 65535\)
collector.invalid host names are not looked up
10.3.0 "10\.3\.0" is not an ip address
"" "" is not an ip address
END
check "removal of an unknown collector is refused" \
	refused "no such collector" nf collector del 10.3.0.2:2057
check "refusals changed nothing" list_is "10.3.0.2:2055 10.3.0.2:2056"
check "a collector can be removed" nf collector del 10.3.0.2:2055
check "it is gone from the list" list_is "10.3.0.2:2056"

fill() {
	local port
	for port in {3001..3015}; do
		nf collector add 10.3.0.2:"$port" || return
	done
}
check "16 collectors fit" fill
check "the 17th is refused" refused "16 collectors.*remove one" nf collector add 10.3.0.2:3016

only_port() { on router sysctl -qw net.ipv4.ip_local_port_range="$1 $1"; }
need nf collector del 10.3.0.2:3014
need nf collector del 10.3.0.2:3015
need only_port 40000
check "a collector takes the only local port" nf collector add 10.3.0.2:3014
check "without a free local port the next is refused" \
	refused "ip_local_port_range" nf collector add 10.3.0.2:3015
need only_port 40001
check "with a free local port it is added" nf collector add 10.3.0.2:3015
done_testing
