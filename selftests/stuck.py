#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Exporters whose collector's device keeps all datagrams, so that their send buffers are full.

    stuck.py hold COUNT         makes so many network namespaces, and tells "seen" of each; they
                                end when standard input does
    stuck.py attack REQUESTS    as any user: sends so many requests in one message, again and
                                again, half of them flushes, while packets come; tells when it
                                begins and how long each message took
    stuck.py bystander SECONDS MODULE
                                asks for another family again and again, and loads a module with
                                a family meanwhile, if one is given; tells the longest time of
                                each, in milliseconds
    stuck.py load REQUESTS      what `attack` sends, but to the controller of generic netlink
    stuck.py enable FLOWS       asks for such a cache when SIGUSR1 comes, and then sleeps
"""

import ctypes
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(1, str(pathlib.Path(__file__).parent / "lib"))
# pylint: disable=wrong-import-position
import genl

PR_SET_PDEATHSIG = 1
OUTPUT = 1 << 3
COLLECTOR = "192.0.2.2"
COLLECTORS = 16
TOPOLOGY = """
link set lo up
link add stuck type dummy
addr add 192.0.2.1/24 dev stuck
link set stuck up
neigh add 192.0.2.2 lladdr 02:00:00:00:00:01 dev stuck nud permanent
"""


def send_flows(first, last, times=1):
    """A flow of so many packets to each of these ports of this host."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for port in range(first, last):
        for _ in range(times):
            sock.sendto(b"x", ("127.0.0.1", port))


def stuck_exporter():
    """In this thread's namespace, with flows in its cache."""
    # MLD and neighbour discovery are packets like others.
    pathlib.Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
    subprocess.run(["ip", "-batch", "-"], input=TOPOLOGY, text=True, check=True)
    # A byte each second. netem would not do: it takes packets off the socket's send buffer.
    shape = "tc qdisc add dev stuck root tbf rate 8bit burst 2000 limit 100000000"
    subprocess.run(shape.split(), check=True)
    exporter = genl.Exporter()
    exporter.enable(16384, OUTPUT)
    # Collectors share the bytes that may wait: with all of them, each has a few datagrams.
    for port in range(2055, 2055 + COLLECTORS):
        exporter.add_collector(COLLECTOR, port)
    return exporter


def hold(count):
    """The namespaces live as long as their file descriptors."""
    namespaces = []
    for _ in range(count):
        os.unshare(os.CLONE_NEWNET)
        namespaces.append(os.open("/proc/self/ns/net", os.O_RDONLY))
        exporter = stuck_exporter()
        send_flows(1000, 1200)
        print("seen", exporter.packets()[1], flush=True)
        exporter.sock.close()
    os.setns(os.open("/proc/1/ns/net", os.O_RDONLY), os.CLONE_NEWNET)
    print("ready", flush=True)
    sys.stdin.read()
    for namespace in namespaces:
        os.close(namespace)
    print("closed", flush=True)


def attack(count):
    """In a user namespace, as root there."""
    exporter = stuck_exporter()
    send_flows(1000, 9000)
    sock = genl.connect()
    requests = genl.message(exporter.family, genl.FLUSH)
    requests += genl.message(exporter.family, genl.INFO_GET)

    # Another process: packets come for as long as this one is not gone.
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        while True:
            send_flows(1000, 9000)
    while True:
        print("sending", flush=True)
        begin = time.monotonic()
        sock.send(requests * (count // 2))
        print("took", round(1000 * (time.monotonic() - begin)), flush=True)


def load(count):
    """The same number of requests that need no module."""
    sock = genl.connect()
    while True:
        print("sending", flush=True)
        sock.send(genl.get_family("nlctrl") * (count // 2))


def enable(flows):
    """In a user namespace, as root there. Who sends the signal may limit the memory before."""
    exporter = genl.Exporter()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    print("sending at SIGUSR1", flush=True)
    signal.sigwait({signal.SIGUSR1})
    settings = genl.attribute(1, struct.pack("=I", flows))
    exporter.ask(genl.ENABLE, genl.attribute(0x8002, settings))
    signal.pause()


def bystander(seconds, module):
    """Both are asked for as long as it takes, and at least for so long."""
    loaded = []

    def modprobe():
        begin = time.monotonic()
        if module:
            subprocess.run(["modprobe", module], check=True)
        loaded.append(time.monotonic() - begin)

    thread = threading.Thread(target=modprobe)
    sock, longest, end = genl.connect(), 0, time.monotonic() + seconds
    thread.start()
    while time.monotonic() < end or thread.is_alive():
        begin = time.monotonic()
        genl.ask(sock, genl.get_family("nlctrl"))
        longest = max(longest, time.monotonic() - begin)
        time.sleep(0.001)
    print(round(1000 * longest), round(1000 * loaded[0]))


if __name__ == "__main__":
    what, arguments = sys.argv[1], sys.argv[2:]
    {
        "hold": lambda count: hold(int(count)),
        "attack": lambda count: attack(int(count)),
        "load": lambda count: load(int(count)),
        "enable": lambda flows: enable(int(flows)),
        "bystander": lambda seconds, module: bystander(float(seconds), module),
    }[what](*arguments)
