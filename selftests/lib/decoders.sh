# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Collectors of v5, NetFlow v9 and IPFIX side by side, and what they and tshark make of the
# datagrams. See netflow.sh, which has to be sourced before.

# PORT and PID: of the nfcapd for each protocol; a test may have more. Their flows are in
# $TMP/nfcapd.PROTOCOL.
declare -A PORT=([v5]=2055 [v9]=2056 [ipfix]=4739)
declare -A PID=()

# start_all [NFCAPD_ARGUMENT...]
start_all() {
	local protocol
	for protocol in "${!PORT[@]}"; do
		start_nfcapd "nfcapd.$protocol" "${PORT[$protocol]}" collector "$@" || return
		PID[$protocol]=$nfcapd_pid
	done
}

stop_all() {
	local protocol
	for protocol in "${!PORT[@]}"; do
		# shellcheck disable=SC2034 # for stop_nfcapd
		nfcapd_pid=${PID[$protocol]} nfcapd_port=${PORT[$protocol]}
		stop_nfcapd || return
	done
}

# decode TSHARK_ARGUMENT...: of $TMP/link.pcap. v5 and v9 are not at the ports that tshark knows.
decode() {
	tshark -n -r "$TMP/link.pcap" -d udp.port==2055-2058,cflow -d udp.port==4739,cflow \
		-d udp.port==4740,cflow "$@" 2>"$TMP/tshark.log"
}

# understood PORT: all that went there.
understood() {
	decode -Y "udp.dstport == $1" -V >"$TMP/decoded.$1" || return
	grep -q 'Cisco NetFlow/IPFIX' "$TMP/decoded.$1" || return
	without 'No template found|[Mm]alformed|Bad length' "$TMP/decoded.$1" || return
	decode -Y "udp.dstport == $1 && cflow.sequence_analysis.expected_sn" >"$TMP/missed" &&
		without . "$TMP/missed"
}

# sequence_errors PROTOCOL: as nfcapd has counted them, if all datagrams were understood.
sequence_errors() {
	sed -nE 's/.*Sequence Errors: ([0-9]+), Bad Packets: 0.*/\1/p' "$TMP/nfcapd.$1.log" |
		tail -n 1
}

# errors_of_options: nfcapd does not count the records of options in IPFIX's sequence, so each
# message with some may be an error to it. Reads the ids of Sets (cflow.flowset_id), a line for
# each message.
errors_of_options() {
	local messages errors
	messages=$(grep -cwE "3|301")
	errors=$(sequence_errors ipfix)
	echo "$errors errors, $messages messages with options"
	[ "$errors" -le "$messages" ]
}
