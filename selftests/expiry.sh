#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# When flows leave the cache: inactive, active, finished, or under pressure.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2: nfcapd

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nfcapd nfdump nft

slowness=${TIMEOUT_FACTOR:-1}
INACTIVE=$((5 * slowness)) ACTIVE=3
# Flows are looked at once a second; the rest is for a busy machine.
LATE=$((3 * slowness))

# waited PORT FROM TO: nfcapd got one record of the flow with that source port, more than FROM
# and at most TO milliseconds after its last packet.
waited() { exported_flow_is nfcapd "* *:$1 *" "waited>$2" "waited<=$3"; }

stays() {
	sleep 2.5
	"$@"
}

need two_hosts
need load
need count_by_nft
need start_injector left l0 02:00:00:00:01:01
need start_nfcapd nfcapd
need nf collector add 10.3.0.2
need nf enable --inactive-timeout "$INACTIVE" --active-timeout 600

inject <<'END'
	tcp 10.1.0.2:1001 10.9.0.1:80 flags=S
	tcp 10.1.0.2:1002 10.9.0.1:80 flags=S
	tcp 10.1.0.2:1001 10.9.0.1:80 flags=FA
	tcp 10.1.0.2:1002 10.9.0.1:80 flags=RA
	udp 10.1.0.2:1004 10.9.0.1:53 count=4
	udp 10.1.0.2:1005 10.9.0.1:53 count=5
	tcp 10.1.0.2:1003 10.9.0.1:80 flags=F
	tcp 10.1.0.2:1001 10.9.0.1:80 flags=A
END
check "TCP flows with FIN or RST are exported early" \
	eventually 10 info_is expired.finished=3
check "other flows are not" ports_are 1004 1005
check "a flow of four packets is exported when inactive" eventually 15 info_is expired.inactive=1
check "a flow of five packets stays" stays ports_are 1005
inject <<'END'
	udp 10.1.0.2:1007 10.9.0.1:53
END
check "flush exports all" nf flush
check "none is left" ports_are
check "the flows that it exports count as flushed" info_is expired.flushed=2
check "the ledger is exact" ledger_holds
need nf disable

need nf enable --inactive-timeout $ACTIVE --active-timeout $ACTIVE
inject <<'END'
	udp 10.1.0.2:1006 10.9.0.1:53 count=16 gap=0.4
END
check "a flow that goes on is exported at the active timeout" \
	eventually 5 info_is 'expired.active>=1'
check "the last packets of that flow can be flushed" nf flush
need nf disable

# Twelve are three quarters of sixteen.
need nf enable --max-flows 16 --inactive-timeout 2 --active-timeout 600
before=$(info expired.inactive)
inject <<'END'
	udp 10.1.0.2:2001-2012 10.9.0.1:53 count=5
END
check "inactive flows of more than four packets stay while three quarters of the cache suffice" \
	stays info_is flows.cached=12
inject <<'END'
	udp 10.1.0.2:2013-2016 10.9.0.1:53 count=5
END
check "above three quarters, inactive flows are exported" \
	eventually 15 info_is flows.cached=12
check "until three quarters are left" stays info_is flows.cached=12
check "they count as inactive" info_is expired.inactive=$((before + 4))
check "the ledger is exact under pressure" ledger_holds
need nf disable
check "disable exports the rest" info_is flows.cached=0
check "nothing was lost" nothing_lost

need stop_nfcapd
check "every packet was collected" collected_as_nft_saw
check "the flow with FIN waited a second for its last packets" \
	waited 1001 990 $((1000 * (1 + LATE)))
check "the flow with RST too" waited 1002 990 $((1000 * (1 + LATE)))
check "the flow that began with FIN too" waited 1003 990 $((1000 * (1 + LATE)))
check "the packet after FIN made no flow of its own" exported_flow_count_is nfcapd '* *:1001 *' 1
check "the inactive flow waited for its timeout" \
	waited 1004 $((1000 * INACTIVE)) $((1000 * (INACTIVE + LATE)))
check "no record is longer than the active timeout" \
	exported_flows_each nfcapd '* *:1006 *' "duration<=$(((ACTIVE + LATE) * 1000))"
check "the flow that went on has several records" \
	exported_flows_each nfcapd '* *:1006 *' 'packets<16'
done_testing
