#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A full cache: the flows that are in it go on, packets of others are counted as lost.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2: nfcapd

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump

FLOWS=16

# lost_is PACKETS BYTES: for want of room, and nothing else.
lost_is() {
	info_is packets.lost_by.cache_full="$1" packets.lost="$1" bytes.lost_by.cache_full="$2" \
		bytes.lost="$2"
}

need two_hosts
need load
need start_injector left l0 02:00:00:00:01:01
# Packets wait in the batch of their CPU: what comes first is accounted first only on the same one.
need taskset -p 1 "$INJECTOR_PID"
need start_nfcapd nfcapd
need nf collector add 10.3.0.2
need nf enable --max-flows $FLOWS --inactive-timeout 600

# 40 flows, all of their first packets first: 16 find room, 24 do not.
inject <<'END'
	udp 10.1.0.2:1-40 10.9.0.1:53 count=3 len=100
END
check "the flows that came first are cached, all their packets counted" flows_are <<END
	udp 10.1.0.2:1-$FLOWS 10.9.0.1:53 packets=3 bytes=300
END
check "packets of all other flows count as lost" lost_is 72 7200
check "every packet was seen" info_is packets.seen=120 bytes.seen=12000
check "the cache holds as many flows as it may" \
	info_is flows.cached=16 flows.max=16 flows.created=16
check "the ledger is exact with a full cache" ledger_holds

check "flush makes room" nf flush
inject <<'END'
	udp 10.1.0.2:101-116 10.9.0.1:53 len=100
END
check "new flows find room" info_is flows.cached=16 packets.cached=16
check "nothing more was lost" lost_is 72 7200

# Flows that have ended and wait for their export do not keep others out.
need nf flush
inject <<'END'
	tcp 10.1.0.2:201-216 10.9.0.1:80 len=100 flags=SF
	udp 10.1.0.2:301-316 10.9.0.1:53 len=100
END
check "finished flows leave room for others" lost_is 72 7200
check "the ledger is exact with finished flows" ledger_holds
need nf disable

need nf enable --max-flows 1 --inactive-timeout 600
inject <<'END'
	udp 10.1.0.2:1-3 10.9.0.2:53 count=2 len=100
END
check "a cache of one flow holds one" info_is flows.cached=1 packets.cached=2 packets.lost=76
need nf disable
check "the ledger is exact after all" ledger_holds

need stop_nfcapd
read -r packets bytes < <(collected nfcapd | total)
check "what was exported was collected" \
	info_is packets.exported="$packets" bytes.exported="$bytes"
check "what was sent is exported or lost" equal "packets" 174 \
	$(($(info packets.exported) + $(info packets.lost)))
done_testing
