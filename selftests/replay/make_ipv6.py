# SPDX-License-Identifier: GPL-2.0
"""Captures of IPv6 for make_captures.py."""

import random
import struct

from make_packets import (
    ETHERNET,
    ETHERNET_6,
    ETHERNET_HEADER,
    authentication,
    fragment,
    ip,
    ip6,
    options,
    pcap,
    routing,
    tcp,
    udp,
)

HOP_BY_HOP, TCP, UDP, ROUTING, FRAGMENT, ESP, AUTHENTICATION = 0, 6, 17, 43, 44, 50, 51
ICMPV6, NONE, DESTINATION, MOBILITY = 58, 59, 60, 135
MLD_REPORT = options(ICMPV6, b"\5\2\0\0\1\0") + b"\x8f\0\0\0\0\0\0\0"
ERROR = b"\1\4\0\0\0\0\0\0"
UNKNOWN = b"\x1e\0"  # an option that whoever does not know it is to skip


def upper_layers():
    """(payload, protocol) of packets without extension headers."""
    return [
        (udp(), UDP),
        (tcp(), TCP),
        (tcp(flags=0xFF, data=b""), TCP),
        *[(tcp(flags=1)[:cut], TCP) for cut in (0, 2, 3, 4, 10, 13, 14, 19)],
        *[(udp()[:cut], UDP) for cut in range(8)],
        *[(udp(), protocol) for protocol in (132, 136)],
        (struct.pack("!HHBBHHHI", 7, 8, 4, 0, 0, 0x21, 0, 1) + bytes(8), 33),
        *[(b"\x80\3\0\0"[:cut], ICMPV6) for cut in range(5)],
        (b"\x88\0\0\0" + bytes(20), ICMPV6),
        (ERROR + ip6(udp()), ICMPV6),
        (ERROR + ip6(options(ICMPV6) + b"\x80\0", DESTINATION), ICMPV6),
        (b"\3\1\0\0\0\0\0\0", 1),  # ICMP is none of IPv6
        (ip6(udp(), source="2001:db8:7::7"), 41),
        (ip(udp()), 4),
        (b"\0\0\x86\xdd" + ip6(udp()), 47),
        (bytes(20), ESP),
        (udp(), NONE),
        (bytes(8), MOBILITY),
        (b"x", 255),
    ]


def extended():
    """(payload, protocol) of packets with extension headers, each followed by the next."""
    return [
        (options(UDP) + udp(), HOP_BY_HOP),
        (options(UDP, UNKNOWN * 8 + b"\1\4\0\0\0\0") + udp(), HOP_BY_HOP),  # as many as may be
        (options(UDP, bytes(6)) + udp(), HOP_BY_HOP),
        (options(UDP, b"\1\5\0\0\0\0\0" + UNKNOWN + b"\1\3\0\0\0") + udp(), HOP_BY_HOP),
        (options(UDP, b"\0\0\x31\2\0\0") + udp(), HOP_BY_HOP),
        (MLD_REPORT, HOP_BY_HOP),
        (options(DESTINATION) + options(TCP) + tcp(), DESTINATION),
        (options(TCP, b"\xc9\x10" + bytes(16) + b"\1\2\0\0") + tcp(), DESTINATION),
        (options(HOP_BY_HOP) + options(UDP) + udp(), DESTINATION),
        *[(routing(UDP, kind, left) + udp(), ROUTING) for kind in (0, 2, 4, 77) for left in (0, 1)],
        (routing(UDP, left=9) + udp(), ROUTING),
        *[(authentication(TCP, words) + tcp(), AUTHENTICATION) for words in (1, 2, 4, 100)],
        (fragment(UDP) + udp(), FRAGMENT),  # all of it
        (fragment(UDP, more=1) + udp(), FRAGMENT),
        (fragment(TCP, more=1) + tcp(flags=0x12), FRAGMENT),
        (fragment(TCP, 5, 1) + tcp(), FRAGMENT),
        (fragment(UDP, 0x1FFF) + udp(), FRAGMENT),
        (fragment(FRAGMENT, more=1) + fragment(UDP, more=1) + udp(), FRAGMENT),
        (fragment(FRAGMENT, more=1) + fragment(UDP, 1) + udp(), FRAGMENT),
        (fragment(DESTINATION, more=1) + options(UDP) + udp(), FRAGMENT),
        (fragment(DESTINATION, 5) + options(UDP) + udp(), FRAGMENT),
        (options(ROUTING) + routing(FRAGMENT) + fragment(ICMPV6) + b"\x80\0\0\0", HOP_BY_HOP),
        (options(ESP) + bytes(20), DESTINATION),
        (options(NONE) + udp(), DESTINATION),
        (options(MOBILITY) + bytes(8), DESTINATION),
        # As many headers as the exporter passes, and one more; as many bytes, and more.
        (options(DESTINATION) * 11 + options(UDP) + udp(), DESTINATION),
        (options(DESTINATION) * 12 + options(UDP) + udp(), DESTINATION),
        (options(DESTINATION, bytes(254)) + options(UDP, bytes(254)) + udp(), DESTINATION),
        (options(DESTINATION, bytes(254)) + options(UDP, bytes(262)) + udp(), DESTINATION),
        # They end with the packet, or beyond it.
        (options(UDP), DESTINATION),
        *[(options(UDP)[:cut], DESTINATION) for cut in (0, 1, 2, 4, 7)],
        (options(UDP, eights=3) + udp(), DESTINATION),
        (authentication(UDP, 200)[:60], AUTHENTICATION),
        (fragment(UDP)[:7], FRAGMENT),
    ]


