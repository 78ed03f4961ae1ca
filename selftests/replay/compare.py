# SPDX-License-Identifier: GPL-2.0
"""The packets of a capture that are sent, their flows, and how these differ from the records
that were collected."""

import collections

import capture_flows
import link_layer
from capture_flows import Flow

PIECE_PACKETS, PIECE_BYTES = 100000, 32 << 20  # what is sent at a time
PACKET_MAX = 65535
IPV4_HEADER, PORTS_LENGTH = 20, 4

# Nanoseconds by which a time may be off: NetFlow v5 has milliseconds, so one to either side. And
# for about a quarter of one, 2^18 ns, the exporter uses the time that it read for an earlier
# packet.
LATE = 1000000
EARLY = LATE + (1 << 18)


class Piece:
    """IPv4 packets of a capture that are sent in one go, and the flows that they make. First
    and last of these are numbers of packets."""

    def __init__(self, result):
        self.result = result
        self.packets, self.bytes, self.flows = [], 0, {}

    def full(self):
        return len(self.packets) >= PIECE_PACKETS or self.bytes >= PIECE_BYTES

    def differences(self, records, arrived, handled):
        """(key, text) of each flow that differs from `records`. `arrived` and `handled` are
        times of each packet."""
        actual = {}
        for key, *counts in records:
            actual.setdefault(key, Flow()).add(*counts)
        none = Flow()
        for key in sorted(self.flows.keys() | actual.keys()):
            wanted, got = self.flows.get(key, none), actual.get(key, none)
            if (wanted.packets, wanted.bytes) != (got.packets, got.bytes):
                yield key, (
                    f"the capture has {wanted.packets} packets, {wanted.bytes} bytes, "
                    f"nfdump {got.packets} packets, {got.bytes} bytes"
                )
            # tshark does not tell the flags of a segment whose header is cut off; the exporter may.
            elif wanted.flags != (got.flags if wanted.flags_known else got.flags & wanted.flags):
                flags = f"0x{wanted.flags:02x} in the capture, 0x{got.flags:02x} by nfdump"
                yield key, f"TCP flags are {flags}"
            else:
                for what, number, time in ("first", wanted.first, got.first), (
                    "last",
                    wanted.last,
                    got.last,
                ):
                    time *= 1000000
                    if not arrived[number] - EARLY <= time <= handled[number] + LATE:
                        yield key, (
                            f"{what} packet came at {seconds(arrived[number])}, was handled by "
                            f"{seconds(handled[number])}, nfdump says {seconds(time)}"
                        )
                        break


def seconds(nanoseconds):
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09}"


class Result:
    """What has come out for a capture so far."""

    def __init__(self, capture):
        self.capture = capture
        self.packets = 0
        self.flows, self.wrong = set(), {}
        self.left_out = collections.Counter()
        self.errors = []

    def add(self, piece, lost, records, arrived, handled):
        self.packets += sum(flow.packets for flow in piece.flows.values())
        self.flows.update(piece.flows)
        for key, text in piece.differences(records, arrived, handled):
            self.wrong.setdefault(key, text)
        for what, packets in lost.items():
            self.errors.append(f"the exporter {what} {packets} packets")


def pieces(frames, results):
    """The pieces of captures, and None after the last one of each. `frames` are as of
    files.frames(), `results` are of the captures in their order."""
    results = iter(results)
    piece = Piece(next(results))
    for capture, link, captured, length, told in frames:
        while capture is not piece.result.capture:
            yield piece
            yield None
            piece = Piece(next(results))
        add_frame(piece, link, captured, length, told)
        if piece.full():
            yield piece
            piece = Piece(piece.result)
    yield piece
    yield None
    for result in results:
        yield Piece(result)
        yield None


def add_frame(piece, link, captured, length, told):
    """Adds the packet of a frame, if an IPv4 router may be handed it, and to its flow if
    the router has to take it."""
    left_out = piece.result.left_out
    layers_told = told["frame.protocols"]
    place = link_layer.locate(link, captured)
    if place is None:
        left_out[not_located(piece.result.capture, layers_told)] += 1
        return
    offset, layers = place
    if layers_told != layers and not layers_told.startswith(layers + ":"):
        left_out[f"{layers} to us, {layers_told} to tshark"] += 1
        return
    if told["ip.cur_rt"] and layers_told.split(":").count("ip") > 1:
        left_out["source route around another packet"] += 1  # fields of which of them?
        return
    packet = captured[offset:length]
    if len(captured) < length:
        header = (packet[0] & 0xF) * 4 if packet else IPV4_HEADER
        if len(packet) < header:
            left_out["IPv4 header not captured"] += 1
            return
        packet = fill_up(packet, header, min(length - offset, PACKET_MAX))
    if not packet:
        left_out["malformed"] += 1
        return
    why = capture_flows.refusal(told, length - offset)
    if not why and ports_unknown(told, len(captured) - offset):
        left_out["ports or type not read by tshark"] += 1
        return
    if why:
        left_out[why] += 1
    else:
        number = len(piece.packets)
        capture_flows.add_frame(piece.flows, told, number)
    piece.packets.append(packet[:PACKET_MAX])
    piece.bytes += len(packet)


def fill_up(packet, header, length):
    """Zeros for what was not captured; and for ports that are cut off half-way, which tshark
    does not read either."""
    if len(packet) < header + PORTS_LENGTH:
        packet = packet[:header]
    return packet.ljust(length, b"\0")


def ports_unknown(told, captured):
    """Whether the packet has ports, or ICMP's type and code, that tshark does not tell, because the
    rest of the header is missing."""
    names = [f"{name}.srcport" for name in set(capture_flows.PORTS.values())]
    if told["ip.frag_offset"] != "0" or any(told[name] for name in [*names, "icmp.type"]):
        return False
    length = min(captured, int(told["ip.len"])) - int(told["ip.hdr_len"])
    return length >= {capture_flows.ICMP: 2, **dict.fromkeys(capture_flows.PORTS, 4)}.get(
        told["ip.proto"], length + 1
    )


def not_located(capture, layers_told):
    layers = layers_told.split(":")
    if "ip" in layers:
        return f"IPv4 in {':'.join(layers[: layers.index('ip')])}"
    return "not IPv4" if layers_told else f"not IPv4 ({capture.link})"
