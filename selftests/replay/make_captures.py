#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make_captures.py DIRECTORY: writes captures for replay_captures.sh that the network would
rarely give us: packets with every fault that ip_rcv_core() and ip6_rcv_core() look for, files
that are cut, damaged or lie, and each way in which IPv4 and IPv6 are carried.

Prints "FILE PACKETS FLOWS" for each, what a router has to make of it; "-" where that is
random, or only the replay itself can tell.
"""

import gzip
import pathlib
import random
import struct
import sys

import make_ipv6
from make_packets import (
    ETHERNET,
    ETHERNET_HEADER,
    PCAP,
    PCAP_MODIFIED,
    PCAP_NANO,
    checksum,
    ip,
    pcap,
    tcp,
    udp,
)

SECTION = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)


def block(kind, body, order="<"):
    body = body.ljust(-(-len(body) // 4) * 4, b"\0")
    length = 12 + len(body)
    return struct.pack(order + "II", kind, length) + body + struct.pack(order + "I", length)


def interface(link=1, snaplen=0):
    return block(1, struct.pack("<HHI", link, 0, snaplen))


def packet_block(frame, number=0, wire=None):
    return block(6, struct.pack("<IIIII", number, 0, 0, len(frame), wire or len(frame)) + frame)


def faults():
    """Packets that ip_rcv_core() takes, its checksum mended, and packets that it drops."""
    source_route = b"\x83\x0b\x04" + bytes([192, 0, 2, 9, 192, 0, 2, 10]) + b"\0"
    used_up = b"\x83\x0b\x0c" + source_route[3:]
    quoted = ip(udp(), options=source_route)[:48]
    taken = [
        ip(udp()),
        ip(tcp()),
        ip(tcp(flags=0xFF, data=b""), protocol=6),
        ip(udp(), tos=0xFF),
        ip(udp(), options=source_route),
        ip(udp(), options=used_up),
        ip(udp(), options=b"\x89" + source_route[1:]),
        ip(udp(), options=b"\0" * 40),
        ip(udp(), options=b"\x07\xff\x04\0"),  # a route of 255 bytes
        ip(udp()) + b"\0" * 30,
        ip(udp(), length=28) + b"\0" * 30,  # behind the total length: padding
        ip(tcp(), protocol=6, fragment=0x2000),
        ip(tcp(), protocol=6, fragment=2),
        ip(udp(), fragment=0x3FFF),
        *[ip(tcp(flags=0)[:cut], protocol=6, source="192.0.2.77") for cut in range(20)],
        *[ip(udp()[:cut], source="192.0.2.77") for cut in range(8)],
        *[ip(b"\x03\x01\0\0"[:cut], protocol=1) for cut in (0, 1)],
        ip(b"\x03\x01\0\0" * 2, protocol=1),
        ip(b"\x03\x01\0\0\0\0\0\0" + ip(tcp(), protocol=6), protocol=1),
        ip(ip(udp(), source="10.0.0.1"), protocol=4),
        ip(b"\0\0\x08\0" + ip(udp()), protocol=47),
        ip(b"", protocol=0),
        ip(b"x", protocol=255),
        *[
            ip(udp(2055, 2055), source=one, destination=other)
            for one, other in (
                ("0.0.0.0", "255.255.255.255"),
                ("127.0.0.1", "127.0.0.1"),
                ("224.0.0.1", "224.0.0.1"),
                ("198.18.0.2", "198.18.0.1"),
                ("198.18.0.1", "198.18.0.2"),
                ("240.0.0.1", "0.0.0.0"),
            )
        ],
        ip(udp(), wrong=1),
        ip(udp(), wrong=0xFFFF, source="192.0.2.78"),
        ip(tcp(), protocol=6, options=source_route, wrong=0x1234, source="192.0.2.79"),
    ]
    dropped = [
        ip(udp(), length=0),
        ip(udp(), length=19),
        ip(udp(), length=33),
        ip(udp(), length=65535),
        ip(udp(), words=4),
        ip(udp(), words=0),
        ip(udp(), words=15),
        ip(udp(), version=6),
        ip(udp(), version=0),
        *[ip(udp())[:cut] for cut in (0, 1, 19)],
        ip(udp(), options=b"\1" * 8)[:27],
    ]
    # Not sent: it is not known to which packet the fields belong that tshark tells. And it does not
    # tell type and code at all.
    unclear = [
        ip(b"\x03\x01\0\0\0\0\0\0" + quoted, protocol=1),
        *[ip(b"\x03\x01\0\0"[:cut], protocol=1) for cut in (2, 3, 4)],
    ]
    return taken, dropped, unclear


def carried():
    """(name, link type, what is in front of IPv4, whether it is taken)."""
    tagged = ETHERNET_HEADER + b"\x81\0\0\x05"
    return [
        ("vlan", 1, tagged + b"\x08\0", 1),
        ("qinq", 1, ETHERNET_HEADER + b"\x88\xa8\0\x05\x81\0\0\x06\x08\0", 1),
        ("pppoe", 1, tagged + b"\x88\x64\x11\0\0\1\0\x22\0\x21", 1),
        ("snap", 1, ETHERNET_HEADER + b"\0\x28\xaa\xaa\3\0\0\0\x08\0", 0),
        ("null_le", 0, b"\2\0\0\0", 1),
        ("null_be", 0, b"\0\0\0\2", 1),
        ("loop_le", 108, b"\2\0\0\0", 0),
        ("loop_be", 108, b"\0\0\0\2", 1),
        ("ppp", 9, b"\xff\3\0\x21", 1),
        ("ppp_short", 50, b"\x21", 1),
        ("ppp_direction", 204, b"\1\xff\3\0\x21", 1),
        ("c_hdlc", 104, b"\x0f\0\x08\0", 1),
        ("frame_relay", 107, b"\x18\x41\3\xcc", 1),
        ("atm", 100, b"\xaa\xaa\3\0\0\0\x08\0", 1),
        ("raw", 101, b"", 1),
        ("raw_bsd", 12, b"", 1),
        ("ipv4", 228, b"", 1),
        ("ipv6", 229, b"", 0),
        ("usb", 220, b"\0" * 64, 0),
        ("wlan", 105, b"\x08\0", 0),
        ("cooked", 113, b"\0\0\0\1\0\6" + b"\0" * 8 + b"\x08\0", 1),
        ("cooked_vlan", 113, b"\0\0\0\1\0\6" + b"\0" * 8 + b"\x81\0\0\5\x08\0", 1),
        ("cooked_gre", 113, b"\0\0\3\x0a" + b"\0" * 10 + b"\x08\0", 1),
        ("cooked_netlink", 113, b"\0\0\3\x38" + b"\0" * 10 + b"\x08\0", 0),
        ("cooked2", 276, b"\x08\0" + b"\0" * 6 + b"\0\1\0\6" + b"\0" * 8, 1),
        ("unknown", 65000, b"", 0),
    ]


def mutated(seed):
    """Packets in which anything may be wrong, half of them with a right checksum nonetheless."""
    chance = random.Random(seed)
    taken, dropped, _ = faults()
    for _ in range(1500):
        packet = bytearray(chance.choice(taken + dropped))
        for _ in range(chance.randrange(4)):
            if packet:
                packet[chance.randrange(min(len(packet), 44))] = chance.choice(
                    (0, 1, 0x45, 0xFF, chance.randrange(256))
                )
        header = (packet[0] & 15) * 4 if packet else 0
        if 20 <= header <= len(packet) and chance.random() < 0.5:
            packet[10:12] = b"\0\0"
            packet[10:12] = struct.pack("!H", checksum(packet[:header]))
        frame = ETHERNET + packet
        kept = chance.randrange(14, len(frame) + 1) if chance.random() < 0.3 else len(frame)
        yield frame[:kept], len(frame), kept


def captures():
    """(file, content, packets, flows) of each."""
    plain = [ETHERNET + ip(udp(port)) for port in (1, 2, 1)]
    taken, dropped, unclear = faults()
    yield "faults.pcap", pcap([ETHERNET + packet for packet in taken + dropped + unclear]), len(
        taken
    ), "-"
    for name, link, front, good in carried():
        yield f"carried/{name}.pcap", pcap(
            [front + ip(udp(port)) for port in (1, 2, 1)], link
        ), 3 * good, 2 * good
    for name, magic, order in (
        ("micro_be", PCAP, ">"),
        ("nano", PCAP_NANO, "<"),
        ("nano_be", PCAP_NANO, ">"),
        ("modified", PCAP_MODIFIED, "<"),
    ):
        yield f"formats/{name}.pcap", pcap(plain, 1, magic, order), 3, 2
    yield "formats/packed.pcap.gz", gzip.compress(pcap(plain)), 3, 2
    yield "formats/no suffix", pcap(plain), 3, 2
    yield "formats/CAPITALS.PCAP", pcap(plain), 3, 2
    yield "formats/snoop.snoop", b"snoop\0\0\0" + struct.pack("!II", 2, 4) + b"".join(
        struct.pack(
            "!IIIIII", len(frame), len(frame), 24 + -(-len(frame) // 4) * 4, 0, 1700000000, 0
        )
        + frame.ljust(-(-len(frame) // 4) * 4, b"\0")
        for frame in plain
    ), 3, 2
    simple = block(3, struct.pack("<I", len(plain[0])) + plain[0])
    obsolete = block(2, struct.pack("<HHIIII", 0, 0, 0, 0, len(plain[0]), len(plain[0])) + plain[0])
    head = block(0x0A0D0D0A, SECTION) + interface()
    yield "blocks/kinds.pcapng", head + simple + obsolete + packet_block(plain[1]), 3, 2
    yield "blocks/links.pcapng", head + interface(101) + packet_block(plain[0]) + packet_block(
        plain[1][14:], 1
    ), 2, 2
    yield "blocks/sections.pcapng", (head + packet_block(plain[0])) * 2, 2, 1
    for name, other in (
        ("custom", block(0xBAD, struct.pack("<I", 32473) + b"custom")),
        ("uncopied", block(0x40000BAD, struct.pack("<I", 32473) + b"x")),
        ("reserved", block(0x7777, b"?")),
        ("journal", block(9, b"__REALTIME_TIMESTAMP=1700000000000000\nMESSAGE=x\n")),
        ("statistics", block(5, b"\0" * 12)),
        ("names", block(4, struct.pack("<HHHH", 1, 6, 0, 0) + b"\0" * 4)),
    ):
        yield f"blocks/{name}.pcapng", head + other + packet_block(plain[1]) + other + packet_block(
            plain[0]
        ), 2, 2
    yield "blocks/no_interface.pcapng", block(0x0A0D0D0A, SECTION) + packet_block(plain[0]), 0, 0
    yield "blocks/other_interface.pcapng", head + packet_block(plain[0]) + packet_block(
        plain[0], 5
    ), 1, 1
    yield "blocks/short.pcapng", head + packet_block(plain[0]) + block(6, b"\0" * 8), 1, 1
    yield "damaged/cut.pcap", pcap(plain)[:-5], 2, 2
    yield "damaged/cut.pcapng", (head + packet_block(plain[0]) * 2)[:-9], 1, 1
    yield "damaged/garbage.pcap", pcap(plain) + b"\xff" * 100, 3, 2
    yield "damaged/captured_4G.pcap", pcap(
        plain + [(plain[1], len(plain[1]), 0xFFFFFFF0)]
    ), "-", "-"
    yield "damaged/header.pcap", pcap([])[:10], 0, 0
    yield "damaged/nothing.pcap", b"", 0, 0
    yield "damaged/empty.pcap", pcap([]), 0, 0
    yield "damaged/text.pcap", b"no capture at all\n", 0, 0
    yield "lengths/wire_4G.pcap", pcap([(plain[0], 0xFFFFFFFF, len(plain[0])), plain[1]]), 2, 2
    yield "lengths/wire_0.pcap", pcap([(plain[0], 0, len(plain[0])), plain[1]]), "-", "-"
    yield "lengths/jumbo.pcap", pcap(
        [ETHERNET + ip(udp(data=b"x" * size)) for size in (1473, 9000, 65507)]
    ), 3, 1
    long = ip(tcp(data=b"x" * 1000), protocol=6, options=b"\1" * 8)
    cuts = [((ETHERNET + long)[:kept], 14 + len(long), kept) for kept in range(14, 80)]
    yield "lengths/snaplen.pcap", pcap(cuts), 80 - 42, "-"
    zeros = ETHERNET + ip(udp(), destination="10.1.0.0")
    yield "lengths/zeros.pcap", pcap(
        [(zeros[:kept], len(zeros), kept) for kept in range(30, 36)]
    ), 2, 1
    yield "many.pcap", pcap([ETHERNET + ip(udp(port, 9)) for port in range(3000)]), 3000, 3000
    cut = ETHERNET + ip(udp(data=b"x" * 100), wrong=1)
    yield "checksums.pcap", pcap(
        [*plain, ETHERNET + ip(udp(1), wrong=9), (cut[:42], 142, 42)]
    ), 5, 3
    yield from make_ipv6.captures()
    for seed in range(4):
        yield f"mutated/{seed}.pcap", pcap(list(mutated(seed))), "-", "-"


def main():
    directory = pathlib.Path(sys.argv[1])
    for name, content, packets, flows in captures():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        print(f"{name}\t{packets}\t{flows}")


if __name__ == "__main__":
    main()
