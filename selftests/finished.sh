#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The end of TCP connections: a flow with FIN or RST waits a second for its last packets,
# makes way for a new connection of the same ports, and takes no room from other flows.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2: nfcapd

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump

# exported_more NUMBER: flows that have finished, than before.
exported_more() { info_is expired.finished=$((finished + $1)); }

# full_losses NUMBER: packets that found no room.
full_losses() { info_is packets.lost_by.cache_full="$1"; }

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
check "the second connection of the same ports is a flow of its own" \
	flow_is 'tcp *:2001 *' packets=2
check "finished flows are exported within a few seconds" eventually 10 exported_more 8
check "none of them counts as displaced" info_is expired.displaced=0
check "the flow that has not finished stays" ports_are 2001
inject <<'END'
	tcp 10.1.0.2:2003 10.9.0.1:80 len=40 flags=A
END
need nf flush
check "the ledger is exact" ledger_holds
need nf disable

# Room for 16 flows. Those that have finished make way, and are exported soon.
need nf enable --max-flows 16 --inactive-timeout 600
finished=$(info expired.finished)
inject <<'END'
	udp 10.1.0.2:3001-3008 10.9.0.2:53
	tcp 10.1.0.2:1-64 10.9.0.2:80 flags=R len=40
	udp 10.1.0.2:3009-3016 10.9.0.2:53
END
check "flows that RST has finished leave room for others" flow_count_is udp 16
check "no new flow is refused" full_losses 0
check "the ledger is exact while finished flows wait" ledger_holds
check "all flows that have finished are exported soon" eventually 10 exported_more 64
check "flows that have not finished are still there" flow_count_is udp 16
need nf flush
inject <<'END'
	tcp 10.1.0.2:1-64 10.9.0.3:80 flags=FA len=40
	udp 10.1.0.2:3001-3020 10.9.0.3:53
END
check "flows that FIN has finished leave room too; beyond the limit flows are refused" full_losses 4
check "16 are accepted" flow_count_is udp 16
need nf disable

# There is room for 252 finished flows, 124 in the cache and 128 outside of it. Those outside
# are exported at once.
need nf enable --max-flows 1024 --inactive-timeout 600
inject <<'END'
	udp 10.1.0.2:1-900 10.9.0.4:53
END
for first in $(seq 1 120 2881); do
	inject <<-END
		tcp 10.1.0.2:$first-$((first + 119)) 10.9.0.4:80 flags=R len=40
	END
	need eventually 5 info_is packets.pending=0
done
inject <<'END'
	udp 10.1.0.2:901-1024 10.9.0.4:53
END
check "new flows find room in spite of many RST" full_losses 4
check "flows that have not finished are there" flow_count_is udp 1024
check "the ledger is exact in the end" ledger_holds
need nf disable

need stop_nfcapd
check "each UDP flow was exported once" exported_flow_count_is nfcapd 'udp * 10.9.0.4' 1024
check "each finished flow was exported once" exported_flow_count_is nfcapd 'tcp * 10.9.0.4' 3000

# exported_are PORT "FIELDS"...: the records of its flows to 10.9.0.1.
exported_are() {
	printf "tcp 10.1.0.2:$1 10.9.0.1:80 %s\n" "${@:2}" |
		exported_flows_are nfcapd "tcp *:$1 10.9.0.1"
}
check "ACKs after FIN belong to the flow" exported_are 1001 "packets=5 bytes=716 flags=SPAF"
check "a flow may begin with FIN" exported_are 1002 "packets=1 bytes=40 flags=F"
check "a flow may begin with RST" exported_are 1003 "packets=1 bytes=40 flags=R"
check "a flow may begin with SYN and RST" exported_are 1004 "packets=1 bytes=40 flags=SR"
check "RST after FIN belongs to the flow" exported_are 1005 "packets=3 bytes=152 flags=SFAR"
check "SYN after FIN begins another flow, each with its own packets and flags" \
	exported_are 2001 "packets=3 bytes=612 flags=SPAF" "packets=2 bytes=84 flags=SEA"
check "a repeated SYN does not" exported_are 2002 "packets=3 bytes=160 flags=SRA"
check "packets after the export are another flow" \
	exported_are 2003 "packets=1 bytes=40 flags=RA" "packets=1 bytes=40 flags=A"
done_testing
