#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The numbers of interfaces in flows: the index, or the number that was set; a v5 record has
# 65535 if that takes more than 16 bits.
#
#    left 10.1.0.2 ----- router to-left | to-right ----- right 10.2.0.2, 10.9.0.0/16
#    b0 10.4.0.2 ------- big 10.4.0.1   | to-collector - collector 10.3.0.2: nfcapd, tcpdump
#                        index 70000    |
#                              netflow  |

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump tcpdump tshark

# The wire of an interface whose index takes more than 16 bits.
add_big() {
	ip -n router link add big index 70000 address 02:00:00:00:04:01 type veth \
		peer name b0 netns left address 02:00:00:00:04:02 || return
	join router big 10.4.0.1/24 10.4.0.2 02:00:00:00:04:02 || return
	join left b0 10.4.0.2/24 10.4.0.1 02:00:00:00:04:01 "route add 10.9.0.4/32 via 10.4.0.1"
}

# talk PORT: packets from left to right, one to the left by the big index, and one from there.
talk() {
	inject <<-END || return
		udp 10.1.0.2:$1 10.9.0.1:53 count=2
		udp 10.1.0.2:$1 10.4.0.2:53
	END
	on left bash -c "echo >/dev/udp/10.9.0.4/$1"
}

# numbers PORT LEFT RIGHT BIG: the flows of a talk, with these numbers of the interfaces.
numbers() {
	cat <<-END
		udp 10.1.0.2:$1 10.9.0.1:53 input=$2 output=$3
		udp 10.1.0.2:$1 10.4.0.2:53 input=$2 output=$4
		udp 10.4.0.2 10.9.0.4:$1 input=$4 output=$3
	END
}

# listed_are PORT LEFT RIGHT BIG: in the cache.
listed_are() {
	numbers "$@" | head -n 2 | flows_are "udp *:$1 *" &&
		numbers "$@" | tail -n 1 | flows_are "udp * *:$1"
}

# collected_are PORT LEFT RIGHT BIG: in what nfdump and tshark read.
collected_are() {
	numbers "$@" | head -n 2 | exported_flows_are nfcapd "udp *:$1 *" &&
		numbers "$@" | tail -n 1 | exported_flows_are nfcapd "udp * *:$1" || return
	printf '%s\n' "10.4.0.2 $2 $4" "10.9.0.1 $2 $3" "10.9.0.4 $4 $3" >"$TMP/expected"
	sed -nE "s/^($1 [0-9]+|[0-9]+ $1) //p" "$TMP/decoded" | sort >"$TMP/by_tshark"
	same "$TMP/expected" "$TMP/by_tshark"
}

# list_is "INDEX NUMBER"...
list_is() {
	equal "interface numbers" "$*" \
		"$(nf --json iface list | jq -r '.[] | "\(.ifindex) \(.number)"' | sort -n | xargs)"
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
check "a number can be set by the index of the interface" nf iface set "$right" --number 65535
check "a large index can have a smaller number" nf iface set big --number 13
check "the numbers are listed" list_is "$left 11" "$right 65535" "70000 13"
need talk 1002
check "flows that begin from then on have the numbers" listed_are 1002 11 65535 13
check "those that began before keep theirs" listed_are 1001 "$left" "$right" 70000
need talk 1001
check "packets with another number of their input are another flow" \
	flows_are 'udp *:1001 10.9.0.1' <<END
	udp * * input=11 packets=2
	udp * * input=$left packets=2
END
need nf flush

check "a number can be changed" nf iface set to-left --number 70001
check "a number can be taken away" nf iface del to-right
check "a number of 0 takes it away as well" nf iface set big --number 0
check "only the first is left" list_is "$left 70001"
need talk 1003
check "numbers that are gone are not used any more" listed_are 1003 70001 "$right" 70000
check "the ledger is exact" ledger_holds
need nf flush
need stop_nfcapd
need stop_capture "$TMP/link.pcap"
v5_records "$TMP/link.pcap" srcport dstport dstaddr inputint outputint >"$TMP/decoded"
check "records have the numbers that were set" collected_are 1002 11 65535 13
check "a number of more than 16 bits is 65535 in a record" collected_are 1003 65535 "$right" 65535

check "an index that no interface has is refused" \
	refused "777777" nf iface set 777777 --number 5
check "a negative number is refused" \
	refused "unexpected argument '-1'" nf iface set to-left --number -1
check "a number of more than 32 bits is refused" \
	refused "4294967296 is not in" nf iface set to-left --number 4294967296
done_testing
