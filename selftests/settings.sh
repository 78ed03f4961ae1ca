#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Settings: a request changes all that it gives or nothing, at once and for flows in the cache
# too; and no packet is lost meanwhile.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2: nfcapd, tcpdump

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump tcpdump tshark nft

config() {
	nf --json show config | jq -c '[.max_flows, .active_timeout, .inactive_timeout, .expiry,
		(.observe | join(",")), .engine_type, .engine_id, .icmp_ports, .count_own,
		.observation_domain_id, .template_refresh, .template_refresh_datagrams,
		.transport_ports, (.families | join(",")), .sampling, .sampling_mode, .max_payload,
		.max_packet_size, .nat]'
}

config_is() { equal "settings" "$1" "$(config)"; }

# refused_whole PATTERN NAME VALUE...: with right settings before and behind it.
refused_whole() {
	local before
	before=$(config)
	refused "$1" nf set engine-id 99 "${@:2}" active-timeout 777 && config_is "$before"
}

# send PORT COUNT
send() { inject <<<"udp 10.1.0.2:$1 10.9.0.1:53 count=$2"; }

# under_traffic COMMAND...: while 3000 packets of 20 flows pass.
under_traffic() {
	local answer status
	printf '%s\n' "udp 10.1.0.2:3001-3020 10.9.0.3:53 count=150 gap=0.02" end >&"${INJECTOR[1]}"
	"$@"
	status=$?
	read -r -t 120 answer <&"${INJECTOR[0]}" && [ "$answer" = sent ] && return "$status"
}

# change_all: everything that can change meanwhile, six times.
change_all() {
	local round
	for round in {1..6}; do
		nf set observe prerouting,forward,postrouting expiry strict engine-id "$round" &&
			nf set inactive-timeout 1 &&
			nf set observe prerouting,input active-timeout 1 &&
			nf set observe prerouting icmp-ports zero &&
			nf set active-timeout 600 inactive-timeout 300 expiry lazy \
				icmp-ports type-code || return
	done
}

send_icmp() {
	inject <<-'END'
		icmp 10.1.0.2 10.9.0.5
		icmp 10.1.0.2 10.9.0.5 type=13 count=2
		icmp 10.1.0.2 10.9.0.5 type=3 code=4
	END
}

flows_agree() {
	nft_flows router | grep " 17 " >"$TMP/expected"
	collected nfcapd | without_tos | grep " 17 " >"$TMP/collected"
	same "$TMP/expected" "$TMP/collected"
}

need two_hosts
need load
need count_by_nft
need start_injector left l0 02:00:00:00:01:01
need start_nfcapd nfcapd
need start_capture "$TMP/link.pcap" collector -i c0 udp

DEFAULTS='[65536,1800,15,"lazy","prerouting",0,0,"type-code",false,0,60,500,"all","ipv4,ipv6"'
DEFAULTS+=',1,"random",1400,1500,"off"]'
ALL='[4096,600,30,"strict","prerouting,input,forward,output,postrouting",255,7,"zero",true'
ALL+=',4294967295,86400,1000000,"tcp-udp","ipv4",16383,"deterministic",8972,576,"flows"]'
check "the settings at first" config_is "$DEFAULTS"
check "all can be set at once, before the exporter is enabled" \
	nf set max-flows 4096 active-timeout 600 inactive-timeout 30 expiry strict \
	observe postrouting,output,forward,input,prerouting engine-type 255 engine-id 7 \
	icmp-ports zero count-own on transport-ports tcp-udp families ipv4 \
	observation-domain-id 4294967295 template-refresh 86400 template-refresh-datagrams 1000000 \
	sampling 16383 sampling-mode deterministic max-payload 8972 max-packet-size 576 nat flows
check "all settings are shown" config_is "$ALL"
check "the exporter can be enabled with them" nf enable
check "enable without options leaves them as they are" config_is "$ALL"
while read -r pattern wrong; do
	# shellcheck disable=SC2086 # words
	check "'$wrong' is refused, and all that is set with it" refused_whole "$pattern" $wrong
