# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What observe.sh, which shows the topology, and its twin of IPv6 share: the ways that packets take,
# in addresses of IPv4 (see family.sh), and how they are counted.

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/netflow.sh"
# shellcheck source=selftests/lib/points.sh
. "$SELFTESTS/lib/points.sh"
# shellcheck source=selftests/lib/family.sh
. "$SELFTESTS/lib/family.sh"

# Each way has a destination address, and each combination a port (1000 and its mask).
declare -A ways=(
	[10.9.0.1]="from left to right"
	[10.1.0.1]="from left to the router"
	[239.1.1.1]="from left to a group"
	[10.1.0.255]="from left to all"
	[10.9.0.2]="from the router to right"
	[239.2.2.2]="from the router to a group, itself a member"
	[10.2.0.255]="from the router to all"
	[127.0.0.1]="from the router to itself"
	[10.2.0.1]="from the router to its own address"
)
received=(10.9.0.1 10.1.0.1 239.1.1.1 10.1.0.255)
sent=(10.9.0.2 239.2.2.2 10.2.0.255 127.0.0.1 10.2.0.1)
SENT=2

witness() {
	local point
	for point in "${POINTS[@]}"; do
		on router nft -f - <<-END || return
			table $FAMILY ways {
				set $point {
					typeof $FAMILY daddr
					size 65535; flags dynamic; counter
				}
				chain $point {
					type filter hook $point priority -500; policy accept;
					udp dport 1001-1031 update @$point { $FAMILY daddr }
				}
				counter own-$point { }
				chain own-$point {
					type filter hook $point priority -500; policy accept;
					udp dport { 2055, 2056 } counter name own-$point
				}
			}
		END
	done
}

# A program in the router: joins the groups, then for each port that it reads sends to all.
start_talker() {
	mkfifo "$TMP/ports" "$TMP/answers"
	# shellcheck disable=SC2046 # words
	ip netns exec router python3 -S -c '
import socket, struct, sys
times, left, right, *destinations = sys.argv[1:]
is6 = ":" in left
s = socket.socket(socket.AF_INET6 if is6 else socket.AF_INET, socket.SOCK_DGRAM)
if is6:
    number = lambda device: struct.pack("=I", socket.if_nametoindex(device))
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, number("to-right"))
else:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
for group, device, here in (left, "to-left", "10.1.0.1"), (right, "to-right", "10.2.0.1"):
    if is6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
            socket.inet_pton(socket.AF_INET6, group) + number(device))
    else:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
            socket.inet_aton(group) + socket.inet_aton(here))
for port in sys.stdin:
    for to in destinations:
        for _ in range(int(times)):
            s.sendto(b"hello", (to, int(port)))
    print("sent", flush=True)
' "$SENT" $(at 239.1.1.1 239.2.2.2 "${sent[@]}") <"$TMP/ports" >"$TMP/answers" &
	processes+=($!)
	exec {ports}>"$TMP/ports" {answers}<"$TMP/answers"
	[ "$FAMILY" = ip6 ] || ip -n router route add 239.2.2.2 dev to-right
}

# send PORT. The ICMP errors that come back are no UDP, and do not count.
send() {
	local answer
	inject < <(printf "udp 10.1.0.2:1 %s:$1 count=$SENT\n" "${received[@]}" | of_family) ||
		return
	echo "$1" >&"$ports"
	read -r -t 60 answer <&"$answers" && [ "$answer" = sent ]
}

observe_all_combinations() {
	local mask
	for mask in {1..31}; do
		nf set observe "${names[mask]}" && send $((1000 + mask)) || return
	done
}

# What nftables saw: lines "POINT ADDRESS".
seen() {
	local point
	for point in "${POINTS[@]}"; do
		nft_elements ways "$point" router "$FAMILY" | cut -d ' ' -f 1 | sed "s/^/$point /"
	done
}

# What we counted: lines "POINTS ADDRESS PACKETS".
counted() {
	local port rest
	show_flows 'udp * *:1001-1031' destination-port destination packets |
		while read -r port rest; do echo "${names[port - 1000]} $rest"; done
}

