# SPDX-License-Identifier: GPL-2.0
"""The router, the sender in front of it, and the collectors behind it, one for each protocol.

Times are taken by tcpdump on the interface that packets come in by: the stamp of a packet
socket, which the kernel takes just before it hands the packet to IP, and so to the
exporter. Behind each packet a marker is sent, a frame that IP does not know. The kernel
handles them one after the other, so that the exporter looked at its clock between the two
stamps, however long the machine was stopped in between.
"""

import array
import collections
import json
import os
import shutil
import signal
import subprocess
import time

import ipv4
import ipv6
import pcap
from files import run
from tshark import Failure

ROUTER, COLLECTOR = "router", "collector"
SENDER_DEVICE, ROUTER_DEVICE = "s0", "from-sender"
ADDRESSES = bytes.fromhex("020000000101" "020000000102")  # the router's, the sender's
ETHERTYPES = (ipv4.ETHERTYPE, ipv6.ETHERTYPE)
MARKER = b"\x88\xb5"  # an EtherType for experiments (IEEE 802)
COLLECTOR_ADDRESS = "198.18.0.2"
PORTS = {"v5": 2055, "v9": 2056, "ipfix": 4739}  # of the collector of each protocol
FACTOR = int(os.environ.get("TIMEOUT_FACTOR") or 1)
PATIENCE = 60 * FACTOR  # seconds, for what takes a moment unless something is broken
SPREAD, GAP_MAX = 100000, 10000  # microseconds that packets are spread over, and between two


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"not within {PATIENCE} s: {what}")
        time.sleep(0.005)


def softnet():
    """Packets that the kernel has received and not looked at, and those that it dropped."""
    with open("/proc/net/softnet_stat", encoding="ascii") as table:
        rows = [[int(word, 16) for word in line.split()] for line in table]
    return sum(row[11] for row in rows), sum(row[1] for row in rows)


def read_info():
    return json.loads(run("netflowctl", "--netns", ROUTER, "--json", "info"))


def wait_for_backlog():
    wait_until(lambda: softnet()[0] == 0, "the kernel's backlog is empty")


