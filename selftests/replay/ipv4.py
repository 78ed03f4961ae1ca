# SPDX-License-Identifier: GPL-2.0
"""What tshark tells of an IPv4 packet."""

from upper_layer import Packet

LAYER = "ip"  # what tshark calls it
NAME, ETHERTYPE, HEADER = "IPv4", b"\x08\x00", 20
ICMP, ICMP_NAME = "1", "icmp"

CHECKSUM_GOOD = "1"
BAD_CHECKSUM = "bad checksum"


def header_length(packet):
    """What the header at the start of these bytes claims."""
    return (packet[0] & 0xF) * 4 if packet else HEADER


def refusal(frame, room, _captured=b""):
    """Why the kernel's ip_rcv_core() drops this packet, or None if it does not. `room` is from
    the IPv4 header to the end of the frame."""
    if frame["ip.version"] != "4" or not frame["ip.len"] or int(frame["ip.hdr_len"]) < HEADER:
        return "malformed"
    if not int(frame["ip.hdr_len"]) <= int(frame["ip.len"]) <= room:
        return "malformed"
    if frame["ip.checksum.status"] != CHECKSUM_GOOD:
        return BAD_CHECKSUM
    return None


def read(frame):
    """A packet that is not refused."""
    return Packet(
        source=frame["ip.src"],
        # Where a source route has still to go, tshark calls that the destination, and not
        # what the header says.
        destination=frame["ip.cur_rt"] or frame["ip.dst"],
        tos=int(frame["ip.dsfield"], 0),
        length=int(frame["ip.len"]),
        headers=int(frame["ip.hdr_len"]),
        protocol=frame["ip.proto"],
        begins=frame["ip.frag_offset"] == "0",
    )


def mend(packet):
    """The packet with the checksum that its header should have."""
    length = header_length(packet)
    header = packet[:10] + b"\0\0" + packet[12:length]
    total = sum(int.from_bytes(header[at : at + 2], "big") for at in range(0, length, 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return header[:10] + (~total & 0xFFFF).to_bytes(2, "big") + header[12:] + packet[length:]
