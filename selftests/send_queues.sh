#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# No datagram is told as sent that a queue of this host drops: those of a neighbour that is
# not known yet, and those of an interface. Exporting waits for them, and what cannot be sent in
# time is an error.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2: nftables
#                                        | 10.5.0.1 =GRE= 10.5.0.2

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nft tc

count_arrivals() {
	on collector nft -f - <<-'END'
		table ip arrivals {
			set ports { typeof udp dport; flags dynamic; counter; size 65535; }
			chain count {
				type filter hook prerouting priority -500;
				udp dport 2055-2059 update @ports { udp dport } drop
			}
		}
	END
}

# export_datagrams NUMBER: so many full ones.
export_datagrams() {
	inject <<<"udp 10.1.0.2:1-$((30 * $1)) 10.9.0.1:53 len=100" && nf flush
}

# arrived PORT
arrived() {
	local packets
	packets=$(nft_elements arrivals ports collector |
		awk -v port="$1" '$1 == port { print $2 }')
	echo "${packets:-0}"
}

# sent FIELD [PORT]: datagrams or errors of a collector.
sent() { info "collectors[] | select(.port == ${2:-2055}) | .$1"; }

# all_told NUMBER PORT...: of so many datagrams to each collector, those arrived that are told
# as sent, and the others are told as errors.
all_told() {
	local datagrams number=$1 port
	shift
	for port; do
		datagrams=$(sent datagrams "$port")
		equal "datagrams and errors of $port" "$number" \
			$((datagrams + $(sent errors "$port"))) || return
		eventually 5 equals "$datagrams" arrived "$port" || return
	done
}

# equals EXPECTED COMMAND...
equals() { equal "${*:2}" "$1" "$("${@:2}")"; }

# collect_at ADDRESS PORT...: these collectors alone, whose counters begin at 0.
collect_at() {
	local to=$1 port
	shift
	nf --json collector list | jq -r '.[] | "\(.address):\(.port)"' |
		while read -r port; do nf collector del "$port" || return; done
	for port; do
		nf collector add "$to:$port" || return
	done
	on collector nft flush set ip arrivals ports
}

forget_neighbour() { ip -n router neigh flush dev to-collector nud all; }

# answer_after DELAY: how long the collector takes to answer ARP. It sends nothing else.
answer_after() { on collector tc qdisc replace dev c0 root netem delay "$1"; }

# queue LIMIT RATE: of the router's interface.
queue() {
	on router tc qdisc replace dev to-collector root tbf rate "$2" burst 2000 limit "$1"
}

within_milliseconds() {
	local begin=${EPOCHREALTIME/.} took
	"${@:2}" || return
	took=$(((${EPOCHREALTIME/.} - begin) / 1000))
	echo "it took $took ms"
	[ "$took" -le "$1" ]
}

export_and_arrive() {
	local before
	before=$(sent datagrams) && export_datagrams 1 && [ "$(sent datagrams)" -gt "$before" ]
}

make_tunnel() {
	# Without IPv6, whose solicitations would be flows.
	ip -n router link add gre1 type gre local 10.3.0.1 remote 10.3.0.2 &&
		ip -n router link set gre1 addrgenmode none &&
		ip -n router addr add 10.5.0.1/24 dev gre1 && ip -n router link set gre1 up &&
		ip -n collector link add gre1 type gre local 10.3.0.2 remote 10.3.0.1 &&
		ip -n collector link set gre1 addrgenmode none &&
		ip -n collector addr add 10.5.0.2/24 dev gre1 && ip -n collector link set gre1 up
}

need two_hosts
need count_arrivals
need load
need start_injector left l0 02:00:00:00:01:01
need nf enable --inactive-timeout 600

need collect_at 10.3.0.2 2055
need answer_after 300ms
need forget_neighbour
check "200 datagrams are exported while ARP takes 300 ms" export_datagrams 200
check "what is told as sent has arrived" all_told 200 2055
check "that is all" info_is collectors[0].datagrams=200

need collect_at 10.3.0.2 2055 2056 2057 2058
need forget_neighbour
check "the same with four collectors" export_datagrams 200
check "what is told as sent to each of them has arrived" all_told 200 2055 2056 2057 2058
check "that is all" equals 200 sent datagrams 2058

need collect_at 10.3.0.2 2055
need ip -n collector link set c0 arp off
need forget_neighbour
check "50 datagrams are exported while ARP gets no answer" export_datagrams 50
check "no datagram is told as sent" equals 0 sent datagrams
check "each counts as an error" equals 50 sent errors
check "the error is that of the neighbour" equals "No route to host" sent last_error
check "their flows are lost" info_is packets.lost_by.send_failed=1500
need inject <<<"udp 10.1.0.2:1 10.9.0.1:53 len=100"
check "the next flush does not wait for it again" within_milliseconds 1900 nf flush
need ip -n collector link set c0 arp on
need on collector tc qdisc del dev c0 root
check "when ARP is answered again, sending works again" \
	eventually 10 export_and_arrive
need forget_neighbour

if make_tunnel >"$TMP/tunnel" 2>&1; then
	need collect_at 10.5.0.2 2055 2056 2057 2058
	need answer_after 300ms
	need forget_neighbour
	# Its MTU is 1476: 6,000 records, of which 29 fit.
	check "207 datagrams are exported into a tunnel" export_datagrams 200
	check "what is told as sent to each collector has arrived" all_told 207 2055 2056 2057 2058
	need on collector tc qdisc del dev c0 root
else
	skip "207 datagrams are exported into a tunnel to an unknown neighbour" "$(<"$TMP/tunnel")"
fi

need collect_at 10.3.0.2 2055
need queue 10000 20mbit
check "200 datagrams are exported by an interface with a short queue" export_datagrams 200
check "what is told as sent has arrived" all_told 200 2055
check "that is all" equals 200 sent datagrams
need collect_at 10.3.0.2 2055
need queue 10000 200kbit
check "200 datagrams are exported by an interface that is too slow" export_datagrams 200
check "what is told as sent has arrived" all_told 200 2055
check "the others count as errors" info_is "collectors[0].errors>100"
check "the error is that of the queue" equals "No buffer space available" sent last_error
check "the ledger is exact" ledger_holds
done_testing
