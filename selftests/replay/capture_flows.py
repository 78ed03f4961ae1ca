#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""capture_flows.py [-x] FILE [FILTER]: the flows in a capture file, counted by tshark.

Prints a line for each flow, sorted:

    SOURCE DESTINATION PROTOCOL SOURCE_PORT DESTINATION_PORT TOS PACKETS BYTES

and with -x also TCP_FLAGS, all of them together, and the times FIRST and LAST.

It counts what a router's PRE_ROUTING hooks are handed: packets whose outermost network
protocol is IPv4 or IPv6, without VLAN tag, and that pass the checks of the kernel's ip_rcv()
and ip6_rcv_core(). Bytes are those of the packet with its IP header. Fragments but the first
have no ports. For ICMP the destination port is type * 256 + code, and the ToS is IPv6's traffic
class.
"""

import sys

import ipv4
import ipv6
import tshark
import upper_layer

# What a packet lies in directly in a capture of a single link, and the length of that header.
LINKS = {"eth:ethertype": 14, "sll:ethertype": 16, "null": 4, "raw": 0}
ENCAP_SLL2, SLL2_HEADER = "210", 20
FAMILIES = {family.LAYER: family for family in (ipv4, ipv6)}


def outermost(frame):
    """The family of the packet in a frame, and the bytes from its header to the frame's end. None
    if a host on a single link does not take it for IP."""
    layers = frame["frame.protocols"].split(":")
    first = next((at for at, layer in enumerate(layers) if layer in FAMILIES), 0)
    header = LINKS.get(":".join(layers[:first]))
    if header is None:
        return None
    if frame["frame.encap_type"] == ENCAP_SLL2:
        header = SLL2_HEADER
    return FAMILIES[layers[first]], int(frame["frame.len"]) - header


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
        place = outermost(frame)
        if place is None:
            continue
        family, room = place
        try:
            if not family.refusal(frame, room, b""):
                add_packet(flows, family, frame, family.read(frame), frame["frame.time_epoch"])
        except upper_layer.Unknown as why:
            print(f"capture_flows: a packet is left out: {why}", file=sys.stderr)
    for key, counted in sorted(flows.items()):
        extra = (counted.flags, counted.first, counted.last) if extended else ()
        print(key, counted.packets, counted.bytes, *extra)


if __name__ == "__main__":
    main()