def bad_options():
    """Data of hop-by-hop options that the kernel does not take."""
    return [
        UNKNOWN * 9 + b"\1\2\0\0",  # too many
        b"\1\4\0\0\0\1",  # padding that is not 0
        bytes(14),  # too much of it
        b"\1\4\0\0\0\0" + b"\1\6\0\0\0\0\0\0",
        *[bytes([kind]) + b"\4\0\0\0\0" for kind in (0x5E, 0x9E, 0xDE)],
        b"\x1e\x20\0\0\0\0",  # beyond their end
        b"\5\4\0\0\0\0",  # router alert of another length
        b"\x31\4\0\0\0\0",  # IOAM, not aligned
        b"\xc2\4\0\1\0\0",  # a jumbogram has no payload length
    ]


def taken():
    """Packets that ip6_rcv_core() takes."""
    for number, (payload, protocol) in enumerate(upper_layers() + extended()):
        yield ip6(payload, protocol, source=f"2001:db8::{number + 1:x}")
    yield ip6(udp(), traffic_class=0xFF, label=0xFFFFF)
    yield ip6(udp(), traffic_class=2)
    yield ip6(udp(3, 4)) + bytes(30)  # padding
    yield ip6(udp(5, 6), length=4)
    yield ip6(tcp(), TCP, length=0)
    for one, other in (
        ("::", "ff02::1"),
        ("fe80::1", "ff02::2"),
        ("::192.0.2.1", "::ffff:192.0.2.1"),
        ("64:ff9b::192.0.2.1", "2002:c000:204::"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:db8:1111:2222:3333:4444:5555:6666", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("::2", "::"),
    ):
        yield ip6(udp(2055, 2055), source=one, destination=other)


def dropped():
    """Packets that it drops."""
    yield from (ip6(options(UDP, data) + udp(), HOP_BY_HOP) for data in bad_options())
    yield ip6(options(UDP, eights=9) + udp(), HOP_BY_HOP)
    yield ip6(options(UDP)[:4], HOP_BY_HOP)
    yield from (ip6(udp(), version=version) for version in (0, 4, 5, 7, 15))
    yield from (ip6(udp(), length=length) for length in (13, 60, 65535))
    yield from (ip6(udp())[:cut] for cut in (0, 1, 39, 40))
    for one, other in (
        ("::1", "2001:db8::1"),
        ("2001:db8::1", "::1"),
        ("ff02::1", "2001:db8::1"),
        ("ff0e::1", "ff0e::1"),
        ("2001:db8::1", "ff01::1"),
        ("2001:db8::1", "ff10::1"),
    ):
        yield ip6(udp(), source=one, destination=other)


def unclear():
    """Packets that are not sent."""
    yield ip6(options(UDP) + udp(), HOP_BY_HOP, length=0)
    yield ip6(options(UDP, b"\xc2\4\0\0\0\x14") + udp(), HOP_BY_HOP, length=0)
    yield ip6(options(UDP, b"\xc2\4\0\1\0\0") + bytes(65528), HOP_BY_HOP, length=0)
    yield ip6(options(UDP, b"\7\x08" + bytes(12)) + udp(), HOP_BY_HOP)  # CALIPSO
    yield ip6(udp(data=bytes(65488)))  # larger than the MTU


def carried():
    """(name, link type, what is in front of IPv6, whether it is taken)."""
    tagged = ETHERNET_HEADER + b"\x81\0\0\x05"
    return [
        ("vlan", 1, tagged + b"\x86\xdd", 1),
        ("qinq", 1, ETHERNET_HEADER + b"\x88\xa8\0\x05\x81\0\0\x06\x86\xdd", 1),
        ("pppoe", 1, tagged + b"\x88\x64\x11\0\0\1\0\x36\0\x57", 1),
        ("as_ipv4", 1, ETHERNET, 0),
        ("null_netbsd", 0, b"\x18\0\0\0", 1),
        ("null_freebsd", 0, b"\x1c\0\0\0", 1),
        ("null_darwin", 0, b"\x1e\0\0\0", 1),
        ("null_ethertype", 0, b"\xdd\x86\0\0", 1),
        ("null_be", 0, b"\0\0\0\x1e", 1),
        ("loop", 108, b"\0\0\0\x18", 1),
        ("loop_le", 108, b"\x18\0\0\0", 0),
        ("ppp", 9, b"\xff\3\0\x57", 1),
        ("ppp_short", 50, b"\x57", 1),
        ("ppp_direction", 204, b"\1\xff\3\0\x57", 1),
        ("c_hdlc", 104, b"\x0f\0\x86\xdd", 1),
        ("frame_relay", 107, b"\x18\x41\3\x8e", 1),
        ("atm", 100, b"\xaa\xaa\3\0\0\0\x86\xdd", 1),
        ("raw", 101, b"", 1),
        ("raw_bsd", 12, b"", 1),
        ("ipv6", 229, b"", 1),
        ("ipv4", 228, b"", 0),
        ("cooked", 113, b"\0\0\0\1\0\6" + bytes(8) + b"\x86\xdd", 1),
        ("cooked_vlan", 113, b"\0\0\0\1\0\6" + bytes(8) + b"\x81\0\0\5\x86\xdd", 1),
        ("cooked_gre", 113, b"\0\0\3\x0a" + bytes(10) + b"\x86\xdd", 1),
        ("cooked_gre6", 113, b"\0\0\3\x37" + bytes(10) + b"\x86\xdd", 1),
        ("cooked2", 276, b"\x86\xdd" + bytes(6) + b"\0\1\0\6" + bytes(8), 1),
        ("cooked2_gre", 276, b"\x86\xdd" + bytes(6) + b"\3\x0a\0\6" + bytes(8), 1),
        ("in_ipv4", 1, ETHERNET + ip(bytes(52), protocol=41)[:20], 1),
    ]


def chain(chance):
    """A packet with extension headers of any kind, in any order."""
    payload, protocol = chance.choice(upper_layers())
    for _ in range(chance.randrange(1, 16)):
        kind = chance.choice((HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION))
        if kind == ROUTING:
            header = routing(protocol, chance.randrange(5), chance.randrange(3))
        elif kind == FRAGMENT:
            header = fragment(protocol, chance.choice((0, 0, 0, 1)), chance.randrange(2))
        elif kind == AUTHENTICATION:
            header = authentication(protocol, chance.randrange(1, 8))
        else:
            header = options(protocol, b"\1\4\0\0\0\0" + UNKNOWN * 4 * chance.randrange(12))
        payload, protocol = header + payload, kind
    return ip6(payload, protocol)


def mutated(seed):
    """Packets in which anything may be wrong."""
    chance = random.Random(seed)
    packets = [*taken(), *dropped(), *(chain(chance) for _ in range(100))]
    for _ in range(1500):
        packet = bytearray(chance.choice(packets))
        for _ in range(chance.randrange(4)):
            if packet:
                packet[chance.randrange(min(len(packet), 80))] = chance.choice(
                    (0, 1, 6, 17, 43, 44, 51, 58, 60, 0x60, 0xFF, chance.randrange(256))
                )
        frame = ETHERNET_6 + packet
        kept = chance.randrange(14, len(frame) + 1) if chance.random() < 0.3 else len(frame)
        yield frame[:kept], len(frame), kept


def snapped():
    """(frame, length, captured) of a packet with two extension headers, of which more and more was
    captured, and of how many of these a router's flow is known: not without all hop-by-hop
    options and the length of the next header."""
    packet = ip6(options(DESTINATION) + options(TCP) + tcp(data=bytes(1000)), HOP_BY_HOP)
    frame = ETHERNET_6 + packet
    frames = [(frame[: 14 + kept], len(frame), 14 + kept) for kept in range(100)]
    return frames, 100 - (40 + 8 + 2)


def captures():
    """(file, content, packets, flows) of each."""
    good = list(taken())
    yield "ipv6/taken.pcap", pcap([ETHERNET_6 + packet for packet in good]), len(good), len(good)
    others = [*dropped(), *unclear()]
    yield "ipv6/dropped.pcap", pcap([ETHERNET_6 + packet for packet in others]), 0, 0
    for name, link, front, takes in carried():
        frames = [front + ip6(udp(port)) for port in (1, 2, 1)]
        # Around IPv6 in IPv4 there is one flow.
        flows = 1 if name == "in_ipv4" else 2 * takes
        yield f"ipv6/carried/{name}.pcap", pcap(frames, link), 3 * takes, flows
    both = [ETHERNET_6 + ip6(udp(1)), ETHERNET + ip(udp(1)), ETHERNET_6 + ip6(udp(1))]
    yield "ipv6/and_ipv4.pcap", pcap(both), 3, 2
    large = [ETHERNET_6 + ip6(udp(data=bytes(size))) for size in (1453, 9000, 65487)]
    yield "ipv6/large.pcap", pcap(large), 3, 1
    frames, known = snapped()
    yield "ipv6/snaplen.pcap", pcap(frames), known, 2
    # The length of a header that ends beyond the packet was captured, but not all of it.
    beyond = ETHERNET_6 + ip6(authentication(UDP, 200)[:60], AUTHENTICATION)
    cut = [(beyond[: 14 + 40 + kept], len(beyond), 14 + 40 + kept) for kept in (1, 2, 3, 8)]
    yield "ipv6/beyond.pcap", pcap(cut), 3, 1
    many = [ETHERNET_6 + ip6(udp(port, 9)) for port in range(1000)]
    yield "ipv6/many.pcap", pcap(many), 1000, 1000
    for seed in range(4):
        yield f"ipv6/mutated/{seed}.pcap", pcap(list(mutated(seed))), "-", "-"
