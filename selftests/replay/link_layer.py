# SPDX-License-Identifier: GPL-2.0
"""Where in a captured frame the IPv4 packet begins."""

# Link types (https://www.tcpdump.org/linktypes.html).
NULL, ETHERNET, PPP, PPP_HDLC, PPP_ETHER, ATM_RFC1483, C_HDLC = 0, 1, 9, 50, 51, 100, 104
FRELAY, LOOP, SLL, PPP_WITH_DIRECTION, IPV4, SLL2 = 107, 108, 113, 204, 228, 276
RAW = (12, 14, 101)

ETHERTYPE_IPV4 = b"\x08\x00"
# One more EtherType follows; by the names that tshark has for them.
TAGS = {b"\x81\x00": "vlan", b"\x91\x00": "vlan", b"\x88\xa8": "ieee8021ad"}
ETHERTYPE_PPPOE = b"\x88\x64"
PPP_ALL_STATIONS = b"\xff\x03"
PPP_IPV4 = (b"\x00\x21", b"\x21")
FAMILY_INET = (b"\x02\0\0\0", b"\0\0\0\x02")
SNAP_IPV4 = b"\xaa\xaa\x03\0\0\0" + ETHERTYPE_IPV4
# Types of device whose cooked captures have something else in the place of the EtherType.
ARPHRD_IPGRE, ARPHRD_NETLINK = b"\x03\x0a", b"\x03\x38"


def locate(link, frame):
    """(offset, layers) of the IPv4 packet in a frame: the layers down to it as tshark names
    them. None if there is none, or if no IPv4 router would take it from there."""
    if link == ETHERNET:
        return after_ethertype(frame, 12, "eth")
    if link == SLL and frame[2:4] != ARPHRD_NETLINK:
        if frame[2:4] == ARPHRD_IPGRE:
            return (16, "sll:ip") if frame[14:16] == ETHERTYPE_IPV4 else None
        return after_ethertype(frame, 14, "sll")
    if (
        link == SLL2
        and frame[:2] == ETHERTYPE_IPV4
        and frame[8:10] not in (ARPHRD_IPGRE, ARPHRD_NETLINK)
    ):
        return 20, "sll:ethertype:ip"
    if link in RAW and frame and frame[0] >> 4 == 4:
        return 0, "raw:ip"
    if link == IPV4:
        return 0, "ip"
    if link == NULL and frame[:4] in FAMILY_INET or link == LOOP and frame[:4] == FAMILY_INET[1]:
        return 4, "null:ip"
    if link in (PPP, PPP_HDLC):
        return after_ppp(frame, 0, "ppp")
    if link == PPP_WITH_DIRECTION:
        return after_ppp(frame, 1, "ppp")
    if link == PPP_ETHER:
        return after_ppp(frame, 6, "pppoes:ppp")
    if link == C_HDLC and frame[2:4] == ETHERTYPE_IPV4:
        return 4, "chdlc:ip"
    if link == FRELAY and frame[2:4] == b"\x03\xcc":
        return 4, "fr:ip"
    if link == ATM_RFC1483 and frame[:8] == SNAP_IPV4:
        return 8, "llc:ip"
    return None


def after_ethertype(frame, at, layers):
    """Goes on from the EtherType at `at`."""
    while (ethertype := frame[at : at + 2]) in TAGS:
        layers += f":ethertype:{TAGS[ethertype]}"
        at += 4
    if ethertype == ETHERTYPE_IPV4:
        return at + 2, f"{layers}:ethertype:ip"
    if ethertype == ETHERTYPE_PPPOE:
        return after_ppp(frame, at + 8, f"{layers}:ethertype:pppoes:ppp")
    return None


def after_ppp(frame, at, layers):
    """Goes on from PPP's address and control, if they are there, or its protocol."""
    if frame[at : at + 2] == PPP_ALL_STATIONS:
        at += 2
    for protocol in PPP_IPV4:
        if frame.startswith(protocol, at):
            return at + len(protocol), f"{layers}:ip"
    return None
