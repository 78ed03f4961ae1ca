# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What hook_paths.sh, which shows the topology, and its twin of IPv6 share: the paths, in addresses
# of IPv4 (see family.sh), and how packets on them are counted.

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/netflow.sh"
# shellcheck source=selftests/lib/points.sh
. "$SELFTESTS/lib/points.sh"
# shellcheck source=selftests/lib/family.sh
. "$SELFTESTS/lib/family.sh"

SENT=2 MASKS=({1..31})
IN="prerouting input" THROUGH="prerouting forward postrouting" OUT="output postrouting"

# path NUMBER NAME PASSES [COUNTED]: the points that a packet passes, and after a / those that its
# copy does. A point that it passes twice is there twice. COUNTED are those that it seems to have
# passed, if that is something else.
declare -A names_of passes_of counted_of
path() { names_of[$1]=$2 passes_of[$1]=$3 counted_of[$1]=${4-$3}; }

# Received from left: lines "NUMBER DESTINATION OPTION...". Sent here: lines "NUMBER DESTINATION
# [DEVICE]", as a frame if a device is named.
received=() sent=()

path 1 "routed" "$THROUGH"
received+=("1 10.9.0.1")
path 2 "sent" "$OUT"
sent+=("2 10.9.0.1")
path 3 "sent to this host" "$OUT $IN"
sent+=("3 10.2.0.1")

# What a loopback device receives, but IP has not sent.
loopback() {
	ip_batch router <<<"addr add 10.62.0.1/32 dev lo" &&
		on router tc qdisc add dev to-left clsact &&
		on router tc filter add dev to-left ingress protocol "$ETHERTYPE" flower \
			ip_proto udp src_port 11-15 \
			action pedit ex munge eth dst set 00:00:00:00:00:00 \
			pipe action mirred egress redirect dev lo || return
	path 10 "a program's frame on lo" "$THROUGH"
	sent+=("10 10.9.0.1 lo")
	path 11 "redirected to lo, and routed" "$THROUGH"
	path 12 "redirected to lo, for this host" "$IN"
	path 13 "redirected to lo, for an address of lo" "$IN"
	received+=("11 10.9.0.1" "12 10.1.0.1" "13 10.62.0.1")
	path 14 "sent to an address of lo" "$OUT $IN"
	sent+=("14 10.62.0.1")
}

# Labels 16 and 17 are popped, at lo and into the VRF.
mpls() {
	modprobe -q mpls_router &&
		on router sysctl -qw net.mpls.platform_labels=100 net.mpls.conf.to-left.input=1 &&
		ip -n router -f mpls route add 16 dev lo || return
	path 20 "an MPLS label popped at lo, and routed" "$THROUGH"
	path 21 "an MPLS label popped at lo, for this host" "$IN"
	received+=("20 10.9.0.1 ethertype=8847 before=00010140")
	received+=("21 10.1.0.1 ethertype=8847 before=00010140")
	ip -n router link show blue && ip -n router -f mpls route add 17 dev blue || return
	path 22 "an MPLS label popped into a VRF" "$OUT"
	received+=("22 10.9.0.1 ethertype=8847 before=00011140")
}

# The sender shares the host, so that the transport header is set: it looks as if IP had received
# it, and been leaked. A known limit.
mpls_from_here() {
	ip_batch left <<-END && ip_batch router <<-'END'
		route add 10.57.0.0/16 encap mpls 17 via $INET 10.1.0.1 dev l0
	END
		route add 10.57.0.0/16 via 10.2.0.2 dev to-right vrf blue onlink
	END
}
popped_like_leaked() {
	local mask to
	to=$(at 10.57.0.1)
	nf flush || return
	for mask in "${MASKS[@]}"; do
		nf set observe "${names[mask]}" &&
			on left bash -c "echo >/dev/udp/$to/$((1000 + mask))" || return
		[[ ${names[mask]} =~ ^(input,)?(output|postrouting|output,postrouting)$ ]] &&
			echo "udp 10.1.0.2 10.57.0.1:$((1000 + mask)) packets=1"
	done | of_family >"$TMP/expected"
	flows_are "udp * $to" <"$TMP/expected"
}

vrf() {
	ip_batch router <<-'END' || return
		link add blue type vrf table 200
		link set blue up
		route add 10.9.0.0/16 via 10.2.0.2 dev to-right vrf blue onlink
		route add 10.56.0.0/16 dev blue
		route add 10.56.0.0/16 via 10.2.0.2 dev to-right vrf blue onlink
	END
	path 23 "leaked into a VRF" "$THROUGH output postrouting"
	received+=("23 10.56.0.1")
	path 24 "sent into a VRF" "output postrouting output postrouting"
	sent+=("24 10.56.0.1")
}