done <<'END'
inactive.timeout inactive-timeout 778
active.timeout active-timeout 29
active.timeout active-timeout 0
active.timeout active-timeout 604801
inactive.timeout inactive-timeout 0
max.flows max-flows 8192
max.flows max-flows 0
expiry expiry eager
observe observe nowhere
observe observe prerouting,nowhere
engine engine-type 256
-1 engine-id -1
icmp icmp-ports all
transport.ports transport-ports udp
families families ipv6
families families ipv4,ipx
own count-own perhaps
template.refresh template-refresh 0
template.refresh template-refresh 86401
template.refresh.datagrams template-refresh-datagrams 0
template.refresh.datagrams template-refresh-datagrams 1000001
domain observation-domain-id 4294967296
sampling sampling 0
sampling sampling 16384
sampling.mode sampling-mode always
max.payload max-payload 511
max.payload max-payload 8973
max.packet.size max-packet-size 575
max.packet.size max-packet-size 9001
nat nat maybe
colour colour blue
END
check "an empty families is refused" refused "value|families" nf set families ""
check "an empty observe is refused" refused "value|observe" nf set observe ""
check "a name without a value is refused" refused "a value is required for .expiry" nf set expiry
check "set without a setting is refused" refused "required arguments.*name value" nf set
check "max-flows can be set to the value that it has" nf set max-flows 4096
need nf disable
check "settings outlast the exporter" config_is "$ALL"
check "options of enable are settings" nf enable --max-flows 65536 --active-timeout 600 \
	--inactive-timeout 300 --expiry lazy --observe prerouting --engine-type 0 --engine-id 0 \
	--icmp-ports type-code --count-own off --observation-domain-id 1 --template-refresh 1 \
	--template-refresh-datagrams 1 --transport-ports all --families ipv4,ipv6 \
	--sampling 1 --sampling-mode random --max-payload 512 --max-packet-size 1500 --nat off
CHANGED='[65536,600,300,"lazy","prerouting",0,0,"type-code",false,1,1,1,"all","ipv4,ipv6"'
CHANGED+=',1,"random",512,1500,"off"]'
check "options of enable are shown as settings" config_is "$CHANGED"
need nf collector add 10.3.0.2

need send 1004 4
need send 1005 5
sleep 1.1
check "a shorter inactive-timeout can be set" nf set inactive-timeout 1
check "a flow of four packets in the cache is exported at once" ports_are 1005
check "it counts as inactive" info_is expired.inactive=1
check "expiry can be set to strict" nf set expiry strict
check "a flow of five packets is exported at once" ports_are
need nf set expiry lazy inactive-timeout 300
need send 1006 9
sleep 1.1
check "a shorter active-timeout can be set" nf set inactive-timeout 1 active-timeout 1
check "a flow in the cache is exported at once" ports_are
check "it counts as active" info_is expired.active=1
need nf set active-timeout 600 expiry strict
need send 1007 9
check "strict: a flow of nine packets is exported when inactive" eventually 6 ports_are
check "the ledger is exact" ledger_holds

need nf set inactive-timeout 300 expiry lazy engine-type 12 engine-id 34
need send 1008 1
need nf flush
need nf set engine-id 200
need send 1009 1
need nf flush

need send_icmp
check "ICMP type and code are in the destination port" flows_are icmp <<'END'
	icmp 10.1.0.2 10.9.0.5:2048 packets=1
	icmp 10.1.0.2 10.9.0.5:3328 packets=2
	icmp 10.1.0.2 10.9.0.5:772 packets=1
END
need nf set icmp-ports zero
need send_icmp
check "with zero, messages of all types are one flow" flow_is 'icmp * *:0' packets=4
check "flows of before keep their ports" flow_count_is icmp 4
need nf flush

inject <<'END'
	132 10.1.0.2:5000 10.9.0.6:3868 count=2
	33 10.1.0.2:5001 10.9.0.6:5002
	136 10.1.0.2:5003 10.9.0.6:5004
	47 10.1.0.2:5005 10.9.0.6:5006
END
check "SCTP, DCCP and UDP-Lite have ports, others have none" flows_are '* * 10.9.0.6' <<'END'
	132 10.1.0.2:5000 10.9.0.6:3868 packets=2
	33 10.1.0.2:5001 10.9.0.6:5002 packets=1
	136 10.1.0.2:5003 10.9.0.6:5004 packets=1
	47 10.1.0.2:0 10.9.0.6:0 packets=1
END
need nf flush
need nf set transport-ports tcp-udp
inject <<'END'
	132 10.1.0.2:5000 10.9.0.6:3868
	132 10.1.0.2:5001 10.9.0.6:3868
	udp 10.1.0.2:5003 10.9.0.6:5004
END
check "with tcp-udp, SCTP has none" flows_are '* * 10.9.0.6' <<'END'
	132 10.1.0.2:0 10.9.0.6:0 packets=2
	udp 10.1.0.2:5003 10.9.0.6:5004 packets=1
END
need nf flush
need nf set transport-ports all

counted=$(info "packets | .seen - .ignored")
check "settings can change while packets pass" under_traffic change_all
check "every packet was counted once" \
	info_is "packets | .seen - .ignored=$((counted + 3000))"
check "the ledger is exact after that" ledger_holds
need nf disable
check "nothing was lost" nothing_lost
need stop_nfcapd
need stop_capture "$TMP/link.pcap"
check "every flow was collected" flows_agree
# A datagram's engine type and id, for the flow of each source port.
v5_records "$TMP/link.pcap" srcport engine_type engine_id >"$TMP/engines"
check "engine type and id are 0 at first" grep -qx "1007 0 0" "$TMP/engines"
check "those that were set are in the next datagrams" grep -qx "1008 12 34" "$TMP/engines"
check "an engine id that is changed is in the next datagram" grep -qx "1009 12 200" "$TMP/engines"
done_testing
