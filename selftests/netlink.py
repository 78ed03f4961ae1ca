#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The control interface by the kernel's own client: that the module does what the
specification says, and refuses everything else with a text. Prints KTAP.
"""

import errno
import pathlib
import socket
import struct
import sys

sys.path.insert(1, str(pathlib.Path(__file__).parent / "lib"))
# pylint: disable=wrong-import-position
from control import Control
from net.lib.py import (
    KsftNamedVariant,
    NetNS,
    NetNSEnter,
    Netlink,
    NlError,
    ip,
    ksft_eq,
    ksft_exit,
    ksft_in,
    ksft_not_none,
    ksft_raises,
    ksft_run,
    ksft_true,
    ksft_variants,
)

HOST = "192.0.2.1"
FLOWS = 3000


def limits(control, attribute):
    """The checks of an attribute. The specification has numbers, or names of constants."""
    checks = attribute.yaml.get("checks", {})
    constants = control.consts
    return {name: constants[v]["value"] if v in constants else v for name, v in checks.items()}


def settings(control, second=False):
    """A value for each setting, and another one if `second`: of new settings, too."""
    values = {}
    for name, attribute in control.attr_sets["config"].items():
        if "enum" in attribute.yaml:
            entries = list(control.consts[attribute["enum"]].entries)
            some = [{entries[-1], entries[-2]}, {entries[0]}]
            if not attribute.get("enum-as-flags"):
                some = [entries[-1], entries[0]]
        elif limits(control, attribute).get("max") == 1:
            some = [1, 0]
        else:
            least = limits(control, attribute).get("min", 0)
            some = [least + 1, least + 2]
        values[name] = some[second]
    return values


def state(control):
    """What no refused request may change."""
    info = control.info_get({})
    del info["sys-uptime"]
    return info, control.iface_get({}, dump=True)


def send_datagrams(ports, count=1):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 7))
        for port in ports:
            for _ in range(count):
                sender.sendto(bytes(32), ("127.0.0.1", port))


### What the specification has


def reply_is_complete(control):
    """Every attribute of the reply, and of its nests; the client refuses unknown ones. What tells
    of an error is missing, as there was none."""
    control.collector_add({"collector": {"address": HOST, "source": "127.0.0.1", "device": "lo"}})
    info = control.info_get({})
    reply = control.ops["info-get"].yaml["do"]["reply"]["attributes"]
    ksft_eq(set(info), set(reply) - {"enable-error", "enable-error-text"}, "none failed")
    for name in reply:
        attribute = control.attr_sets["info"][name]
        if attribute["type"] != "nest":
            continue
        nests = info.get(name, [])
        for nest in nests if isinstance(nests, list) else [nests]:
            specified = set(control.attr_sets[attribute["nested-attributes"]])
            ksft_eq(set(nest), specified - {"error", "last-error"}, name)
    control.collector_del({"collector": {"address": HOST}})


def policy_is_that_of_the_specification(control):
    for name, operation in control.ops.items():
        mode = "dump" if "dump" in operation.yaml else "do"
        request = operation.yaml[mode].get("request", {}).get("attributes", [])
        policy = control.get_policy(name, mode)
        ksft_eq(set(policy or ()), set(request), name)
    policy = control.get_policy("set", "do")["config"]
    ksft_eq(set(policy), set(control.attr_sets["config"]))
    for name, attribute in control.attr_sets["config"].items():
        ksft_eq(policy[name].type, attribute["type"], name)
        for check, value in limits(control, attribute).items():
            ksft_eq(getattr(policy[name], f"{check}_value"), value, name)


def enable_takes_all_settings(control):
    before = control.info_get({})
    ksft_eq(before["enabled"], 0)
    control.enable_all(settings(control))
    info = control.info_get({})
    ksft_eq(info["enabled"], 1)
    ksft_eq(info["config"], settings(control))
    control.disable_all()
    ksft_eq(control.info_get({})["enabled"], 0)
    ksft_eq(control.info_get({})["config"], settings(control), "settings outlast the exporter")
    control.set({"config": before["config"]})


def set_changes_what_is_given(control):
    before = control.info_get({})["config"]
    control.set({"config": settings(control)})
    expected = settings(control)
    ksft_eq(control.info_get({})["config"], expected)
    for name, value in settings(control, second=True).items():
        control.set({"config": {name: value}})
        expected[name] = value
        ksft_eq(control.info_get({})["config"], expected, name)
    control.set({"config": before})
    ksft_eq(control.info_get({})["config"], before)


def iface_set_changes_a_number(control):
    lo, longest = "lo", "a-name-of-15-by"
    for number in 5, 70000:
        control.iface_set({"name": lo, "number": number})
        ksft_eq(control.iface_get({}, dump=True), [{"name": lo, "number": number}])
    control.iface_set({"name": longest, "number": 0xFFFFFFFF})
    others = [{"name": longest, "number": 0xFFFFFFFF}]
    ksft_eq(control.iface_get({}, dump=True), others + [{"name": lo, "number": 70000}], "sorted")
    control.iface_set({"name": lo, "number": 0})
    ksft_eq(control.iface_get({}, dump=True), others, "0 takes the number away")
    control.iface_set({"name": longest, "number": 0})
    control.iface_set({"name": longest, "number": 0})
    ksft_eq(control.iface_get({}, dump=True), [])


def collectors_are_added_and_removed(control):
    given = [
        {"address": HOST},
        {"address": HOST, "port": 9995, "protocol": "v9"},
        {"address": HOST, "protocol": "ipfix"},
    ]
    for collector in given:
        control.collector_add({"collector": collector})
    counters = {"datagrams": 0, "records": 0, "errors": 0, "unsupported": 0, "sequence": 0}
    wanted = [
        {"address": HOST, "port": port, "protocol": protocol, **counters}
        for port, protocol in ((2055, "v5"), (9995, "v9"), (4739, "ipfix"))
    ]
    ksft_eq(control.info_get({})["collector"], wanted)
    for collector in wanted:
        named = {attribute: collector[attribute] for attribute in ("address", "port")}
        control.collector_del({"collector": named})
    ksft_true("collector" not in control.info_get({}), "all are gone")


def flow_is_complete(control):
    """A flow of our own has every attribute, each with its value."""
    control.enable_all({"observe": ["output"]})
    uptime = control.info_get({})["sys-uptime"]
    send_datagrams([9], count=3)
    flows = [flow for flow in control.flow_get({}, dump=True) if flow["proto"] == 17]
    wanted = {
        "src-addr": "127.0.0.1",
        "dst-addr": "127.0.0.1",
        "next-hop": "0.0.0.0",
        "input": 0,
        "output": 1,
        "packets": 3,
        "bytes": 3 * (20 + 8 + 32),
        "src-port": 7,
        "dst-port": 9,
        "tcp-flags": 0,
        "proto": 17,
        "tos": 0,
        "src-mask": 32,
        "dst-mask": 32,
    }
    ksft_eq([{name: flow[name] for name in wanted} for flow in flows], [wanted])
    reply = control.ops["flow-get"].yaml["dump"]["reply"]["attributes"]
    # Of IPv6 alone.
    ksft_eq(set(flows[0]), set(reply) - {"flow-label"})
    ksft_eq(set(flows[0]) - set(wanted), {"first", "last"})
    ksft_true(uptime <= flows[0]["first"] <= flows[0]["last"] < uptime + 60000, "times")


def flush_exports_the_flows(control):
    created = control.info_get({})["flows-created"]
    control.flush_all()
    info = control.info_get({})
    ksft_eq(info["flows-cached"], 0)
    ksft_eq(info["expired"]["flushed"], created)
    ksft_eq(info["packets"]["lost-no-collector"], info["packets"]["seen"])
    ksft_eq(control.flow_get({}, dump=True), [])
    control.disable_all()
    ksft_eq(control.flow_get({}, dump=True), [], "while disabled")


### Consistency of dumps


def undisturbed_dump_is_consistent(control):
    control.enable_all({"observe": ["output"], "inactive-timeout": 1800})
    send_datagrams(range(1, FLOWS + 1))
    flows, interrupted = control.dump_flows()
    ports = sorted(flow["dst-port"] for flow in flows if flow["proto"] == 17)
    ksft_eq(ports, list(range(1, FLOWS + 1)))
    ksft_true(not interrupted, "no mark")


def dump_across_two_caches_is_marked(control):
    with Control() as other:

        def exchange():
            other.disable_all()
            other.enable_all()

        flows, interrupted = control.dump_flows(exchange)
    ksft_true(len(flows) < FLOWS, "the second cache is empty")
    ksft_true(interrupted, "a mark")
    control.disable_all()


### Refusals. `config` and the like are nests; bytes are attributes of the wrong length.


def refused(what, operation, request, text="", dump=False):
    return KsftNamedVariant(what, operation, request, text, dump)


def config(**values):
    return {"config": {name.replace("_", "-"): value for name, value in values.items()}}


def collector(address=None, **values):
    if address is not None:
        values["address"] = address
    return {"collector": values}


STRAY = {200: struct.pack("=I", 1)}
UNKNOWN = "Unknown attribute type"
DUMPS = ("flow-get", "iface-get")


@ksft_variants(
    [
        refused("an attribute that only replies have", "enable", {"flows-cached": 1}),
        refused("max-flows of 0", "enable", config(max_flows=0)),
        refused("max-flows above its limit", "enable", config(max_flows=8388609)),
        refused("max-flows of 2 bytes", "enable", config(max_flows=bytes(2))),
        refused("max-flows of 8 bytes", "enable", config(max_flows=bytes(8))),
        refused("active-timeout of 0", "enable", config(active_timeout=0)),
        refused("active-timeout above its limit", "enable", config(active_timeout=604801)),
        refused("inactive-timeout of 0", "enable", config(inactive_timeout=0)),
        refused(
            "inactive-timeout above active-timeout",
            "enable",
            config(inactive_timeout=31, active_timeout=30),
        ),
        refused("no observation point", "set", config(observe=0)),
        refused("an unknown observation point", "set", config(observe=33)),
        refused("an unknown expiry", "set", config(expiry=2)),
        refused("unknown icmp-ports", "set", config(icmp_ports=2)),
        refused("count-own of 2", "set", config(count_own=2)),
        refused("an engine-id of 4 bytes", "set", config(engine_id=bytes(4))),
        refused("settings that are no nest", "set", {"config": bytes(4)}),
        refused("no interface", "iface-set", {}),
        refused("an interface without name", "iface-set", {"number": 1}),
        refused("an interface without number", "iface-set", {"name": "lo"}),
        refused("a name of no letter", "iface-set", {"name": "", "number": 1}),
        refused("a name that no interface can have", "iface-set", {"name": "a/b", "number": 1}),
        refused("a name of 16 bytes", "iface-set", {"name": "a-name-of-16-byt", "number": 1}),
        refused("a name that does not end", "iface-set", {"name": b"lo", "number": 1}),
        refused("numbers without dump", "iface-get", {}),
        refused("no collector", "collector-add", {}),
        refused("an empty collector", "collector-add", collector()),
        refused("a collector without address", "collector-add", collector(port=2055)),
        refused("a collector that is no nest", "collector-add", {"collector": bytes(4)}),
        refused("an address of 3 bytes", "collector-add", collector(bytes(3))),
        refused("an address of 5 bytes", "collector-add", collector(bytes([10, 0, 0, 1, 1]))),
        refused("an address of 17 bytes", "collector-add", collector(bytes(17))),
        refused("no IPv6 address", "collector-add", collector("::", port=2055)),
        refused("an IPv4 address as one of IPv6", "collector-add", collector("::ffff:10.0.0.1")),
        refused("a multicast group of IPv6", "collector-add", collector("ff02::1", device="lo")),
        refused("a link-local address without device", "collector-add", collector("fe80::1")),
        refused("removal of one without device", "collector-del", collector("fe80::1")),
        refused("a source of IPv6 to IPv4", "collector-add", collector(HOST, source="::1")),
        refused("a source of IPv4 to IPv6", "collector-add", collector("::1", source="127.0.0.1")),
        refused("a source of 3 bytes", "collector-add", collector(HOST, source=bytes(3))),
        refused("port 0", "collector-add", collector(HOST, port=0)),
        refused("a port of one byte", "collector-add", collector(HOST, port=b"\1")),
        refused("a collector in 0.0.0.0/8", "collector-add", collector("0.255.255.255")),
        refused("the first multicast group", "collector-add", collector("224.0.0.0")),
        refused("the last multicast group", "collector-add", collector("239.255.255.255")),
        refused("a collector in 240.0.0.0/4", "collector-add", collector("240.0.0.0")),
        refused("the broadcast address", "collector-add", collector("255.255.255.255")),
        refused("removal without address", "collector-del", collector(port=2055)),
        refused("a dump of the state", "info-get", {}, dump=True),
        refused("flows without dump", "flow-get", {}),
        refused("enable as a dump", "enable", {}, dump=True),
        *(
            refused(f"an unknown attribute of {name}", name, STRAY, UNKNOWN, name in DUMPS)
            for name in (
                "info-get",
                "flow-get",
                "iface-get",
                "enable",
                "set",
                "iface-set",
                "disable",
                "flush",
                "collector-add",
                "collector-del",
            )
        ),
        refused("an unknown setting", "set", {"config": STRAY}, UNKNOWN),
        refused(
            "an unknown attribute beside a collector",
            "collector-add",
            {**collector(HOST), **STRAY},
            UNKNOWN,
        ),
        refused(
            "an unknown attribute of a new collector",
            "collector-add",
            {"collector": {"address": HOST, **STRAY}},
            UNKNOWN,
        ),
        refused(
            "an unknown attribute of a collector to remove",
            "collector-del",
            {"collector": {"address": HOST, **STRAY}},
            UNKNOWN,
        ),
        refused(
            "an unknown attribute beside an interface",
            "iface-set",
            {"name": "lo", "number": 1, **STRAY},
            UNKNOWN,
        ),
    ]
)
def is_refused(control, operation, request, text, dump):
    before = state(control)
    with ksft_raises(NlError) as raised:
        control.dump(operation, request) if dump else control.do(operation, request)
    check_text(raised.exception, text)
    ksft_eq(state(control), before, "nothing has changed")


def check_text(error, text=""):
    """The kernel itself has no text for an operation that a family does not have."""
    ksft_not_none(error)
    if error and error.error != errno.EOPNOTSUPP:
        said = (error.nl_msg.extack or {}).get("msg")
        ksft_true(said, f"a text: {error}")
        ksft_in(text, said or "")


def every_operation_was_tried_with_an_unknown_attribute(control):
    tried = {variant.params[0] for variant in is_refused.variants if variant.params[1] == STRAY}
    ksft_eq(tried, set(control.ops))


@ksft_variants(
    [
        KsftNamedVariant("an unknown command", 200, b"", True),
        KsftNamedVariant("an attribute that exceeds the message", 0, bytes([64, 0, 2, 0]), True),
        KsftNamedVariant("an attribute shorter than its header", 0, bytes([3, 0, 2, 0] * 2), True),
        KsftNamedVariant("bytes after the attributes", 0, b"\1\2", True),
        KsftNamedVariant("a message without generic netlink header", 0, b"", False),
    ]
)
def message_is_refused(control, command, payload, generic_header):
    before = state(control)
    with ksft_raises(NlError) as raised:
        control.send_raw(command or control.ops["enable"].req_value, payload, generic_header)
    if generic_header:
        check_text(raised.exception)
    ksft_eq(state(control), before, "nothing has changed")


CASES = [
    reply_is_complete,
    policy_is_that_of_the_specification,
    enable_takes_all_settings,
    set_changes_what_is_given,
    iface_set_changes_a_number,
    collectors_are_added_and_removed,
    flow_is_complete,
    flush_exports_the_flows,
    undisturbed_dump_is_consistent,
    dump_across_two_caches_is_marked,
    is_refused,
    every_operation_was_tried_with_an_unknown_attribute,
    message_is_refused,
]


def main():
    with NetNS() as namespace:
        ip("link set lo up", ns=namespace)
        with NetNSEnter(str(namespace)), Control() as control:
            ksft_run(CASES, args=(control,))
    ksft_exit()


if __name__ == "__main__":
    main()
