#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Collectors with IPv6 addresses get what others get, in datagrams that fit; link-local ones by the
# interface of their link. Source and device are as with IPv4, and the exporter knows its own
# datagrams, and the ICMPv6 messages that answer them.
#
#    left ----- router 2001:db8:1::1 | 2001:db8:2::1 ----- right 2001:db8:9::/48, 10.9.0.0/16
#               netflow              | 2001:db8:3::1 ----- collector 2001:db8:3::2: nfcapd
#               2001:db8::1 on lo    | 2001:db8:6::1 ----- 2001:db8:6::2
#                                      to-spare c1           in the VRF mgmt

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
# shellcheck source=selftests/lib/arrivals.sh
. "$SELFTESTS/lib/arrivals.sh"
# shellcheck source=selftests/lib/decoders.sh
. "$SELFTESTS/lib/decoders.sh"
begin nfcapd nfdump tcpdump tshark nft

HOST=2001:db8:3::2

# export_flows FIRST_PORT LAST_PORT: of IPv4, of two packets each.
export_flows() {
	inject <<<"udp 10.1.0.2:$1-$2 10.9.0.1:53 count=2 len=100" && nf flush
}

# The same of IPv6, of three packets each.
export_flows6() {
	inject <<<"udp [2001:db8:1::2]:$1-$2 [2001:db8:9::1]:53 count=3 len=120" && nf flush
}

# collector_is PORT FIELD VALUE
collector_is() {
	equal "$2 of the collector at port $1" "$3" \
		"$(info "collectors[] | select(.port == $1) | .$2")"
}

list_is() {
	equal "collectors" "$1" \
		"$(nf --json collector list | jq -r '[.[] | "[\(.address)]:\(.port)"] | join(" ")')"
}

# remove_all: collectors; the exporter stays enabled.
remove_all() {
	echo 'enabled = true' >"$TMP/none.toml"
	nf apply "$TMP/none.toml"
}

# in_capture FILTER FIELD...: of each datagram that matches, by tshark.
in_capture() {
	local filter=$1 fields
	shift
	fields=("${@/#/-e }")
	# shellcheck disable=SC2068 # words
	decode -Y "$filter" -T fields ${fields[@]}
}

# fits PORT BYTES: no packet there is larger, and one nearly is; none is a fragment.
fits() {
	local largest
	largest=$(in_capture "ipv6 && udp.dstport == $1" ipv6.plen | sort -n | tail -n 1)
	echo "the largest packet to port $1 has $((largest + 40)) bytes"
	[ $((largest + 40)) -le "$2" ] && [ $((largest + 40)) -gt $(($2 - 150)) ] &&
		equal "fragments" "" "$(in_capture "ipv6.nxt == 44" frame.number | xargs)"
}

same_payloads() {
	in_capture "ipv6 && udp.dstport == 2055" udp.payload >"$TMP/payloads.ipv6"
	in_capture "ip && udp.dstport == 2057" udp.payload >"$TMP/payloads.ipv4"
	same "$TMP/payloads.ipv6" "$TMP/payloads.ipv4"
}

# exports_in DATAGRAMS FIRST_PORT LAST_PORT: to the collector at port 2057.
exports_in() {
	local before after
	before=$(info "collectors[] | select(.port == 2057) | .datagrams")
	export_flows "$2" "$3" || return
	after=$(info "collectors[] | select(.port == 2057) | .datagrams")
	equal "datagrams" "$1" $((after - before))
}

# link_local NETNS DEVICE: its address.
link_local() {
	ip -n "$1" -j -6 addr show dev "$2" scope link |
		jq -r '[.[].addr_info[]? | .local // empty] | first'
}

make_vrf() {
	link collector c1 02:00:00:00:06:02 to-spare 02:00:00:00:06:01 &&
		on router sysctl -qw net.ipv6.conf.mgmt.disable_ipv6=0 &&
		ip -n router link set mgmt up && ip -n router link set to-spare master mgmt up &&
		ip -n collector link set c1 up &&
		join6 router to-spare 2001:db8:6::1 2001:db8:6::2 02:00:00:00:06:02 &&
		join6 collector c1 2001:db8:6::2 2001:db8:6::1 02:00:00:00:06:01
}

# ignored_but_sent: own packets of IPv6 at OUTPUT, less the datagrams to its addresses: what does
# not change.
ignored_but_sent() {
	info '| .ipv6.packets.ignored_by.own -
		([.collectors[] | select(.address | contains(":")).datagrams] | add)'
}

