#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""replay.py DIRECTORY: the work of replay_captures.sh, which prepares the ground for it and
runs it in the network namespace that packets are sent from.

1. The IPv4 packets of each capture are addressed to the router, and sent by tcpreplay;
   then netflowctl flushes the router's flows to nfcapd. How many records were exported
   by then tells which of them are of which capture.
2. Meanwhile tshark counts the flows in the files as they are, joined by mergecap so that
   one run is enough.
3. nfdump lists what nfcapd got, and the two are compared flow by flow.
"""
import collections
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

import capture_flows
import pcap

ROUTER, COLLECTOR = "router", "collector"
SENDER_DEVICE = "s0"
SENDER_MAC, ROUTER_MAC = bytes.fromhex("020000000102"), bytes.fromhex("020000000101")
COLLECTOR_PORT = 2055
SUFFIXES = {".pcap", ".pcapng", ".cap"}
PATIENCE = 60  # seconds, for what takes a moment unless something is broken
PROGRESS = 15  # seconds between lines that say how far it is
SHOWN = 10  # flows that differ, of each capture


class Failure(Exception):
    """No comparison is possible."""


def run(*command):
    command = [str(word) for word in command]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise Failure(f"{' '.join(command[:8])}: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"not within {PATIENCE} s: {what}")
        time.sleep(0.005)


class Expected(threading.Thread):
    """Counts the flows of captures, and what no router would accept of them."""

    def __init__(self, paths, work):
        super().__init__(daemon=True)
        self.paths, self.work, self.error = paths, work, None
        self.flows = {path: {} for path in paths}
        self.refused = {path: collections.Counter() for path in paths}

    def run(self):
        try:
            self.count(self.paths)
        except Exception as error:  # the main thread shows it
            self.error = error

    def count(self, paths):
        """By one run of tshark if the files can be joined, by halves otherwise."""
        if len(paths) == 1:
            for frame in capture_flows.frames(paths[0]):
                self.add(paths[0], frame)
            return
        joined = self.work / "joined.pcapng"
        try:
            lengths = frame_counts(*paths)
            run("mergecap", "-a", "-I", "none", "-w", joined, *paths)
            complete = frame_counts(joined) == [sum(lengths)]
        except Failure:
            complete = False
        if not complete:
            self.count(paths[: len(paths) // 2])
            self.count(paths[len(paths) // 2 :])
            return
        frames = capture_flows.frames(joined)
        for path, length in zip(paths, lengths):
            for _ in range(length):
                self.add(path, next(frames))
        collections.deque(frames, maxlen=0)
        joined.unlink()

    def add(self, path, frame):
        refusal = capture_flows.refusal(frame)
        if refusal:
            self.refused[path][refusal] += 1
        else:
            capture_flows.add_frame(self.flows[path], frame)


def frame_counts(*paths):
    """Frames in each file by capinfos, which counts up to where a file is cut off."""
    output = subprocess.run(["capinfos", "-T", "-r", "-c", *paths], capture_output=True, text=True).stdout
    counts = [int(line.rpartition("\t")[2]) for line in output.splitlines()]
    if len(counts) != len(paths):
        raise Failure("capinfos does not count the frames of every file")
    return counts


class Router:
    """The router, the sender in front of it, and the collector behind it."""

    def __init__(self, work):
        self.prepared, self.collected = work / "prepared.pcap", work / "collected"
        self.collected.mkdir()
        self.nfcapd = subprocess.Popen(
            ["ip", "netns", "exec", COLLECTOR, "nfcapd", "-w", self.collected, "-p", str(COLLECTOR_PORT),
             "-t", "86400", "-B", "16000000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: self.collector_queue() == 0, "nfcapd listens")

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

    def info(self):
        return json.loads(run("netflowctl", "--netns", ROUTER, "--json", "info"))

    def replay(self, path):
        """Sends a capture. Returns the number of records exported by then."""
        frames = pcap.write(self.prepared, pcap.ethernet_frames(path, ROUTER_MAC, SENDER_MAC))
        if frames:
            output = run("tcpreplay", "-q", "--topspeed", "-i", SENDER_DEVICE, self.prepared)
            sent = re.search(r"Successful packets:\s*(\d+)", output)
            if not sent or int(sent[1]) != frames:
                raise Failure(f"tcpreplay did not send all {frames} packets:\n{output}")
            wait_until(lambda: backlog() == 0, "the kernel's backlog is empty")
            run("netflowctl", "--netns", ROUTER, "flush")
            wait_until(lambda: self.collector_queue() == 0, "nfcapd reads what it gets")
        return self.info()["collectors"][0]["records"]

    def records(self):
        """What nfcapd got, in the order of arrival, as (key, packets, bytes, flags)."""
        self.nfcapd.send_signal(signal.SIGTERM)
        self.nfcapd.wait(PATIENCE)
        fields = "csv:%sa,%da,%pr,%sp,%dp,%tos,%pkt,%byt,%flg"
        for line in run("nfdump", "-q", "-N", "-R", self.collected, "-o", fields).splitlines()[1:]:
            words = line.split(",")
            if len(words) != 9:
                continue
            if "." in words[4]:  # type.code of ICMP
                kind, code = words[4].split(".")
                words[4] = str(int(kind) * 256 + int(code))
            # Eight letters, or dots for flags that are not set.
            flags = sum(1 << (7 - bit) for bit, letter in enumerate(words[8]) if letter != ".")
            yield tuple(words[:6]), int(words[6]), int(words[7]), flags


def replay_all(router, paths):
    """Record counts after each capture. Says how far it is now and then."""
    said = time.monotonic()
    for number, path in enumerate(paths, 1):
        yield router.replay(path)
        if time.monotonic() - said > PROGRESS:
            said = time.monotonic()
            print(f"replayed {number} of {len(paths)} captures", file=sys.stderr, flush=True)


def backlog():
    """Packets that the kernel has received and not looked at (Documentation of softnet_stat)."""
    with open("/proc/net/softnet_stat", encoding="ascii") as table:
        rows = [line.split() for line in table]
    if any(int(row[1], 16) for row in rows):
        raise Failure("the kernel's backlog overflowed: packets were lost before the router")
    return sum(int(row[11], 16) for row in rows)


def differences(expected, actual):
    """A line for each flow that is not the same."""
    for key in sorted(expected.keys() | actual.keys()):
        wanted, got = (flows.get(key) or capture_flows.Flow() for flows in (expected, actual))
        if (wanted.packets, wanted.bytes) != (got.packets, got.bytes):
            yield (f"{' '.join(key)}: the capture has {wanted.packets} packets, {wanted.bytes} bytes, "
                   f"nfdump {got.packets} packets, {got.bytes} bytes")
        elif wanted.flags_known and wanted.flags != got.flags:
            yield f"{' '.join(key)}: TCP flags are 0x{wanted.flags:02x} in the capture, 0x{got.flags:02x} by nfdump"


def captures(directory):
    """Files to replay, and why others are not, as (path, reason or None)."""
    for path in sorted(pathlib.Path(directory).iterdir()):
        if path.suffix in SUFFIXES and path.is_file():
            try:
                pcap.packets(path)
                yield path, None
            except (pcap.Unreadable, OSError) as error:
                yield path, str(error)


def main():
    started = time.monotonic()
    files = list(captures(sys.argv[1]))
    paths = [path for path, reason in files if reason is None]
    if not paths:
        raise Failure(f"no capture in {sys.argv[1]}")
    width = max(len(path.name) for path, _ in files)
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        expected = Expected(paths, work)
        expected.start()
        router = Router(work)
        boundaries = list(replay_all(router, paths))
        info = router.info()
        records = list(router.records())
        expected.join()
        if expected.error:
            raise expected.error
    if len(records) != boundaries[-1]:
        raise Failure(f"{boundaries[-1]} records were exported, nfdump lists {len(records)}")

    totals = collections.Counter()
    begin, at = 0, dict(zip(paths, boundaries))
    for path, reason in files:
        name = path.name.ljust(width)
        if reason:
            print(f"{name}  skipped: {reason}")
            totals["skipped"] += 1
            continue
        actual = {}
        for key, *counts in records[begin : at[path]]:
            actual.setdefault(key, capture_flows.Flow()).add(*counts)
        begin = at[path]
        wanted = expected.flows[path]
        left_out = ", ".join(f"{count} {why}" for why, count in sorted(expected.refused[path].items()))
        if not wanted and not actual:
            print(f"{name}  skipped: nothing that an IPv4 router accepts ({left_out or 'empty'})")
            totals["skipped"] += 1
            continue
        wrong = list(differences(wanted, actual))
        packets = sum(flow.packets for flow in wanted.values())
        print(f"{name}  {packets:7} packets {len(wanted):6} flows {len(wrong):6} differ"
              + (f"  (left out: {left_out})" if left_out else ""))
        for line in wrong[:SHOWN]:
            print(f"    {line}")
        if len(wrong) > SHOWN:
            print(f"    and {len(wrong) - SHOWN} more")
        totals.update(compared=1, packets=packets, flows=len(wanted), differ=len(wrong), wrong=bool(wrong))

    print(f"{len(files)} captures: {totals['compared']} compared, {totals['skipped']} skipped; {totals['packets']} packets, "
          f"{totals['flows']} flows, {totals['differ']} differ in {totals['wrong']} captures; "
          f"{time.monotonic() - started:.0f} s")
    lost = info["packets"]["ignored"] + info["packets"]["lost"]
    if lost:
        print(f"the exporter ignored or lost {lost} packets: {json.dumps(info['packets'])}")
    return totals["differ"] > 0 or lost > 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failure, BrokenPipeError) as error:
        sys.exit(f"replay: {error}")
