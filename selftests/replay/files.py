# SPDX-License-Identifier: GPL-2.0
"""The captures to replay: finds them, and reads their frames twice over.

Many are joined to one file by mergecap, so that one run of tshark is enough for them; it
takes seconds to start in an emulated machine. What cannot be joined is read alone.
"""

import contextlib
import os
import pathlib
import re
import subprocess
import tempfile

import pcap
import tshark
from tshark import Failure

SUFFIXES = set(
    """.5vw .apc .atc .bfr .bin .btsnoop .cap .dmp .dump .enc .erf .fdc .lcap .libpcap .ntar .pcap
    .pcapng .pkt .pklg .rf5 .scap .snoop .syc .tpc .tr1 .trace .trc .wpc .wpz""".split()
)
COMPRESSED = {".gz", ".zst", ".lz4"}
# pcap in its variants, pcapng, snoop, NetMon, Sniffer, NetXray.
MAGIC = re.compile(
    rb"\xa1\xb2(\xc3\xd4|\x3c\x4d|\xcd\x34)|(\xd4\xc3|\x4d\x3c|\x34\xcd)\xb2\xa1|\x0a\x0d\x0d\x0a"
    rb"|snoop\0|RTSS|GMBU|TRSNIFF data|XCP\0"
)

JOINED_MAX = 64 << 20  # bytes of frames that are joined, in memory
FRAME_OVERHEAD = 64
NORMALISED_MAX = 4 << 20  # bytes of frames that are copied


class Capture:
    """A capture file."""

    def __init__(self, path, name):
        self.path, self.name = path, name
        # What is joined: the file, or a copy. And a plain name, whatever it is called.
        self.source = self.plain = path.absolute()
        self.link, self.frames, self.size = "", 0, 0
        self.unreadable = None
        self.joinable, self.tried = False, False


def find(directory):
    """All captures below a directory, by what they are called or begin with."""
    directory = pathlib.Path(directory)
    paths = []
    for folder, _, names in os.walk(directory, followlinks=False):
        paths += [pathlib.Path(folder, name) for name in names]
    for path in sorted(paths):
        with contextlib.suppress(OSError):
            if path.is_file() and is_capture(path):
                name = str(path.relative_to(directory))
                # Whatever would break or forge a line of the report.
                yield Capture(path, re.sub(r"[^ -~]", "?", name))


def is_capture(path):
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    if suffixes and suffixes[-1] in SUFFIXES:
        return True
    with open(path, "rb") as file:
        return MAGIC.match(file.read(16)) is not None


def inspect(captures, work):
    """Finds out what Wireshark's tools make of captures. Copies are left in `work`."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=work))
    for number, capture in enumerate(captures):
        suffix = capture.path.suffix.lower()
        capture.plain = folder / f"{number}{suffix if suffix in SUFFIXES | COMPRESSED else ''}"
        capture.plain.symlink_to(capture.path.absolute())
    command = [
        "capinfos",
        "-T",
        "-r",
        "-t",
        "-E",
        "-c",
        "-d",
        *[capture.plain for capture in captures],
    ]
    try:
        result = subprocess.run(
            command, capture_output=True, timeout=tshark.SECONDS_MAX, check=False
        )
        crashed = result.returncode < 0
    except subprocess.TimeoutExpired:
        crashed = True
    if crashed:
        if len(captures) == 1:
            captures[0].unreadable = "capinfos crashes"
        else:
            for capture in captures:
                inspect([capture], work)
        return
    rows = {}
    for row in result.stdout.decode(errors="replace").splitlines():
        name, *row = row.split("\t")
        rows[name] = row
    complaints = result.stderr.decode(errors="replace").replace("\n(", " (").splitlines()
    for capture in captures:
        mine = [line for line in complaints if f'"{capture.plain}"' in line]
        row = rows.get(str(capture.plain))
        if row:
            kind, capture.link, count, size = row
            capture.frames = int(count)
            capture.size = int(size) + capture.frames * FRAME_OVERHEAD
            # Of other formats capinfos does not count what is no packet, but a frame to tshark.
            capture.joinable = (
                not mine and capture.size <= JOINED_MAX and kind in ("pcap", "nsecpcap")
            )
        elif any("after reading" in line for line in mine):
            capture.size = capture.path.stat().st_size
        else:
            said = mine[-1] if mine else "capinfos says nothing about it"
            capture.unreadable = re.sub(r'^capinfos: (The file "[^"]*" )?', "", said)
            continue
        if not capture.joinable and capture.size <= NORMALISED_MAX:
            normalise(capture)


def normalise(capture):
    """Makes a copy that can be joined with others: with what can be read of a damaged file,
    and of which we have counted all that tshark takes for a frame."""
    copy = capture.plain.with_name(capture.plain.name + ".pcapng")
    run_anyhow("editcap", "-F", "pcapng", capture.plain, copy)
    with contextlib.suppress(OSError):
        count = pcap.count(copy)
        if count is not None:
            capture.source, capture.frames, capture.joinable = copy, count, True


def groups(captures):
    """Captures to be read at a time, in their order."""
    group, size = [], 0
    for capture in captures:
        if group and (not capture.joinable or size + capture.size > JOINED_MAX):
            yield group
            group, size = [], 0
        group.append(capture)
        size += capture.size
        if not capture.joinable:
            yield group
            group, size = [], 0
    if group:
        yield group


def frames(captures, work):
    """(capture, link type, bytes that were captured, length on the wire, what tshark tells)
    of each frame."""
    if len(captures) == 1:
        yield from frames_of_one(captures[0])
        return
    joined = work / "joined.pcapng"
    try:
        run("mergecap", "-a", "-I", "none", "-w", joined, *[capture.source for capture in captures])
        with open(joined, "rb") as stream:
            both = in_step(pcap.frames(stream), tshark.frames(joined))
            for capture in captures:
                for _ in range(capture.frames):
                    frame = next(both, None)
                    if frame is None:
                        raise Failure("the joined file is too short")
                    yield capture, *frame
            if next(both, None):
                raise Failure("the joined file is too long")
    finally:
        joined.unlink(missing_ok=True)


def frames_of_one(capture):
    """As far as it can be read. Nothing is kept, it may be huge."""
    with normalised(capture) as ours, normalised(capture) as theirs:
        for frame in in_step(pcap.frames(ours), tshark.frames("-", stdin=theirs)):
            yield capture, *frame


@contextlib.contextmanager
def normalised(capture):
    """A stream of what can be read of a file, as pcapng."""
    command = ["editcap", "-F", "pcapng", capture.path.absolute(), "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as editcap:
        try:
            yield editcap.stdout
        finally:
            editcap.kill()


def in_step(by_us, by_tshark):
    """What both readers tell of each frame. They are given the same clean file by Wireshark's
    tools, so that they agree on what is a frame, however broken the capture."""
    with contextlib.closing(by_tshark):
        for frame in by_us:
            told = next(by_tshark, None)
            if told is None:
                raise Failure("tshark reads fewer frames than we do")
            yield *frame, told
        if next(by_tshark, None):
            raise Failure("tshark reads more frames than we do")


def run_anyhow(*command):
    """Runs a command that may fail."""
    with contextlib.suppress(Failure, subprocess.TimeoutExpired):
        run(*command)


def run(*command):
    """Runs a command and returns what it prints."""
    command = [str(word) for word in command]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=tshark.SECONDS_MAX, check=False
    )
    if result.returncode != 0:
        said = result.stderr.strip() or result.stdout.strip()
        raise Failure(f"{' '.join(command[:8])}: status {result.returncode}: {said}")
    return result.stdout