count_errors() {
	# The device of a VRF gets what its port has got.
	on router nft -f - <<-END
		table ip6 errors {
			counter of-collector {}
			chain count {
				type filter hook prerouting priority -500;
				iifname != mgmt icmpv6 type destination-unreachable \
					counter name of-collector
			}
		}
	END
}

# errors: packets that answer.
errors() { nft_counter ip6 errors of-collector | cut -d ' ' -f 1; }

# answers_are_own ERRORS OWN: as many have come since these were counted, and more than none.
answers_are_own() {
	local errors
	errors=$(($(errors) - $1))
	[ "$errors" -gt 0 ] || { echo "no answer"; return 1; }
	equal "own" "$errors" $(($(info ipv6.packets.ignored_by.own) - $2))
}

# changes_nothing COMMAND...: it prints nothing, and the counters of collectors go on.
changes_nothing() {
	local before
	before=$(nf --json collector list)
	equal "output" "" "$("$@" 2>&1 || echo failed)" &&
		equal "collectors" "$before" "$(nf --json collector list)"
}

need two_hosts
need also_ipv6
# The reports of MLD that follow new addresses.
sleep 2
need on collector sysctl -qw net.ipv6.icmp.ratelimit=0 net.ipv4.icmp_ratelimit=0
need load
need start_injector left l0 02:00:00:00:01:01

### Records, and the size of datagrams

need start_all -6
need start_capture "$TMP/link.pcap" collector -i c0 udp
check "a collector without port gets 2055" nf collector add $HOST
check "one of NetFlow v9, with a port" nf collector add "[$HOST]:2056" --protocol v9
check "one of IPFIX gets 4739" nf collector add $HOST --protocol ipfix
check "they are listed" list_is "[$HOST]:2055 [$HOST]:2056 [$HOST]:4739"
need nf collector add 10.3.0.2:2057
need nf enable --inactive-timeout 600
check "flows of IPv4 are exported" export_flows 1 65
check "flows of IPv6 are exported" export_flows6 1 65
check "no datagram was refused" equal "errors" 0 "$(info '| [.collectors[].errors] | add')"
check "the ledger is exact" ledger_holds
need stop_all
need stop_capture "$TMP/link.pcap"

for protocol in v5 v9 ipfix; do
	check "$protocol: the flows of IPv4 are those that were sent" \
		exported_flows_are "nfcapd.$protocol" 'udp 10.*' <<-'END'
			udp 10.1.0.2:1-65 10.9.0.1:53 packets=2 bytes=200
		END
done
for protocol in v9 ipfix; do
	check "$protocol: the flows of IPv6 are those that were sent" \
		exported_flows_are "nfcapd.$protocol" 'udp 2001:db8:1::2' <<-'END'
			udp [2001:db8:1::2]:1-65 [2001:db8:9::1]:53 packets=3 bytes=360
		END
done
for protocol in v5 v9; do
	check "$protocol: nfcapd missed nothing" \
		grep -q 'Sequence Errors: 0, Bad Packets: 0' "$TMP/nfcapd.$protocol.log"
done
check "v5: datagrams fit in 1500 bytes with the headers of IPv6" fits 2055 1500
for protocol in v9 ipfix; do
	check "$protocol: datagrams have 1400 bytes of payload at most" \
		fits "${PORT[$protocol]}" 1448
done
# 24 + 29 * 48 bytes, and 48 of headers, are 1464; with 30 records they would be 1512.
check "v5: a datagram has 29 records, as 30 do not fit" equal "records" "29 29 7" \
	"$(in_capture 'ipv6 && udp.dstport == 2055' cflow.count | xargs)"
check "v5: a collector with an IPv4 address gets the same bytes" same_payloads

need nf collector del "[$HOST]:2055"
check "v5: without a collector of IPv6 it has 30 again" exports_in 2 1001 1060
need nf collector add "[$HOST]:2055"
check "v5: with one it has 29 at once" exports_in 3 2001 2060
need nf set max-packet-size 1400
check "v5: in 1400 bytes it has 27" exports_in 2 3001 3028
need nf set max-packet-size 1500

### Link-local addresses

