# SPDX-License-Identifier: GPL-2.0
"""What the IP versions share: the upper layer as tshark tells it, and keys of flows."""

import typing

TCP = "6"
# What tshark calls the ports of each protocol that has some.
PORTS = {"6": "tcp", "17": "udp", "33": "dccp", "132": "sctp", "136": "udp"}
PORTS_LENGTH, TYPE_LENGTH = 4, 2  # bytes: both ports; ICMP's type and code


class Unknown(Exception):
    """Nobody tells what is to become of a packet; the text says why."""


class Packet(typing.NamedTuple):
    """What tshark tells of an IP packet."""

    source: str
    destination: str
    tos: int
    length: int  # of the packet, in bytes
    headers: int  # bytes of IP, with options or extension headers
    protocol: str
    begins: bool  # whether the header of the protocol is in this packet, and at hand


def flow(family, frame, packet):
    """The key of its flow, as the words of the line that is printed."""
    source_port, destination_port = "0", "0"
    if packet.begins:
        if packet.protocol in PORTS:
            name = PORTS[packet.protocol]
            source_port, destination_port = frame[f"{name}.srcport"], frame[f"{name}.dstport"]
        elif packet.protocol == family.ICMP:
            kind, code = (frame[f"{family.ICMP_NAME}.{name}"] for name in ("type", "code"))
            if kind and code:
                destination_port = int(kind) * 256 + int(code)
    ports = f"{source_port or 0} {destination_port or 0}"
    return f"{packet.source} {packet.destination} {packet.protocol} {ports} {packet.tos}"


def tcp_flags(frame, packet):
    """None if tshark does not tell them."""
    if packet.protocol != TCP or not packet.begins:
        return 0
    return int(frame["tcp.flags"], 0) & 0xFF if frame["tcp.flags"] else None


def needed(family, packet):
    """Bytes of the upper layer's header that are in a flow's key, all of them or none."""
    return TYPE_LENGTH if packet.protocol == family.ICMP else PORTS_LENGTH


def not_told(family, frame, packet, captured):
    """Whether the packet has ports, or ICMP's type and code, that tshark does not tell, because
    the rest of the header is missing. `captured` are bytes of the packet."""
    if not packet.begins:
        return False
    if packet.protocol in PORTS:
        field = f"{PORTS[packet.protocol]}.srcport"
    elif packet.protocol == family.ICMP:
        field = f"{family.ICMP_NAME}.type"
    else:
        return False
    there = min(captured, packet.length) - packet.headers
    return not frame[field] and there >= needed(family, packet)
