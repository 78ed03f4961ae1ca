# SPDX-License-Identifier: GPL-2.0
"""Packets, whatever is wrong with them, and the pcap files that they are in."""

import socket
import struct

PCAP, PCAP_NANO, PCAP_MODIFIED = 0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34
ETHERNET_HEADER = bytes.fromhex("021122334455" "021122334466")
ETHERNET, ETHERNET_6 = ETHERNET_HEADER + b"\x08\0", ETHERNET_HEADER + b"\x86\xdd"


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(
    payload=b"",
    protocol=17,
    source="192.0.2.1",
    destination="198.51.100.2",
    options=b"",
    tos=0,
    fragment=0,
    version=4,
    words=None,
    length=None,
    wrong=0,
):
    """An IPv4 packet; the last of these are what its header claims, if not the truth."""
    address = lambda text: bytes(int(number) for number in text.split("."))
    size = 20 + len(options)

    def header(check):
        return (
            struct.pack(
                "!BBHHHBBH4s4s",
                version << 4 | (size // 4 if words is None else words),
                tos,
                size + len(payload) if length is None else length,
                7,
                fragment,
                64,
                protocol,
                check,
                address(source),
                address(destination),
            )
            + options
        )

    # The kernel sums up as many words as the header claims.
    claimed = size if words is None else words * 4
    return header(checksum((header(0) + payload)[:claimed]) ^ wrong) + payload


def ip6(
    payload=b"",
    protocol=17,
    source="2001:db8::1",
    destination="2001:db8:1::2",
    traffic_class=0,
    label=0,
    version=6,
    length=None,
):
    """An IPv6 packet; the last of these are what its header claims, if not the truth."""
    header = struct.pack(
        "!IHBB",
        version << 28 | traffic_class << 20 | label,
        len(payload) if length is None else length,
        protocol,
        64,
    )
    return header + b"".join(map(address6, (source, destination))) + payload


def address6(text):
    return socket.inet_pton(socket.AF_INET6, text)


def options(following, data=b"\1\4\0\0\0\0", eights=None):
    """Hop-by-hop or destination options."""
    size = (len(data) + 2) // 8 - 1 if eights is None else eights
    return struct.pack("!BB", following, size) + data


def routing(following, kind=0, left=1, addresses=("2001:db8:9::9",)):
    data = b"".join(map(address6, addresses))
    return struct.pack("!BBBBI", following, len(data) // 8, kind, left, 0) + data


def fragment(following, offset=0, more=0):
    """The header of a fragment; the offset is in units of 8 bytes."""
    return struct.pack("!BBHI", following, 0, offset << 3 | more, 7)


def authentication(following, words=4):
    return struct.pack("!BBHI", following, words, 0, 1) + b"\0" * (4 * words)


def udp(source=1000, destination=53, data=b"data"):
    return struct.pack("!HHHH", source, destination, 8 + len(data), 0) + data


def tcp(source=1000, destination=80, flags=0x18, data=b"data"):
    return struct.pack("!HHIIBBHHH", source, destination, 1, 1, 5 << 4, flags, 8192, 0, 0) + data


def pcap(frames, link=1, magic=PCAP, order="<"):
    """A pcap file of frames, or of (frame, length on the wire, length that was captured) where
    these are wrong."""
    file = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link)
    for number, frame in enumerate(frames):
        frame, wire, captured = (
            frame if isinstance(frame, tuple) else (frame, len(frame), len(frame))
        )
        extra = b"\0" * 8 if magic == PCAP_MODIFIED else b""
        file += (
            struct.pack(order + "IIII", 1700000000 + number, number, captured, wire) + extra + frame
        )
    return file
