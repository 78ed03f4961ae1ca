#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""capture_flows.py [-x] FILE [FILTER]: the IPv4 flows in a capture file, counted by tshark.

Prints a line for each flow, sorted:

    SOURCE DESTINATION PROTOCOL SOURCE_PORT DESTINATION_PORT TOS PACKETS BYTES

and with -x also TCP_FLAGS, all of them together, and the times FIRST and LAST.

It counts what an IPv4 router's PRE_ROUTING hook is handed: packets whose outermost
network protocol is IPv4, without VLAN tag, and that pass the checks of the kernel's
ip_rcv(): version, header length, header checksum, and a total length that the packet
really has. Bytes are the IPv4 total length. Fragments but the first have no ports. For
ICMP the destination port is type * 256 + code.
"""

import sys

import ipv4
import tshark
import upper_layer

# What an IPv4 packet lies in directly in a capture of a single link, and the length of that header.
LINKS = {"eth:ethertype:ip": 14, "sll:ethertype:ip": 16, "null:ip": 4, "raw:ip": 0}
ENCAP_SLL2, SLL2_HEADER = "210", 20


def refused_link(frame):
    """Why a host on a single link does not take this frame for IPv4, or None if it does."""
    protocols = frame["frame.protocols"].split(":")
    if "vlan" in protocols:
        return "VLAN"
    if "ip" not in protocols or ":".join(protocols[: protocols.index("ip") + 1]) not in LINKS:
        return "not IPv4"
    return None


def room(frame):
    """Bytes from the IPv4 header to the end of a frame that is not refused."""
    if frame["frame.encap_type"] == ENCAP_SLL2:
        return int(frame["frame.len"]) - SLL2_HEADER
    protocols = frame["frame.protocols"].split(":")
    return int(frame["frame.len"]) - LINKS[":".join(protocols[: protocols.index("ip") + 1])]


class Flow:
    """What is added up of a flow's packets."""

    __slots__ = ("packets", "bytes", "flags", "flags_known", "first", "last")

    def __init__(self):
        self.packets, self.bytes, self.flags, self.flags_known = 0, 0, 0, True
        self.first = self.last = None

    def add(self, packets, length, flags, first, last):
        """`flags` are TCP's, None if tshark does not tell them."""
        self.packets += packets
        self.bytes += length
        if flags is None:
            self.flags_known = False
        else:
            self.flags |= flags
        if self.first is None:
            self.first, self.last = first, last
        else:
            self.first, self.last = min(self.first, first), max(self.last, last)


def add_packet(flows, family, frame, packet, time):
    """Adds the packet of a frame to its flow."""
    key = upper_layer.flow(family, frame, packet)
    flags = upper_layer.tcp_flags(frame, packet)
    flows.setdefault(key, Flow()).add(1, packet.length, flags, time, time)


def main():
    extended = sys.argv[1] == "-x"
    flows = {}
    for frame in tshark.frames(*sys.argv[1 + extended :]):
        if not refused_link(frame) and not ipv4.refusal(frame, room(frame)):
            add_packet(flows, ipv4, frame, ipv4.read(frame), frame["frame.time_epoch"])
    for key, counted in sorted(flows.items()):
        extra = (counted.flags, counted.first, counted.last) if extended else ()
        print(key, counted.packets, counted.bytes, *extra)


if __name__ == "__main__":
    main()
