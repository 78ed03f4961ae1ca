#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What makes packets one flow, and what a further packet changes of it.
#
#    left 10.1.0.2 ------- to-left   router  to-right ----- right 10.2.0.2, 10.9.0.0/16
#    collector 10.3.0.2 -- to-collector  netflow

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin python3

# One packet of the same addresses, ports, protocol and ToS, but by another interface.
inject_elsewhere() {
	printf '%s\n' "udp 10.1.0.2:1000 10.9.0.1:53 len=80 count=5" end |
		on collector python3 -S "$SELFTESTS/lib/inject.py" c0 02:00:00:00:03:01
}

each_field_counts() {
	flows_are <<-END
		udp 10.1.0.2:1000 10.9.0.1:53 tos=0 input=to-left packets=3 bytes=300
		udp 10.1.0.3:1000 10.9.0.1:53 tos=0 input=to-left packets=2 bytes=120
		udp 10.1.0.2:1000 10.9.0.2:53 tos=0 input=to-left packets=2 bytes=122
		udp 10.1.0.2:1001 10.9.0.1:53 tos=0 input=to-left packets=2 bytes=124
		udp 10.1.0.2:1000 10.9.0.1:54 tos=0 input=to-left packets=2 bytes=126
		tcp 10.1.0.2:1000 10.9.0.1:53 tos=0 input=to-left packets=2 bytes=128
		udp 10.1.0.2:1000 10.9.0.1:53 tos=1 input=to-left packets=2 bytes=130
		udp 10.1.0.2:1000 10.9.0.1:53 tos=128 input=to-left packets=2 bytes=132
		udp 10.9.0.1:53 10.1.0.2:1000 tos=0 input=to-left packets=2 bytes=134
		udp 10.1.0.2:1000 10.9.0.1:53 tos=0 input=to-collector packets=5 bytes=400
	END
}

# ng_netflow's hash takes the upper half of the one address and the lowest byte of the other.
of_one_chain() { printf 'tcp 10.10.%d.0-255:1234 10.9.0.7:80' "$1"; }

inject_one_chain() {
	local third
	for third in {0..7}; do
		echo "$(of_one_chain "$third") len=40 flags=S count=2"
	done >"$TMP/packets"
	inject <"$TMP/packets"
}

each_is_there_once() {
	local third
	for third in {0..7}; do
		echo "$(of_one_chain "$third") packets=2 bytes=80"
	done | flows_are
}

need two_hosts
need load
need start_injector left l0 02:00:00:00:01:01
need nf enable --inactive-timeout 3600 --active-timeout 3600

inject <<'END'
	udp 10.1.0.2:1000 10.9.0.1:53 len=100 count=3
	udp 10.1.0.3:1000 10.9.0.1:53 len=60 count=2
	udp 10.1.0.2:1000 10.9.0.2:53 len=61 count=2
	udp 10.1.0.2:1001 10.9.0.1:53 len=62 count=2
	udp 10.1.0.2:1000 10.9.0.1:54 len=63 count=2
	tcp 10.1.0.2:1000 10.9.0.1:53 len=64 count=2
	udp 10.1.0.2:1000 10.9.0.1:53 len=65 count=2 tos=1
	udp 10.1.0.2:1000 10.9.0.1:53 len=66 count=2 tos=128
	udp 10.9.0.1:53 10.1.0.2:1000 len=67 count=2
END
need inject_elsewhere
check "packets that differ in one field of the key, or in direction, are of different flows" \
	each_field_counts
need nf flush

need inject_one_chain
check "2048 flows that ng_netflow's hash puts into one chain are told apart" each_is_there_once
check "none of them is displaced" info_is expired.displaced=0
need nf flush

inject <<'END'
	tcp 10.1.0.2:2000 10.9.0.1:80 len=60 flags=S
END
route="input=to-left $(route_of 10.1.0.2 10.9.0.1 iif to-left)"
first=$(show_flows tcp first)
check "a new flow has one packet, and ends when it begins" \
	flow_is tcp packets=1 bytes=60 flags=S duration=0
# shellcheck disable=SC2086 # words
check "a new flow has its route" flow_is tcp $route
sleep 0.1
inject <<'END'
	tcp 10.1.0.2:2000 10.9.0.1:80 len=1500 flags=PA
END
check "a further packet is added to the counters of its flow" flow_is tcp packets=2 bytes=1560
check "its flags are added to those of the flow" flow_is tcp flags=SPA
check "the flow ends later" flow_is tcp 'duration>=100'
# shellcheck disable=SC2086 # words
check "nothing else of the flow changes" \
	flow_is 'tcp 10.1.0.2:2000 10.9.0.1:80' tos=0 first="$first" $route
check "the only flow is that one" flow_count_is '*' 1
check "the ledger is exact" ledger_holds
done_testing
