// SPDX-License-Identifier: GPL-2.0-only

//! The bytes of requests.

#![cfg(target_endian = "little")]
#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod support;

use netflowctl::{
    client::Client,
    settings::Settings,
    values::{
        Expiry,
        IcmpPorts,
        Observe, //
    }, //
};
use support::*;

fn client(kernel: &Kernel) -> Client<Kernel> {
    Client::new(kernel.clone()).unwrap()
}

#[test]
fn requests_are_those_of_the_specification() {
    let kernel = Kernel::with_family((FIRST..FIRST + 6).map(ack));
    let mut client = client(&kernel);
    let settings = Settings {
        max_flows: Some(262_144),
        inactive_timeout: Some(15),
        ..Settings::default()
    };
    client.enable(&settings).unwrap();
    client.enable(&Settings::default()).unwrap();
    client.disable().unwrap();
    client.flush().unwrap();
    client
        .collector_add("192.0.2.10:2055".parse().unwrap())
        .unwrap();
    client
        .collector_del("[2001:db8::1]:9995".parse().unwrap())
        .unwrap();

    #[rustfmt::skip]
    let expected = [
        &[
            36, 0, 0, 0, 0x1f, 0, 5, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 1, 0, 0,
            8, 0, 2, 0, 0, 0, 4, 0,
            8, 0, 4, 0, 15, 0, 0, 0,
        ][..],
        &[20, 0, 0, 0, 0x1f, 0, 5, 0, 3, 0, 0, 0, 0, 0, 0, 0, 3, 1, 0, 0],
        &[20, 0, 0, 0, 0x1f, 0, 5, 0, 4, 0, 0, 0, 0, 0, 0, 0, 6, 1, 0, 0],
        &[20, 0, 0, 0, 0x1f, 0, 5, 0, 5, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0, 0],
        &[
            40, 0, 0, 0, 0x1f, 0, 5, 0, 6, 0, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0,
            20, 0, 10, 0x80,
            8, 0, 1, 0, 192, 0, 2, 10,
            6, 0, 2, 0, 0x07, 0x08, 0, 0,
        ],
        &[
            52, 0, 0, 0, 0x1f, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 1, 0, 0,
            32, 0, 10, 0x80,
            20, 0, 1, 0, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
            6, 0, 2, 0, 0x0b, 0x27, 0, 0,
        ],
    ];
    assert_eq!(kernel.requests(), expected);
}

#[test]
fn every_setting_has_its_attribute() {
    let kernel = Kernel::with_family((FIRST..FIRST + 3).map(ack));
    let mut client = client(&kernel);
    let settings = Settings {
        max_flows: Some(1),
        active_timeout: Some(60),
        inactive_timeout: Some(5),
        expiry: Some(Expiry(1)),
        observe: Some(Observe(0b1_1000)),
        engine_type: Some(8),
        engine_id: Some(255),
        icmp_ports: Some(IcmpPorts(1)),
        count_own: Some(true),
    };
    client.set(&settings).unwrap();
    client.iface_set(3, 70_000).unwrap();
    client.iface_del(258).unwrap();

    #[rustfmt::skip]
    let expected = [
        &[
            92, 0, 0, 0, 0x1f, 0, 5, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0,
            8, 0, 2, 0, 1, 0, 0, 0,
            8, 0, 3, 0, 60, 0, 0, 0,
            8, 0, 4, 0, 5, 0, 0, 0,
            8, 0, 13, 0, 1, 0, 0, 0,
            8, 0, 14, 0, 0x18, 0, 0, 0,
            5, 0, 15, 0, 8, 0, 0, 0,
            5, 0, 16, 0, 255, 0, 0, 0,
            8, 0, 17, 0, 1, 0, 0, 0,
            5, 0, 18, 0, 1, 0, 0, 0,
        ][..],
        &[
            40, 0, 0, 0, 0x1f, 0, 5, 0, 3, 0, 0, 0, 0, 0, 0, 0, 5, 1, 0, 0,
            20, 0, 19, 0x80,
            8, 0, 1, 0, 3, 0, 0, 0,
            8, 0, 2, 0, 0x70, 0x11, 1, 0,
        ],
        &[
            40, 0, 0, 0, 0x1f, 0, 5, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 1, 0, 0,
            20, 0, 19, 0x80,
            8, 0, 1, 0, 2, 1, 0, 0,
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
