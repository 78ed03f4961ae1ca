// SPDX-License-Identifier: GPL-2.0-only

//! How long a dump of a million flows takes, from datagrams to text: `cargo bench`.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../tests/support/mod.rs"]
mod support;

use netflowctl::{
    client::Client,
    names::Names,
    netlink::Transport,
    output::{
        flows,
        json, //
    }, //
};
use std::{
    io,
    time::Instant, //
};
use support::{
    done,
    family,
    FlowBytes,
    FIRST,
    TCP_FLOW, //
};

const FLOWS: usize = 1_000_000;

/// What the kernel puts into one datagram of a dump.
const DATAGRAM_LEN: usize = 32 * 1024;

/// A kernel that tells the same datagrams over and over.
struct Dump {
    datagrams: Vec<(usize, Vec<u8>)>,
    next: usize,
    left: usize,
    started: bool,
}

impl Dump {
    fn new() -> Self {
        let mut number = 0;
        let datagrams = (0..64).map(|_| {
            let (mut count, mut bytes) = (0, Vec::new());
            while bytes.len() < DATAGRAM_LEN - 200 {
                bytes.extend(flow(number).message(FIRST));
                number += 1;
                count += 1;
            }
            (count, bytes)
        });
        Self {
            datagrams: datagrams.collect(),
            next: 0,
            left: FLOWS,
            started: false,
        }
    }
}

fn flow(number: u32) -> FlowBytes {
    let [a, b, c, d] = number.wrapping_mul(0x9e37_79b9).to_be_bytes();
    FlowBytes {
        src_addr: [a, b, c, d],
        dst_addr: [d, c, b, a],
        next_hop: [a, b, c, 1],
        interfaces: (u32::from(a % 8) + 1, u32::from(b % 8) + 1),
        packets: u64::from(number),
        bytes: u64::from(number) * 1000,
        ports: (u16::from(a) * 200, u16::from(b) * 200),
        proto: [6, 17, 1][usize::from(c % 3)],
        ..TCP_FLOW
    }
}

impl Transport for Dump {
    fn send(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn receive(&mut self, datagram: &mut Vec<u8>) -> io::Result<()> {
        datagram.clear();
        if !self.started {
            self.started = true;
            datagram.extend(family());
        } else if self.left == 0 {
            datagram.extend(done(FIRST));
        } else {
            let (count, bytes) = &self.datagrams[self.next];
            datagram.extend(bytes);
            self.left = self.left.saturating_sub(*count);
            self.next = (self.next + 1) % self.datagrams.len();
        }
        Ok(())
    }
}

fn measure(what: &str, run: impl FnOnce(&mut Client<Dump>)) {
    let mut client = Client::new(Dump::new()).unwrap();
    let start = Instant::now();
    run(&mut client);
    println!("{FLOWS} flows, {what}: {} ms", start.elapsed().as_millis());
}

fn main() {
    measure("decoded", |client| {
        let dump = client.flows().unwrap();
        let bytes: u64 = dump.map(|flow| flow.unwrap().bytes).sum();
        assert!(bytes > 0);
    });
    measure("as JSON", |client| {
        let dump = client.flows().unwrap();
        json::flows(&mut io::sink(), json::Layout::Compact, dump).unwrap();
    });
    measure("as a table", |client| {
        let mut names = Names::of_system();
        let dump = client.flows().unwrap();
        flows::print(&mut io::sink(), dump, 200_000, false, &mut names).unwrap();
    });
    measure("as a table of numbers", |client| {
        let mut names = Names::numeric();
        let dump = client.flows().unwrap();
        flows::print(&mut io::sink(), dump, 200_000, true, &mut names).unwrap();
    });
}
