// SPDX-License-Identifier: GPL-2.0-only

//! A kernel that says what a test has written down.
//!
//! Its messages are put together here from the layouts in linux/netlink.h and linux/genetlink.h
//! and with the numbers of the specification, not by the code that is tested.

// Each test uses some of it.
#![allow(dead_code)]
#![allow(clippy::unwrap_used, missing_docs)]

pub mod model;
pub mod run;

use netflowctl::{
    netlink::Transport,
    settings::{
        Config,
        Value, //
    },
    uapi::SETTINGS, //
};
use std::{
    cell::RefCell,
    collections::VecDeque,
    io,
    rc::Rc, //
};

/// Number that the made-up kernel gives the family.
pub const FAMILY: u16 = 0x1f;

pub const NLMSG_NOOP: u16 = 1;
pub const NLMSG_ERROR: u16 = 2;
pub const NLMSG_DONE: u16 = 3;

pub const NLM_F_MULTI: u16 = 0x02;
pub const NLM_F_DUMP_INTR: u16 = 0x10;
pub const NLM_F_CAPPED: u16 = 0x100;
pub const NLM_F_ACK_TLVS: u16 = 0x200;

/// Sequence number of the first request after the one that finds the family.
pub const FIRST: u32 = 2;

/// A transport with the datagrams that it will deliver.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    answers: Rc<RefCell<VecDeque<Vec<u8>>>>,
    sent: Rc<RefCell<Vec<Vec<u8>>>>,
}

impl Kernel {
    /// One that knows no family.
    pub fn new(answers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let kernel = Self::default();
        kernel.answers.borrow_mut().extend(answers);
        kernel
    }

    /// One that first tells the number of the family.
    pub fn with_family(answers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let kernel = Self::new([family()]);
        kernel.answers.borrow_mut().extend(answers);
        kernel
    }

    /// What it was sent after the request that finds the family.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        self.sent.borrow()[1..].to_vec()
    }

    /// Whether all that it had to say was read.
    pub fn exhausted(&self) -> bool {
        self.answers.borrow().is_empty()
    }
}

impl Transport for Kernel {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.sent.borrow_mut().push(message.to_vec());
        Ok(())
    }

    fn receive(&mut self, datagram: &mut Vec<u8>) -> io::Result<()> {
        match self.answers.borrow_mut().pop_front() {
            Some(answer) => *datagram = answer,
            None => return Err(io::Error::other("would wait for ever")),
        }
        Ok(())
    }
}

