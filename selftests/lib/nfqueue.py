#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""nfqueue.py NUMBER [hold]: accepts the packets of a queue of this namespace (NFQUEUE).

Prints "ready" when the queue is bound. With `hold`, packets wait: for each line of standard
input, it prints how many there are; after the line "accept" it has accepted them.
"""

import select
import socket
import struct
import sys

NETLINK_NETFILTER, NLM_F_REQUEST, NLM_F_ACK = 12, 1, 4
NFQNL_MSG_PACKET, NFQNL_MSG_VERDICT, NFQNL_MSG_CONFIG = (3 << 8 | kind for kind in range(3))
NFQA_PACKET_HDR, NFQA_VERDICT_HDR = 1, 2
NFQA_CFG_CMD, NFQA_CFG_PARAMS, NFQNL_CFG_CMD_BIND, NFQNL_COPY_META = 1, 2, 1, 1
NF_ACCEPT = 1


def attribute(kind, payload):
    padding = b"\0" * (-len(payload) % 4)
    return struct.pack("=HH", 4 + len(payload), kind) + payload + padding


class Queue:
    def __init__(self, number):
        self.number = number
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self.socket.bind((0, 0))
        bind = struct.pack("!BBH", NFQNL_CFG_CMD_BIND, 0, socket.AF_INET)
        params = struct.pack("!IB", 0, NFQNL_COPY_META)
        for config in attribute(NFQA_CFG_CMD, bind), attribute(NFQA_CFG_PARAMS, params):
            self.send(NFQNL_MSG_CONFIG, config, NLM_F_ACK)
            error = struct.unpack_from("=i", self.socket.recv(65536), 16)[0]
            if error:
                raise OSError(-error, "the queue cannot be bound")

    def send(self, kind, attributes, flags=0):
        length = 20 + len(attributes)
        header = struct.pack("=IHHII", length, kind, NLM_F_REQUEST | flags, 0, 0)
        self.socket.send(header + struct.pack("!BBH", 0, 0, self.number) + attributes)

    def receive(self):
        """The numbers of the packets that have come."""
        data = self.socket.recv(65536)
        while data:
            length, kind = struct.unpack_from("=IH", data)
            at = 20
            while kind == NFQNL_MSG_PACKET and at < length:
                size, name = struct.unpack_from("=HH", data, at)
                if name == NFQA_PACKET_HDR:
                    yield struct.unpack_from("!I", data, at + 4)[0]
                at += size + -size % 4
            data = data[length + -length % 4 :]

    def accept(self, packet):
        verdict = struct.pack("!II", NF_ACCEPT, packet)
        self.send(NFQNL_MSG_VERDICT, attribute(NFQA_VERDICT_HDR, verdict))


def main():
    queue, hold, held = Queue(int(sys.argv[1])), sys.argv[2:] == ["hold"], []
    print("ready", flush=True)
    inputs = [queue.socket, sys.stdin] if hold else [queue.socket]
    while True:
        for source in select.select(inputs, [], [])[0]:
            if source is queue.socket:
                held += queue.receive()
                if hold:
                    continue
            else:
                line = sys.stdin.readline()
                if not line:
                    return
                print(len(held), flush=True)
                if line.strip() != "accept":
                    continue
            for packet in held:
                queue.accept(packet)
            held = []


if __name__ == "__main__":
    main()