class Router:
    def __init__(self, work):
        self.work = work
        self.prepared, self.collected, self.arrived = (
            work / "prepared.pcap",
            work / "collected",
            work / "arrived.pcap",
        )
        self.running = []
        # Tasks and packets of the sender on one CPU keep their order.
        self.cpu = max(os.sched_getaffinity(0))
        self.frames = 0
        self.info, self.nfcapd = {}, {}

    def start(self):
        """Starts collectors and tcpdump. Returns how many records of former flows each collector
        gets."""
        shutil.rmtree(self.collected, ignore_errors=True)
        self.arrived.unlink(missing_ok=True)
        for protocol, port in PORTS.items():
            folder = self.collected / protocol
            folder.mkdir(parents=True)
            command = ["nfcapd", "-w", folder, "-p", port, "-t", "86400", "-B", "60000000"]
            command += ["-W", 1]  # several write what they get in any order
            self.nfcapd[protocol] = self.spawn(COLLECTOR, subprocess.DEVNULL, *command)
        with open(self.work / "tcpdump.log", "w+", encoding="utf-8") as log:
            command = ["tcpdump", *"-Z root -n -Q in -s 14 -B 65536 -U".split()]
            command += ["--time-stamp-precision=nano", "-i", ROUTER_DEVICE, "-w", self.arrived]
            wanted = " or ".join(f"ether proto 0x{word.hex()}" for word in (*ETHERTYPES, MARKER))
            self.spawn(ROUTER, log, *command, wanted)
        log = self.work / "tcpdump.log"
        wait_until(
            lambda: self.alive() and "listening on" in log.read_text(errors="replace"),
            "tcpdump listens",
        )
        wait_until(lambda: self.alive() and self.have_read_all(), "nfcapd listens")
        self.add_collectors()
        self.frames = 0
        self.flush()
        return self.exported()

    def add_collectors(self):
        """Adds them anew: an nfcapd that was just started knows no templates, and a collector that
        was just added is sent them first."""
        known = {collector["port"] for collector in read_info()["collectors"]}
        for protocol, port in PORTS.items():
            collector = f"{COLLECTOR_ADDRESS}:{port}"
            if port in known:
                run("netflowctl", "--netns", ROUTER, "collector", "del", collector)
            command = ["netflowctl", "--netns", ROUTER, "collector", "add", collector]
            run(*command, "--protocol", protocol)

    def spawn(self, netns, stderr, *command):
        command = ["ip", "netns", "exec", netns, *[str(word) for word in command]]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr
        )
        self.running.append(process)
        return process

    def alive(self):
        for process in self.running:
            if process.poll() is not None:
                raise Failure(f"{process.args[4]} ended with status {process.returncode}")
        return True

    def stop(self):
        """Ends what was started, whatever state it is in."""
        for process in self.running:
            process.kill()
            process.wait()
        self.running = []

    def have_read_all(self):
        """Whether all collectors are listening, and have nothing more to read."""
        return all(self.queue(protocol) == 0 for protocol in PORTS)

    def queue(self, protocol):
        """Bytes that a collector has still to read, None while it is not listening."""
        with open(f"/proc/{self.nfcapd[protocol].pid}/net/udp", encoding="ascii") as table:
            for line in table:
                words = line.split()
                if words[1].endswith(f":{PORTS[protocol]:04X}"):
                    if int(words[12]):
                        raise Failure(f"nfcapd's socket dropped {words[12]} datagrams")
                    return int(words[4].partition(":")[2], 16)
        return None

    def flush(self):
        """Has all flows exported to the collectors."""
        run("netflowctl", "--netns", ROUTER, "flush")
        wait_for_backlog()
        wait_until(lambda: self.alive() and self.have_read_all(), "nfcapd reads what it gets")
        self.info = read_info()

    def exported(self):
        """Records since the start, of each protocol."""
        records = {each["port"]: each["records"] for each in self.info["collectors"]}
        return {protocol: records[port] for protocol, port in PORTS.items()}

    def accounts(self):
        """What the exporter has counted that is not in records."""
        packets, collectors = self.info["packets"], self.info["collectors"]
        (unsupported,) = (each["unsupported"] for each in collectors if each["port"] == PORTS["v5"])
        return collections.Counter(
            ignored=packets["ignored"], lost=packets["lost"], unsupported=unsupported
        )

    def send(self, packets):
        """Sends packets, each with its EtherType, and makes the exporter export their flows.
        Returns how many records it has exported since the start, and what it has counted
        meanwhile that is not in records."""
        dropped = softnet()[1]
        gap = min(GAP_MAX, SPREAD // len(packets))
        marker = ADDRESSES + MARKER
        with pcap.Writer(self.prepared) as file:
            for number, (ethertype, packet) in enumerate(packets):
                file.write(number * gap, (ADDRESSES + ethertype + packet)[: pcap.FRAME_MAX])
                file.write(number * gap, marker.ljust(60, b"\0"))
        run("taskset", "-c", self.cpu, "tcpreplay", "-q", "-i", SENDER_DEVICE, self.prepared)
        self.frames += 2 * len(packets)
        wait_for_backlog()
        if softnet()[1] != dropped:
            raise Failure("the kernel's backlog overflowed: packets were lost before the router")
        before = self.accounts()
        self.flush()
        return self.exported(), self.accounts() - before

    def collect(self):
        """Ends the session. Returns the times at which packets arrived and at which they had
        been handled, in nanoseconds, and the flows that each collector got, in the order of
        arrival."""
        size = pcap.headers_size(self.frames)
        wait_until(
            lambda: self.alive() and self.arrived.stat().st_size >= (size if self.frames else 0),
            "tcpdump sees each packet",
        )
        expected = self.exported()
        for process in self.running:
            process.send_signal(signal.SIGTERM)
        for process in self.running:
            process.wait(PATIENCE)
        self.running = []
        arrived, handled = array.array("Q"), array.array("Q")
        if self.frames:
            for number, (time_stamp, ethertype) in enumerate(pcap.stamps(self.arrived)):
                times, wanted = ((arrived, ETHERTYPES), (handled, (MARKER,)))[number % 2]
                if ethertype not in wanted:
                    raise Failure("packets do not arrive in the order in which they were sent")
                times.append(time_stamp)
        if len(arrived) + len(handled) != self.frames:
            raise Failure(f"tcpdump saw {len(arrived) + len(handled)} of {self.frames} frames")
        records = {}
        for protocol, number in expected.items():
            records[protocol] = list(self.flows(protocol)) if number else []
            if len(records[protocol]) != number:
                listed = len(records[protocol])
                raise Failure(f"{number} {protocol} records were exported, nfdump lists {listed}")
        return arrived, handled, records

    def flows(self, protocol):
        """(key, packets, bytes, flags, first, last) of each record; times are milliseconds since
        1970."""
        fields = "csv:%sa,%da,%pr,%sp,%dp,%tos,%pkt,%byt,%flg,%tsr,%ter"
        command = ["nfdump", "-q", "-N", "-R", self.collected / protocol, "-o", fields]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as nfdump:
            next(nfdump.stdout, None)
            for line in nfdump.stdout:
                words = line.strip().split(",")
                if len(words) != 11:
                    continue
                if ":" in words[0]:
                    words[:2] = map(ipv6.address, words[:2])
                if "." in words[4]:  # type.code of ICMP
                    kind, code = words[4].split(".")
                    words[4] = str(int(kind) * 256 + int(code))
                # Eight letters, or dots for flags that are not set.
                flags = sum(1 << (7 - bit) for bit, letter in enumerate(words[8]) if letter != ".")
                first, last = (int(word.replace(".", "")) for word in words[9:])
                yield " ".join(words[:6]), int(words[6]), int(words[7]), flags, first, last