/// struct nlmsghdr { u32 len; u16 type; u16 flags; u32 seq; u32 pid; } and a payload.
pub fn nlmsg(kind: u16, flags: u16, seq: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (16 + payload.len() as u32).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(seq.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// struct genlmsghdr { u8 cmd; u8 version; u16 reserved; } and attributes, as a reply.
pub fn reply(flags: u16, seq: u32, cmd: u8, attributes: &[u8]) -> Vec<u8> {
    let payload = [&[cmd, 1, 0, 0], attributes].concat();
    nlmsg(FAMILY, flags, seq, &payload)
}

/// struct nlattr { u16 len; u16 type; }, a value, padding to 4 bytes.
pub fn nla(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

pub fn nla_u8(kind: u16, value: u8) -> Vec<u8> {
    nla(kind, &[value])
}

pub fn nla_u16(kind: u16, value: u16) -> Vec<u8> {
    nla(kind, &value.to_ne_bytes())
}

pub fn nla_u32(kind: u16, value: u32) -> Vec<u8> {
    nla(kind, &value.to_ne_bytes())
}

/// As the kernel's nla_put_uint() does: 4 bytes if they are enough.
pub fn nla_uint(kind: u16, value: u64) -> Vec<u8> {
    match u32::try_from(value) {
        Ok(small) => nla_u32(kind, small),
        Err(_) => nla(kind, &value.to_ne_bytes()),
    }
}

pub fn nest(kind: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    nla(kind | 0x8000, &attributes.concat())
}

/// NLMSG_ERROR: error number, the header of the request, the extended acknowledgement.
pub fn error(seq: u32, errno: i32, acknowledgement: &[u8]) -> Vec<u8> {
    let mut payload = (-errno).to_ne_bytes().to_vec();
    payload.extend(nlmsg(FAMILY, 5, seq, &[]));
    payload.extend(acknowledgement);
    let flags = match acknowledgement.is_empty() {
        true => NLM_F_CAPPED,
        false => NLM_F_CAPPED | NLM_F_ACK_TLVS,
    };
    nlmsg(NLMSG_ERROR, flags, seq, &payload)
}

pub fn ack(seq: u32) -> Vec<u8> {
    error(seq, 0, &[])
}

pub fn done(seq: u32) -> Vec<u8> {
    nlmsg(NLMSG_DONE, NLM_F_MULTI, seq, &0i32.to_ne_bytes())
}

/// The reply to a flush, which is that number, and the acknowledgement.
pub fn flush_begun(seq: u32, number: u64) -> Vec<u8> {
    [reply(0, seq, 7, &nla_uint(12, number)), ack(seq)].concat()
}

/// A text of the extended acknowledgement, NLMSGERR_ATTR_MSG.
pub fn text(text: &str) -> Vec<u8> {
    nla(1, &[text.as_bytes(), &[0]].concat())
}

/// The answer of the controller: CTRL_CMD_NEWFAMILY with CTRL_ATTR_FAMILY_NAME, _ID, _VERSION,
/// and what follows an acknowledgement that was asked for.
pub fn family() -> Vec<u8> {
    let attributes = [nla(2, b"netflow\0"), nla_u16(1, FAMILY), nla_u32(3, 1)].concat();
    let payload = [&[1, 2, 0, 0], attributes.as_slice()].concat();
    [nlmsg(0x10, 0, 1, &payload), ack(1)].concat()
}

/// What there is to say about a flow, as the kernel says it.
#[derive(Clone, Copy)]
pub struct FlowBytes {
    pub src_addr: [u8; 4],
    pub dst_addr: [u8; 4],
    pub next_hop: [u8; 4],
    pub interfaces: (u32, u32),
    pub packets: u64,
    pub bytes: u64,
    pub times: (u32, u32),
    pub ports: (u16, u16),
    pub tcp_flags: u8,
    pub proto: u8,
    pub tos: u8,
    pub masks: (u8, u8),
}

/// A flow of TCP with a different value in each field.
pub const TCP_FLOW: FlowBytes = FlowBytes {
    src_addr: [10, 0, 0, 1],
    dst_addr: [192, 168, 200, 254],
    next_hop: [10, 9, 9, 9],
    interfaces: (1, 3),
    packets: 12,
    bytes: 5_000_000_000,
    times: (100_000, 102_500),
    ports: (40312, 443),
    tcp_flags: 0x1b,
    proto: 6,
    tos: 0x10,
    masks: (8, 24),
};

impl FlowBytes {
    /// The attributes in the order of the specification.
    pub fn attributes(&self) -> Vec<u8> {
        [
            nla(1, &self.src_addr),
            nla(2, &self.dst_addr),
            nla(3, &self.next_hop),
            nla_u32(4, self.interfaces.0),
            nla_u32(5, self.interfaces.1),
            nla_uint(6, self.packets),
            nla_uint(7, self.bytes),
            nla_u32(8, self.times.0),
            nla_u32(9, self.times.1),
            nla_u16(10, self.ports.0),
            nla_u16(11, self.ports.1),
            nla_u8(12, self.tcp_flags),
            nla_u8(13, self.proto),
            nla_u8(14, self.tos),
            nla_u8(15, self.masks.0),
            nla_u8(16, self.masks.1),
        ]
        .concat()
    }

    /// The message of a dump that tells it.
    pub fn message(&self, seq: u32) -> Vec<u8> {
        reply(NLM_F_MULTI, seq, 2, &self.attributes())
    }
}

/// An account whose parts are distinct, beginning with `base`.
fn account(kind: u16, base: u64) -> Vec<u8> {
    let parts: Vec<_> = (1..=14).map(|n| nla_uint(n, base + u64::from(n))).collect();
    nest(kind, &parts)
}

/// State of an exporter with one collector, no setting at its default, and another number for the
/// loopback.
pub fn info_attributes() -> Vec<u8> {
    let config = [
        nla_u32(1, 65536),
        nla_u32(2, 1800),
        nla_u32(3, 15),
        nla_u32(4, 1),
        nla_u32(5, 0b1001),
        nla_u32(6, 1),
        nla_u8(7, 1),
        nla_u8(8, 3),
        nla_u8(9, 200),
        nla_u32(10, 1400),
        nla_u32(11, 77_000_001),
        nla_u32(12, 300),
        nla_u32(13, 1000),
    ];
    let expired: Vec<_> = (1..=6).map(|n| nla_uint(n, 300 + u64::from(n))).collect();
    let collector = [
        nla(1, &[192, 0, 2, 10]),
        nla_u16(2, 2055),
        nla_uint(3, 41),
        nla_uint(4, 1230),
        nla_uint(5, 2),
        nla(6, &[198, 51, 100, 1]),
        nla(7, b"mgmt\0"),
        nla_u32(8, 19),
        nla_u32(9, 2),
        nla_u32(10, 4_000_000_001),
        nla_uint(11, 6),
    ];
    let nat_counts = (1..=7).map(|n| nla_uint(n, 400 + u64::from(n)));
    let nat: Vec<_> = nat_counts.chain([nla_u32(8, 93)]).collect();
    [
        nla_u8(1, 1),
        nest(2, &config),
        nla_u32(3, 77),
        nla_uint(4, 5_000_000_123),
        account(5, 100),
        account(6, 6_000_000_000),
        nest(7, &expired),
        nest(8, &collector),
        nla_u32(9, 123_456),
        nla_u32(10, 991),
        nla_u8(11, 1),
        nla_uint(12, 8_000_000_002),
        nla_uint(13, 8_000_000_001),
        nla_u8(14, 1),
        nla_u32(15, 12),
        nla(16, b"no room\0"),
        nest(
            17,
            &[
                nla_uint(1, 5_000_000_001),
                account(2, 1_000),
                account(3, 1_000_000),
            ],
        ),
        nest(
            18,
            &[
                nla_uint(1, 5_000_000_002),
                account(2, 2_000),
                account(3, 2_000_000),
            ],
        ),
        nest(19, &nat),
    ]
    .concat()
}

/// The reply that tells this state, and its acknowledgement.
pub fn info(seq: u32) -> Vec<u8> {
    [reply(0, seq, 1, &info_attributes()), ack(seq)].concat()
}

/// Settings by their names.
pub fn config(values: &[(&str, u64)]) -> Config {
    let value = |&(name, raw): &(&str, u64)| {
        let setting = SETTINGS.iter().find(|setting| setting.name == name);
        let setting = setting.unwrap();
        Value { setting, raw }
    };
    values.iter().map(value).collect()
}

/// The number of the operation `iface-get`, and the answers to it: the loopback has a number.
pub const IFACE_GET: u8 = 10;

pub fn ifaces(seq: u32) -> Vec<u8> {
    let attributes = [nla(1, b"lo\0"), nla_u32(2, 70_000)].concat();
    let iface = reply(NLM_F_MULTI, seq, IFACE_GET, &attributes);
    [iface, done(seq)].concat()
}

/// The answers to who asks for the whole state, in this order.
pub fn state(seq: u32) -> Vec<Vec<u8>> {
    vec![info(seq), ifaces(seq + 1)]
}
