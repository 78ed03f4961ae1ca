#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""capture_flows.py [-x] FILE [FILTER]: the flows in a capture file, counted by tshark.

Prints a line for each flow, sorted:

    SOURCE DESTINATION PROTOCOL SOURCE_PORT DESTINATION_PORT TOS PACKETS BYTES

and with -x also TCP_FLAGS, all of them together, and the times FIRST and LAST.

It counts what an IPv4 router's PRE_ROUTING hook is handed: packets whose outermost
network protocol is IPv4, without VLAN tag, and that pass the checks of the kernel's
ip_rcv(): version, header length, header checksum, and a total length that the packet
really has. Bytes are the IPv4 total length. Fragments but the first have no ports. For
ICMP the destination port is type * 256 + code.
"""
import subprocess
import sys

FIELDS = """frame.number frame.encap_type frame.protocols frame.len ip.version ip.hdr_len ip.len
    ip.checksum.status ip.frag_offset ip.proto ip.src ip.dst ip.dsfield
    tcp.srcport tcp.dstport tcp.flags udp.srcport udp.dstport icmp.type icmp.code frame.time_epoch""".split()

# Only what is needed to find these is dissected: no tunnels, no applications.
DISSECTORS = "frame eth ethertype vlan sll raw null ip tcp udp icmp".split()
PREFERENCES = """ip.defragment:FALSE ip.check_checksum:TRUE ip.tso_support:FALSE
    tcp.desegment_tcp_streams:FALSE tcp.analyze_sequence_numbers:FALSE""".split()

# What an IPv4 packet may lie in directly, and the length of that header.
LINKS = {"eth:ethertype:ip": 14, "sll:ethertype:ip": 16, "null:ip": 4, "raw:ip": 0}
ENCAP_SLL2, SLL2_HEADER = "210", 20

CHECKSUM_GOOD = "1"
ICMP, TCP, UDP = "1", "6", "17"


def frames(path, display_filter=""):
    """A dictionary for each frame that tshark reads; of repeated fields the first."""
    command = ["tshark", "-n", "-r", path, "-T", "fields", "-E", "occurrence=f", "--disable-all-protocols"]
    for name in DISSECTORS:
        command += ["--enable-protocol", name]
    for preference in PREFERENCES:
        command += ["-o", preference]
    if display_filter:
        command += ["-Y", display_filter]
    for field in FIELDS:
        command += ["-e", field]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            yield dict(zip(FIELDS, line.rstrip("\n").split("\t")))


def refusal(frame):
    """Why an IPv4 router's hook does not see this frame, or None if it does."""
    protocols = frame["frame.protocols"].split(":")
    if "vlan" in protocols:
        return "VLAN"
    link = ":".join(protocols[: protocols.index("ip") + 1]) if "ip" in protocols else ""
    if link not in LINKS:
        return "not IPv4"
    header = SLL2_HEADER if frame["frame.encap_type"] == ENCAP_SLL2 else LINKS[link]
    if frame["ip.version"] != "4" or not frame["ip.len"] or int(frame["ip.hdr_len"]) < 20:
        return "malformed"
    if not int(frame["ip.hdr_len"]) <= int(frame["ip.len"]) <= int(frame["frame.len"]) - header:
        return "malformed"
    if frame["ip.checksum.status"] != CHECKSUM_GOOD:
        return "bad checksum"
    return None


def flow(frame):
    """The key of its flow, as a tuple of strings."""
    protocol = frame["ip.proto"]
    source_port, destination_port = "0", "0"
    if frame["ip.frag_offset"] == "0":
        if protocol == TCP:
            source_port, destination_port = frame["tcp.srcport"], frame["tcp.dstport"]
        elif protocol == UDP:
            source_port, destination_port = frame["udp.srcport"], frame["udp.dstport"]
        elif protocol == ICMP and frame["icmp.type"]:
            destination_port = str(int(frame["icmp.type"]) * 256 + int(frame["icmp.code"] or 0))
    return (frame["ip.src"], frame["ip.dst"], protocol, source_port or "0", destination_port or "0",
            str(int(frame["ip.dsfield"], 0)))


class Flow:
    """What is added up of a flow's packets."""

    def __init__(self):
        self.packets, self.bytes, self.flags, self.flags_known = 0, 0, 0, True
        self.first = self.last = None

    def add(self, packets, length, flags):
        """`flags` are TCP's, None if tshark does not tell them."""
        self.packets += packets
        self.bytes += length
        self.flags |= flags or 0
        self.flags_known &= flags is not None

    def seen(self, time):
        self.first = self.first or time
        self.last = time


def tcp_flags(frame):
    if frame["ip.proto"] != TCP or frame["ip.frag_offset"] != "0":
        return 0
    return int(frame["tcp.flags"], 0) & 0xFF if frame["tcp.flags"] else None


def add_frame(flows, frame):
    """Adds a frame to its flow."""
    counted = flows.setdefault(flow(frame), Flow())
    counted.add(1, int(frame["ip.len"]), tcp_flags(frame))
    counted.seen(frame["frame.time_epoch"])


def main():
    extended = sys.argv[1] == "-x"
    flows = {}
    for frame in frames(*sys.argv[1 + extended :]):
        if not refusal(frame):
            add_frame(flows, frame)
    for key, counted in sorted(flows.items()):
        extra = (counted.flags, counted.first, counted.last) if extended else ()
        print(*key, counted.packets, counted.bytes, *extra)


if __name__ == "__main__":
    main()
