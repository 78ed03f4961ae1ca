#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The end of TCP connections: a flow with FIN or RST waits a second for its last packets,
# makes way for a new connection of the same ports, and never keeps other flows out.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2: nfcapd

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump

# records_are PORT EXPECTED: the records of its flows, each "PACKETS BYTES FLAGS".
records_are() {
	equal "records of port $1" "$2" "$(awk -v port="$1" '$4 == port { print $7, $8, $9 }' "$TMP/records" | sort -rn | paste -sd ,)"
}

is_exported() { info_is ".expired.finished - $finished" "$1"; }

lost_is() { info_is '.packets.lost_by.cache_full' "$1"; }

udp_flows_are() {
	equal "UDP flows in the cache" "$1" "$(nf --json flows | jq '[.[] | select(.proto == 17)] | length')"
}

need two_hosts
need load
need start_injector left l0 02:00:00:00:01:01
need start_nfcapd nfcapd
need nf collector add 10.3.0.2
need nf enable --inactive-timeout 600 --active-timeout 600
finished=0

# Port 2001 is used by a second connection right after the first. That of 2002 ends only
# after its SYN was sent twice, and 2003 answers after it was exported.
inject <<'END'
	tcp 10.1.0.2:1001 10.9.0.1:80 len=60 flags=S
	tcp 10.1.0.2:1001 10.9.0.1:80 len=500 flags=PA
	tcp 10.1.0.2:1001 10.9.0.1:80 len=52 flags=FA
	tcp 10.1.0.2:1001 10.9.0.1:80 len=52 flags=A count=2
	tcp 10.1.0.2:1002 10.9.0.1:80 len=40 flags=F
	tcp 10.1.0.2:1003 10.9.0.1:80 len=40 flags=R
	tcp 10.1.0.2:1004 10.9.0.1:80 len=40 flags=SR
	tcp 10.1.0.2:1005 10.9.0.1:80 len=60 flags=S
	tcp 10.1.0.2:1005 10.9.0.1:80 len=52 flags=FA
	tcp 10.1.0.2:1005 10.9.0.1:80 len=40 flags=R
	tcp 10.1.0.2:2001 10.9.0.1:80 len=60 flags=S
	tcp 10.1.0.2:2001 10.9.0.1:80 len=500 flags=PA
	tcp 10.1.0.2:2001 10.9.0.1:80 len=52 flags=FA
	tcp 10.1.0.2:2001 10.9.0.1:80 len=44 flags=SE
	tcp 10.1.0.2:2001 10.9.0.1:80 len=40 flags=A
	tcp 10.1.0.2:2002 10.9.0.1:80 len=60 flags=S count=2
	tcp 10.1.0.2:2002 10.9.0.1:80 len=40 flags=RA
	tcp 10.1.0.2:2003 10.9.0.1:80 len=40 flags=RA
END
check "the second connection of the same ports is a flow of its own" equal "its packets" 2 \
	"$(nf --json flows | jq '.[] | select(.src_port == 2001) | .packets')"
check "finished flows leave within a few seconds" eventually 10 is_exported 8
check "none of them as if something else had made it leave" info_is .expired.displaced 0
check "the flow that has not finished stays" equal "ports" 2001 "$(nf --json flows | jq -r '.[].src_port')"
inject <<'END'
	tcp 10.1.0.2:2003 10.9.0.1:80 len=40 flags=A
END
need nf flush
check "the ledger is exact" ledger_holds
need nf disable

# Room for 16 flows. Those that have finished make way, and are exported soon.
need nf enable --max-flows 16 --inactive-timeout 600
finished=$(info .expired.finished)
inject <<'END'
	udp 10.1.0.2:3001-3008 10.9.0.2:53
	tcp 10.1.0.2:1-64 10.9.0.2:80 flags=R len=40
	udp 10.1.0.2:3009-3016 10.9.0.2:53
END
check "RST without end leave room for others" udp_flows_are 16
check "none is refused" lost_is 0
check "the ledger is exact with flows that wait" ledger_holds
check "soon all that have finished are exported" eventually 10 is_exported 64
check "and what has not finished is still there" udp_flows_are 16
need nf flush
inject <<'END'
	tcp 10.1.0.2:1-64 10.9.0.3:80 flags=FA len=40
	udp 10.1.0.2:3001-3020 10.9.0.3:53
END
check "so it goes with FIN; beyond the limit flows are refused" lost_is 4
check "16 are accepted" udp_flows_are 16
need nf disable

# There is room for 252 that wait, 124 in the cache and 128 outside of it. Those outside are exported at once.
need nf enable --max-flows 1024 --inactive-timeout 600
inject <<'END'
	udp 10.1.0.2:1-900 10.9.0.4:53
END
for first in $(seq 1 120 2881); do
	inject <<-END
		tcp 10.1.0.2:$first-$((first + 119)) 10.9.0.4:80 flags=R len=40
	END
	need eventually 5 info_is .packets.pending 0
done
inject <<'END'
	udp 10.1.0.2:901-1024 10.9.0.4:53
END
check "a storm of RST keeps nobody out" lost_is 4
check "what has not finished is there" udp_flows_are 1024
check "the ledger is exact in the end" ledger_holds
need nf disable

need stop_nfcapd
check "each of the others was exported once" \
	equal "records" 1024 "$(records nfcapd %pkt | awk '$2 == "10.9.0.4" && $3 == 17' | wc -l)"
check "and so was each that has finished" \
	equal "records" 3000 "$(records nfcapd %pkt | awk '$2 == "10.9.0.4" && $3 == 6' | wc -l)"
records nfcapd %pkt,%byt,%flg | grep ' 10.9.0.1 ' >"$TMP/records"
check "ACKs after FIN belong to the flow" records_are 1001 "5 716 ...AP.SF"
check "a flow may begin with FIN" records_are 1002 "1 40 .......F"
check "a flow may begin with RST" records_are 1003 "1 40 .....R.."
check "a flow may begin with SYN and RST" records_are 1004 "1 40 .....RS."
check "RST after FIN belongs to the flow" records_are 1005 "3 152 ...A.RSF"
check "SYN after FIN begins another flow, each with its own packets and flags" \
	records_are 2001 "3 612 ...AP.SF,2 84 .E.A..S."
check "a repeated SYN does not" records_are 2002 "3 160 ...A.RS."
check "what comes after the export is another flow" records_are 2003 "1 40 ...A.R..,1 40 ...A...."
done_testing
