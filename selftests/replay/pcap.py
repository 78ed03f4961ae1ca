# SPDX-License-Identifier: GPL-2.0
"""The file formats: reads pcapng as Wireshark's tools write it, writes and reads pcap."""

import struct

PCAPNG_SECTION, PCAPNG_INTERFACE, PCAPNG_SIMPLE, PCAPNG_ENHANCED = 0x0A0D0D0A, 1, 3, 6
# Blocks that are no packets, but frames to tshark: custom ones, a journal's, and system calls.
PCAPNG_NO_PACKETS = {0xBAD, 0x40000BAD, 9, 0x204, 0x208, 0x216, 0x217, 0x221, 0x222, 0x223}

PCAP_MICROSECONDS, PCAP_NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
PCAP_HEADER, PCAP_FRAME = struct.Struct("<IHHiIII"), struct.Struct("<IIII")
ETHERNET = 1

# What a veth of the largest MTU carries.
FRAME_MAX = 65535 + 14


class Unreadable(Exception):
    """Not what such a file looks like."""


def frames(stream, joined=False):
    """(link type, bytes that were captured, length on the wire) of each frame of a pcapng
    stream; (None, b"", 0) for what is no packet."""
    block, enhanced = struct.Struct("=II"), struct.Struct("=I8xII")
    links = []
    while head := stream.read(block.size):
        kind, length = block.unpack(head)
        body = stream.read(length - block.size)
        if len(body) != length - block.size:
            raise Unreadable("the file ends within a block")
        if kind == PCAPNG_ENHANCED:
            interface, captured, wire = enhanced.unpack_from(body)
            yield links[interface][0], body[20 : 20 + captured], wire
        elif kind == PCAPNG_SIMPLE:
            # Of the first interface, without a time.
            if joined:
                raise Unreadable("a packet does not tell its interface")
            link, snaplen = links[0]
            (wire,) = struct.unpack_from("=I", body)
            yield link, body[4 : 4 + min(wire, snaplen or wire)], wire
        elif kind == PCAPNG_INTERFACE:
            links.append(struct.unpack_from("=HxxI", body))
        elif kind == PCAPNG_SECTION:
            links.clear()
        elif kind in PCAPNG_NO_PACKETS:
            yield None, b"", 0


def count(path):
    """Frames of such a file; None if it cannot be joined with another one."""
    try:
        with open(path, "rb") as stream:
            return sum(1 for _ in frames(stream, joined=True))
    except (Unreadable, struct.error, IndexError):
        return None


class Writer:
    """Writes Ethernet frames to a pcap file."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.file.write(PCAP_HEADER.pack(PCAP_MICROSECONDS, 2, 4, 0, 0, FRAME_MAX, ETHERNET))

    def write(self, microseconds, frame):
        self.file.write(
            PCAP_FRAME.pack(microseconds // 1000000, microseconds % 1000000, len(frame), len(frame))
            + frame
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


def headers_size(frames):
    """Size of a pcap file with the Ethernet headers of so many frames."""
    return PCAP_HEADER.size + frames * (PCAP_FRAME.size + 14)


def stamps(path):
    """(nanoseconds since 1970, EtherType) of each frame of such a file."""
    with open(path, "rb") as file:
        if PCAP_HEADER.unpack(file.read(PCAP_HEADER.size))[0] != PCAP_NANOSECONDS:
            raise Unreadable("times are not in nanoseconds")
        for seconds, nanoseconds, ethertype in struct.iter_unpack("<II20x2s", file.read()):
            yield seconds * 1000000000 + nanoseconds, ethertype
