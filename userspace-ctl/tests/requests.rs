// SPDX-License-Identifier: GPL-2.0-only

//! The bytes of requests.

#![cfg(target_endian = "little")]
#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod support;

use netflowctl::{
    address,
    client::Client,
    protocol::Protocol, //
};
use support::*;

fn client(kernel: &Kernel) -> Client<Kernel> {
    Client::new(kernel.clone()).unwrap()
}

#[test]
fn requests_are_those_of_the_specification() {
    let kernel = Kernel::with_family((FIRST..FIRST + 7).map(|seq| match seq - FIRST {
        3 => flush_begun(seq, 9),
        _ => ack(seq),
    }));
    let mut client = client(&kernel);
    client
        .enable(&config(&[("max-flows", 262_144), ("inactive-timeout", 15)]))
        .unwrap();
    client.enable(&config(&[])).unwrap();
    client.disable().unwrap();
    assert_eq!(client.flush().unwrap(), 9);
    client
        .collector_add(
            &address::parse("192.0.2.10").unwrap(),
            Protocol::from_number(2),
            None,
            None,
        )
        .unwrap();
    client
        .collector_del(&address::parse("[2001:db8::1]:9995").unwrap())
        .unwrap();
    client
        .collector_add(
            &address::parse("192.0.2.10:2056").unwrap(),
            Protocol::DEFAULT,
            Some("198.51.100.1".parse().unwrap()),
            Some("mgmt"),
        )
        .unwrap();

    #[rustfmt::skip]
    let expected = [
        &[
            40, 0, 0, 0, 0x1f, 0, 5, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 1, 0, 0,
            20, 0, 2, 0x80,
            8, 0, 1, 0, 0, 0, 4, 0,
            8, 0, 3, 0, 15, 0, 0, 0,
        ][..],
        &[
            24, 0, 0, 0, 0x1f, 0, 5, 0, 3, 0, 0, 0, 0, 0, 0, 0, 3, 1, 0, 0,
            4, 0, 2, 0x80,
        ],
        &[20, 0, 0, 0, 0x1f, 0, 5, 0, 4, 0, 0, 0, 0, 0, 0, 0, 6, 1, 0, 0],
        &[20, 0, 0, 0, 0x1f, 0, 5, 0, 5, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0, 0],
        &[
            40, 0, 0, 0, 0x1f, 0, 5, 0, 6, 0, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0,
            20, 0, 8, 0x80,
            8, 0, 1, 0, 192, 0, 2, 10,
            8, 0, 9, 0, 2, 0, 0, 0,
        ],
        &[
            52, 0, 0, 0, 0x1f, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 1, 0, 0,
            32, 0, 8, 0x80,
            20, 0, 1, 0, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
            6, 0, 2, 0, 0x0b, 0x27, 0, 0,
        ],
        &[
            60, 0, 0, 0, 0x1f, 0, 5, 0, 8, 0, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0,
            40, 0, 8, 0x80,
            8, 0, 1, 0, 192, 0, 2, 10,
            6, 0, 2, 0, 0x08, 0x08, 0, 0,
            8, 0, 6, 0, 198, 51, 100, 1,
            9, 0, 7, 0, b'm', b'g', b'm', b't', 0, 0, 0, 0,
        ],
    ];
    assert_eq!(kernel.requests(), expected);
}

#[test]
fn the_scope_of_an_address_is_a_device() {
    let kernel = Kernel::with_family((FIRST..FIRST + 2).map(ack));
    let mut client = client(&kernel);
    let to = address::parse("[fe80::1%eth0]:9995").unwrap();
    client
        .collector_add(&to, Protocol::DEFAULT, None, None)
        .unwrap();
    client.collector_del(&to).unwrap();
    #[rustfmt::skip]
    let attributes = [
        44, 0, 8, 0x80,
        20, 0, 1, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
        6, 0, 2, 0, 0x0b, 0x27, 0, 0,
        9, 0, 7, 0, b'e', b't', b'h', b'0', 0, 0, 0, 0,
    ];
    for (request, command) in kernel.requests().iter().zip([8, 9]) {
        assert_eq!(request[16..18], [command, 1]);
        assert_eq!(request[20..], attributes);
    }
}

#[test]
fn every_setting_has_its_attribute() {
    let kernel = Kernel::with_family((FIRST..FIRST + 3).map(ack));
    let mut client = client(&kernel);
    let settings = [
        ("max-flows", 1),
        ("active-timeout", 60),
        ("inactive-timeout", 5),
        ("expiry", 1),
        ("observe", 0b1_1000),
        ("engine-type", 8),
        ("engine-id", 255),
        ("icmp-ports", 1),
        ("count-own", 1),
    ];
    client.set(&config(&settings)).unwrap();
    client.iface_set("eth0", 70_000).unwrap();
    client.iface_del("a-long-name-123").unwrap();

    #[rustfmt::skip]
    let expected = [
        &[
            96, 0, 0, 0, 0x1f, 0, 5, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0,
            76, 0, 2, 0x80,
            8, 0, 1, 0, 1, 0, 0, 0,
            8, 0, 2, 0, 60, 0, 0, 0,
            8, 0, 3, 0, 5, 0, 0, 0,
            8, 0, 4, 0, 1, 0, 0, 0,
            8, 0, 5, 0, 0x18, 0, 0, 0,
            8, 0, 6, 0, 1, 0, 0, 0,
            5, 0, 7, 0, 1, 0, 0, 0,
            5, 0, 8, 0, 8, 0, 0, 0,
            5, 0, 9, 0, 255, 0, 0, 0,
        ][..],
        &[
            40, 0, 0, 0, 0x1f, 0, 5, 0, 3, 0, 0, 0, 0, 0, 0, 0, 5, 1, 0, 0,
            9, 0, 1, 0, b'e', b't', b'h', b'0', 0, 0, 0, 0,
            8, 0, 2, 0, 0x70, 0x11, 1, 0,
        ],
        &[
            48, 0, 0, 0, 0x1f, 0, 5, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 1, 0, 0,
            20, 0, 1, 0, b'a', b'-', b'l', b'o', b'n', b'g', b'-', b'n', b'a', b'm', b'e', b'-',
            b'1', b'2', b'3', 0,
            8, 0, 2, 0, 0, 0, 0, 0,
        ],
    ];
    assert_eq!(kernel.requests(), expected);
}

#[test]
fn a_dump_is_asked_for_as_one() {
    let kernel = Kernel::with_family([done(FIRST)]);
    client(&kernel).flows().unwrap().for_each(drop);
    let expected = [
        20, 0, 0, 0, 0x1f, 0, 1, 3, 2, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0,
    ];
    assert_eq!(kernel.requests(), [expected]);
}
