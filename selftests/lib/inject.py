#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""inject.py DEVICE DESTINATION_MAC: sends packets made by hand.

Reads one packet a line from standard input, and answers each line "end" with "sent"
once all before it have left. A line is

    PROTOCOL SOURCE[:PORT] DESTINATION[:PORT] [NAME=VALUE]...

with PROTOCOL tcp, udp, icmp, icmp6 or a number, and A-B for a range of ports or last octets
that becomes one packet each. An address of IPv6 with a port stands in brackets. What may be
named, with its default:

    count=1      how often
    gap=0        seconds between two packets
    len=64       total length of the packet, its IP header included
    tos=0  ttl=64  id=0
    flags=       TCP flags, of FSRPAUEC
    udplen=0     what the UDP header claims; with 0 conntrack takes it for invalid
    type=8 code=0                   of ICMP
    frag=0 more=0                   fragment offset in bytes, more fragments
    options=     IPv4 options in hexadecimal, a multiple of 4 bytes
    version=4 ihl=  totlen= csum=   what the header claims, if not the truth
    cut=         bytes of the packet that are really sent
    ethertype=0800 before=          and what is between it and the IP packet, in hexadecimal
    extensions=  of IPv6: numbers of extension headers, of 8 bytes each; 44 has frag, more and id
    label=0      flow label of IPv6
    claims=      length in units of 8 bytes that the last extension header claims, if not the truth

The checksum of the transport header is left 0: no one on the way looks at it.
"""

import socket
import struct
import sys
import time

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58}
FRAGMENT = 44
TCP_FLAGS = "FSRPAUEC"


def checksum(header):
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def span(text):
    """The numbers of "A" or "A-B"."""
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def address_and_port(text):
    """The parts of "ADDRESS[:PORT]"."""
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        return address, port[1:]
    if text.count(":") > 1:
        return text, ""
    address, _, port = text.partition(":")
    return address, port


def endpoints(text):
    """All (address, port) of "a.b.c.D[-E][:PORT[-PORT]]", or of IPv6."""
    address, port = address_and_port(text)
    if ":" in address:
        packed = socket.inet_pton(socket.AF_INET6, address)
        return [(packed, number) for number in span(port or "0")]
    network, _, hosts = address.rpartition(".")
    return [
        (socket.inet_aton(f"{network}.{host}"), number)
        for host in span(hosts)
        for number in span(port or "0")
    ]


def transport(protocol, source_port, destination_port, options):
    if protocol == 6:
        flags = sum(1 << TCP_FLAGS.index(flag) for flag in options.get("flags", ""))
        return struct.pack(
            "!HHIIBBHHH", source_port, destination_port, 1, 1, 5 << 4, flags, 8192, 0, 0
        )
    if protocol == 17:
        length = int(options.get("udplen", 0))
        return struct.pack("!HHHH", source_port, destination_port, length, 0)
    if protocol not in PROTOCOLS.values():
        # Where a transport protocol has its ports, if that is one.
        return struct.pack("!HH", source_port, destination_port)
    if protocol in (1, 58):
        kind = options.get("type", 8 if protocol == 1 else 128)
        return struct.pack("!BBHHH", int(kind), int(options.get("code", 0)), 0, 0, 0)
    return b""


def packet(protocol, source, destination, options):
    number = lambda name, default: int(options.get(name) or default)
    extra = bytes.fromhex(options.get("options", ""))
    header_length = 20 + len(extra)
    length = number("len", 64)
    offset = number("frag", 0)
    payload = b"" if offset else transport(protocol, source[1], destination[1], options)
    payload = payload.ljust(length - header_length, b"\0")[: length - header_length]

    def header(check):
        return (
            struct.pack(
                "!BBHHHBBH4s4s",
                number("version", 4) << 4 | number("ihl", header_length // 4),
                int(options.get("tos", "0"), 0),
                number("totlen", length),
                number("id", 0),
                number("more", 0) << 13 | offset // 8,
                number("ttl", 64),
                protocol,
                check,
                source[0],
                destination[0],
            )
            + extra
        )

    check = int(options["csum"], 0) if "csum" in options else checksum(header(0))
    return (header(check) + payload)[: number("cut", length)]


def packet6(protocol, source, destination, options):
    number = lambda name, default: int(options.get(name) or default)
    numbers = [int(word) for word in options.get("extensions", "").split(",") if word]
    chain = b""
    for at, kind in enumerate(numbers):
        following = (numbers[at + 1 :] + [protocol])[0]
        if kind == FRAGMENT:
            offset = number("frag", 0) | number("more", 0)
            chain += struct.pack("!BBHI", following, 0, offset, number("id", 0))
        else:
            # Filled with an option that pads (PadN); AH counts in units of four bytes.
            units = number("claims", 1) if at + 1 == len(numbers) else 1
            chain += struct.pack("!BBBB4x", following, 0 if kind == 51 else units - 1, 1, 4)
    is_later = FRAGMENT in numbers and number("frag", 0)
    payload = b"" if is_later else transport(protocol, source[1], destination[1], options)
    length = number("len", 64)
    payload = (chain + payload).ljust(length - 40, b"\0")[: length - 40]
    word = number("version", 6) << 28 | int(options.get("tos", "0"), 0) << 20
    header = struct.pack(
        "!IHBB16s16s",
        word | number("label", 0),
        number("totlen", length) - 40,
        (numbers + [protocol])[0],
        number("ttl", 64),
        source[0],
        destination[0],
    )
    return (header + payload)[: number("cut", length)]


def main():
    device, mac = sys.argv[1:]
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind((device, 0))
    addresses = bytes.fromhex(mac.replace(":", "")) + link.getsockname()[4]
    for line in sys.stdin:
        if line.strip() == "end":
            print("sent", flush=True)
            continue
        words = line.split("#")[0].split()
        if not words:
            continue
        protocol = PROTOCOLS.get(words[0]) or int(words[0])
        options = dict(word.split("=", 1) for word in words[3:])
        is_ipv6 = address_and_port(words[1])[0].count(":") > 0
        make, ethertype = (packet6, "86dd") if is_ipv6 else (packet, "0800")
        ethernet = addresses + bytes.fromhex(options.get("ethertype", ethertype))
        ethernet += bytes.fromhex(options.get("before", ""))
        frames = [
            ethernet + make(protocol, source, destination, options)
            for source in endpoints(words[1])
            for destination in endpoints(words[2])
        ]
        gap = float(options.get("gap", 0))
        for number in range(int(options.get("count", 1))):
            if number and gap:
                time.sleep(gap)
            for frame in frames:
                link.send(frame)


if __name__ == "__main__":
    main()
