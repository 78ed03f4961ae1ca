#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""replay.py DIRECTORY: the work of replay_captures.sh, which prepares the ground for it and
runs it in the network namespace that packets are sent from.

1. tshark reads captures, many at a time (files.py), and counts their flows.
2. The IP packets of each capture are addressed to the router, and sent by tcpreplay; then
   netflowctl flushes the router's flows to an nfcapd for each protocol, and tells how many records
   were exported by then: so it is known which of them are of which capture (router.py).
3. Every few seconds nfdump lists what each nfcapd got, and it is compared flow by flow with what
   tshark counted, and with the times at which tcpdump saw the packets (compare.py).

A capture that something goes wrong with is tried once more, alone; if it does so again,
it counts as failed.
"""

import collections
import contextlib
import pathlib
import sys
import tempfile
import time

import files
from compare import Result, is_ipv6, pieces
from router import Router
from tshark import Failure

INSPECTED = 50  # captures at a time
SESSION_SECONDS, SESSION_FRAMES = 10, 400000  # then what was collected is compared
SHOWN = 10  # flows that differ, of each capture
NAME_WIDTH = 60


class Report:
    """Prints a line for each capture and a total."""

    def __init__(self, captures):
        self.started = time.monotonic()
        self.width = min(max(len(capture.name) for capture in captures), NAME_WIDTH)
        self.totals = collections.Counter(captures=len(captures))

    def line(self, capture, text):
        print(f"{capture.name.ljust(self.width)}  {text}", flush=True)

    def skipped(self, capture, reason):
        self.line(capture, f"skipped: {reason}")
        self.totals["skipped"] += 1

    def failed(self, capture, error):
        self.line(capture, f"cannot be compared: {' '.join(error.split())}")
        self.totals["failed"] += 1

    def compared(self, result):
        left_out = ", ".join(f"{count} {why}" for why, count in sorted(result.left_out.items()))
        if not result.flows and not result.wrong and not result.errors:
            self.skipped(result.capture, f"nothing that a router accepts ({left_out or 'empty'})")
            return
        remarks = [f"checksums mended: {result.mended}"] if result.mended else []
        remarks += [f"left out: {left_out}"] if left_out else []
        self.line(
            result.capture,
            f"{result.packets:7} packets {len(result.flows):6} flows {len(result.wrong):6} differ"
            + (f"  ({'; '.join(remarks)})" if remarks else ""),
        )
        lines = list(result.lines())
        for line in lines[:SHOWN]:
            print(f"    {line}")
        if len(lines) > SHOWN:
            print(f"    and {len(lines) - SHOWN} more", flush=True)
        self.totals.update(
            compared=1,
            packets=result.packets,
            flows=len(result.flows),
            ipv6=sum(map(is_ipv6, result.flows)),
            differ=len(result.wrong),
            wrong=bool(lines),
        )

    def end(self):
        """Prints the total, and returns the exit status."""
        totals = self.totals
        print(
            f"{totals['captures']} captures: {totals['compared']} compared, "
            f"{totals['skipped']} skipped, "
            f"{totals['failed']} failed; "
            f"{totals['packets']} packets, {totals['flows']} flows ({totals['ipv6']} of IPv6), "
            f"{totals['differ']} differ "
            f"in {totals['wrong']} captures; {time.monotonic() - self.started:.0f} s",
            flush=True,
        )
        return int(totals["failed"] > 0 or totals["wrong"] > 0)


class Session:
    """What was sent since the collectors and tcpdump were started, and is not compared yet."""

    def __init__(self, router):
        self.router, self.begin = router, router.start()
        self.sent, self.complete = [], []
        self.began = time.monotonic()

    def send(self, piece):
        """Sends a piece."""
        first = self.router.frames // 2
        records, accounts = self.router.send(piece.packets)
        packets, piece.packets = len(piece.packets), None
        self.sent.append((piece, accounts, first, packets, records))

    def full(self):
        return (
            self.router.frames >= SESSION_FRAMES or time.monotonic() - self.began > SESSION_SECONDS
        )

    def compare(self):
        """Compares all that was sent. Returns the results of the captures that are complete."""
        arrived, handled, records = self.router.collect()
        begin = self.begin
        for piece, accounts, first, packets, end in self.sent:
            here = slice(first, first + packets)
            mine = {name: records[name][begin[name] : end[name]] for name in records}
            piece.result.add(piece, accounts, mine, arrived[here], handled[here])
            begin = end
        return self.complete


class Replay:
    def __init__(self, report, work):
        self.report, self.work, self.router = report, work, Router(work)
        self.session = self.at = None

    def all(self, captures):
        """Replays and reports captures."""
        for group in files.groups(captures):
            left = collections.deque(group)
            while left and (error := self.attempt(left)):
                self.give_up()
                culprit = self.at if self.at in left else left[0]
                if culprit.tried:
                    left.remove(culprit)
                    self.report.failed(culprit, error)
                    continue
                print(f"replay: {culprit.name} once more: {error}", file=sys.stderr, flush=True)
                culprit.tried, culprit.joinable = True, False
                if len(left) > 1:
                    self.all(left)
                    break

    def attempt(self, left):
        """Replays captures that are read together, and takes those from `left` that are reported.
        Returns the error that it ended with, if any; `at` is the capture that was at work."""
        self.at = left[0]
        results = [Result(capture) for capture in left]
        current = iter(results)
        try:
            with contextlib.closing(files.frames(list(left), self.work)) as frames:
                for piece in pieces(self.watched(frames), results):
                    if self.session is None:
                        self.session = Session(self.router)
                    if piece is None:
                        self.session.complete.append(next(current))
                    elif piece.packets:
                        self.session.send(piece)
                    if self.session.full():
                        self.settle(left)
            self.settle(left)
        except BrokenPipeError:  # nobody reads the report
            raise
        except Exception as error:
            return str(error) or type(error).__name__
        return None

    def watched(self, frames):
        for frame in frames:
            self.at = frame[0]
            yield frame

    def settle(self, left):
        if self.session is None:
            return
        session, self.session = self.session, None
        for result in session.compare():
            left.popleft()
            self.report.compared(result)

    def give_up(self):
        self.session = None
        self.router.stop()


def main():
    captures = list(files.find(sys.argv[1]))
    if not captures:
        sys.exit(f"replay: no capture in {sys.argv[1]}")
    report = Report(captures)
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        replay = Replay(report, work)
        # Without these there is nothing to be had from any capture.
        replay.router.start()
        replay.router.collect()
        for begin in range(0, len(captures), INSPECTED):
            some = captures[begin : begin + INSPECTED]
            with tempfile.TemporaryDirectory(dir=work) as inspected:
                try:
                    files.inspect(some, inspected)
                except Exception as error:  # then they are read one by one
                    print(f"replay: {error}", file=sys.stderr, flush=True)
                for capture in some:
                    if capture.unreadable:
                        report.skipped(capture, capture.unreadable)
                replay.all([capture for capture in some if not capture.unreadable])
    return report.end()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failure, BrokenPipeError) as error:
        sys.exit(f"replay: {error}")
