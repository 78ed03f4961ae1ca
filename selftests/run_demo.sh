#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What `make run` shows: real programs on two hosts talk by IPv4 and IPv6 through a router that
# runs the module, and two real collectors get the flow records, one in NetFlow v5 and one in IPFIX.
# At its end it compares what the hosts sent, what the router accounted and what was collected; the
# exit status is 0 only if packets, bytes and flows agree exactly.
#
#    netns left          netns router                            netns right
#   +----------+   +--------------------------------------+    +-------------+
#   |       l0 +---+ to-left  10.1.0.1/24                  |    |  iperf3,    |
#   | 10.1.0.2 |   |            to-right  10.2.0.1/24      +----+  http, DNS  |
#   | tcpdump  |   |  netflow                             |    | r0 10.2.0.2 |
#   +----------+   |            to-collector  10.3.0.1/24  |    |  tcpdump    |
#                  +--------------------+-----------------+    +-------------+
#                                       |
#                              c0 10.3.0.2/24            and 2001:db8:N::2
#                       netns collector: nfcapd, nfcapd     for each 10.N.0.2

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"

SHOWN=15 # flows of each list

die() { echo "run_demo: $*" >&2; exit 1; }

# must COMMAND...
must() { "$@" >"$TMP/must.out" 2>&1 || { cat "$TMP/must.out" >&2; die "this failed: $*"; }; }

section() { printf '\n=== %s\n\n' "$*"; }

# say WHAT COMMAND...: show the last line of what it prints, that says how it went.
say() {
	local what=$1
	shift
	must "$@"
	printf '  %-34s %s\n' "$what" \
		"$(grep -v '^ *$' "$TMP/must.out" | tail -n 1 | sed 's/^ *//')"
}

listens() { on right ss -Hltun "sport = $1" | grep -q .; }

# serve PORT COMMAND...: in the right host.
serve() {
	local port=$1
	shift
	ip netns exec right "$@" >"$TMP/server.$port.log" 2>&1 &
	processes+=($!)
	must eventually 30 listens "$port"
}

# iperf HOST IPERF3_ARGUMENT...
iperf() { on left iperf3 -c "$1" -f m "${@:2}" | grep -E 'receiver|error'; }

# download HOST:PORT
download() {
	on left curl -s -S -o "$TMP/page" -w '%{http_code}, %{size_download} bytes' \
		"http://$1/page" &&
		cmp "$TMP/page" "$TMP/www/page"
}

# Addressed to the router, sent by the left host. Nobody answers: these hosts are unknown.
replay() {
	tcprewrite --enet-dmac=02:00:00:00:01:01 --enet-smac=02:00:00:00:01:02 \
		--infile="$1" --outfile="$TMP/replay.pcap" &&
		on left tcpreplay -q --topspeed -i l0 "$TMP/replay.pcap" | sed -n 's/^Actual: //p'
}

thousands() { sed -E ':a; s/([0-9])([0-9]{3})($|[^0-9])/\1,\2\3/; ta'; }

