# SPDX-License-Identifier: GPL-2.0
"""Generic netlink by hand, where thousands of requests are to go into one message, and where a
client that waits for answers would not do."""

import socket
import struct
import time

NETLINK_GENERIC = 16
NLM_F_REQUEST, NLM_F_ACK = 1, 4
NLMSG_ERROR = 2
GENL_ID_CTRL, CTRL_CMD_GETFAMILY = 16, 3
CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 1, 2
INFO_GET, ENABLE, IFACE_SET, FLUSH, COLLECTOR_ADD = 1, 3, 5, 7, 8


def attribute(kind, value):
    """One attribute, padded."""
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + bytes(-length % 4)


def message(family, command, attributes=b"", flags=NLM_F_REQUEST):
    """One request."""
    payload = struct.pack("=BBH", command, 1, 0) + attributes
    return struct.pack("=IHHII", 16 + len(payload), family, flags, 1, 0) + payload


def connect():
    """A socket in this thread's namespace."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
    sock.bind((0, 0))
    return sock


def ask(sock, request):
    """Sends one request, and returns the attributes of the answer. OSError if it is refused."""
    sock.send(request)
    answer = {}
    while True:
        data = sock.recv(1 << 16)
        while data:
            length, kind = struct.unpack_from("=IH", data)
            if kind == NLMSG_ERROR:
                error = -struct.unpack_from("=i", data, 16)[0]
                if error:
                    raise OSError(error, "refused")
                return answer
            answer = attributes(data[20:length])
            data = data[(length + 3) & ~3 :]


def attributes(data):
    """The attributes by number."""
    found = {}
    while data:
        length, kind = struct.unpack_from("=HH", data)
        found[kind & 0x3FFF] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


def get_family(name="netflow"):
    """The request for a family's number."""
    named = attribute(CTRL_ATTR_FAMILY_NAME, name.encode() + b"\0")
    return message(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, named, NLM_F_REQUEST | NLM_F_ACK)


class Exporter:
    """The exporter of this thread's namespace."""

    def __init__(self):
        self.sock = connect()
        answer = ask(self.sock, get_family())
        self.family = struct.unpack("=H", answer[CTRL_ATTR_FAMILY_ID])[0]

    def ask(self, command, payload=b""):
        """A request, which must not be refused."""
        return ask(
            self.sock, message(self.family, command, payload, NLM_F_REQUEST | NLM_F_ACK)
        )

    def enable(self, max_flows, observe):
        """Returns when packets are accounted. `observe` is a mask of points. Flows stay in the
        cache for half an hour."""
        settings = attribute(1, struct.pack("=I", max_flows))
        settings += attribute(3, struct.pack("=I", 1800))
        settings += attribute(5, struct.pack("=I", observe))
        self.ask(ENABLE, attribute(0x8002, settings))
        while self.ask(INFO_GET)[14] != b"\0":
            time.sleep(0.001)
        if self.ask(INFO_GET)[1] == b"\0":
            raise RuntimeError("not enabled")

    def add_collector(self, address, port=2055):
        """An IPv4 address."""
        named = attribute(1, socket.inet_aton(address)) + attribute(2, struct.pack("=H", port))
        self.ask(COLLECTOR_ADD, attribute(0x8008, named))

    def set_ifaces(self, numbers):
        """Numbers of interfaces by name, as many to a message as are well received."""
        requests = [
            message(
                self.family,
                IFACE_SET,
                attribute(1, name.encode() + b"\0") + attribute(2, struct.pack("=I", number)),
            )
            for name, number in numbers.items()
        ]
        for first in range(0, len(requests), 500):
            self.sock.send(b"".join(requests[first : first + 500]))

    def packets(self):
        """The ledger of packets by number: 1 is seen, 4 pending, 5 exported, 6 lost."""
        ledger = attributes(self.ask(INFO_GET)[5])
        return {kind: int.from_bytes(value, "little") for kind, value in ledger.items()}
