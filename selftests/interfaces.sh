#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The numbers by which interfaces are reported: their index, 65535 in a v5 record if it has
# more than 16 bits, or the number that was set.
#
#    left 10.1.0.2 ----- router to-left | to-right ----- right 10.2.0.2, 10.9.0.0/16
#    b0 10.4.0.2 ------- big 10.4.0.1   | to-collector - collector 10.3.0.2: nfcapd, tcpdump
#                        index 70000    |
#                              netflow  |

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump tcpdump tshark

add_big() {
	ip -n router link add big index 70000 address 02:00:00:00:04:01 type veth peer name b0 netns left address 02:00:00:00:04:02 || return
	join router big 10.4.0.1/24 10.4.0.2 02:00:00:00:04:02 || return
	join left b0 10.4.0.2/24 10.4.0.1 02:00:00:00:04:01 "route add 10.9.0.4/32 via 10.4.0.1"
}

# talk PORT: packets from left to right and one back, and one by way of the big index to right.
talk() {
	inject <<-END || return
		udp 10.1.0.2:$1 10.9.0.1:53 count=2
		udp 10.1.0.2:$1 10.4.0.2:53
	END
	on left bash -c "echo >/dev/udp/10.9.0.4/$1"
}

# listed PORT: lines "DESTINATION INPUT OUTPUT" in the cache. It is the source port of two
# flows, the destination port of the third.
listed() {
	nf --json flows | jq -r ".[] | select(.src_port == $1 or .dst_port == $1) | \"\(.dst_addr) \(.input) \(.output)\"" | sort
}

# listed_are PORT NUMBER_OF_LEFT NUMBER_OF_RIGHT NUMBER_OF_BIG
listed_are() {
	printf '%s\n' "10.4.0.2 $2 $4" "10.9.0.1 $2 $3" "10.9.0.4 $4 $3" >"$TMP/expected"
	listed "$1" >"$TMP/listed"
	same "$TMP/expected" "$TMP/listed"
}

# The same in what nfdump and tshark read.
collected_are() {
	printf '%s\n' "10.4.0.2 $2 $4" "10.9.0.1 $2 $3" "10.9.0.4 $4 $3" >"$TMP/expected"
	awk -v port="$1" '$4 == port || $5 == port { print $2, $7, $8 }' "$TMP/records" | sort >"$TMP/by_nfdump"
	awk -v port="$1" '$1 == port || $2 == port { print $3, $4, $5 }' "$TMP/decoded" | sort >"$TMP/by_tshark"
	same "$TMP/expected" "$TMP/by_nfdump" && same "$TMP/expected" "$TMP/by_tshark"
}

decode_export() {
	tshark -n -r "$TMP/link.pcap" -d udp.port==2055,cflow -Y 'udp.dstport == 2055' -T fields -E aggregator=' ' \
		-e cflow.srcport -e cflow.dstport -e cflow.dstaddr -e cflow.inputint -e cflow.outputint 2>/dev/null |
		awk -F'\t' '{
			n = split($1, a, " ")
			for (f = 2; f <= NF; f++) { split($f, b, " "); for (i = 1; i <= n; i++) a[i] = a[i] " " b[i] }
			for (i = 1; i <= n; i++) print a[i]
		}'
}

list_is() { equal "interface numbers" "$1" "$(nf --json iface list | jq -c 'map([.ifindex, .number]) | sort')"; }

# 64 interfaces can have numbers; those that do not exist can too, by their index.
fill() {
	local index
	for ((index = 1000; index < 1000 + $1; index++)); do
		nf iface set "$index" --number 5 || return
	done
}

need two_hosts
need add_big
left=$(index_of router to-left) right=$(index_of router to-right)
need load
need start_injector left l0 02:00:00:00:01:01
need start_nfcapd nfcapd
need start_capture "$TMP/link.pcap" collector -i c0 udp
need nf collector add 10.3.0.2
need nf enable --inactive-timeout 3600 --active-timeout 3600

need talk 1001
check "interfaces are listed by their index, however large" listed_are 1001 "$left" "$right" 70000

check "a number can be set by the name of the interface" nf iface set to-left --number 11
check "and by its index" nf iface set "$right" --number 65535
check "a large index can have a smaller number" nf iface set big --number 13
check "they are listed" list_is "[[$left,11],[$right,65535],[70000,13]]"
need talk 1002
check "flows that begin from then on have the numbers" listed_are 1002 11 65535 13
check "those that began before keep theirs" listed_are 1001 "$left" "$right" 70000
need talk 1001
check "packets with another number of their input are another flow" \
	equal "inputs and packets" "11:2 $left:2" "$(nf --json flows | jq -r '[.[] | select(.src_port == 1001 and .dst_addr == "10.9.0.1") | "\(.input):\(.packets)"] | sort | join(" ")')"
need nf flush

check "a number can be changed" nf iface set to-left --number 70001
check "and taken away" nf iface del to-right
check "with 0 as well" nf iface set big --number 0
check "only the first is left" list_is "[[$left,70001]]"
need talk 1003
check "numbers that are gone are not used any more" listed_are 1003 70001 "$right" 70000
check "the ledger is exact" ledger_holds
need nf flush
need stop_nfcapd
need stop_capture "$TMP/link.pcap"
records nfcapd %in,%out >"$TMP/records"
decode_export >"$TMP/decoded"
check "records have the numbers that were set" collected_are 1002 11 65535 13
check "what does not fit is 65535 in a record" collected_are 1003 65535 "$right" 65535

check "an interface that does not exist is refused" refused "nowhere" nf iface set nowhere --number 5
check "a number that is none too" refused "unexpected argument '-1'" nf iface set to-left --number -1
check "and one of more than 32 bits" refused "4294967296 is not in" nf iface set to-left --number 4294967296
check "64 interfaces can have numbers" fill 63
check "a 65th cannot" refused "64" nf iface set 2000 --number 5
check "but one of the 64 can have another" nf iface set 1000 --number 6
need nf disable
need nf enable
check "numbers outlast the exporter" equal numbers 64 "$(nf --json iface list | jq length)"
done_testing
