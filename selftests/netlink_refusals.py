#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sends netlink requests that are wrong, as netflowctl never would, to the module.

Prints a line "ok DESCRIPTION" or "not ok DESCRIPTION: WHY" for each: it is to be refused
with a text. The numbers of commands and attributes come from the uapi header.
"""
import errno
import pathlib
import re
import socket
import struct
import sys

UAPI = pathlib.Path(__file__).parent.parent / "rust/bindings/uapi/linux/netflow.h"

NETLINK_GENERIC, SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 16, 270, 10, 11
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP, NLM_F_ACK_TLVS = 0x1, 0x4, 0x300, 0x200
NLMSG_ERROR, NLMSG_DONE, NLMSGERR_ATTR_MSG = 2, 3, 1
NLA_F_NESTED = 0x8000
GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 0x10, 3, 1, 2


def constants(text):
    """NAME: number, of the enums in a uapi header."""
    numbers = {}
    for body in re.findall(r"enum[^{;]*\{(.*?)\}", text, re.DOTALL):
        next_number = 0
        for name, number in re.findall(r"^\s*(\w+)\s*(?:=\s*(\d+))?\s*,", body, re.MULTILINE):
            next_number = int(number) if number else next_number
            numbers[name.removeprefix("NETFLOW_")] = next_number
            next_number += 1
    return numbers


N = constants(UAPI.read_text(encoding="ascii"))


def attribute(kind, value):
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + bytes(-length % 4)


def u16(kind, value):
    return attribute(kind, struct.pack("=H", value))


def u32(kind, value):
    return attribute(kind, struct.pack("=I", value))


def attributes(data):
    found, at = {}, 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        found[kind & 0x3FFF] = data[at + 4 : at + length]
        at += max(4, length + -length % 4)
    return found


class Netlink:
    """A generic netlink socket."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self.socket.bind((0, 0))
        self.socket.settimeout(10)
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK):
            self.socket.setsockopt(SOL_NETLINK, option, 1)

    def raw(self, kind, payload, flags):
        """The error (0 if none) and its text, and the payload of other answers."""
        header = struct.pack("=IHHII", 16 + len(payload), kind, NLM_F_REQUEST | NLM_F_ACK | flags, 1, 0)
        self.socket.send(header + payload)
        answer = b""
        while True:
            data = self.socket.recv(1 << 20)
            while data:
                length, kind, flags = struct.unpack_from("=IHH", data)
                body, data = data[16:length], data[length + -length % 4 :]
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    error = -struct.unpack_from("=i", body)[0]
                    extra = body[20 if kind == NLMSG_ERROR else 4 :] if flags & NLM_F_ACK_TLVS else b""
                    text = attributes(extra).get(NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode()
                    return error, text, answer
                answer += body

    def request(self, family, command, payload=b"", flags=0):
        return self.raw(family, struct.pack("=BBH", command, 1, 0) + payload, flags)

    def family(self, name):
        error, _, answer = self.request(
            GENL_ID_CTRL, CTRL_CMD_GETFAMILY, attribute(CTRL_ATTR_FAMILY_NAME, name.encode() + b"\0"))
        if error:
            sys.exit(f"no family {name}: {errno.errorcode[error]}")
        return struct.unpack("=H", attributes(answer[4:])[CTRL_ATTR_FAMILY_ID])[0]


def collector(*parts):
    return attribute(N["A_INFO_COLLECTOR"] | NLA_F_NESTED, b"".join(parts))


def iface(*parts):
    return attribute(N["A_INFO_IFACE"] | NLA_F_NESTED, b"".join(parts))


def host(*address):
    return collector(attribute(N["A_COLLECTOR_ADDRESS"], bytes(address)))


ADDRESS = attribute(N["A_COLLECTOR_ADDRESS"], bytes([192, 0, 2, 1]))
PORT = u16(N["A_COLLECTOR_PORT"], 2055)
ENABLE, ADD = N["CMD_ENABLE"], N["CMD_COLLECTOR_ADD"]
SET, IFACE_SET = N["CMD_SET"], N["CMD_IFACE_SET"]
UNKNOWN = 200

# What, command, attributes, flags.
WRONG = [
    ("an unknown command", UNKNOWN, b"", 0),
    ("an attribute that is only for answers", ENABLE, u32(N["A_INFO_FLOWS_CACHED"], 1), 0),
    ("max-flows of 0", ENABLE, u32(N["A_INFO_MAX_FLOWS"], 0), 0),
    ("max-flows of 8388609", ENABLE, u32(N["A_INFO_MAX_FLOWS"], 8388609), 0),
    ("max-flows of 2 bytes", ENABLE, u16(N["A_INFO_MAX_FLOWS"], 100), 0),
    ("max-flows of 8 bytes", ENABLE, attribute(N["A_INFO_MAX_FLOWS"], bytes(8)), 0),
    ("active-timeout of 0", ENABLE, u32(N["A_INFO_ACTIVE_TIMEOUT"], 0), 0),
    ("active-timeout of 604801", ENABLE, u32(N["A_INFO_ACTIVE_TIMEOUT"], 604801), 0),
    ("inactive-timeout of 0", ENABLE, u32(N["A_INFO_INACTIVE_TIMEOUT"], 0), 0),
    ("inactive-timeout above active-timeout", ENABLE,
     u32(N["A_INFO_INACTIVE_TIMEOUT"], 31) + u32(N["A_INFO_ACTIVE_TIMEOUT"], 30), 0),
    ("an attribute that ends behind the message", ENABLE, struct.pack("=HH", 64, N["A_INFO_MAX_FLOWS"]), 0),
    ("an attribute shorter than its header", ENABLE, struct.pack("=HHI", 3, N["A_INFO_MAX_FLOWS"], 0), 0),
    ("rubbish behind the attributes", ENABLE, u32(N["A_INFO_MAX_FLOWS"], 5) + b"\1\2", 0),
    ("observation nowhere", SET, u32(N["A_INFO_OBSERVE"], 0), 0),
    ("observation at a point that is none", SET, u32(N["A_INFO_OBSERVE"], 33), 0),
    ("an expiry that is none", SET, u32(N["A_INFO_EXPIRY"], 2), 0),
    ("ICMP ports that are none", SET, u32(N["A_INFO_ICMP_PORTS"], 2), 0),
    ("count-own of 2", SET, attribute(N["A_INFO_COUNT_OWN"], b"\2"), 0),
    ("an engine id of 4 bytes", SET, u32(N["A_INFO_ENGINE_ID"], 1), 0),
    ("no interface", IFACE_SET, b"", 0),
    ("an interface without index", IFACE_SET, iface(u32(N["A_IFACE_NUMBER"], 1)), 0),
    ("an interface of index 0", IFACE_SET, iface(u32(N["A_IFACE_IFINDEX"], 0), u32(N["A_IFACE_NUMBER"], 1)), 0),
    ("an interface without number", IFACE_SET, iface(u32(N["A_IFACE_IFINDEX"], 1)), 0),
    ("no collector", ADD, b"", 0),
    ("an empty collector", ADD, collector(), 0),
    ("a collector without address", ADD, collector(PORT), 0),
    ("a collector that is not nested", ADD, u32(N["A_INFO_COLLECTOR"], 1), 0),
    ("an address of 3 bytes", ADD, collector(attribute(N["A_COLLECTOR_ADDRESS"], bytes([10, 0, 0]))), 0),
    ("an address of 5 bytes", ADD, collector(attribute(N["A_COLLECTOR_ADDRESS"], bytes([10, 0, 0, 1, 1]))), 0),
    ("an address of 17 bytes", ADD, collector(attribute(N["A_COLLECTOR_ADDRESS"], bytes(17))), 0),
    ("an IPv6 address", ADD, collector(attribute(N["A_COLLECTOR_ADDRESS"], bytes(15) + b"\1"), PORT), 0),
    ("port 0", ADD, collector(ADDRESS, u16(N["A_COLLECTOR_PORT"], 0)), 0),
    ("a port of one byte", ADD, collector(ADDRESS, attribute(N["A_COLLECTOR_PORT"], b"\1")), 0),
    ("a collector in 0.0.0.0/8", ADD, host(0, 255, 255, 255), 0),
    ("a multicast group as collector", ADD, host(224, 0, 0, 0), 0),
    ("the last multicast group as collector", ADD, host(239, 255, 255, 255), 0),
    ("a collector in 240.0.0.0/4", ADD, host(240, 0, 0, 0), 0),
    ("the broadcast address as collector", ADD, host(255, 255, 255, 255), 0),
    ("removal of a collector without address", N["CMD_COLLECTOR_DEL"], collector(PORT), 0),
    ("a dump of the state", N["CMD_INFO_GET"], b"", NLM_F_DUMP),
    ("flows without dump", N["CMD_FLOW_GET"], b"", 0),
    ("enable as a dump", ENABLE, b"", NLM_F_DUMP),
]


# No command takes this one, beside or inside those that it does take.
STRAY = u32(UNKNOWN, 1)
STRAYS = [
    (f"an unknown attribute for {name}", number, STRAY, NLM_F_DUMP if name == "CMD_FLOW_GET" else 0)
    for name, number in N.items() if name.startswith("CMD_")
] + [
    ("an unknown attribute beside a new collector", ADD, collector(ADDRESS) + STRAY, 0),
    ("an unknown attribute of a new collector", ADD, collector(ADDRESS, STRAY), 0),
    ("an unknown attribute of a collector to remove", N["CMD_COLLECTOR_DEL"], collector(ADDRESS, STRAY), 0),
    ("an unknown attribute of an interface", IFACE_SET,
     iface(u32(N["A_IFACE_IFINDEX"], 1), u32(N["A_IFACE_NUMBER"], 1), STRAY), 0),
]

# The kernel has no text for an operation that the family does not have.
WITHOUT_TEXT = (errno.EOPNOTSUPP,)


def judge(what, error, text, expected=""):
    if not error:
        print(f"not ok {what}: accepted")
    elif not text and error not in WITHOUT_TEXT:
        print(f"not ok {what}: {errno.errorcode.get(error, error)} without a text")
    elif expected not in text:
        print(f"not ok {what}: {text}")
    else:
        print(f"ok {what}: {errno.errorcode.get(error, error)}{text and ', ' + text}")


def main():
    netlink = Netlink()
    family = netlink.family("netflow")
    for what, command, payload, flags in WRONG:
        judge(what, *netlink.request(family, command, payload, flags)[:2])
    for what, command, payload, flags in STRAYS:
        judge(what, *netlink.request(family, command, payload, flags)[:2], "Unknown attribute type")
    error, _, _ = netlink.raw(family, b"", 0)
    print("ok" if error else "not ok", "a message without generic netlink header")


main()
