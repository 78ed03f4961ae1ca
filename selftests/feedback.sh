#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What answers the exporter's datagrams is its own, as they are: the ICMP errors of a collector
# whose port is closed are no flows, which would be exported and answered again. All other ICMP
# errors are flows.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2: no collector

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nft modprobe

# Counts the errors that come to the router.
count_errors() {
	on router nft -f - <<-'END'
		table ip errors {
			counter of-collector {}
			chain count {
				type filter hook prerouting priority -500;
				icmp type destination-unreachable ip saddr 10.3.0.2 \
					counter name of-collector
			}
		}
	END
}

errors() { nft_counter ip errors of-collector; }

# export_one DESTINATION: a flow, in a datagram that the collector answers with an error.
export_one() {
	local before
	before=$(errors)
	inject <<<"udp 10.1.0.2:7 $1:53 len=100" && nf flush || return
	eventually 10 differs "$before" errors
}

# differs VALUE COMMAND...
differs() { [ "$("${@:2}")" != "$1" ]; }

# own_is_what_was_answered: at PREROUTING.
own_is_what_was_answered() {
	equal "packets and bytes" "$(errors)" \
		"$(info '| "\(.packets.ignored_by.own) \(.bytes.ignored_by.own)"')"
}

# stays SECONDS COMMAND...: what it prints.
stays() {
	local before
	before=$("${@:2}")
	sleep "$1"
	equals_now "$before" "${@:2}"
}

equals_now() { equal "${*:2}" "$1" "$("${@:2}")"; }

# remove_module NAME: and before it those that use it.
remove_module() {
	local users user
	read -ra users < <(awk -v name="$1" '$1 == name { gsub(/[-,]/, " ", $4); print $4 }' \
		/proc/modules)
	for user in "${users[@]}"; do
		remove_module "$user" || return
	done
	! grep -q "^$1 " /proc/modules || timeout 60 rmmod "$1"
}

# port_unreachable: right answers a datagram of left with an error, by way of the router.
port_unreachable() { on left bash -c 'echo >/dev/udp/10.2.0.2/9'; }

need two_hosts
for ns in collector right; do
	need on "$ns" sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000 \
		net.ipv4.icmp_msgs_burst=100000
done
need count_errors
need load
need start_injector left l0 02:00:00:00:01:01
need nf collector add 10.3.0.2
need nf enable --inactive-timeout 1 --expiry strict

check "a collector without an open port answers" export_one 10.9.0.1
check "its answers are no flows" flow_count_is 'icmp 10.3.0.2' 0
check "they are ignored as own" own_is_what_was_answered
check "an idle router falls silent" stays 4 errors
check "nothing but the one flow was created" info_is flows.created=1
check "the ledger is exact" ledger_holds

for point in input prerouting,input input,output,postrouting; do
	need nf set observe "$point"
	# To the router, so that it passes each of them.
	check "$point: a collector answers" export_one 10.1.0.1
	check "$point: an idle router falls silent" stays 3 errors
	check "$point: its answers are no flows" flow_count_is 'icmp 10.3.0.2' 0
done

need nf set observe prerouting inactive-timeout 600
need port_unreachable
check "errors that answer other datagrams are flows" \
	eventually 5 flow_is 'icmp 10.2.0.2 10.1.0.2' packets=1
# A quote of a datagram to the collector that another one has sent.
need on left bash -c 'echo >/dev/udp/10.3.0.2/2055'
check "errors that answer other senders are flows" \
	eventually 5 flow_is 'icmp 10.3.0.2 10.1.0.2' packets=1

# From the port that the exporter has: its datagrams to this collector are the only ones here.
port=$(on router ss -Huan | awk '$4 !~ /:0$/ { sub(/.*:/, "", $4); print $4 }')
need on left python3 -S -c "
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(('10.1.0.2', $port))
sock.sendto(b'x', ('10.3.0.2', 2055))"
check "even if they have the exporter's port" \
	eventually 5 flow_is 'icmp 10.3.0.2 10.1.0.2' packets=2

need nf set count-own on
need nf flush
check "with count-own answers are flows" eventually 5 flow_is 'icmp 10.3.0.2 10.3.0.1' 'packets>=1'
check "the ledger is exact with count-own" ledger_holds

# An error that waits to be read would keep its conntrack, and for that one the module.
need nf set count-own off
need nf collector del 10.3.0.2
need nf collector add 10.3.0.2
need on router nft add table ip tracked
need on router nft add chain ip tracked seen '{ type filter hook prerouting priority 0; }'
need on router nft add rule ip tracked seen ct state related counter
check "with connection tracking a collector answers" export_one 10.9.0.1
need on router nft flush ruleset
check "connection tracking can be unloaded" remove_module nf_conntrack
done_testing
