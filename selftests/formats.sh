#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# One cache feeds collectors of v5, NetFlow v9 and IPFIX: each gets every flow, with the same
# counters, times and routes, and no decoder misses a template or a datagram.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2:
#                                                         nfcapd: v5 2055, v9 2056, IPFIX 4739,
#                                                         and 4740 later
#                                                         nfacctd 2058, tcpdump

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
# shellcheck source=selftests/lib/decoders.sh
. "$SELFTESTS/lib/decoders.sh"
begin nfcapd nfdump nfacctd tcpdump tshark nft

PORT[late]=4740

# Over the boundaries of several seconds, and more than two datagrams of each protocol at once.
talk() {
	inject <<-'END' || return
		udp 10.1.0.2:1-200 10.9.0.1:53 count=2 len=100
		icmp 10.1.0.2 10.9.0.5
		icmp 10.1.0.2 10.9.0.5 type=3 code=4 count=3
		47 10.1.0.2 10.9.0.7 count=3 len=1500
		udp 10.1.0.2:4001-4100 10.9.0.2:53 count=2 gap=0.012
		tcp 10.1.0.2:5000 10.9.0.3:80 flags=S
		tcp 10.1.0.2:5000 10.9.0.3:80 flags=FA len=1000 tos=0x10
	END
	nf flush
}

# collected_by PROTOCOL: the flows that nftables saw until the collectors stopped. Later ones are
# ICMP errors, which answer templates that are sent again.
collected_by() {
	collected "nfcapd.$1" | without_tos >"$TMP/collected"
	same "$TMP/expected" "$TMP/collected"
}

# records_of PROTOCOL: everything that v5 has a field for, but for masks: of v5 nfdump shows none.
records_of() {
	show_exported_flows "nfcapd.$1" '*' protocol source source-port \
		destination destination-port tos input output next-hop flags packets bytes \
		first last
}

same_records() {
	records_of v5 >"$TMP/records.v5"
	records_of "$1" >"$TMP/records.$1"
	test -s "$TMP/records.v5" && same "$TMP/records.v5" "$TMP/records.$1"
}

# masks_of PROTOCOL: in all records.
masks_of() { show_exported_flows "nfcapd.$1" '*' masks | sort -u | xargs; }

by_nfacctd() {
	collected nfcapd.v9 >"$TMP/by_nfcapd"
	same "$TMP/by_nfcapd" "$TMP/by_nfacctd"
}

# names PORT: number, name and description of each interface that was told there.
names() {
	decode -Y "udp.dstport == $1 && cflow.if_name" -T pdml | sed -nE '
		s/.*name="cflow\.(inputint|if_name|if_descr)".*show="([^"]*)".*/\1 \2/p' |
		awk '$1 == "inputint" { number = $2 } $1 == "if_name" { name = $2 }
			$1 == "if_descr" { sub("if_descr ", ""); print number, name, $0 }'
}

# named PORT INTERFACE DESCRIPTION
named() {
	names "$1" >"$TMP/names"
	grep -qxF "$(index_of router "$2") $2 $3" "$TMP/names" && return
	cat "$TMP/names"
	return 1
}

# nfcapd_keeps PROTOCOL NAME: as that of an interface, beside the flows. nfdump 1.7.5 does not show
# it.
nfcapd_keeps() { grep -aqF "$2" "$TMP/nfcapd.$1"/nfcapd.*; }

# name_options: has nfacctd account the records of options that tell interfaces.
name_options() {
	echo "name=if_name field_type=82 len=16 semantics=str" >"$TMP/primitives"
	NFACCTD_KEY=in_iface,if_name
	NFACCTD_MORE="nfacctd_account_options: true
		nfacctd_disable_opt_scope_check: true
		aggregate_primitives: $TMP/primitives"
	start_nfacctd 2058
}

nfacctd_names() {
	cat "$TMP/nfacctd.csv"
	grep -q "^$(index_of router "$1"),$1\(,\|$\)" "$TMP/nfacctd.csv"
}

# fields PORT: number and length of the fields of all templates that were told there.
fields() {
	decode -Y "udp.dstport == $1" -T pdml | sed -nE '
		s/.*name="cflow\.template_(ipfix_)?field_type".*show="([0-9]+)".*/type \2/p
		s/.*name="cflow\.template_field_length".*show="([0-9]+)".*/length \1/p' |
		awk '$1 == "type" { type = $2 } $1 == "length" { print type, $2 }' | sort -u
}