# esp SPI DESTINATION [MATCH...]: what goes there is put into ESP, if the interface or mark match:
# in tunnel mode to right, or in transport mode.
esp() {
	local mode=${mode:-tunnel} ends=10.2.0.2
	[ "$mode" = tunnel ] || ends=$2
	ends=$(at "src 10.2.0.1 dst $ends proto esp")
	# shellcheck disable=SC2086 # words
	ip -n router xfrm state add $ends spi "$1" reqid "$1" mode "$mode" "${@:3}" \
		enc 'ecb(cipher_null)' '' auth digest_null '' &&
		ip -n router xfrm policy add dst "$(at "$2")" dir out "${@:3}" \
			tmpl $ends reqid "$1" mode "$mode"
}
policy() {
	esp 30 10.53.0.0/16 && ip_batch router <<<"route add 10.53.0.0/16 via 10.2.0.2" || return
	path 30 "routed, encrypted by a policy" "$THROUGH"
	received+=("30 10.53.0.1")
	path 31 "sent, encrypted by a policy" "$OUT"
	sent+=("31 10.53.0.1")
	mode=transport esp 39 10.9.0.39 || return
	path 39 "sent, encrypted in transport mode" "$OUT"
	sent+=("39 10.9.0.39")
}
xfrm_interface() {
	ip -n router link add xfrm type xfrm dev to-right if_id 7 &&
		ip -n router link set xfrm up &&
		esp 32 0.0.0.0/0 if_id 7 &&
		ip_batch router <<<"route add 10.51.0.0/16 dev xfrm" || return
	path 32 "routed to an XFRM interface" "$THROUGH postrouting"
	received+=("32 10.51.0.1")
	path 33 "sent by an XFRM interface" "$OUT postrouting"
	sent+=("33 10.51.0.1")
	[ -n "${passes_of[20]-}" ] && ip -n router -f mpls route add 18 dev xfrm || return 0
	path 38 "an MPLS label popped into an XFRM interface, a known limit" "postrouting" ""
	received+=("38 10.51.0.1 ethertype=8847 before=00012140")
}
vti() {
	esp 34 0.0.0.0/0 mark 8 && ip_batch router <<-END || return
		link add vti type $VTI local 10.2.0.1 remote 10.2.0.2 key 8
		link set vti up
		route add 10.52.0.0/16 dev vti
	END
	path 34 "routed to a VTI" "$THROUGH postrouting"
	received+=("34 10.52.0.1")
	path 35 "sent by a VTI" "$OUT postrouting"
	sent+=("35 10.52.0.1")
}
gre() {
	ip_batch router <<-END || return
		link add gre type $GRE local 10.2.0.1 remote 10.2.0.2
		link set gre up
		route add 10.54.0.0/16 dev gre
	END
	path 36 "routed to a tunnel" "$THROUGH"
	received+=("36 10.54.0.1")
	path 37 "sent by a tunnel" "$OUT"
	sent+=("37 10.54.0.1")
}

# duplicate HOOK PORTS [GATEWAY]: nftables sends copies to the collector, or there.
duplicate() {
	nft_batch router <<-END
		table $FAMILY duplicates {
			chain $1 {
				type filter hook $1 priority 0
				udp sport { $2 } dup to ${3:-10.3.0.2}
			}
		}
	END
}
copies() {
	duplicate prerouting 40 && duplicate input 41 && duplicate forward 42,47 &&
		duplicate postrouting 43,45 && duplicate output 44 || return
	path 40 "copied at prerouting" "$THROUGH / $OUT"
	path 41 "copied at input" "$IN / $OUT"
	path 42 "copied at forward" "$THROUGH / $OUT"
	path 43 "copied at postrouting" "$THROUGH / $OUT"
	received+=("40 10.9.0.1" "41 10.1.0.1" "42 10.9.0.1" "43 10.9.0.1")
	path 44 "sent, and copied at output" "$OUT / $OUT"
	path 45 "sent, and copied at postrouting" "$OUT / $OUT"
	sent+=("44 10.9.0.1" "45 10.9.0.1")
	ip -n router link show blue || return 0
	duplicate forward 46 10.56.0.2 || return
	path 46 "copied at forward, the copy into a VRF" "$THROUGH / $OUT $OUT"
	received+=("46 10.9.0.1")
}

