# SPDX-License-Identifier: GPL-2.0
"""Where in a captured frame the IP packet begins."""

# Link types (https://www.tcpdump.org/linktypes.html).
NULL, ETHERNET, PPP, PPP_HDLC, PPP_ETHER, ATM_RFC1483, C_HDLC = 0, 1, 9, 50, 51, 100, 104
FRELAY, LOOP, SLL, PPP_WITH_DIRECTION, IPV4, IPV6, SLL2 = 107, 108, 113, 204, 228, 229, 276
RAW = (12, 14, 101)

# Each of these is followed by the packet; by the names that tshark has for what follows.
ETHERTYPES = {b"\x08\x00": "ip", b"\x86\xdd": "ipv6"}
PPP_PROTOCOLS = {b"\x00\x21": "ip", b"\x21": "ip", b"\x00\x57": "ipv6", b"\x57": "ipv6"}
NLPIDS = {b"\xcc": "ip", b"\x8e": "ipv6"}
VERSIONS = {4: "ip", 6: "ipv6"}
# All systems, NetBSD and OpenBSD, FreeBSD, Darwin.
FAMILIES = {2: "ip", 24: "ipv6", 28: "ipv6", 30: "ipv6"}
# Of NULL, some put an EtherType there.
NULL_FAMILIES = {**FAMILIES, 0x0800: "ip", 0x86DD: "ipv6"}

# One more EtherType follows.
TAGS = {b"\x81\x00": "vlan", b"\x91\x00": "vlan", b"\x88\xa8": "ieee8021ad"}
ETHERTYPE_PPPOE = b"\x88\x64"
PPP_ALL_STATIONS = b"\xff\x03"
SNAP = b"\xaa\xaa\x03\0\0\0"
# Types of device whose cooked captures have something else in the place of the EtherType.
ARPHRD_GRE = (b"\x03\x0a", b"\x03\x37")
ARPHRD_OTHERS = (*ARPHRD_GRE, b"\x03\x38")  # netlink


def locate(link, frame):
    """(offset, layers) of the IP packet in a frame: the layers down to it as tshark names
    them. None if there is none, or if no router would take it from there."""
    if link == ETHERNET:
        return after_ethertype(frame, 12, "eth")
    if link == SLL and frame[2:4] not in ARPHRD_OTHERS:
        return after_ethertype(frame, 14, "sll")
    if link == SLL2 and frame[8:10] not in ARPHRD_OTHERS:
        return packet(ETHERTYPES.get(frame[:2]), 20, "sll:ethertype")
    if link in (PPP, PPP_HDLC):
        return after_ppp(frame, 0, "ppp")
    if link == PPP_WITH_DIRECTION:
        return after_ppp(frame, 1, "ppp")
    if link == PPP_ETHER:
        return after_ppp(frame, 6, "pppoes:ppp")
    if link == SLL and frame[2:4] in ARPHRD_GRE:
        return packet(ETHERTYPES.get(frame[14:16]), 16, "sll")
    if link == SLL2 and frame[8:10] in ARPHRD_GRE:
        return packet(ETHERTYPES.get(frame[:2]), 20, "sll")
    if link in RAW and frame:
        return packet(VERSIONS.get(frame[0] >> 4), 0, "raw")
    if link in (IPV4, IPV6):
        return 0, "ip" if link == IPV4 else "ipv6"
    if link in (NULL, LOOP) and len(frame) >= 4:
        return packet(of_family(link, frame[:4]), 4, "null")
    if link == C_HDLC:
        return packet(ETHERTYPES.get(frame[2:4]), 4, "chdlc")
    if link == FRELAY and frame[2:3] == b"\x03":
        return packet(NLPIDS.get(frame[3:4]), 4, "fr")
    if link == ATM_RFC1483 and frame.startswith(SNAP):
        return packet(ETHERTYPES.get(frame[6:8]), 8, "llc")
    return None


def packet(layer, at, layers):
    """The packet at `at`, if that is the layer of one."""
    return (at, f"{layers}:{layer}") if layer else None


def of_family(link, word):
    """What the address family in front of a packet says; of NULL, in either byte order."""
    if link == LOOP:
        return FAMILIES.get(int.from_bytes(word, "big"))
    numbers = (int.from_bytes(word, order) for order in ("big", "little"))
    return next((NULL_FAMILIES[number] for number in numbers if number in NULL_FAMILIES), None)


def after_ethertype(frame, at, layers):
    """Goes on from the EtherType at `at`."""
    while (ethertype := frame[at : at + 2]) in TAGS:
        layers += f":ethertype:{TAGS[ethertype]}"
        at += 4
    if ethertype == ETHERTYPE_PPPOE:
        return after_ppp(frame, at + 8, f"{layers}:ethertype:pppoes:ppp")
    return packet(ETHERTYPES.get(ethertype), at + 2, f"{layers}:ethertype")


def after_ppp(frame, at, layers):
    """Goes on from PPP's address and control, if they are there, or its protocol."""
    if frame[at : at + 2] == PPP_ALL_STATIONS:
        at += 2
    for protocol, layer in PPP_PROTOCOLS.items():
        if frame.startswith(protocol, at):
            return packet(layer, at + len(protocol), layers)
    return None
