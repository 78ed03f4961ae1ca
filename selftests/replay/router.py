# SPDX-License-Identifier: GPL-2.0
"""The router, the sender in front of it, and the collector behind it.

Times are taken by tcpdump on the interface that packets come in by: the stamp of a packet
socket, which the kernel takes just before it hands the packet to IPv4, and so to the
exporter. Behind each packet a marker is sent, a frame that IPv4 does not know. The kernel
handles them one after the other, so that the exporter looked at its clock between the two
stamps, however long the machine was stopped in between.
"""

import array
import json
import os
import shutil
import signal
import subprocess
import time

import pcap
from capture_flows import Failure
from files import run

ROUTER, COLLECTOR = "router", "collector"
SENDER_DEVICE, ROUTER_DEVICE = "s0", "from-sender"
ADDRESSES = bytes.fromhex("020000000101" "020000000102")  # the router's, the sender's
IPV4, MARKER = b"\x08\x00", b"\x88\xb5"  # EtherTypes; the second is for experiments (IEEE 802)
COLLECTOR_PORT = 2055
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
        self.frames = self.records = 0
        self.info = {}

    def start(self):
        """Starts collector and tcpdump. Returns how many records of former flows nfcapd gets."""
        shutil.rmtree(self.collected, ignore_errors=True)
        self.arrived.unlink(missing_ok=True)
        self.collected.mkdir()
        with open(self.work / "tcpdump.log", "w+", encoding="utf-8") as log:
            self.nfcapd = self.spawn(
                COLLECTOR,
                subprocess.DEVNULL,
                "nfcapd",
                "-w",
                self.collected,
                "-p",
                COLLECTOR_PORT,
                "-t",
                "86400",
                "-B",
                "60000000",
            )
            self.tcpdump = self.spawn(
                ROUTER,
                log,
                "tcpdump",
                "-Z",
                "root",
                "-n",
                "-i",
                ROUTER_DEVICE,
                "-Q",
                "in",
                "-s",
                "14",
                "-B",
                "65536",
                "-U",
                "--time-stamp-precision=nano",
                "-w",
                self.arrived,
                f"ether proto 0x{IPV4.hex()} or ether proto 0x{MARKER.hex()}",
            )
        log = self.work / "tcpdump.log"
        wait_until(
            lambda: self.alive() and "listening on" in log.read_text(errors="replace"),
            "tcpdump listens",
        )
        wait_until(lambda: self.alive() and self.collector_queue() == 0, "nfcapd listens")
        self.frames, self.info = 0, read_info()
        self.records = self.info["collectors"][0]["records"]
        self.flush()
        return self.exported()

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

    def collector_queue(self):
        """Bytes that nfcapd has still to read, None while it is not listening."""
        with open(f"/proc/{self.nfcapd.pid}/net/udp", encoding="ascii") as table:
            for line in table:
                words = line.split()
                if words[1].endswith(f":{COLLECTOR_PORT:04X}"):
                    if int(words[12]):
                        raise Failure(f"nfcapd's socket dropped {words[12]} datagrams")
                    return int(words[4].partition(":")[2], 16)
        return None

    def flush(self):
        """Has all flows exported to nfcapd."""
        run("netflowctl", "--netns", ROUTER, "flush")
        wait_for_backlog()
        wait_until(
            lambda: self.alive() and self.collector_queue() == 0, "nfcapd reads what it gets"
        )
        self.info = read_info()

    def exported(self):
        """Records since the start."""
        return self.info["collectors"][0]["records"] - self.records

    def send(self, packets):
        """Sends IPv4 packets and makes the exporter export their flows. Returns how many
        records it has exported since the start, and what it did not account to a flow."""
        dropped = softnet()[1]
        gap = min(GAP_MAX, SPREAD // len(packets))
        marker = ADDRESSES + MARKER
        with pcap.Writer(self.prepared) as file:
            for number, packet in enumerate(packets):
                file.write(number * gap, (ADDRESSES + IPV4 + packet)[: pcap.FRAME_MAX])
                file.write(number * gap, marker.ljust(60, b"\0"))
        run("taskset", "-c", self.cpu, "tcpreplay", "-q", "-i", SENDER_DEVICE, self.prepared)
        self.frames += 2 * len(packets)
        wait_for_backlog()
        if softnet()[1] != dropped:
            raise Failure("the kernel's backlog overflowed: packets were lost before the router")
        before = self.info
        self.flush()
        lost = {}
        for key in "ignored", "lost":
            if packets := self.info["packets"][key] - before["packets"][key]:
                lost[key] = packets
        return self.exported(), lost

    def collect(self):
        """Ends the session. Returns the times at which packets arrived and at which they had
        been handled, in nanoseconds, and the flows that nfcapd got, in the order of arrival."""
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
                times, wanted = ((arrived, IPV4), (handled, MARKER))[number % 2]
                if ethertype != wanted:
                    raise Failure("packets do not arrive in the order in which they were sent")
                times.append(time_stamp)
        if len(arrived) + len(handled) != self.frames:
            raise Failure(f"tcpdump saw {len(arrived) + len(handled)} of {self.frames} frames")
        records = list(self.flows()) if expected else []
        if len(records) != expected:
            raise Failure(f"{expected} records were exported, nfdump lists {len(records)}")
        return arrived, handled, records

    def flows(self):
        """(key, packets, bytes, flags, first, last) of each record; times are milliseconds since
        1970."""
        fields = "csv:%sa,%da,%pr,%sp,%dp,%tos,%pkt,%byt,%flg,%tsr,%ter"
        command = ["nfdump", "-q", "-N", "-R", self.collected, "-o", fields]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as nfdump:
            next(nfdump.stdout, None)
            for line in nfdump.stdout:
                words = line.strip().split(",")
                if len(words) != 11:
                    continue
                if "." in words[4]:  # type.code of ICMP
                    kind, code = words[4].split(".")
                    words[4] = str(int(kind) * 256 + int(code))
                # Eight letters, or dots for flags that are not set.
                flags = sum(1 << (7 - bit) for bit, letter in enumerate(words[8]) if letter != ".")
                first, last = (int(word.replace(".", "")) for word in words[9:])
                yield " ".join(words[:6]), int(words[6]), int(words[7]), flags, first, last