# counted_once ADDRESS: in every combination.
counted_once() {
	local mask bit seen=0
	for bit in {0..4}; do
		grep -qx "${POINTS[bit]} $1" "$TMP/seen" && seen=$((seen | 1 << bit))
	done
	[ "$seen" != 0 ] || { echo "nftables saw none"; return 1; }
	for mask in {1..31}; do
		((mask & seen)) && echo "${names[mask]}: $SENT"
	done | sort >"$TMP/expected"
	sed -nE "s/^(.*) $1 ([0-9]+)$/\1: \2/p" "$TMP/counted" | sort >"$TMP/actual"
	same "$TMP/expected" "$TMP/actual"
}

# own POINT: the exporter's datagrams that nftables saw there, packets and bytes.
own() { nft_counter "$FAMILY" ways "own-$1"; }

# own_ignored POINTS WITNESS: with these points, the exporter ignores those of its own datagrams
# that nftables sees at the witness, and none becomes a flow.
own_ignored() {
	local packets bytes more more_bytes
	nf set observe "$1" || return
	on router nft reset counters >/dev/null || return
	packets=$(info packets.ignored_by.own) bytes=$(info bytes.ignored_by.own)
	inject < <(of_family <<<"udp 10.1.0.2:1-40 10.9.0.3:53 count=2") || return
	send 9 && nf flush || return
	read -r more more_bytes < <(own "$2")
	[ "$more" != 0 ] || { echo "nftables saw none"; return 1; }
	info_is packets.ignored_by.own=$((packets + more)) \
		bytes.ignored_by.own=$((bytes + more_bytes)) &&
		flow_count_is 'udp * *:2055-2056' 0
}

# own_counted: all that nftables sees go out become records. The last of them are exported
# when own datagrams are not counted any more: otherwise each export would make another flow.
own_counted() {
	on router nft reset counters >/dev/null || return
	send 9 && nf flush || return
	own output >"$TMP/expected"
	nf set count-own off && nf flush || return
	nfcapd_pid=$far nfcapd_port=2055
	stop_nfcapd
	show_exported_flows far 'udp * *:2055-2056' packets bytes | total >"$TMP/actual"
	same "$TMP/expected" "$TMP/actual"
}

# observe_all: all of it, from the topology on.
observe_all() {
	local to far protocol
	need hosts
	need witness
	need start_talker
	need load
	need start_injector left l0 02:00:00:00:01:01
	need nf enable --inactive-timeout 3600 --active-timeout 3600
	check "all 31 combinations can be set" observe_all_combinations
	seen >"$TMP/seen"
	counted >"$TMP/counted"
	for to in "${!ways[@]}"; do
		check "${ways[$to]}: counted once" counted_once "$(at "$to")"
	done
	check "the ledger is exact" ledger_holds

	need start_nfcapd far 2055 collector "$IP"
	far=$nfcapd_pid
	need start_nfcapd near 2056 router "$IP"
	protocol=v5
	if [ "$FAMILY" = ip6 ]; then
		# Of which v5 has no records. Templates are sent in the first seconds alone.
		protocol=v9
		need nf set template-refresh 86400 template-refresh-datagrams 1000000
	fi
	need nf collector add "$(at 10.3.0.2)" --protocol "$protocol"
	need nf collector add "$(at 127.0.0.1:2056)" --protocol "$protocol"
	need nf flush
	[ "$protocol" = v5 ] || sleep 5
	check "own datagrams are ignored at output" own_ignored output output
	check "own datagrams are ignored at postrouting" own_ignored postrouting postrouting
	check "own datagrams to this host are ignored at prerouting" \
		own_ignored prerouting prerouting
	check "own datagrams to this host are ignored at input" own_ignored input,forward input
	check "own datagrams are ignored once at all points" \
		own_ignored prerouting,input,forward,output,postrouting output
	check "the ledger is exact with own datagrams" ledger_holds
	need nf set count-own on observe output
	check "own datagrams are counted if asked" own_counted
	check "the ledger is exact with own datagrams counted" ledger_holds
	need nf disable
}
