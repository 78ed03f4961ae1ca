# SPDX-License-Identifier: GPL-2.0
"""What tshark tells of an IPv6 packet, and whether the kernel takes it."""

import collections
import functools
import socket

from upper_layer import Packet, Unknown

LAYER = "ipv6"  # what tshark calls it
NAME, ETHERTYPE, HEADER = "IPv6", b"\x86\xdd", 40
ICMP, ICMP_NAME = "58", "icmpv6"

# Extension headers, and what tshark calls their next header, and what their length follows from.
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = "0", "43", "44", "51", "60"
EXTENSIONS = {
    HOP_BY_HOP: ("ipv6.hopopts.nxt", "ipv6.hopopts.len_oct"),
    ROUTING: ("ipv6.routing.nxt", "ipv6.routing.len_oct"),
    FRAGMENT: ("ipv6.fraghdr.nxt", "ipv6.fraghdr.offset"),
    AUTHENTICATION: ("ah.next_header", "ah.length"),
    DESTINATION: ("ipv6.dstopts.nxt", "ipv6.dstopts.len_oct"),
}
EXTENSION_MIN = 8  # bytes of each
# What the exporter passes at most (the admin guide, "A flow").
EXTENSIONS_MAX, EXTENSION_BYTES_MAX = 12, 512

# Hop-by-hop options, and the kernel's limits (include/net/ipv6.h and net/ipv6/exthdrs.c).
PAD1, PADN, ROUTER_ALERT, CALIPSO, IOAM, JUMBO = 0, 1, 5, 7, 49, 0xC2
OPTIONS_MAX, PADDING_MAX = 8, 7


@functools.lru_cache(maxsize=1 << 16)
def address(text):
    """An address, as a program has written it, in one form."""
    return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, text))


@functools.lru_cache(maxsize=1 << 16)
def refused_addresses(source, destination):
    """Why packets between these are dropped, or None if they are not."""
    if "::1" in (address(source), address(destination)):
        return "loopback address"
    source, destination = (
        socket.inet_pton(socket.AF_INET6, text) for text in (source, destination)
    )
    if destination[0] == 0xFF and destination[1] & 0xF in (0, 1):
        return "group of scope 0 or 1"
    if source[0] == 0xFF:
        return "source is a group"
    return None


def header_length(_packet):
    return HEADER


def refusal(frame, room, captured):
    """Why the kernel's ip6_rcv_core() drops this packet, or None if it does not. `room` is from
    the IPv6 header to the end of the frame, `captured` are the bytes of it that there are."""
    if room < HEADER or not frame["ipv6.dst"]:
        return "malformed"
    if frame["ipv6.plen"] == frame["ipv6.nxt"] == "0":
        raise Unknown("jumbogram, or IPv6 without a length")
    if HEADER + int(frame["ipv6.plen"]) > room:
        return "malformed"
    why = refused_addresses(frame["ipv6.src"], frame["ipv6.dst"])
    return why or refused_options(frame, captured)


def refused_options(frame, captured):
    """Why the packet is dropped for its hop-by-hop options, or None if it is not."""
    if frame["ipv6.nxt"] != HOP_BY_HOP:
        return None
    bad, left = "bad hop-by-hop options", int(frame["ipv6.plen"])
    if left < EXTENSION_MIN:
        return bad
    if len(captured) < HEADER + EXTENSION_MIN:
        raise Unknown("hop-by-hop options not captured")
    end = HEADER + (captured[HEADER + 1] + 1) * 8
    if end - HEADER > left:
        return bad
    if len(captured) < end:
        raise Unknown("hop-by-hop options not captured")
    return None if options_taken(captured, HEADER + 2, end) else bad


def options_taken(packet, at, end):
    """Whether the kernel's ip6_parse_tlv() takes the options from `at` to `end`."""
    options = padding = 0
    while at < end:
        kind = packet[at]
        if kind == PAD1:
            length, data = 1, b""
        else:
            if end - at < 2:
                return False
            length = packet[at + 1] + 2
            data = packet[at + 2 : at + length]
            if length > end - at:
                return False
        if kind in (PAD1, PADN):
            padding += length
            if padding > PADDING_MAX or any(data):
                return False
        else:
            options, padding = options + 1, 0
            if options > OPTIONS_MAX or not option_taken(kind, data, at):
                return False
        at += length
    return True


def option_taken(kind, data, at):
    if kind == ROUTER_ALERT:
        return len(data) == 2
    if kind == CALIPSO:
        raise Unknown("CALIPSO")  # that depends on the kernel's configuration
    if kind == IOAM:
        return at % 4 == 0
    # A jumbo option with a payload length is wrong. Unknown ones say themselves what to do.
    return kind != JUMBO and kind >> 6 == 0


def read(frame):
    """A packet that is not refused. Its protocol is that of the upper layer, or where the exporter
    does not pass an extension header, the number of that."""
    length = HEADER + int(frame["ipv6.plen"])
    protocol, headers, begins = frame["ipv6.nxt"], HEADER, True
    passed = collections.Counter()
    while protocol in EXTENSIONS and begins:
        begins = headers + EXTENSION_MIN <= length and passed.total() < EXTENSIONS_MAX
        if begins:
            following, size, whole = extension(frame, protocol, passed[protocol])
            begins = headers + size <= min(length, HEADER + EXTENSION_BYTES_MAX)
        if begins:
            passed[protocol] += 1
            protocol, headers, begins = following, headers + size, whole
    return Packet(
        source=address(frame["ipv6.src"]),
        destination=address(frame["ipv6.dst"]),
        tos=int(frame["ipv6.tclass"], 0),
        length=length,
        headers=headers,
        protocol=protocol,
        begins=begins,
    )


def extension(frame, number, index):
    """(next header, length, whether that next header follows) of an extension header; `index` is
    how many of that number are before it."""
    following, size = (frame[field].split(",") for field in EXTENSIONS[number])
    if index >= len(size) or not size[index]:
        raise Unknown("extension headers not read by tshark")
    following, size = following[index], int(size[index])
    if number == FRAGMENT:  # an offset: nothing but the first fragment has that header
        return following, 8, size == 0
    return following, (size + 2) * 4 if number == AUTHENTICATION else size, True
