#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sends netlink requests that are wrong, as netflowctl never would, to the module.

Prints a line "ok DESCRIPTION" or "not ok DESCRIPTION: WHY" for each: it is to be refused
with a text. The numbers of commands and attributes come from the uapi header.
"""

import errno
import struct

from netlink import N, NLA_F_NESTED, NLM_F_DUMP, Netlink, attribute, u16, u32


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
    (
        "inactive-timeout above active-timeout",
        ENABLE,
        u32(N["A_INFO_INACTIVE_TIMEOUT"], 31) + u32(N["A_INFO_ACTIVE_TIMEOUT"], 30),
        0,
    ),
    (
        "an attribute that ends behind the message",
        ENABLE,
        struct.pack("=HH", 64, N["A_INFO_MAX_FLOWS"]),
        0,
    ),
    (
        "an attribute shorter than its header",
        ENABLE,
        struct.pack("=HHI", 3, N["A_INFO_MAX_FLOWS"], 0),
        0,
    ),
    ("rubbish behind the attributes", ENABLE, u32(N["A_INFO_MAX_FLOWS"], 5) + b"\1\2", 0),
    ("observation nowhere", SET, u32(N["A_INFO_OBSERVE"], 0), 0),
    ("observation at a point that is none", SET, u32(N["A_INFO_OBSERVE"], 33), 0),
    ("an expiry that is none", SET, u32(N["A_INFO_EXPIRY"], 2), 0),
    ("ICMP ports that are none", SET, u32(N["A_INFO_ICMP_PORTS"], 2), 0),
    ("count-own of 2", SET, attribute(N["A_INFO_COUNT_OWN"], b"\2"), 0),
    ("an engine id of 4 bytes", SET, u32(N["A_INFO_ENGINE_ID"], 1), 0),
    ("no interface", IFACE_SET, b"", 0),
    ("an interface without index", IFACE_SET, iface(u32(N["A_IFACE_NUMBER"], 1)), 0),
    (
        "an interface of index 0",
        IFACE_SET,
        iface(u32(N["A_IFACE_IFINDEX"], 0), u32(N["A_IFACE_NUMBER"], 1)),
        0,
    ),
    ("an interface without number", IFACE_SET, iface(u32(N["A_IFACE_IFINDEX"], 1)), 0),
    ("no collector", ADD, b"", 0),
    ("an empty collector", ADD, collector(), 0),
    ("a collector without address", ADD, collector(PORT), 0),
    ("a collector that is not nested", ADD, u32(N["A_INFO_COLLECTOR"], 1), 0),
    (
        "an address of 3 bytes",
        ADD,
        collector(attribute(N["A_COLLECTOR_ADDRESS"], bytes([10, 0, 0]))),
        0,
    ),
    (
        "an address of 5 bytes",
        ADD,
        collector(attribute(N["A_COLLECTOR_ADDRESS"], bytes([10, 0, 0, 1, 1]))),
        0,
    ),
    ("an address of 17 bytes", ADD, collector(attribute(N["A_COLLECTOR_ADDRESS"], bytes(17))), 0),
    (
        "an IPv6 address",
        ADD,
        collector(attribute(N["A_COLLECTOR_ADDRESS"], bytes(15) + b"\1"), PORT),
        0,
    ),
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
    for name, number in N.items()
    if name.startswith("CMD_")
] + [
    ("an unknown attribute beside a new collector", ADD, collector(ADDRESS) + STRAY, 0),
    ("an unknown attribute of a new collector", ADD, collector(ADDRESS, STRAY), 0),
    (
        "an unknown attribute of a collector to remove",
        N["CMD_COLLECTOR_DEL"],
        collector(ADDRESS, STRAY),
        0,
    ),
    (
        "an unknown attribute of an interface",
        IFACE_SET,
        iface(u32(N["A_IFACE_IFINDEX"], 1), u32(N["A_IFACE_NUMBER"], 1), STRAY),
        0,
    ),
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
