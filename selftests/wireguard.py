#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""wireguard.py DEVICE BYTE PORT PEER ADDRESS: gives a WireGuard device its key, all 32
bytes of it BYTE, and a peer with its public key in hexadecimal, which listens on PORT of
ADDRESS as the device does of its own. All destinations are behind the peer.

As wg(8) would. The numbers are from <linux/wireguard.h> and <linux/genetlink.h>.
"""

import os
import socket
import struct
import sys

NETLINK_GENERIC = 16
REQUEST_ACK = 0x5
NESTED = 0x8000
GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 0x10, 3, 1, 2
SET_DEVICE = 1
IFNAME, PRIVATE_KEY, LISTEN_PORT, PEERS = 2, 3, 6, 8
PEER_PUBLIC_KEY, PEER_ENDPOINT, PEER_ALLOWED_IPS = 1, 4, 9
ALLOWED_FAMILY, ALLOWED_ADDRESS, ALLOWED_LENGTH = 1, 2, 3


def attribute(kind, *value):
    value = b"".join(value)
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def request(netlink, family, command, payload):
    message = struct.pack("=BBH", command, 1, 0) + payload
    netlink.send(struct.pack("=IHHII", 16 + len(message), family, REQUEST_ACK, 1, 0) + message)
    answer = netlink.recv(65536)
    (kind,) = struct.unpack_from("=H", answer, 4)
    error = -struct.unpack_from("=i", answer, 16)[0] if kind == 2 else 0
    if error:
        sys.exit(f"wireguard: {os.strerror(error)}")
    return answer


def family_id(answer):
    at = 20
    while True:
        length, kind, number = struct.unpack_from("=HHH", answer, at)
        if kind == CTRL_ATTR_FAMILY_ID:
            return number
        at += length + -length % 4


device, byte, port, peer, address = sys.argv[1:]
endpoint = (
    struct.pack("=H", socket.AF_INET)
    + struct.pack("!H", int(port))
    + socket.inet_aton(address)
    + bytes(8)
)
everywhere = attribute(
    NESTED,
    attribute(ALLOWED_FAMILY, struct.pack("=H", socket.AF_INET)),
    attribute(ALLOWED_ADDRESS, bytes(4)),
    attribute(ALLOWED_LENGTH, b"\0"),
)
generic = lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
family = family_id(
    request(
        generic(),
        GENL_ID_CTRL,
        CTRL_CMD_GETFAMILY,
        attribute(CTRL_ATTR_FAMILY_NAME, b"wireguard\0"),
    )
)
request(
    generic(),
    family,
    SET_DEVICE,
    b"".join(
        (
            attribute(IFNAME, device.encode(), b"\0"),
            attribute(PRIVATE_KEY, bytes([int(byte)]) * 32),
            attribute(LISTEN_PORT, struct.pack("=H", int(port))),
            attribute(
                PEERS | NESTED,
                attribute(
                    NESTED,
                    attribute(PEER_PUBLIC_KEY, bytes.fromhex(peer)),
                    attribute(PEER_ENDPOINT, endpoint),
                    attribute(PEER_ALLOWED_IPS | NESTED, everywhere),
                ),
            ),
        )
    ),
)