# as_goflow2_asks PORT: counters, interfaces and the rate of sampling as it and Akvorado read them.
as_goflow2_asks() {
	local field
	fields "$1" >"$TMP/fields"
	cat "$TMP/fields"
	for field in "10 4" "14 4" "34 4" "50 4" "1 8" "2 8"; do
		grep -qx "$field" "$TMP/fields" || { echo "no field $field"; return 1; }
	done
	! grep -E '^2[34] ' "$TMP/fields"
}

# first_sets PORT: the ids of the first Sets of the first datagrams that went to a port.
first_sets() {
	local header=$((2 * $2))
	decode -Y "udp.dstport == $1" -T fields -e udp.payload | head -n 3 |
		cut -c "$((header + 1))-$((header + 4))" | xargs
}

need two_hosts
need load
need count_by_nft
need start_injector left l0 02:00:00:00:01:01
need start_all
need start_nfacctd 2058
need start_capture "$TMP/link.pcap" collector -i c0 udp
check "a collector of v5" nf collector add 10.3.0.2
check "one of NetFlow v9" nf collector add 10.3.0.2:2056 --protocol v9
check "one of IPFIX, at its port" nf collector add 10.3.0.2 --protocol ipfix
check "nfacctd gets NetFlow v9 too" nf collector add 10.3.0.2:2058 --protocol v9
check "all are listed with their protocols" equal "protocols" "v5 v9 ipfix v9" \
	"$(nf --json collector list | jq -r 'map(.protocol) | join(" ")')"
need ip -n router link set to-left alias "to the left"
need nf enable --inactive-timeout 600
check "traffic passes" talk
check "a collector of IPFIX is added" nf collector add 10.3.0.2:4740 --protocol ipfix
check "traffic passes again" talk
need ip -n router link add later type dummy
need ip -n router link set to-right alias "to the right"
sleep 2.5
check "the ledger is exact" ledger_holds
check "nothing was lost" nothing_lost
nft_flows router >"$TMP/expected"
need stop_all
need stop_nfacctd
need stop_capture "$TMP/link.pcap"

for protocol in v5 v9 ipfix; do
	check "$protocol: nfcapd has the flows that nftables saw" collected_by "$protocol"
done
for protocol in v9 ipfix; do
	check "$protocol: counters, times and routes are those of v5" same_records "$protocol"
	check "$protocol: prefix lengths are those of the routing table" \
		equal "masks" 24/16 "$(masks_of "$protocol")"
done
check "nfacctd has the same flows of NetFlow v9" by_nfacctd
check "nfacctd missed nothing" \
	without "expecting flow|discarding|unknown template|WARN|ERROR" "$TMP/nfacctd.log"
check "v5: nfcapd missed nothing" equal "sequence errors" 0 "$(sequence_errors v5)"
check "v9: nfcapd missed nothing" equal "sequence errors" 0 "$(sequence_errors v9)"
check "ipfix: nfcapd missed nothing but records of options" errors_of_options \
	< <(decode -Y 'udp.dstport == 4739' -T fields -e cflow.flowset_id)
for port in 2056 4739 4740; do
	check "tshark knows all templates and misses no datagram to port $port" understood "$port"
done
for protocol in v9 ipfix; do
	check "$protocol: nfcapd keeps the names of interfaces" \
		nfcapd_keeps "$protocol" "to the left"
done
for port in 2056 4739; do
	check "port $port: fields are those that goflow2 and Akvorado ask for" \
		as_goflow2_asks "$port"
done
check "v9: first comes a template, then its options" \
	equal "FlowSets" "0000 0001" "$(first_sets 2056 20 | cut -d ' ' -f 1,2)"
check "ipfix: first comes a template, then its options" \
	equal "Sets" "0002 0003" "$(first_sets 4739 16 | cut -d ' ' -f 1,2)"
check "a collector that is added later gets them first, too" \
	equal "Sets" "0002 0003" "$(first_sets 4740 16 | cut -d ' ' -f 1,2)"
for port in 2056 4739 4740; do
	check "port $port is told the alias of an interface" named "$port" to-left "to the left"
	check "port $port is told the name of one without an alias" named "$port" lo lo
	check "port $port is told of an alias that is set later" \
		named "$port" to-right "to the right"
	check "port $port is told of an interface that is made later" named "$port" later later
done
need nf set template-refresh 1
check "nfacctd takes options" name_options
sleep $((2 + ${TIMEOUT_FACTOR:-1}))
need stop_nfacctd
for interface in to-left later; do
	check "nfacctd knows the name of interface $interface" nfacctd_names "$interface"
done
check "the module can be unloaded" unload
done_testing