# A virtual service, for what has the mark 7, of one server with address translation.
ipvs() {
	modprobe -q ip_vs_rr && on router python3 -B -S -c '
import socket, struct, sys
sys.path.insert(0, sys.argv[1])
from genl import CTRL_ATTR_FAMILY_ID, NLM_F_ACK, NLM_F_REQUEST
from genl import ask, attribute, connect, get_family, message
NEW_SERVICE, NEW_DEST, SERVICE, DEST = 1, 5, 1, 2
u16 = lambda kind, value: attribute(kind, struct.pack("=H", value))
u32 = lambda kind, value: attribute(kind, struct.pack("=I", value))
is6 = ":" in sys.argv[2]
af = socket.AF_INET6 if is6 else socket.AF_INET
# By family and mark; the scheduler, no flags, no timeout, and the netmask or its length.
service = attribute(SERVICE, u16(1, af) + u32(5, 7) + attribute(6, b"rr\0") + attribute(7, bytes(8))
    + u32(8, 0) + u32(9, 128 if is6 else 0xFFFFFFFF))
# Address, port, method, weight, thresholds.
server = attribute(DEST, attribute(1, socket.inet_pton(af, sys.argv[2]).ljust(16, b"\0"))
    + u16(2, 0) + u32(3, 0) + u32(4, 1) + u32(5, 0) + u32(6, 0) + u16(11, af))
sock = connect()
family, = struct.unpack("=H", ask(sock, get_family("IPVS"))[CTRL_ATTR_FAMILY_ID])
for command, what in (NEW_SERVICE, service), (NEW_DEST, service + server):
    ask(sock, message(family, command, what, NLM_F_REQUEST | NLM_F_ACK))
' "$SELFTESTS/lib" "$(at 10.2.0.2)" && on router nft -f - <<-END || return
		table $FAMILY ipvs {
			chain marks {
				type filter hook prerouting priority -150
				udp sport 50 meta mark set 7
			}
		}
	END
	path 50 "through IPVS" "prerouting output postrouting"
	received+=("50 10.1.0.1")
}

# NFQUEUE: packets wait before our hook function, or behind it.
queue() {
	local point
	for point in "${POINTS[@]}"; do
		cat <<-END
			table $FAMILY queues {
				chain $point {
					type filter hook $point priority 10
					udp sport { 60-63, 15, 47 } queue to 3
				}
			}
		END
	done | on router nft -f - || return
	ip netns exec router python3 -S "$SELFTESTS/lib/nfqueue.py" 3 >"$TMP/nfqueue" 2>&1 &
	processes+=($!)
	eventually 60 grep -x ready "$TMP/nfqueue" || return
	path 60 "through NFQUEUE, and routed" "$THROUGH"
	path 61 "through NFQUEUE, for this host" "$IN"
	received+=("60 10.9.0.1" "61 10.1.0.1")
	path 62 "sent through NFQUEUE" "$OUT"
	path 63 "sent to this host, through NFQUEUE" "$OUT $IN"
	sent+=("62 10.9.0.1" "63 10.2.0.1")
	if [ -n "${passes_of[12]-}" ]; then
		path 15 "redirected to lo, through NFQUEUE, for this host" "$IN"
		received+=("15 10.1.0.1")
	fi
	[ -n "${passes_of[42]-}" ] || return 0
	path 47 "copied at forward, the copy through NFQUEUE" "$THROUGH / $OUT"
	received+=("47 10.9.0.1")
}

witness() {
	local point priority
	for point in "${POINTS[@]}"; do
		# Close to our own hook function.
		priority=1000
		[ "$point" = prerouting ] && priority=-500
		cat <<-END
			table $FAMILY paths {
				set $point { typeof udp sport; size 65535; flags dynamic; counter; }
				chain $point {
					type filter hook $point priority $priority
					udp dport 1000-1031 update @$point { udp sport }
				}
			}
		END
	done | on router nft -f -
}

# A program in the router: for each port that it reads, it sends what `sent` states.
start_sender() {
	local sends
	mapfile -t sends < <(printf '%s\n' 10.1.0.2 10.2.0.1 "${sent[@]}" | of_family)
	mkfifo "$TMP/ports" "$TMP/answers"
	ip netns exec router python3 -B -S -c '
import socket, sys
sys.path.insert(0, sys.argv[1])
import inject
sends = []
family, make, ethertype = socket.AF_INET, inject.packet, b"\x08\0"
left, own = sys.argv[3:5]
if ":" in own:
    family, make, ethertype = socket.AF_INET6, inject.packet6, b"\x86\xdd"
for number, to, *device in map(str.split, sys.argv[5:]):
    if device:
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        s.bind((device[0], 0))
        ends = [socket.inet_pton(family, end) for end in (left, to)]
        sends.append(lambda port, s=s, ends=ends, number=int(number):
            s.send(bytes(12) + ethertype + make(17, (ends[0], number), (ends[1], port), {})))
    else:
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.bind((own, int(number)))
        sends.append(lambda port, s=s, to=to: s.sendto(bytes(36), (to, port)))
for port in sys.stdin:
    for send in sends:
        for _ in range(int(sys.argv[2])):
            send(int(port))
    print("sent", flush=True)
' "$SELFTESTS/lib" "$SENT" "${sends[@]}" <"$TMP/ports" >"$TMP/answers" 2>"$TMP/sender.log" &
	processes+=($!)
	exec {ports}>"$TMP/ports" {answers}<"$TMP/answers"
}

