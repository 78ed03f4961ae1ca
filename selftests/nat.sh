#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Addresses and ports are those at the observation point: as packets come in at prerouting, as
# they go out at postrouting, and after DNAT but before SNAT at forward.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                         netflow, nft,  | 10.3.0.1 ----- collector 10.3.0.2: nfcapd
#                         tcpdump        |
#
#    DNAT: 10.1.0.1:8080 is right's port 80       SNAT: what goes right comes from 10.2.0.1

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump nft tcpdump tshark nc ping

translate() {
	on router nft -f - <<-'END'
		table ip translation {
			chain destination {
				type nat hook prerouting priority dstnat
				ip daddr 10.1.0.1 tcp dport 8080 dnat to 10.2.0.2:80
			}
			chain source {
				type nat hook postrouting priority srcnat
				oifname to-right masquerade
			}
			set forwarded {
				typeof ip saddr . ip daddr . tcp sport . tcp dport
				size 65535; flags dynamic; counter
			}
			chain between {
				type filter hook forward priority 0
				update @forwarded { ip saddr . ip daddr . tcp sport . tcp dport }
			}
		}
	END
}

listening() { on right ss -Hltn "sport = 80" | grep -q LISTEN; }

talk() {
	ip netns exec right nc -l -N 10.2.0.2 80 </dev/null >"$TMP/received" &
	local server=$!
	processes+=("$server")
	eventually 10 listening || return
	head -c 20000 /dev/zero | on left nc -N 10.1.0.1 8080 || return
	wait "$server"
	on left ping -q -c 2 -i 0.2 10.2.0.2 || return
	on left bash -c 'for i in 1 2 3; do echo hello; done >/dev/udp/10.9.0.1/53'
}

# observed POINT: the flows of a talk, in $TMP/POINT, beside a capture of it.
observed() {
	start_nfcapd "at-$1" && nf set observe "$1" || return
	start_capture "$TMP/$1.pcap" router -i any ip || return
	talk || return
	stop_capture "$TMP/$1.pcap" || return
	nf flush && stop_nfcapd || return
	collected "at-$1" >"$TMP/$1"
}

# as_captured POINT PACKET_TYPE: as tcpdump saw packets come in (0) or go out (4).
as_captured() {
	captured "$TMP/$1.pcap" "sll.pkttype == $2 && !(udp.dstport == 2055)" >"$TMP/expected"
	same "$TMP/expected" "$TMP/$1"
}

between_the_two() {
	nft_elements translation forwarded |
		sed -E 's/^(\S+ \S+) (\S+ \S+ \S+ \S+)$/\1 6 \2/' >"$TMP/expected"
	grep -E '^\S+ \S+ 6 ' "$TMP/forward" | without_tos >"$TMP/tcp"
	same "$TMP/expected" "$TMP/tcp"
}

# has POINT SOURCE DESTINATION PROTOCOL: addresses, or the test would prove nothing.
has() { grep "^$2 $3 $4 " "$TMP/$1"; }

# output_is POINT PORT DEVICE: of what left sends over TCP.
output_is() { exported_flow_is "at-$1" "tcp * *:$2" output="$3"; }

need two_hosts
need translate
need load
need nf enable
need nf collector add 10.3.0.2

check "traffic is observed at prerouting" observed prerouting
check "at prerouting flows are as tcpdump saw packets come in" as_captured prerouting 0
check "the destination is the one before DNAT" has prerouting 10.1.0.2 10.1.0.1 6
check "the destination of answers is the one before SNAT is undone" \
	has prerouting 10.2.0.2 10.2.0.1 6
check "the route is that of the destination before DNAT: to the router itself" \
	output_is prerouting 8080 0

check "traffic is observed at postrouting" observed postrouting
check "at postrouting flows are as tcpdump saw packets go out" as_captured postrouting 4
check "addresses are those after DNAT and SNAT" has postrouting 10.2.0.1 10.2.0.2 6
check "addresses of answers are those after both are undone" has postrouting 10.1.0.1 10.1.0.2 6
check "the route is the one that was taken" output_is postrouting 80 to-right

need on router nft flush set ip translation forwarded
check "traffic is observed at forward" observed forward
check "at forward flows are as nftables sees them there" between_the_two
check "the destination is that after DNAT, the source that before SNAT" \
	has forward 10.1.0.2 10.2.0.2 6
check "the ledger is exact" ledger_holds
done_testing
