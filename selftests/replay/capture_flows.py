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

import os
import subprocess
import sys
import threading

FIELDS = """frame.encap_type frame.protocols frame.len ip.version ip.hdr_len ip.len
    ip.checksum.status ip.frag_offset ip.proto ip.src ip.dst ip.cur_rt ip.dsfield
    tcp.srcport tcp.dstport tcp.flags udp.srcport udp.dstport
    sctp.srcport sctp.dstport dccp.srcport dccp.dstport icmp.type icmp.code
    frame.time_epoch""".split()

# Only what is needed to find these is dissected: no tunnels, no applications.
DISSECTORS = """frame eth ethertype vlan ieee8021ad pppoes ppp chdlc fr llc sll raw null
    ip tcp udp udplite sctp dccp icmp""".split()
PREFERENCES = """ip.defragment:FALSE ip.check_checksum:TRUE ip.tso_support:FALSE
    tcp.desegment_tcp_streams:FALSE tcp.analyze_sequence_numbers:FALSE""".split()

# What an IPv4 packet lies in directly in a capture of a single link, and the length of that header.
LINKS = {"eth:ethertype:ip": 14, "sll:ethertype:ip": 16, "null:ip": 4, "raw:ip": 0}
ENCAP_SLL2, SLL2_HEADER = "210", 20

CHECKSUM_GOOD = "1"
ICMP, TCP = "1", "6"
# What tshark calls the ports of each protocol that has some.
PORTS = {"6": "tcp", "17": "udp", "33": "dccp", "132": "sctp", "136": "udp"}

TSHARK_CUT_SHORT = 2  # its exit status at the end of a file that is cut short or damaged
SECONDS_MAX = 3600 * int(os.environ.get("TIMEOUT_FACTOR") or 1)


class Failure(Exception):
    """No comparison is possible."""


def frames(path, display_filter="", stdin=subprocess.DEVNULL):
    """A dictionary for each frame that tshark reads (of `stdin` if the path is "-"), with the
    first of repeated fields."""
    command = ["tshark", "-n", "-r", path]
    command += "-T fields -E occurrence=f --disable-all-protocols".split()
    for name in DISSECTORS:
        command += ["--enable-protocol", name]
    for preference in PREFERENCES:
        command += ["-o", preference]
    if display_filter:
        command += ["-Y", display_filter]
    for field in FIELDS:
        command += ["-e", field]
    with subprocess.Popen(
        command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        limit = threading.Timer(SECONDS_MAX, process.kill)
        limit.daemon = True
        limit.start()
        try:
            for line in process.stdout:
                yield dict(zip(FIELDS, line.rstrip("\n").split("\t")))
            if process.wait() not in (0, TSHARK_CUT_SHORT):
                raise Failure(f"tshark ends with status {process.returncode}")
        finally:
            limit.cancel()
            process.kill()


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
    protocols = frame["frame.protocols"]
    return int(frame["frame.len"]) - LINKS[protocols[: protocols.index(":ip") + 3]]


def refusal(frame, length):
    """Why an IPv4 router's hook does not see this packet, or None if it does. `length` is
    from the IPv4 header to the end of the frame."""
    if frame["ip.version"] != "4" or not frame["ip.len"] or int(frame["ip.hdr_len"]) < 20:
        return "malformed"
    if not int(frame["ip.hdr_len"]) <= int(frame["ip.len"]) <= length:
        return "malformed"
    if frame["ip.checksum.status"] != CHECKSUM_GOOD:
        return "bad checksum"
    return None


def flow(frame):
    """The key of its flow, as the words of the line that is printed."""
    protocol = frame["ip.proto"]
    source_port, destination_port = "0", "0"
    if frame["ip.frag_offset"] == "0":
        if protocol in PORTS:
            name = PORTS[protocol]
            source_port, destination_port = frame[f"{name}.srcport"], frame[f"{name}.dstport"]
        elif protocol == ICMP and frame["icmp.type"] and frame["icmp.code"]:
            destination_port = int(frame["icmp.type"]) * 256 + int(frame["icmp.code"])
    # Where a source route has still to go, tshark calls that the destination, and not
    # what the header says.
    destination = frame["ip.cur_rt"] or frame["ip.dst"]
    tos = int(frame["ip.dsfield"], 0)
    ports = f"{source_port or 0} {destination_port or 0}"
    return f"{frame['ip.src']} {destination} {protocol} {ports} {tos}"


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


def tcp_flags(frame):
    if frame["ip.proto"] != TCP or frame["ip.frag_offset"] != "0":
        return 0
    return int(frame["tcp.flags"], 0) & 0xFF if frame["tcp.flags"] else None


def add_frame(flows, frame, time):
    """Adds a frame to its flow."""
    flows.setdefault(flow(frame), Flow()).add(1, int(frame["ip.len"]), tcp_flags(frame), time, time)


def main():
    extended = sys.argv[1] == "-x"
    flows = {}
    for frame in frames(*sys.argv[1 + extended :]):
        if not refused_link(frame) and not refusal(frame, room(frame)):
            add_frame(flows, frame, frame["frame.time_epoch"])
    for key, counted in sorted(flows.items()):
        extra = (counted.flags, counted.first, counted.last) if extended else ()
        print(key, counted.packets, counted.bytes, *extra)


if __name__ == "__main__":
    main()