# send PORT
send() {
	local answer number to options line lines=''
	for line in "${received[@]}"; do
		read -r number to options <<<"$line"
		lines+="udp 10.1.0.2:$number $to:$1 count=$SENT $options"$'\n'
	done
	inject < <(of_family <<<"$lines") || return
	echo "$1" >&"$ports"
	read -r -t 60 answer <&"$answers" && [ "$answer" = sent ] && return
	cat "$TMP/sender.log"
	return 1
}

observe_all_combinations() {
	local mask
	for mask in "${MASKS[@]}"; do
		nf set observe "${names[mask]}" && send $((1000 + mask)) || return
	done
}

# passes NUMBER: what nftables saw is what is stated.
passes() {
	local point
	for point in ${passes_of[$1]//\//}; do echo "$point"; done | sort | uniq -c |
		while read -r times point; do
			echo "$point $((times * SENT * ${#MASKS[@]}))"
		done >"$TMP/expected"
	for point in "${POINTS[@]}"; do
		sed -nE "s/^$1 ([0-9]+) .*/$point \1/p" "$TMP/saw.$point"
	done | sort >"$TMP/actual"
	same "$TMP/expected" "$TMP/actual"
}

# counted_once NUMBER: each packet in each combination that has a point on its path.
counted_once() {
	local mask point packets passes
	for mask in "${MASKS[@]}"; do
		packets=0 passes=0
		for point in ${counted_of[$1]} /; do
			if [ "$point" = / ]; then
				packets=$((packets + passes)) passes=0
			elif [[ ,${names[mask]}, == *,$point,* ]]; then
				passes=$SENT
			fi
		done
		[ "$packets" = 0 ] || echo "${names[mask]}: $packets"
	done | sort >"$TMP/expected"
	while read -r number port packets; do
		[ "$number" = "$1" ] && echo "${names[port - 1000]} $packets"
	done <"$TMP/counted" | awk '
		{ sum[$1] += $2 }
		END { for (points in sum) print points ": " sum[points] }' | sort >"$TMP/actual"
	[ -n "${counted_of[$1]}" ] || { equal "counted" "" "$(cat "$TMP/actual")"; return; }
	same "$TMP/expected" "$TMP/actual"
}

# need_kind NAME: the paths of that function, unless the kernel has none of the kind.
need_kind() {
	"$1" >"$TMP/made" 2>&1 || skip "$1" "this kernel has none: $(tail -n 1 "$TMP/made")"
}

# count_all: the packets of all paths, in all combinations, and what is said of them.
count_all() {
	local point number
	need witness
	need start_sender
	need load
	need start_injector left l0 02:00:00:00:01:01
	need nf enable --inactive-timeout 3600 --active-timeout 3600
	# Whoever is to be learned is, and conntrack knows the flows.
	need send 1000
	sleep 1
	for point in "${POINTS[@]}"; do need on router nft flush set "$FAMILY" paths "$point"; done
	need nf flush
	check "all 31 combinations can be set" observe_all_combinations
	sleep 1
	for point in "${POINTS[@]}"; do
		nft_elements paths "$point" router "$FAMILY" >"$TMP/saw.$point"
	done
	show_flows 'udp * *:1001-1031' source-port destination-port packets >"$TMP/counted"
	for number in $(printf '%s\n' "${!names_of[@]}" | sort -n); do
		check "${names_of[$number]}: nftables sees it pass as stated" passes "$number"
		check "${names_of[$number]}: counted once" counted_once "$number"
	done
}

# count_mpls_from_here: the last, as its flows are of ports that paths have.
count_mpls_from_here() {
	if [ -z "${passes_of[22]-}" ] || ! mpls_from_here >"$TMP/made" 2>&1; then
		skip "an MPLS label of this machine popped into a VRF" "$(tail -n 1 "$TMP/made")"
		return
	fi
	check "a known limit: an MPLS label of this machine popped into a VRF: taken for leaked" \
		popped_like_leaked
}
