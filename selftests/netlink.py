# SPDX-License-Identifier: GPL-2.0
"""Generic netlink, as far as the tests need it. Numbers of commands and attributes are in
`N`, from the uapi header."""

import errno
import pathlib
import re
import socket
import struct
import sys

UAPI = pathlib.Path(__file__).parent.parent / "rust/bindings/uapi/linux/netflow.h"

NETLINK_GENERIC, SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 16, 270, 10, 11
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_ACK_TLVS = 0x1, 0x4, 0x300, 0x10, 0x200
NLMSG_ERROR, NLMSG_DONE, NLMSGERR_ATTR_MSG = 2, 3, 1
NLA_F_NESTED = 0x8000
GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 0x10, 3, 1, 2


def constants(text):
    """NAME: number, of the enums in a uapi header."""
    numbers = {}
    for body in re.findall(r"enum[^{;]*\{(.*?)\}", text, re.DOTALL):
        next_number = 0
        for name, number in re.findall(r"^\s*(\w+)\s*(?:=\s*(\d+))?\s*,", body, re.MULTILINE):
            next_number = int(number) if number else next_number
            numbers[name.removeprefix("NETFLOW_")] = next_number
            next_number += 1
    return numbers


N = constants(UAPI.read_text(encoding="ascii"))


def attribute(kind, value):
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + bytes(-length % 4)


def u16(kind, value):
    return attribute(kind, struct.pack("=H", value))


def u32(kind, value):
    return attribute(kind, struct.pack("=I", value))


def attributes(data):
    found, at = {}, 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        found[kind & 0x3FFF] = data[at + 4 : at + length]
        at += max(4, length + -length % 4)
    return found


def command_header(command):
    return struct.pack("=BBH", command, 1, 0)


class Netlink:
    """A generic netlink socket."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self.socket.bind((0, 0))
        self.socket.settimeout(10)
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK):
            self.socket.setsockopt(SOL_NETLINK, option, 1)

    def send(self, kind, payload, flags):
        header = struct.pack(
            "=IHHII", 16 + len(payload), kind, NLM_F_REQUEST | NLM_F_ACK | flags, 1, 0
        )
        self.socket.send(header + payload)

    def receive(self):
        """The messages that come with one read: type, flags and payload of each."""
        messages, data = [], self.socket.recv(1 << 20)
        while data:
            length, kind, flags = struct.unpack_from("=IHH", data)
            messages.append((kind, flags, data[16:length]))
            data = data[length + -length % 4 :]
        return messages

    def raw(self, kind, payload, flags):
        """The error (0 if none) and its text, and the payload of other answers."""
        self.send(kind, payload, flags)
        answer = b""
        while True:
            for kind, flags, body in self.receive():
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    error = -struct.unpack_from("=i", body)[0]
                    extra = (
                        body[20 if kind == NLMSG_ERROR else 4 :] if flags & NLM_F_ACK_TLVS else b""
                    )
                    text = attributes(extra).get(NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode()
                    return error, text, answer
                answer += body

    def request(self, family, command, payload=b"", flags=0):
        return self.raw(family, command_header(command) + payload, flags)

    def family(self, name):
        error, _, answer = self.request(
            GENL_ID_CTRL,
            CTRL_CMD_GETFAMILY,
            attribute(CTRL_ATTR_FAMILY_NAME, name.encode() + b"\0"),
        )
        if error:
            sys.exit(f"no family {name}: {errno.errorcode[error]}")
        return struct.unpack("=H", attributes(answer[4:])[CTRL_ATTR_FAMILY_ID])[0]
