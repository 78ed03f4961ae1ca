# SPDX-License-Identifier: GPL-2.0
"""The frames of a capture as tshark reads them: what we are compared with."""

import os
import subprocess
import threading

# Fields of which each occurrence is told, a comma between two. Of others the first one is, which
# is that of the outermost header.
REPEATED = set("""ipv6.hopopts.nxt ipv6.hopopts.len_oct ipv6.routing.nxt ipv6.routing.len_oct
    ipv6.fraghdr.nxt ipv6.fraghdr.offset ipv6.dstopts.nxt ipv6.dstopts.len_oct
    ah.next_header ah.length""".split())

FIELDS = """frame.encap_type frame.protocols frame.len ip.version ip.hdr_len ip.len
    ip.checksum.status ip.frag_offset ip.proto ip.src ip.dst ip.cur_rt ip.dsfield
    ipv6.plen ipv6.nxt ipv6.src ipv6.dst ipv6.tclass
    tcp.srcport tcp.dstport tcp.flags udp.srcport udp.dstport
    sctp.srcport sctp.dstport dccp.srcport dccp.dstport icmp.type icmp.code
    icmpv6.type icmpv6.code frame.time_epoch""".split() + sorted(REPEATED)

# Only what is needed to find these is dissected: no applications, and of tunnels IP in IP.
DISSECTORS = """frame eth ethertype vlan ieee8021ad pppoes ppp chdlc fr llc sll raw null
    ip ipv6 ipv6.hopopts ipv6.routing ipv6.fraghdr ipv6.dstopts ah
    tcp udp udplite sctp dccp icmp icmpv6""".split()
PREFERENCES = """ip.defragment:FALSE ip.check_checksum:TRUE ip.tso_support:FALSE
    ipv6.defragment:FALSE ipv6.tso_support:FALSE
    tcp.desegment_tcp_streams:FALSE tcp.analyze_sequence_numbers:FALSE""".split()

TSHARK_CUT_SHORT = 2  # its exit status at the end of a file that is cut short or damaged
SECONDS_MAX = 3600 * int(os.environ.get("TIMEOUT_FACTOR") or 1)


class Failure(Exception):
    """No comparison is possible."""


def frames(path, display_filter="", stdin=subprocess.DEVNULL):
    """A dictionary for each frame that tshark reads (of `stdin` if the path is "-")."""
    command = ["tshark", "-n", "-r", path]
    command += "-T fields -E occurrence=a -E aggregator=, --disable-all-protocols".split()
    for name in DISSECTORS:
        command += ["--enable-protocol", name]
    for preference in PREFERENCES:
        command += ["-o", preference]
    if display_filter:
        command += ["-Y", display_filter]
    for field in FIELDS:
        command += ["-e", field]
    with subprocess.Popen(
        command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        limit = threading.Timer(SECONDS_MAX, process.kill)
        limit.daemon = True
        limit.start()
        try:
            for line in process.stdout:
                yield read_line(line)
            if process.wait() not in (0, TSHARK_CUT_SHORT):
                raise Failure(f"tshark ends with status {process.returncode}")
        finally:
            limit.cancel()
            process.kill()


def read_line(line):
    frame = dict(zip(FIELDS, line.rstrip("\n").split("\t")))
    if "," in line:
        for name, value in frame.items():
            if "," in value and name not in REPEATED:
                frame[name] = value.partition(",")[0]
    return frame