need remove_all
there=$(link_local collector c0) here=$(link_local router to-collector)
need start_nfcapd nfcapd.link 2058 collector -6
need start_capture "$TMP/link.pcap" collector -i c0 udp
check "a link-local address without its interface is refused" \
	refused "link-local addresses.*as device" nf collector add "[$there]:2058"
check "so is one with two interfaces" \
	refused "differ in the interface" nf collector add "[$there%to-collector]:2058" --device lo
check "one with its interface is added" nf collector add "[$there%to-collector]:2058"
check "it is there then" refused "added before" \
	nf collector add "[$there]:2058" --device to-collector
check "on another link the address is another collector's" \
	nf collector add "[$there%to-left]:2058"
check "the list shows both with their interfaces" equal "collectors" \
	"[$there%to-collector]:2058 [$there%to-left]:2058" \
	"$(nf collector list | awk 'NR > 1 { print $1 }' | xargs)"
check "to remove one of them the interface has to be given" \
	refused "link-local addresses.*as device" nf collector del "[$there]:2058"
check "with it, that one is removed" nf collector del "[$there%to-left]:2058"
check "the label of metrics has the interface" \
	grep -qF "collector=\"[$there%to-collector]:2058\",protocol=\"v5\"" \
	<(nf info --prometheus)
check "what is saved leaves nothing to do" nf save "$TMP/saved.toml"
check "it is applied and changes nothing" changes_nothing nf apply "$TMP/saved.toml"
# Its neighbour is not known before: it is waited for.
check "flows are exported to it" export_flows 1 40
need ip -n router link set to-collector mtu 1400
check "flows are exported over a link of MTU 1400" export_flows 41 80
check "no datagram was refused" collector_is 2058 errors 0
nfcapd_port=2058
need stop_nfcapd
need stop_capture "$TMP/link.pcap"
check "it has the flows that were sent" exported_flows_are nfcapd.link <<'END'
	udp 10.1.0.2:1-80 10.9.0.1:53 packets=2 bytes=200
END
check "datagrams come from the link-local address of the interface" equal "sources" "$here" \
	"$(in_capture 'ipv6 && udp.dstport == 2058' ipv6.src | sort -u | xargs)"
check "none is a fragment" equal "fragments" "" \
	"$(in_capture 'ipv6.nxt == 44' frame.number | xargs)"
check "over the smaller MTU they have 27 records" equal "records" "29 11 27 13" \
	"$(in_capture 'ipv6 && udp.dstport == 2058' cflow.count | xargs)"
need ip -n router link set to-collector mtu 1500
check "without its interface the only one is removed" nf collector del "$there"

### Source and device

need count_arrivals ip6
need ip -n router addr add 2001:db8::1/128 dev lo
check "a collector is added with a source" nf collector add "[$HOST]:2055" --source 2001:db8::1
check "one is added without" nf collector add "[$HOST]:2056"
check "the source is what was asked for" arrive \
	"2001:db8::1 $HOST 2055" "2001:db8:3::1 $HOST 2056"
need ip -n router addr del 2001:db8::1/128 dev lo
need export_flow
check "without that address it is an error" collector_is 2055 errors 1
check "the error says so" collector_is 2055 last_error "Cannot assign requested address"
need ip -n router addr add 2001:db8::1/128 dev lo
check "with the address it works again" arrive \
	"2001:db8::1 $HOST 2055" "2001:db8:3::1 $HOST 2056"
while read -r source explanation; do
	check "$source is refused as source" refused "$explanation" \
		nf collector add "[$HOST]:2057" --source "$source" </dev/null
done <<END
$HOST source must be an address of this host
ff02::1 source must be an address of this host
10.3.0.1 give an ipv6 address as source
::ffff:10.3.0.1 give an ipv6 address as source
$here source is a link-local address.*as device
END
check "a source of IPv6 is refused for a collector with an IPv4 address" \
	refused "give an ipv4 address as source" nf collector add 10.3.0.2:2057 --source $HOST
check "a link-local source is taken with its interface" \
	nf collector add "[$HOST]:2057" --source "$here" --device to-collector
check "datagrams come from it" arrive \
	"2001:db8::1 $HOST 2055" "2001:db8:3::1 $HOST 2056" "$here $HOST 2057"
