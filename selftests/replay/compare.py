# SPDX-License-Identifier: GPL-2.0
"""The packets of a capture that are sent, their flows, and how these differ from the records
that were collected."""

import collections

import capture_flows
import ipv4
import ipv6
import link_layer
import upper_layer
from capture_flows import Flow
from upper_layer import Unknown

PIECE_PACKETS, PIECE_BYTES = 100000, 32 << 20  # what is sent at a time
PACKET_MAX = 65535
FAMILIES = {family.LAYER: family for family in (ipv4, ipv6)}

# Nanoseconds by which a time may be off: all protocols have milliseconds, so one to either side.
# And for about a quarter of one, 2^18 ns, the exporter uses the time that it read for an earlier
# packet.
LATE = 1000000
EARLY = LATE + (1 << 18)


class Piece:
    """Packets of a capture that are sent in one go, and the flows that they make. First
    and last of these are numbers of packets."""

    def __init__(self, result):
        self.result = result
        self.packets, self.bytes, self.flows = [], 0, {}

    def full(self):
        return len(self.packets) >= PIECE_PACKETS or self.bytes >= PIECE_BYTES

    def differences(self, protocol, records, arrived, handled):
        """(key, text) of each flow that differs from the records that came by a protocol.
        `arrived` and `handled` are times of each packet."""
        actual = {}
        for key, *counts in records:
            actual.setdefault(key, Flow()).add(*counts)
        none = Flow()
        # NetFlow v5 has no record for a flow of IPv6.
        here = {key for key in self.flows if protocol != "v5" or not is_ipv6(key)}
        for key in sorted(here | actual.keys()):
            wanted, got = self.flows[key] if key in here else none, actual.get(key, none)
            if text := difference(wanted, got, arrived, handled):
                yield key, text


def difference(wanted, got, arrived, handled):
    """What differs between a flow of the capture and one that was collected, if anything."""
    if (wanted.packets, wanted.bytes) != (got.packets, got.bytes):
        return (
            f"the capture has {wanted.packets} packets, {wanted.bytes} bytes, "
            f"nfdump {got.packets} packets, {got.bytes} bytes"
        )
    # tshark does not tell the flags of a segment whose header is cut off; the exporter may.
    if wanted.flags != (got.flags if wanted.flags_known else got.flags & wanted.flags):
        return f"TCP flags are 0x{wanted.flags:02x} in the capture, 0x{got.flags:02x} by nfdump"
    for what, number, time in (
        ("first", wanted.first, got.first),
        ("last", wanted.last, got.last),
    ):
        time *= 1000000
        if not arrived[number] - EARLY <= time <= handled[number] + LATE:
            return (
                f"{what} packet came at {seconds(arrived[number])}, was handled by "
                f"{seconds(handled[number])}, nfdump says {seconds(time)}"
            )
    return None


def is_ipv6(key):
    return ":" in key


def seconds(nanoseconds):
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09}"


class Result:
    """What has come out for a capture so far."""

    def __init__(self, capture):
        self.capture = capture
        self.packets = self.mended = 0
        self.flows = set()
        self.wrong = {}  # for each flow that differs: what the protocols say of it
        self.left_out = collections.Counter()
        self.errors = []

    def add(self, piece, accounts, records, arrived, handled):
        """`accounts` are what the exporter counted besides flows, `records` are those of each
        protocol."""
        self.packets += sum(flow.packets for flow in piece.flows.values())
        self.flows.update(piece.flows)
        for protocol, collected in records.items():
            for key, text in piece.differences(protocol, collected, arrived, handled):
                self.wrong.setdefault(key, {}).setdefault(text, []).append(protocol)
        for what in "ignored", "lost":
            if accounts[what]:
                self.errors.append(f"the exporter {what} {accounts[what]} packets")
        of_ipv6 = sum(is_ipv6(key) for key, *_ in records["v9"])
        if accounts["unsupported"] != of_ipv6:
            self.errors.append(
                f"v5: {accounts['unsupported']} flows are unsupported, {of_ipv6} are of IPv6"
            )

    def lines(self):
        """Everything that is wrong."""
        yield from self.errors
        for key, texts in self.wrong.items():
            for text, protocols in texts.items():
                yield f"{key}: {', '.join(protocols)}: {text}"


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
    """Adds the packet of a frame, if a router may be handed it, and to its flow if the router
    has to take it."""
    left_out = piece.result.left_out
    place = link_layer.locate(link, captured)
    if place is None:
        left_out[not_located(piece.result.capture, told["frame.protocols"])] += 1
        return
    offset, layers = place
    try:
        check_layers(layers, captured[offset : offset + 1], told)
        add_packet(
            piece,
            FAMILIES[layers.rpartition(":")[2]],
            captured[offset:length],
            length - offset,
            told,
        )
    except Unknown as why:
        left_out[str(why)] += 1


def add_packet(piece, family, captured, length, told):
    """`captured` are the bytes of the packet that there are, `length` is how many there were."""
    sent, packet = captured, None
    if len(captured) < length and len(captured) < family.header_length(captured):
        raise Unknown(f"{family.NAME} header not captured")
    if not captured:
        raise Unknown("malformed")
    why = family.refusal(told, length, captured)
    mended = why == ipv4.BAD_CHECKSUM
    if mended:
        why, sent = None, ipv4.mend(captured)
    if not why:
        packet = family.read(told)
        if packet.length > PACKET_MAX:
            raise Unknown("larger than the MTU")
        if upper_layer.not_told(family, told, packet, len(captured)):
            raise Unknown("ports or type not read by tshark")
    if len(captured) < length:
        sent = fill_up(family, sent, packet, min(length, PACKET_MAX))
    if why:
        piece.result.left_out[why] += 1
    else:
        piece.result.mended += mended
        capture_flows.add_packet(piece.flows, family, told, packet, len(piece.packets))
    piece.packets.append((family.ETHERTYPE, sent[:PACKET_MAX]))
    piece.bytes += len(sent)


def fill_up(family, captured, packet, length):
    """Zeros for what was not captured; and for ports that are cut off half-way, which tshark
    does not read either."""
    if packet and packet.begins:
        if len(captured) < packet.headers + upper_layer.needed(family, packet):
            captured = captured[: packet.headers]
    return captured.ljust(length, b"\0")


def check_layers(layers, first, told):
    """Whether tshark finds the packet in the same layers. `first` is the first byte of it."""
    layers_told = told["frame.protocols"]
    if layers_told == layers or layers_told.startswith(layers + ":"):
        if told["ip.cur_rt"] and layers.endswith("ip") and layers_told.split(":").count("ip") > 1:
            raise Unknown("source route around another packet")  # fields of which of them?
        return
    # IPv6 of another version is nothing to tshark.
    if layers.endswith(":ipv6") and first and first[0] >> 4 != 6:
        if layers_told == layers.removesuffix("ipv6") + "data":
            return
    raise Unknown(f"{layers} to us, {layers_told or 'nothing'} to tshark")


def not_located(capture, layers_told):
    layers = layers_told.split(":")
    for at, layer in enumerate(layers):
        if layer in FAMILIES:
            return f"{FAMILIES[layer].NAME} in {':'.join(layers[:at])}"
    return "not IP" if layers_told else f"not IP ({capture.link})"
