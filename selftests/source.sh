#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The source address and the device of a collector's datagrams: an address that stays when the
# route changes, and a collector that only a VRF knows. They outlive the device and SOCK_DESTROY.
#
#    left 10.1.0.2 ----- router 10.1.0.1 | 10.2.0.1 ----- right 10.2.0.2, 10.9.0.0/16
#                               netflow  | 10.3.0.1 ----- collector 10.3.0.2
#                    10.0.0.1 on lo      | 10.6.0.1 ----- 10.6.0.2
#                                          to-spare c1      later in the VRF mgmt

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
# shellcheck source=selftests/lib/arrivals.sh
. "$SELFTESTS/lib/arrivals.sh"
begin nft ss

second_link() {
	link collector c1 02:00:00:00:06:02 to-spare 02:00:00:00:06:01 &&
		join router to-spare 10.6.0.1/24 10.6.0.2 02:00:00:00:06:02 &&
		join collector c1 10.6.0.2/24 10.6.0.1 02:00:00:00:06:01 &&
		ip -n router addr add 10.0.0.1/32 dev lo &&
		on collector sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.c0.rp_filter=0 \
			net.ipv4.conf.c1.rp_filter=0 &&
		count_arrivals ip
}

# collector_is PORT FIELD VALUE
collector_is() {
	equal "$2 of the collector at port $1" "$3" \
		"$(info "collectors[] | select(.port == $1) | .$2")"
}

list_shows() {
	nf collector list >"$TMP/list"
	grep -qE '^10\.3\.0\.2:2055 +v5 +10\.0\.0\.1 ' "$TMP/list" && return
	cat "$TMP/list"
	return 1
}

make_vrf() {
	ip -n router link add mgmt type vrf table 10 && ip -n router link set mgmt up &&
		ip -n router link set to-spare master mgmt &&
		ip -n router neigh replace 10.6.0.2 lladdr 02:00:00:00:06:02 dev to-spare \
			nud permanent
}

# source_ports: those of the sockets of collectors, the only ones here.
source_ports() { on router ss -Hunap | awk '{ sub(/.*:/, "", $4); print $4 }' | sort -n; }

# ignored_own: at OUTPUT all datagrams pass.
ignored_own() { info packets.ignored_by.own; }

# Whether the kernel destroys UDP sockets when it is asked to: it takes a port that was not asked
# for away from another socket.
kernel_destroys() {
	on left python3 - <<-'END'
		import socket, subprocess
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.bind(("", 0))
		port = s.getsockname()[1]
		subprocess.run(["ss", "-K", "-u", "-a", "sport", "=", str(port)], check=True)
		assert s.getsockname()[1] != port, "the socket kept its port"
	END
}

destroy_sockets() {
	local port
	for port in $(source_ports); do
		on router ss -K -u -a sport = "$port" || return
	done
}

need two_hosts
need second_link
need load
need start_injector left l0 02:00:00:00:01:01
need nf enable
need nf set observe output,prerouting

### The source

check "a collector is added with a source" nf collector add 10.3.0.2:2055 --source 10.0.0.1
check "one is added without" nf collector add 10.3.0.2:2056
check "the source is what was asked for" arrive \
	"10.0.0.1 10.3.0.2 2055" "10.3.0.1 10.3.0.2 2056"
need ip -n router route add 10.3.0.2/32 via 10.6.0.2
check "it stays when the route changes" arrive \
	"10.0.0.1 10.3.0.2 2055" "10.6.0.1 10.3.0.2 2056"
need ip -n router route del 10.3.0.2/32
need ip -n router addr del 10.0.0.1/32 dev lo
need export_flow
check "without that address it is an error" collector_is 2055 errors 1
check "the error says so" collector_is 2055 last_error "Network is unreachable"
need ip -n router addr add 10.0.0.1/32 dev lo
check "with the address it works again" arrive \
	"10.0.0.1 10.3.0.2 2055" "10.3.0.1 10.3.0.2 2056"
while read -r source what; do
	check "$what is refused as source" refused "source must be an address of this host" \
		nf collector add 10.3.0.2:2057 --source "$source" </dev/null
done <<'END'
10.3.0.2 an address of another host
224.0.0.1 a group
10.3.0.255 the address of all hosts of a network
END

### The device

if make_vrf >"$TMP/vrf" 2>&1; then
	need nf collector add 10.6.0.2:2058
	need export_flow
	check "a collector in a VRF is not reached without it" collector_is 2058 datagrams 0
	need nf collector del 10.6.0.2:2058
	check "one is added with the VRF" nf collector add 10.6.0.2:2058 --device mgmt
	check "one with a device in the VRF, and its address" \
		nf collector add 10.6.0.2:2059 --device to-spare --source 10.6.0.1
	check "both are reached" arrive "10.0.0.1 10.3.0.2 2055" "10.3.0.1 10.3.0.2 2056" \
		"10.6.0.1 10.6.0.2 2058" "10.6.0.1 10.6.0.2 2059"
	check "an address outside of the VRF is refused" refused "source must be an address" \
		nf collector add 10.6.0.2:2060 --device mgmt --source 10.0.0.1
	check "an address in the VRF is refused outside" refused "source must be an address" \
		nf collector add 10.6.0.2:2060 --source 10.6.0.1
	need ip -n router link del mgmt
	need export_flow
	check "while the VRF is gone datagrams are errors" collector_is 2058 errors 1
	check "the error says so" collector_is 2058 last_error "No such device"
	need make_vrf
	check "when there is one of that name, it is reached again" arrive \
		"10.0.0.1 10.3.0.2 2055" "10.3.0.1 10.3.0.2 2056" \
		"10.6.0.1 10.6.0.2 2058" "10.6.0.1 10.6.0.2 2059"
else
	skip "a collector in a VRF" "$(<"$TMP/vrf")"
fi
check "a device that is not there is refused" \
	refused "no such device" nf collector add 10.3.0.2:2060 --device nothing
check "a name that no device can have is refused" \
	refused "device: " nf collector add 10.3.0.2:2060 --device sixteen-letters-
check "the source is shown" collector_is 2055 source 10.0.0.1
check "no source is shown where none was given" collector_is 2056 source null
check "the list shows source and error" list_shows
check "metrics have both as labels" grep -q \
	'^netflow_collector_errors_total{.*:2055",protocol="v5",source="10.0.0.1"} 1$' \
	<(nf info --prometheus)

### The exporter's own datagrams

need nf flush
own=$(ignored_own) datagrams=$(info '| [.collectors[].datagrams] | add')
need export_flow
sent=$(($(info '| [.collectors[].datagrams] | add') - datagrams))
check "datagrams of all collectors are own" equal "ignored" $((own + sent)) "$(ignored_own)"

if kernel_destroys >"$TMP/destroys" 2>&1; then
	ports=$(source_ports)
	errors=$(info '| [.collectors[].errors] | add')
	need destroy_sockets
	check "sockets that were destroyed keep their ports" \
		equal "ports" "$ports" "$(source_ports)"
	check "datagrams are sent as before" arrive "10.0.0.1 10.3.0.2 2055" \
		"10.3.0.1 10.3.0.2 2056" "10.6.0.1 10.6.0.2 2058" "10.6.0.1 10.6.0.2 2059"
	check "none of them was an error" equal "errors" "$errors" \
		"$(info '| [.collectors[].errors] | add')"
	check "datagrams of all collectors are own" \
		equal "ignored" $((own + 2 * sent)) "$(ignored_own)"
else
	skip "sockets that were destroyed keep their ports" "the kernel does not destroy any"
fi
check "the ledger is exact" ledger_holds
done_testing