need nf collector del "[$HOST]:2057"
if ip -n router link add mgmt type vrf table 10 2>"$TMP/vrf"; then
	need make_vrf
	check "a collector in a VRF is added with it" \
		nf collector add "[2001:db8:6::2]:2058" --device mgmt
	check "one with a device in the VRF, and its address" nf collector add \
		"[2001:db8:6::2]:2059" --device to-spare --source 2001:db8:6::1
	check "both are reached" arrive \
		"2001:db8::1 $HOST 2055" "2001:db8:3::1 $HOST 2056" \
		"2001:db8:6::1 2001:db8:6::2 2058" "2001:db8:6::1 2001:db8:6::2 2059"
	check "an address outside of the VRF is refused" refused "source must be an address" \
		nf collector add "[2001:db8:6::2]:2057" --device mgmt --source 2001:db8::1
else
	skip "a collector in a VRF" "$(<"$TMP/vrf")"
fi

### The exporter's own datagrams

need remove_all
need nf collector add "[$HOST]:2055"
need nf collector add "[$HOST]:2056" --protocol v9
need nf collector add "[$HOST]:2057" --protocol ipfix
need nf set observe prerouting,output
need nf flush
before=$(ignored_but_sent)
sent=$(info collectors[0].datagrams)
check "flows are exported" export_flows 1 100
check "there are datagrams" info_is "collectors[0].datagrams>$sent"
check "all of them are own" equal "ignored but sent" "$before" "$(ignored_but_sent)"
check "none is a flow" flow_count_is "udp 2001:db8:3::1" 0
need nf set count-own on
check "with count-own flows are exported" export_flows 1 1
check "their datagrams are flows" \
	flow_is "udp [2001:db8:3::1]:* [$HOST]:2055" packets=1 output=to-collector
need nf set count-own off
need nf flush

need remove_all
need count_errors
need nf set observe prerouting
need nf collector add "[$HOST]:2060"
before=$(errors) own=$(info ipv6.packets.ignored_by.own)
check "flows are exported to a closed port" export_flows 1 1
check "what answers is own" eventually 10 answers_are_own "$before" "$own"
check "it is no flow" flow_count_is "icmp6 $HOST" 0
check "it is no error" collector_is 2060 errors 0
# The same message to another sender.
need on left bash -c "echo >/dev/udp/$HOST/2060"
check "what answers other senders is a flow" \
	eventually 5 flow_is "icmp6 $HOST 2001:db8:1::2" packets=1
if ip -n router link show mgmt >"$TMP/vrf" 2>&1; then
	need remove_all
	need nf set observe input
	need nf collector add "[$(link_local collector c1)%to-spare]:2060"
	before=$(errors) own=$(info ipv6.packets.ignored_by.own)
	need inject <<<"udp 10.1.0.2:1 10.1.0.1:53 len=100"
	check "flows are exported to a closed port of a link-local address in a VRF" nf flush
	check "what answers is own" eventually 10 answers_are_own "$before" "$own"
	need remove_all
	need nf collector add "[$HOST]:2060"
else
	skip "the answer of a link-local address in a VRF" "$(<"$TMP/vrf")"
fi
check "the ledger is exact" ledger_holds

### Refusals

while read -r absurd explanation; do
	check "the collector $absurd is refused" \
		refused "$explanation" nf collector add "$absurd" </dev/null
done <<END
:: :: means no other host: give the address of the collector
[::]:2055 :: means no other host: give the address of the collector
ff02::1 multicast.*give the address of one host
[ff0e::1]:2055 multicast.*give the address of one host
::ffff:10.3.0.2 give the ipv4 address itself
[::ffff:10.3.0.2]:2055 give the ipv4 address itself
fe80::1%nothing no such device
fe80::1% no interface
2001:db8:3::2%to-collector for link-local addresses
[$HOST]:0 "0" is not a port \\(1 to 65535\\)
[$HOST]:2060 added before
END
check "refusals changed nothing" list_is "[$HOST]:2060"

need add_netns plain
need on plain sysctl -qw net.ipv6.conf.all.disable_ipv6=1
check "where IPv6 is disabled a collector with an IPv6 address is refused" refused \
	"ipv6 is disabled.*disable_ipv6" netflowctl --netns plain collector add 2001:db8::1
check "one with an IPv4 address is not" netflowctl --netns plain collector add 192.0.2.1
need on plain sysctl -qw net.ipv6.conf.lo.disable_ipv6=0
check "where an interface has IPv6, neither is the other" \
	netflowctl --netns plain collector add 2001:db8::1
check "the module can be unloaded" unload
done_testing
