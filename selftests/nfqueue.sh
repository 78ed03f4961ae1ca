#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets that wait in a queue of NFQUEUE while observation points change: they go on, and are
# counted once. When the exporter is disabled or the module is unloaded, the kernel drops all
# that wait in the namespace, as it does whenever any hook function goes: a known limit.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                        nft: queue at   |
#                        forward         |

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin nft

SENT=20

# An intrusion prevention system such as Suricata, which holds packets for a while.
start_queue() {
	on router nft -f - <<-'END' || return
		table ip inspect {
			chain inspect {
				type filter hook forward priority 0
				udp dport 53 queue to 5
			}
			counter passed { }
			chain passed {
				type filter hook postrouting priority 0
				udp dport 53 counter name passed
			}
		}
	END
	coproc QUEUE { exec ip netns exec router python3 -S "$SELFTESTS/lib/nfqueue.py" 5 hold; }
	# shellcheck disable=SC2153 # set by coproc
	processes+=("$QUEUE_PID")
	answers ready
}

# answers WORD: the next thing that the queue's program says.
answers() {
	local answer
	read -r -t 60 answer <&"${QUEUE[0]}" && equal "the program of the queue says" "$1" "$answer"
}

# waiting COUNT
waiting() { echo count >&"${QUEUE[1]}" && answers "$1"; }

# hold: SENT packets wait.
hold() {
	on router nft reset counters >/dev/null || return
	inject <<-END || return
		udp 10.1.0.2:1 10.9.0.1:53 count=$SENT
	END
	eventually 20 waiting "$SENT"
}

# accepted COUNT: of the packets that wait so many pass, once they are accepted.
accepted() {
	echo accept >&"${QUEUE[1]}" && answers "$SENT" && eventually 20 passed "$1"
}
passed() { equal "passed" "$1" "$(nft_counter ip inspect passed | cut -d ' ' -f 1)"; }

need two_hosts
need start_queue
need load
need start_injector left l0 02:00:00:00:01:01
need nf enable --inactive-timeout 3600 --active-timeout 3600
need nf set observe prerouting,forward,postrouting
need hold
check "points can be taken away while packets wait" nf set observe forward
check "what waits goes on" accepted "$SENT"
check "at the first point, then before the change: counted once more at the new one" \
	flow_is 'udp 10.1.0.2:1 10.9.0.1:53' packets=$((2 * SENT))
need nf flush
need nf set observe prerouting
need hold
check "points can be added while packets wait" nf set observe prerouting,postrouting
check "what waits goes on then, too" accepted "$SENT"
check "it is counted once" flow_is 'udp 10.1.0.2:1 10.9.0.1:53' packets="$SENT"
need hold
check "a known limit: when the exporter is disabled, what waits is dropped" nf disable
check "as the kernel does" accepted 0
need nf enable
need hold
need unload
check "and when the module is unloaded" accepted 0
done_testing
