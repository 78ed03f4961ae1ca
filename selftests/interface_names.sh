#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The number of an interface belongs to its name: it stays when the name does, and goes with it.
# An index that is used again tells nothing.
#
#    peer: x1, w1, ... ----- x0, w0, ... :router: netflow           away: takes interfaces

# shellcheck source=selftests/lib/netflow.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/netflow.sh"
begin ping

port=1000

# add NAME INDEX: an interface of the router, with its other end at the peer.
add() {
	ip -n router link add "$1" index "$2" type veth peer name "${1%0}1" netns peer || return
	ip -n router link set "$1" up && ip -n peer link set "${1%0}1" up &&
		on router sysctl -qw "net.ipv4.conf.$1.rp_filter=0"
}

# packet PEER_INTERFACE PORT [DESTINATION]: a UDP datagram in a broadcast frame.
packet() {
	on peer python3 -S - "$1" "$2" "${3:-10.77.0.1}" <<-'END'
		import socket, struct, sys
		to = socket.inet_aton(sys.argv[3])
		source = socket.inet_aton("10.80.0.2")
		header = struct.pack("!BBHHHBBH4s4s", 69, 0, 28, 0, 0, 64, 17, 0, source, to)
		total = sum(struct.unpack("!10H", header))
		check = 65535 - (total % 65535 or 65535)
		header = header[:10] + struct.pack("!H", check) + header[12:]
		udp = struct.pack("!HHHH", int(sys.argv[2]), 53, 8, 0)
		wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
		wire.bind((sys.argv[1], 0x0800))
		wire.send(b"\xff" * 6 + b"\x02\0\0\0\0\1" + b"\x08\0" + header + udp)
	END
}

# reported FIELD: of the flow of the last packet.
reported() { nf --json flows | jq -r ".[] | select(.src_port == $port) | .$1"; }

# input_is NUMBER PEER_INTERFACE: what comes in from there is reported with that number.
input_is() {
	port=$((port + 1))
	packet "$2" "$port" && equal "input" "$1" "$(reported input)"
}

# output_is NUMBER DESTINATION: what comes in by w0 and goes there.
output_is() {
	port=$((port + 1))
	packet w1 "$port" "$2" && equal "output" "$1" "$(reported output)"
}

# list_is "NAME INDEX NUMBER"...
list_is() {
	local entry='"\(.ifname) \(.ifindex) \(.number)"'
	equal "list" "$*" "$(nf --json iface list | jq -r ".[] | $entry" | xargs)"
}

# number_many: gives names that nobody has numbers, as many as there can be; prints what the
# next one is told, how many there are, and whether the list has all in order.
number_many() {
	PYTHONPATH=$SELFTESTS/lib on router python3 -B - <<-'END'
		from control import Control, NlError
		import genl
		control = Control()
		def listed():
		    return [(e["name"], e["number"]) for e in control.iface_get({}, dump=True)]
		before = dict(listed())
		count = 4096 - len(before)
		many = {f"many{number:05}": number + 1 for number in range(count)}
		genl.Exporter().set_ifaces(many)
		try:
		    control.iface_set({"name": "one-more", "number": 1})
		except NlError as error:
		    print(error.nl_msg.error, error.nl_msg.extack["msg"])
		after = listed()
		print(len(after), after == sorted((before | many).items()))
	END
}

need add_netns router
need add_netns peer
need add_netns away
need ip -n router link set lo up
need add x0 500
need add w0 501
need ip -n router address add 10.80.0.1/24 dev w0
need on router sysctl -qw net.ipv4.ip_forward=1
need load
need nf enable --inactive-timeout 3600 --active-timeout 3600
need ip -n router route add 10.78.0.0/16 dev x0

check "without numbers, interfaces are reported by their index" input_is 500 x1
check "a number can be set by name" nf iface set x0 --number 11
check "it is reported as input" input_is 11 x1
check "it is reported as output" output_is 11 10.78.0.1
check "an interface without a number keeps its index" input_is 501 w1
check "a number can be set by index, for the name that it has" nf iface set 501 --number 12
check "both are listed, with what has the names" list_is "w0 501 12" "x0 500 11"
check "an index that no interface has is refused" refused "no interface" nf iface set 777 --number 5
check "a name that none can have is refused" refused "no interface can have this name" \
	nf iface set a/b --number 5
check "one that is too long is refused" refused "name" nf iface set sixteen-letters- --number 5
check "nothing of this was taken" list_is "w0 501 12" "x0 500 11"

need ip -n router link set x0 down
need ip -n router link set x0 name z0
need ip -n router link set z0 up
check "renamed, it is reported by its index" input_is 500 x1
check "the name keeps the number" list_is "w0 501 12" "x0 null 11"
need ip -n router link set w0 down
need ip -n router link set w0 name x0
need ip -n router link set x0 up
check "who takes the name has its number" input_is 11 w1
check "both names are as they are" list_is "w0 null 12" "x0 501 11"
need ip -n router link set x0 down
need ip -n router link set x0 name w0
need ip -n router link set w0 up
check "and back" input_is 12 w1

need ip -n router link set z0 down
need ip -n router link set z0 name x0
need ip -n router link set x0 up
check "renamed back, it has the number again" input_is 11 x1
need ip -n router link delete x0
need add y0 500
check "an index that is used again has no number" input_is 500 y1
need add x0 600
check "an interface that is made anew has its number by another index" input_is 11 x1
need ip -n router link property add dev y0 altname other-name
check "an alternative name stands for the name" nf iface set other-name --number 15
check "the number is that of the name" input_is 15 y1
need ip -n router link delete y0

check "an interface that is to come can have a number" nf iface set v0 --number 13
need add v0 602
check "it has it when it comes" input_is 13 v1

need ip -n router link set x0 netns away
need ip -n router link delete w0
need ip -n away link add from-away index 501 type veth peer name f1 netns peer
need ip -n peer link set f1 up
need ip -n away link set from-away netns router
need ip -n router link set from-away up
check "an interface that comes from another namespace keeps its index" \
	equal index 501 "$(ip -n router -json link show from-away | jq '.[].ifindex')"
check "it has no number of one that had this index" input_is 501 f1
check "what left has no index here" list_is "v0 602 13" "w0 null 12" "x0 null 11" "y0 null 15"
need ip -n away link set x0 netns router
need ip -n router link set x0 up
check "what comes back has its number" input_is 11 x1

check "a number can be taken away" nf iface del x0
check "it is reported by its index then" input_is "$(index_of router x0)" x1
check "the loopback can have a number" nf iface set lo --number 21
need nf set observe output
need on router ping -qc 1 127.0.0.1
check "what is sent by it has that number" \
	flows_each "icmp 127.0.0.1 127.0.0.1" output=21
need nf set observe prerouting

check "numbers outlast the exporter: disable" nf disable
check "numbers outlast the exporter: enable" nf enable
check "numbers outlast the exporter" input_is 13 v1
number_many >"$TMP/many" 2>&1
check "4096 names can have a number, the next is refused, and the list has all in order" \
	equal "what happened" "-28 4096 interfaces have numbers: take one away
4096 True" "$(<"$TMP/many")"
check "among so many each has its own" input_is 13 v1
need add many01000 700
check "of the many too" input_is 1001 many01001
check "the ledger is exact" ledger_holds
done_testing