# row WHAT "PACKETS BYTES" FLOWS
row() {
	printf '  %-44s %10s %14s %7s\n' "$1" \
		"$(thousands <<<"${2% *}")" "$(thousands <<<"${2#* }")" "$3"
}

# of_ipv4 FILE, of_ipv6 FILE: the flows of one IP version.
of_ipv4() { grep -v '^[^ ]*:' "$1"; }
of_ipv6() { grep '^[^ ]*:' "$1"; }

quit() {
	trap - EXIT
	trap '' INT TERM
	clean_up >/dev/null 2>&1
	rm -rf "$TMP" /etc/netns/right
}

[ -n "${NETFLOW_KO:-}" ] || die "NETFLOW_KO does not name the module"
if loaded || [ -n "$(ip netns list)" ]; then
	die "the module is loaded or network namespaces exist"
fi
TMP=$(mktemp -d)
processes=()
trap quit EXIT
trap 'exit 143' INT TERM

section "A router with the exporter, on $(uname -sr)"
sed -n '/^#    netns left/,/netns collector: nfcapd/s/^#  //p' "$0"
must two_hosts
must also_ipv6
must ip -n router route add blackhole default
# The reports of MLD that follow new addresses.
sleep 2
must insmod "$NETFLOW_KO"
must nf enable --inactive-timeout 600 --active-timeout 600
must nf collector add 2001:db8:3::2 --protocol ipfix
must start_nfcapd ipfix 4739 collector -6
ipfix_pid=$nfcapd_pid
must nf collector add 10.3.0.2
must start_nfcapd v5
must start_capture "$TMP/left.pcap" left -i l0 -Q out ip or ip6
left_capture=$capture_pid
must start_capture "$TMP/right.pcap" right -i r0 -Q out ip or ip6
right_capture=$capture_pid

section "Traffic"
mkdir "$TMP/www"
head -c 300000 /dev/urandom >"$TMP/www/page"
serve 5201 iperf3 -s
# Without this, python3 would ask the DNS for its own name.
mkdir -p /etc/netns/right
echo "10.2.0.2 right" >/etc/netns/right/hosts
serve 8080 python3 -m http.server --bind 10.2.0.2 --directory "$TMP/www" 8080
serve 8081 python3 -m http.server --bind 2001:db8:2::2 --directory "$TMP/www" 8081
serve 53 dnsmasq --no-daemon --no-resolv --no-hosts --user=root --pid-file= --conf-file=/dev/null \
	--bind-interfaces --listen-address=10.2.0.2 --address=/example.net/192.0.2.80
say "ping, 5 times" on left ping -q -c 5 -i 0.2 10.2.0.2
say "DNS query for www.example.net" on left dig +short @10.2.0.2 www.example.net
say "HTTP transfer of 300000 bytes" download 10.2.0.2:8080
say "iperf3, TCP, 3 MB" iperf 10.2.0.2 -n 3M
say "iperf3, UDP, 2 s" iperf 10.2.0.2 -u -t 2 -b 1M -l 1000
say "IPv6: ping, 5 times" on left ping -q -c 5 -i 0.2 2001:db8:2::2
say "IPv6: HTTP transfer of 300000 bytes" download "[2001:db8:2::2]:8081"
say "IPv6: iperf3, TCP, 1 MB" iperf 2001:db8:2::2 -n 1M
say "replay of firefox.pcap" replay "$SELFTESTS/captures/firefox.pcap"

section "netflowctl flows, the largest $SHOWN that are still in the cache"
nf flows >"$TMP/flows" || die "netflowctl flows failed"
head -n 1 "$TMP/flows"
tail -n +2 "$TMP/flows" | sort -k 12,12nr | head -n $SHOWN

section "netflowctl info, after everything was exported"
must nf flush
nf info || die "netflowctl info failed"

section "nfdump, the largest $SHOWN of what was collected by IPFIX"
must stop_nfcapd
nfcapd_pid=$ipfix_pid nfcapd_port=4739
must stop_nfcapd
nfdump -q -N -6 -R "$TMP/ipfix" -O bytes -n $SHOWN \
	-o 'fmt:%ts %td %pr %sap -> %dap %flg %tos %in %out %pkt %byt' ||
	die "nfdump failed"

section "Do they agree?"
capture_pid=$left_capture must stop_capture "$TMP/left.pcap"
capture_pid=$right_capture must stop_capture "$TMP/right.pcap"
must mergecap -w "$TMP/sent.pcap" "$TMP/left.pcap" "$TMP/right.pcap"
captured "$TMP/sent.pcap" >"$TMP/sent" || die "tshark failed"
collected v5 >"$TMP/by_v5"
collected ipfix >"$TMP/by_ipfix"
of_ipv4 "$TMP/sent" >"$TMP/sent4"
of_ipv6 "$TMP/sent" >"$TMP/sent6"

# counted_row WHAT FILE
counted_row() { row "$1" "$(total "$2")" "$(wc -l <"$2")"; }

# accounted N: by the router, of one IP version.
accounted() { echo "$(info "ipv$1.packets.exported") $(info "ipv$1.bytes.exported")"; }

printf '  %-44s %10s %14s %7s\n' "" packets bytes flows
for version in 4 6; do
	counted_row "IPv$version, sent by both hosts (tcpdump, tshark)" "$TMP/sent$version"
	row "IPv$version, accounted and exported (netflowctl)" "$(accounted $version)" \
		"$(info "ipv$version.flows_created")"
done
counted_row "IPv4, collected by NetFlow v5 (nfcapd)" "$TMP/by_v5"
counted_row "IPv4 and IPv6, collected by IPFIX (nfcapd)" "$TMP/by_ipfix"
echo
if [ -s "$TMP/sent4" ] && [ -s "$TMP/sent6" ] && cmp -s "$TMP/sent4" "$TMP/by_v5" &&
	cmp -s "$TMP/sent" "$TMP/by_ipfix" && [ "$(accounted 4)" = "$(total "$TMP/sent4")" ] &&
	[ "$(accounted 6)" = "$(total "$TMP/sent6")" ] && must ledger_holds router; then
	echo "  All agree, flow by flow."
	exit 0
fi
echo "  They do NOT agree:"
diff -U0 --label sent --label "collected by v5" "$TMP/sent4" "$TMP/by_v5" | head -n 40
diff -U0 --label sent --label "collected by IPFIX" "$TMP/sent" "$TMP/by_ipfix" | head -n 40
exit 1
