#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""ipfix_flows.py: the flows in IPFIX messages, as python-ipfix reads them.

Reads messages, one behind the other, from standard input and prints a line for each record of a
flow:

    SOURCE DESTINATION PROTOCOL SOURCE_PORT DESTINATION_PORT TOS PACKETS BYTES

Fails if there is something that python-ipfix cannot read, or a message whose sequence number is not
that of the Data Records before it.
"""

import struct
import sys
import warnings

import ipfix.ie
import ipfix.message

OPTIONS_TEMPLATE_SET = 3
ADDRESSES = {4: ("sourceIPv4Address", "destinationIPv4Address"),
             6: ("sourceIPv6Address", "destinationIPv6Address")}
REST = ("protocolIdentifier", "sourceTransportPort", "destinationTransportPort",
        "ipClassOfService", "packetDeltaCount", "octetDeltaCount")


class Message(ipfix.message.MessageBuffer):
    """A message. python-ipfix takes padding behind Options Templates (RFC 7011, section 3.3.1) for
    a further one: here their Sets have none."""

    def __init__(self):
        super().__init__()
        self.unknown_data_set_hook = self.no_template

    @staticmethod
    def no_template(_message, data):
        sys.exit(f"no template for Set {int.from_bytes(data[:2], 'big')}")

    def _scan_setlist(self):
        super()._scan_setlist()
        for index, (at, number, length) in enumerate(self.setlist):
            if number == OPTIONS_TEMPLATE_SET:
                self.setlist[index] = at, number, self.without_padding(at, length)

    def without_padding(self, start, length):
        at = start + 4
        while start + length - at >= 4:
            fields, = struct.unpack_from("!H", self.mbuf, at + 2)
            at += 6 + 4 * fields
        return at - start


def main():
    warnings.simplefilter("error", UserWarning)
    ipfix.ie.use_iana_default()
    message = Message()
    while sys.stdin.buffer.peek(1):
        message.read_message(sys.stdin.buffer)
        expected = sum(message.sequences.values()) % 2**32
        if message.sequence != expected:
            sys.exit(f"sequence number {message.sequence}, {expected} was expected")
        for record in message.namedict_iterator():
            if "ipVersion" in record:
                names = ADDRESSES[record["ipVersion"]] + REST
                print(*(record[name] for name in names))


if __name__ == "__main__":
    main()
