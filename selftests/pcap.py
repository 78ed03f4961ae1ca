# SPDX-License-Identifier: GPL-2.0
"""Reads pcap and pcapng files, as far as it takes to send their IPv4 packets again."""
import struct

# Link types (https://www.tcpdump.org/linktypes.html).
NULL, ETHERNET, LOOP, SLL, SLL2 = 0, 1, 108, 113, 276
RAW = (12, 14, 101)

ETHERTYPE_IPV4 = b"\x08\x00"
FAMILY_INET = (b"\x02\0\0\0", b"\0\0\0\x02")
PORTS_LENGTH = 4
FRAME_MAX = 65535 + 14  # what a veth of the largest MTU carries

# The first bytes of a pcap file, little-endian: format with micro- and nanoseconds, and
# one with 8 more bytes in the header of each packet.
PCAP_MAGIC = {0xA1B2C3D4: 16, 0xA1B23C4D: 16, 0xA1B2CD34: 24}
PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
PCAPNG_SECTION, PCAPNG_INTERFACE, PCAPNG_PACKET, PCAPNG_SIMPLE, PCAPNG_ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6


class Unreadable(Exception):
    """Not a capture file."""


def packets(path):
    """(link type, bytes that were captured, length on the wire) of each packet, up to
    where the file is cut off, if it is."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:4] == PCAPNG_MAGIC:
        return pcapng_packets(data)
    for order in "<>":
        if len(data) >= 24 and (magic := struct.unpack(order + "I", data[:4])[0]) in PCAP_MAGIC:
            return pcap_packets(data, order, PCAP_MAGIC[magic])
    raise Unreadable("neither pcap nor pcapng")


def pcap_packets(data, order, header_length):
    link = struct.unpack(order + "I", data[20:24])[0] & 0xFFFF
    at = 24
    while at + header_length <= len(data):
        captured, length = struct.unpack_from(order + "II", data, at + 8)
        at += header_length
        if at + captured > len(data):
            return
        yield link, data[at : at + captured], length
        at += captured


def pcapng_packets(data):
    at, order, links = 0, "<", []
    while at + 12 <= len(data):
        if data[at : at + 4] == PCAPNG_MAGIC:
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            links = []
        kind, length = struct.unpack_from(order + "II", data, at)
        if length < 12 or at + length > len(data):
            return
        body = data[at + 8 : at + length - 4]
        if kind == PCAPNG_INTERFACE:
            link, snaplen = struct.unpack_from(order + "HxxI", body)
            links.append((link, snaplen or FRAME_MAX))
        elif kind == PCAPNG_ENHANCED:
            interface, _, _, captured, wire = struct.unpack_from(order + "IIIII", body)
            yield links[interface][0], body[20 : 20 + captured], wire
        elif kind == PCAPNG_PACKET:
            interface, _, _, _, captured, wire = struct.unpack_from(order + "HHIIII", body)
            yield links[interface][0], body[20 : 20 + captured], wire
        elif kind == PCAPNG_SIMPLE:
            (wire,) = struct.unpack_from(order + "I", body)
            yield links[0][0], body[4 : 4 + min(wire, links[0][1])], wire
        at += length


def ipv4_offset(link, frame):
    """Where the IPv4 packet begins that the frame holds directly, or None."""
    if link == ETHERNET and frame[12:14] == ETHERTYPE_IPV4:
        return 14
    if link == SLL and frame[14:16] == ETHERTYPE_IPV4:
        return 16
    if link == SLL2 and frame[:2] == ETHERTYPE_IPV4:
        return 20
    if link in (NULL, LOOP) and frame[:4] in FAMILY_INET:
        return 4
    if link in RAW and frame and frame[0] >> 4 == 4:
        return 0
    return None


def ethernet_frames(path, destination, source):
    """The IPv4 packets of a file as Ethernet frames from one address to another. What a
    short snap length has cut off is filled up with zeros; so are ports that are cut off
    half-way, which tshark does not read either."""
    for link, captured, length in packets(path):
        offset = ipv4_offset(link, captured)
        if offset is None:
            continue
        packet = captured[offset:length]
        ports = (packet[0] & 0xF) * 4 if packet else 0
        if len(packet) < ports + PORTS_LENGTH:
            packet = packet[:ports]
        yield (destination + source + ETHERTYPE_IPV4 + packet.ljust(length - offset, b"\0"))[:FRAME_MAX]


def write(path, frames):
    """Writes Ethernet frames to a pcap file, and returns how many there were."""
    count = 0
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, FRAME_MAX, ETHERNET))
        for count, frame in enumerate(frames, 1):
            file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
    return count
