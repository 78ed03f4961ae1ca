#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""batching.py make SEED PACKETS FILE: writes a pcap file of TCP connections to the router of
two_hosts, in trains of one connection and mixed. Ports are used again by the next connection.

batching.py connections FILE: prints a line for each connection in such a file, as flows.py
states a flow.

batching.py ask ROUNDS: sends bursts from the namespace `left`, and asks in `router` for the
packets seen as soon as a burst has left; every other time for the flows. Prints how many answers
did not have all packets.

batching.py timers FILE: reads a trace, and prints how many of the module's timers were `set`,
how many were `taken_over` as their CPU was turned off, and how many expired `elsewhere` than
where they were set.

batching.py disable: sends a burst, and disables the exporter as soon as it has left. Prints how
many packets it had.
"""

import collections
import os
import random
import re
import socket
import struct
import sys

import inject
import pcap

ETHERNET = bytes.fromhex("020000000101" "020000000102" "0800")
SOURCE, DESTINATION = "10.1.0.2", "10.9.0.1"
BURST = 40
SYN = 2


def frame(port, length, flags):
    (source, _), (destination, _) = inject.endpoints(SOURCE) + inject.endpoints(DESTINATION)
    options = {"len": length, "flags": flags}
    return ETHERNET + inject.packet(6, (source, port), (destination, 80), options)


def connection(draw):
    """Flags of its packets. After a FIN there are acknowledgements."""
    return [
        "S",
        *draw.choices(("A", "PA", "UA"), k=draw.randrange(60)),
        "FA",
        *["A"] * draw.randrange(3),
    ]


def make(seed, packets, path):
    draw = random.Random(int(seed))
    left = {port: [] for port in range(1000, 1012)}
    number = int(packets)
    with pcap.Writer(path) as file:
        while number:
            port = draw.choice(list(left))
            for _ in range(min(number, draw.choice((1, 1, 1, 2, 5, 40)))):
                left[port] = left[port] or connection(draw)
                file.write(0, frame(port, draw.choice((40, 52, 576, 1500)), left[port].pop(0)))
                number -= 1


def connections(path):
    of = collections.defaultdict(list)
    with open(path, "rb") as file:
        file.seek(pcap.PCAP_HEADER.size)
        while head := file.read(pcap.PCAP_FRAME.size):
            packet = file.read(pcap.PCAP_FRAME.unpack(head)[2])[len(ETHERNET) :]
            (port,), flags = struct.unpack_from("!H", packet, 20), packet[33]
            if flags & SYN:
                of[port].append([0, 0, 0])
            counted = of[port][-1]
            of[port][-1] = [counted[0] + 1, counted[1] + len(packet), counted[2] | flags]
    for port, each in of.items():
        for packets, size, flags in each:
            key = f"tcp {SOURCE}:{port} {DESTINATION}:80"
            print(f"{key} packets={packets} bytes={size} flags={flags}")


def timers(path):
    line = re.compile(r"^ *(.*-\d+) +\[(\d+)\] .*?: (\w+): (.*)$")
    ours, turning_off = {}, set()
    count = {"set": 0, "taken_over": 0, "elsewhere": 0}
    with open(path, encoding="utf-8", errors="replace") as file:
        for task, cpu, event, text in (match.groups() for match in map(line.match, file) if match):
            timer = text.partition("timer=")[2].partition(" ")[0].strip()
            if event == "timer_start" and "[netflow]" in text:
                ours[timer] = cpu
                count["set"] += 1
            elif event == "cpuhp_multi_enter" and "[netflow]" in text:
                turning_off.add(task)
            elif event == "cpuhp_exit":
                turning_off.discard(task)
            elif event == "timer_cancel" and timer in ours and task in turning_off:
                count["taken_over"] += 1
            elif event == "timer_expire_entry" and timer in ours and ours[timer] != cpu:
                count["elsewhere"] += 1
    for name, number in count.items():
        print(name, number)


def enter(name):
    with open(f"/run/netns/{name}", "rb") as namespace:
        os.setns(namespace.fileno(), os.CLONE_NEWNET)


def prepare():
    """What sends a burst, and a client in the router."""
    # The other commands do without the kernel's source.
    from control import Control  # pylint: disable=import-outside-toplevel

    enter("left")
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind(("l0", 0))
    frames = [frame(2000 + number % 10, 40 + number, "A") for number in range(BURST)]
    enter("router")
    return lambda: [link.send(each) for each in frames], Control()


def seen(control):
    return control.info_get({})["packets"]["seen"]


def in_flows(control):
    return sum(flow["packets"] for flow in control.flow_get({}, dump=True))


def ask(rounds):
    burst, control = prepare()
    before = {seen: seen(control), in_flows: in_flows(control)}
    short = 0
    for number in range(1, int(rounds) + 1):
        burst()
        count = seen if number % 2 else in_flows
        short += count(control) != before[count] + number * BURST
    print(short)


def disable():
    burst, control = prepare()
    burst()
    control.disable_all()
    print(BURST)


if __name__ == "__main__":
    {"make": make, "connections": connections, "timers": timers, "ask": ask, "disable": disable}[
        sys.argv[1]
    ](*sys.argv[2:])
