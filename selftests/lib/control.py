# SPDX-License-Identifier: GPL-2.0
"""The control interface, as the kernel's own client of netlink specifications (YNL) uses it.

It reads our specification. KSRC names the kernel's source, where it is from.
"""

import os
import pathlib
import struct
import sys
import time

sys.path.append(os.environ["KSRC"] + "/tools/testing/selftests")
# pylint: disable=wrong-import-position
from net.lib.py import Netlink, NlError, YnlFamily
from net.ynl.pyynl.lib import YnlException
from net.ynl.pyynl.lib.ynl import NlMsg, NlMsgs

SPEC = pathlib.Path(__file__).parents[2] / "Documentation/netlink/specs/netflow.yaml"
NLM_F_DUMP_INTR = 0x10


class Control(YnlFamily):
    """A client in the namespace that it is made in.

    It can also send what the specification does not allow: an attribute's value that is bytes
    goes into the message as it is, and a name that is a number is the attribute's.
    """

    def __init__(self):
        super().__init__(SPEC.as_posix(), schema="")
        self.meanwhile = None
        self.interrupted = False

    def dump_flows(self, meanwhile=None):
        """The flows, and whether a message marks the dump as inconsistent. `meanwhile` is
        called when the first messages have come."""
        self.meanwhile, self.interrupted = meanwhile, False
        return self.flow_get({}, dump=True), self.interrupted

    def enable_all(self, settings=None):
        """Returns when packets are accounted."""
        self.enable({"config": settings} if settings else {})
        while self.info_get({})["enabling"]:
            time.sleep(0.001)
        info = self.info_get({})
        if not info["enabled"]:
            raise RuntimeError(info["enable-error-text"])

    def flush_all(self):
        """Returns when all flows are exported."""
        number = self.flush({})["flushes-requested"]
        while self.info_get({})["flushes-done"] < number:
            time.sleep(0.001)

    def disable_all(self):
        """Returns when all flows are exported of the exporter that was enabled."""
        self.disable({})
        while self.info_get({})["disabling"]:
            time.sleep(0.001)

    def send_raw(self, command, payload, generic_header=True):
        """Sends a message whose payload no encoder has made. Raises NlError if it is refused."""
        if generic_header:
            payload = struct.pack("=BBH", command, 1, 0) + payload
        flags = Netlink.NLM_F_REQUEST | Netlink.NLM_F_ACK
        header = struct.pack("=IHHII", 16 + len(payload), self.nlproto.family_id, flags, 1, 0)
        self.sock.send(header + payload)
        message = NlMsg(self._recvmsg()[0], 0)
        if message.error:
            raise NlError(message)

    def _add_attr(self, space, name, value, search_attrs):
        if isinstance(value, bytes):
            number = name if isinstance(name, int) else self.attr_sets[space][name].value
            return self._add_attr_raw(number, value)
        return super()._add_attr(space, name, value, search_attrs)

    def _decode_extack(self, request, op, extack, vals):
        try:
            super()._decode_extack(request, op, extack, vals)
        except YnlException:
            pass  # The specification has no name for the attribute that is refused.

    def _recvmsg(self, flags=0):
        reply, ancillary = super()._recvmsg(flags)
        self.interrupted |= any(message.nl_flags & NLM_F_DUMP_INTR for message in NlMsgs(reply))
        if self.meanwhile:
            self.meanwhile()
            self.meanwhile = None
        return reply, ancillary
