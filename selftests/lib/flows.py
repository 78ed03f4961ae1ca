#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""flows.py cached NETNS|exported DIRECTORY COMMAND...: states what flows are.

The flows are those that netflowctl lists in a network namespace, or the records that
nfcapd wrote to a directory, as nfdump reads them. A pattern selects flows by their key, in
the words of inject.py:

    PROTOCOL SOURCE[:PORT] DESTINATION[:PORT] [NAME=VALUE]...

An address may be a shell pattern (with `!` in front: none that matches), and a part that is
left out or `*` matches all. One of IPv6 with a port stands in brackets. COMMAND is

    is PATTERN NAME=VALUE...    one flow matches, and has these fields. Of several with the
                                same key, `tos` and `input` say which one is meant
    are [PATTERN] [NAME=VALUE]...
                                the flows that match are those on standard input, and all of
                                them have these fields. Each line is a pattern that states one
                                flow; a range of ports or last octets states one flow each
    each PATTERN NAME=VALUE...  some match, and all of these have these fields
    count PATTERN NUMBER        so many match
    show PATTERN NAME...        prints these fields of all that match, a line each, sorted

A value is compared with =, !=, <, <=, > or >=. A|B is one of two; an address or `masks` may be
a shell pattern here too. The names are those of
FIELDS. `input` and `output` take the name of an interface of the namespace `router` too;
`flags` are letters of FSRPAUEC; times are milliseconds.
"""

import fnmatch
import json
import os
import re
import shlex
import socket
import subprocess
import sys

from inject import PROTOCOLS, TCP_FLAGS, address_and_port, span

KEY = ("protocol", "source", "source-port", "destination", "destination-port")
FIELDS = (*KEY, "tos", "input", "output", "next-hop", "masks", "flags", "packets", "bytes")
FIELDS += ("first", "last", "duration", "waited", "label")
NFDUMP = "%pr,%sa,%sp,%da,%dp,%tos,%in,%out,%nh,%smk,%dmk,%flg,%pkt,%byt,%tsr,%ter,%trr"
NFDUMP_FLAGS = "CEUAPRSF"
SHOWN = 12


class Fault(Exception):
    """What a flow is to be, or is, cannot be told."""


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def cached(namespace):
    """The flows that netflowctl lists."""
    for flow in json.loads(run("netflowctl", "--netns", namespace, "--json", "flows")):
        yield {
            "protocol": flow["proto"],
            "source": flow["src_addr"],
            "source-port": flow["src_port"],
            "destination": flow["dst_addr"],
            "destination-port": flow["dst_port"],
            "tos": flow["tos"],
            "input": flow["input"],
            "output": flow["output"],
            "next-hop": flow["next_hop"],
            "masks": f"{flow['src_mask']}/{flow['dst_mask']}",
            "flags": flow["tcp_flags"],
            "packets": flow["packets"],
            "bytes": flow["bytes"],
            "first": flow["first"],
            "last": flow["last"],
            "duration": (flow["last"] - flow["first"]) % 2**32,
            **({"label": flow["flow_label"]} if "flow_label" in flow else {}),
        }


def exported(directory):
    """The records that nfdump reads."""
    for line in run("nfdump", "-q", "-N", "-R", directory, "-o", f"csv:{NFDUMP}").splitlines()[1:]:
        words = [word.strip() for word in line.split(",")]
        if len(words) != NFDUMP.count(",") + 1:
            continue
        kind, _, code = words[4].partition(".")
        flags = zip(NFDUMP_FLAGS, words[11])
        first, last, received = (round(float(word) * 1000) for word in words[14:])
        yield {
            "protocol": int(words[0]),
            "source": words[1],
            "source-port": int(words[2]),
            "destination": words[3],
            # nfdump shows type and code of ICMP in its place.
            "destination-port": int(kind) * 256 + int(code) if code else int(kind),
            "tos": int(words[5]),
            "input": int(words[6]),
            "output": int(words[7]),
            "next-hop": words[8],
            "masks": f"{int(words[9])}/{int(words[10])}",
            "flags": sum(1 << TCP_FLAGS.index(name) for name, shown in flags if name == shown),
            "packets": int(words[12]),
            "bytes": int(words[13]),
            "first": first,
            "last": last,
            "duration": last - first,
            "waited": received - last,
        }


def index_of(device):
    """The index of an interface of the router."""
    with open("/run/netns/router", "rb") as namespace:
        os.setns(namespace.fileno(), os.CLONE_NEWNET)
    return socket.if_nametoindex(device)


def number(name, text):
    """The value of a field as it is compared."""
    if name in ("source", "destination", "next-hop", "masks"):
        return text
    if name == "protocol" and text in PROTOCOLS:
        return PROTOCOLS[text]
    if name in ("input", "output") and not text.isdigit():
        return index_of(text)
    if name == "flags" and not text.isdigit():
        return sum(1 << TCP_FLAGS.index(flag) for flag in text)
    return int(text, 0)


COMPARE = {
    "=": lambda a, b: fnmatch.fnmatchcase(a, b) if isinstance(a, str) else a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


class Field:
    """What one field is to be: "NAME=VALUE"."""

    def __init__(self, text):
        match = re.fullmatch(r"([a-z-]+)(=|!=|<=?|>=?)(.*)", text)
        if not match or match[1] not in FIELDS:
            raise Fault(f"no field and value: {text}")
        self.text, self.name, self.operator = text, match[1], match[2]
        self.values = [number(self.name, value) for value in match[3].split("|")]

    def holds(self, flow):
        if self.name not in flow:
            raise Fault(f"nothing is known of: {self.name}")
        return any(COMPARE[self.operator](flow[self.name], value) for value in self.values)


class Endpoint:
    """ "ADDRESS[:PORT]" of a pattern."""

    def __init__(self, name, text):
        self.name, self.negative = name, text.startswith("!")
        self.address, port = address_and_port(text.removeprefix("!"))
        self.ports = span(port) if port and port != "*" else None

    def holds(self, flow):
        if self.ports is not None and flow[f"{self.name}-port"] not in self.ports:
            return False
        return fnmatch.fnmatchcase(flow[self.name], self.address) != self.negative

    def each(self):
        """All addresses and ports of its ranges."""
        if ":" in self.address:
            ports = [None] if self.ports is None else self.ports
            yield from (self.address if p is None else f"[{self.address}]:{p}" for p in ports)
            return
        network, dot, hosts = self.address.rpartition(".")
        hosts = span(hosts) if "-" in hosts else [hosts]
        for host in hosts:
            for port in [None] if self.ports is None else self.ports:
                yield f"{network}{dot}{host}" + ("" if port is None else f":{port}")


class Pattern:
    def __init__(self, words):
        key = [word for word in words if not re.match(r"[a-z-]+[=<>!]", word)]
        self.fields = [Field(word) for word in words if word not in key]
        self.words = (key + ["*"] * 3)[:3]
        self.protocol = None if self.words[0] == "*" else number("protocol", self.words[0])
        self.source = Endpoint("source", self.words[1])
        self.destination = Endpoint("destination", self.words[2])

    def holds_key(self, flow):
        if self.protocol not in (None, flow["protocol"]):
            return False
        return self.source.holds(flow) and self.destination.holds(flow)

    def holds(self, flow):
        return self.holds_key(flow) and all(field.holds(flow) for field in self.fields)

    def each(self):
        """The patterns that its ranges stand for."""
        for source in self.source.each():
            for destination in self.destination.each():
                pattern = Pattern([self.words[0], source, destination])
                pattern.fields = self.fields
                yield pattern

    def __str__(self):
        return " ".join(self.words + [field.text for field in self.fields])


def shown(flow):
    """A flow as the pattern that only it matches."""
    names = {value: name for name, value in PROTOCOLS.items()}
    protocol = names.get(flow["protocol"], flow["protocol"])
    flags = "".join(name for bit, name in enumerate(TCP_FLAGS) if flow["flags"] & 1 << bit)
    rest = {name: flow[name] for name in FIELDS[len(KEY) :] if name in flow}
    rest["flags"] = flags
    bracketed = lambda address: f"[{address}]" if ":" in address else address
    ends = " ".join(
        f"{bracketed(flow[end])}:{flow[end + '-port']}" for end in ("source", "destination")
    )
    return f"{protocol} {ends} " + " ".join(f"{name}={value}" for name, value in rest.items())


def report(title, lines):
    """Prints lines, and returns whether there are any."""
    lines = [str(line) for line in lines]
    if lines:
        print(title)
    for line in lines[:SHOWN]:
        print(f"    {line}")
    if len(lines) > SHOWN:
        print(f"    and {len(lines) - SHOWN} more")
    return bool(lines)


def faults(flow, fields):
    for field in fields:
        if not field.holds(flow):
            value = flow[field.name]
            if field.name in ("input", "output"):
                index = ", ".join(map(str, field.values))
                yield f"{field.text} (index {index}), but it is {value}"
            else:
                yield f"{field.text}, but it is {value}"


def all_faults(flows, pattern, fields):
    for flow in filter(pattern.holds, flows):
        for fault in faults(flow, fields):
            yield f"{shown(flow)}: {fault}"


def one(flows, pattern, fields):
    """The flow that a pattern selects."""
    found = [flow for flow in flows if pattern.holds(flow)]
    for name in ("tos", "input"):
        if len(found) > 1:
            choice = [field for field in fields if field.name == name]
            found = [flow for flow in found if all(field.holds(flow) for field in choice)]
    if len(found) == 1:
        return found[0]
    print(f"{len(found)} flows match {pattern}, not one")
    report("there are:", map(shown, found or flows))
    return None


def flow_is(flows, key, *words):
    fields = [Field(word) for word in words]
    flow = one(flows, Pattern(shlex.split(key)), fields)
    if flow is None:
        return False
    return not report(f"{shown(flow)}:", faults(flow, fields))


def flows_are(flows, key="*", *words):
    selected, fields = Pattern(shlex.split(key)), [Field(word) for word in words]
    left = {id(flow): flow for flow in flows if selected.holds(flow)}
    of_ports = {}
    for flow in left.values():
        of_ports.setdefault((flow["source-port"], flow["destination-port"]), []).append(flow)
    missing, stated = [], 0
    for words in map(str.split, sys.stdin):
        for pattern in Pattern(words).each() if words else ():
            stated += 1
            some = list(left.values())
            if pattern.source.ports and pattern.destination.ports:
                some = of_ports.get((pattern.source.ports[0], pattern.destination.ports[0]), [])
            for flow in some:
                if id(flow) in left and pattern.holds(flow):
                    del left[id(flow)]
                    break
            else:
                missing.append(pattern)
    if not stated:
        raise Fault("no flow is stated: `count` tells that there is none")
    wrong = report("no flow is:", missing)
    wrong |= report("not stated:", map(shown, left.values()))
    return not wrong and not report("wrong:", all_faults(flows, selected, fields))


def flows_each(flows, key, *words):
    pattern, fields = Pattern(shlex.split(key)), [Field(word) for word in words]
    if not any(map(pattern.holds, flows)):
        print(f"no flow matches {pattern}")
        report("there are:", map(shown, flows))
        return False
    return not report("wrong:", all_faults(flows, pattern, fields))


def flows_count(flows, key, wanted):
    pattern = Pattern(shlex.split(key))
    found = [flow for flow in flows if pattern.holds(flow)]
    if len(found) != int(wanted):
        print(f"{len(found)} flows match {pattern}, not {wanted}")
        report("they are:", map(shown, found))
    return len(found) == int(wanted)


def show(flows, key, *names):
    pattern = Pattern(shlex.split(key))
    rows = (" ".join(str(flow[name]) for name in names) for flow in flows if pattern.holds(flow))
    print("".join(f"{row}\n" for row in sorted(rows)), end="")
    return True


COMMANDS = {"is": flow_is, "are": flows_are, "each": flows_each, "count": flows_count, "show": show}


def main():
    kind, place, command, *words = sys.argv[1:]
    flows = list({"cached": cached, "exported": exported}[kind](place))
    return 0 if COMMANDS[command](flows, *words) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Fault as fault:
        sys.exit(f"flows: {fault}")
