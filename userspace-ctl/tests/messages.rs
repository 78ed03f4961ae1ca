// SPDX-License-Identifier: GPL-2.0-only

//! What messages of the kernel are understood as.

#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod support;

use netflowctl::{
    error::Error,
    messages::{
        Flow,
        Iface,
        Info, //
    }, //
};
use support::*;

#[test]
fn every_attribute_of_a_flow_has_its_field() {
    let flow = Flow::decode(&TCP_FLOW.attributes()).unwrap();
    assert_eq!(
        serde_json::to_string(&flow).unwrap(),
        "{\"src_addr\":\"10.0.0.1\",\"dst_addr\":\"192.168.200.254\",\"next_hop\":\"10.9.9.9\",\
         \"input\":1,\"output\":3,\"packets\":12,\"bytes\":5000000000,\
         \"first\":100000,\"last\":102500,\"src_port\":40312,\"dst_port\":443,\
         \"tcp_flags\":27,\"proto\":6,\"tos\":16,\"src_mask\":8,\"dst_mask\":24}"
    );
}

#[test]
fn every_attribute_of_the_state_has_its_field() {
    let info = Info::decode(&info_attributes()).unwrap();
    assert_eq!(
        serde_json::to_string(&info).unwrap(),
        "{\"enabled\":true,\"active_timeout\":1800,\"inactive_timeout\":15,\
         \"expiry\":\"strict\",\"observe\":[\"prerouting\",\"output\"],\
         \"icmp_ports\":\"zero\",\"count_own\":true,\"engine_type\":3,\"engine_id\":200,\
         \"max_packet_size\":1400,\"observation_domain_id\":77000001,\
         \"template_refresh\":300,\"template_refresh_datagrams\":1000,\
         \"flows\":{\"cached\":77,\"max\":65536,\"created\":5000000123},\
         \"packets\":{\"seen\":101,\"ignored\":102,\"cached\":103,\"pending\":104,\
         \"exported\":105,\"lost\":106,\
         \"ignored_by\":{\"truncated\":107,\"malformed\":108,\"own\":109,\"not_sampled\":114},\
         \"lost_by\":{\"cache_full\":110,\"no_collector\":111,\"send_failed\":112,\
         \"unsupported\":113}},\
         \"bytes\":{\"seen\":6000000001,\"ignored\":6000000002,\"cached\":6000000003,\
         \"pending\":6000000004,\"exported\":6000000005,\"lost\":6000000006,\
         \"ignored_by\":{\"truncated\":6000000007,\"malformed\":6000000008,\
         \"own\":6000000009,\"not_sampled\":6000000014},\
         \"lost_by\":{\"cache_full\":6000000010,\"no_collector\":6000000011,\
         \"send_failed\":6000000012,\"unsupported\":6000000013}},\
         \"expired\":{\"inactive\":301,\"active\":302,\"finished\":303,\"overflow\":304,\
         \"displaced\":305,\"flushed\":306},\
         \"collectors\":[{\"address\":\"192.0.2.10\",\"port\":2055,\"protocol\":\"ipfix\",\
         \"source\":\"198.51.100.1\",\"device\":\"mgmt\",\"datagrams\":41,\
         \"records\":1230,\"errors\":2,\"unsupported\":6,\
         \"sequence\":4000000001,\"last_error\":\"No such device\"}],\
         \"ifaces\":[],\
         \"sys_uptime\":123456,\"flow_sequence\":991,\"disabling\":true,\
         \"enabling\":true,\"enable_error\":\"no room: Cannot allocate memory\",\
         \"ipv4\":{\"flows_created\":5000000001,\
         \"packets\":{\"seen\":1001,\"ignored\":1002,\"cached\":1003,\"pending\":1004,\
         \"exported\":1005,\"lost\":1006,\
         \"ignored_by\":{\"truncated\":1007,\"malformed\":1008,\"own\":1009,\"not_sampled\":1014},\
         \"lost_by\":{\"cache_full\":1010,\"no_collector\":1011,\
         \"send_failed\":1012,\"unsupported\":1013}},\
         \"bytes\":{\"seen\":1000001,\"ignored\":1000002,\"cached\":1000003,\"pending\":1000004,\
         \"exported\":1000005,\"lost\":1000006,\
         \"ignored_by\":{\"truncated\":1000007,\"malformed\":1000008,\"own\":1000009,\
         \"not_sampled\":1000014},\
         \"lost_by\":{\"cache_full\":1000010,\"no_collector\":1000011,\
         \"send_failed\":1000012,\"unsupported\":1000013}}},\
         \"ipv6\":{\"flows_created\":5000000002,\
         \"packets\":{\"seen\":2001,\"ignored\":2002,\"cached\":2003,\"pending\":2004,\
         \"exported\":2005,\"lost\":2006,\
         \"ignored_by\":{\"truncated\":2007,\"malformed\":2008,\"own\":2009,\"not_sampled\":2014},\
         \"lost_by\":{\"cache_full\":2010,\"no_collector\":2011,\
         \"send_failed\":2012,\"unsupported\":2013}},\
         \"bytes\":{\"seen\":2000001,\"ignored\":2000002,\"cached\":2000003,\"pending\":2000004,\
         \"exported\":2000005,\"lost\":2000006,\
         \"ignored_by\":{\"truncated\":2000007,\"malformed\":2000008,\"own\":2000009,\
         \"not_sampled\":2000014},\
         \"lost_by\":{\"cache_full\":2000010,\"no_collector\":2000011,\
         \"send_failed\":2000012,\"unsupported\":2000013}}},\
         \"nat_state\":{\"untracked_flows\":401,\
         \"events\":{\"exported\":402,\"no_collector\":403,\"unsupported\":404,\
         \"send_failed\":405,\"overrun\":406,\"malformed\":407},\
         \"error\":\"Protocol not supported\"}}"
    );
}

#[test]
fn flows_of_ipv6_have_a_label() {
    let attributes = [
        nla(1, &[0x20; 16]),
        nla(2, &[0x30; 16]),
        nla(3, &[0; 16]),
        nla_u32(17, 0xfedcb),
    ];
    let flow = Flow::decode(&attributes.concat()).unwrap();
    let json = serde_json::to_string(&flow).unwrap();
    assert!(json.starts_with("{\"src_addr\":\"2020:2020:2020:2020:2020:2020:2020:2020\","));
    assert!(json.ends_with(",\"flow_label\":1043915}"), "{json}");
}

#[test]
fn the_numbers_of_flushes_are_not_in_json_but_there() {
    let info = Info::decode(&info_attributes()).unwrap();
    assert_eq!(info.flushes_requested, 8_000_000_002);
    assert_eq!(info.flushes_done, 8_000_000_001);
}

#[test]
fn what_is_absent_is_zero() {
    let info = Info::decode(&[]).unwrap();
    assert_eq!(info, Info::default());
    let only = [nla(1, &[10, 0, 0, 1]), nla(2, &[10, 0, 0, 2])].concat();
    let flow = Flow::decode(&only).unwrap();
    assert_eq!(flow.next_hop.to_string(), "0.0.0.0");
    assert_eq!((flow.packets, flow.output, flow.proto), (0, 0, 0));
}

#[test]
fn an_address_must_not_be_absent() {
    let message = |result: Result<Flow, Error>| result.unwrap_err().to_string();
    let only_source = message(Flow::decode(&nla(1, &[10, 0, 0, 1])));
    assert!(only_source.ends_with("a message without dst-addr"));
    let only_destination = message(Flow::decode(&nla(2, &[10, 0, 0, 1])));
    assert!(only_destination.ends_with("a message without src-addr"));
    let collector = nest(8, &[nla_u16(2, 2055)]);
    let error = Info::decode(&collector).unwrap_err().to_string();
    assert!(error.ends_with("a message without address"));
}

#[test]
fn an_interface_needs_name_and_number() {
    for (only, expected) in [(nla_u32(2, 7), "name"), (nla(1, b"lo\0"), "number")] {
        let error = Iface::decode(&only).unwrap_err().to_string();
        assert!(error.ends_with(&format!("a message without {expected}")));
    }
}

#[test]
fn attributes_of_newer_kernels_are_skipped() {
    let extra = [nla(200, b"new"), nest(201, &[nla_u8(1, 1)])].concat();
    let flow = [TCP_FLOW.attributes(), extra.clone()].concat();
    assert_eq!(
        Flow::decode(&flow).unwrap(),
        Flow::decode(&TCP_FLOW.attributes()).unwrap()
    );
    let packets = nest(5, &[nla_uint(1, 5), nla_uint(99, 6)]);
    let settings = nest(2, &[nla_u32(1, 9), nla_u32(99, 6)]);
    let info = Info::decode(&[extra, packets, settings].concat()).unwrap();
    assert_eq!(info.config, config(&[("max-flows", 9)]));
    assert_eq!(info.packets.seen, 5);
}

#[test]
fn a_wrong_length_is_an_error() {
    for bad in [
        nla(4, &[1, 2]),
        nla(6, &[1; 6]),
        nla(12, &[]),
        nla(1, &[1; 5]),
    ] {
        let flow = [TCP_FLOW.attributes(), bad].concat();
        assert!(Flow::decode(&flow).is_err());
    }
    for bad in [
        nla_u8(3, 1),
        nest(2, &[nla_u8(1, 1)]),
        nest(5, &[nla_u8(1, 1)]),
        nla(7, &[1, 2, 3]),
    ] {
        assert!(Info::decode(&bad).is_err());
    }
}

#[test]
fn addresses_may_be_of_ipv6() {
    let mut long = [0; 16];
    (long[0], long[1], long[15]) = (0x20, 0x01, 1);
    let flow = [nla(1, &long), nla(2, &long), nla(3, &[0; 16])].concat();
    let flow = Flow::decode(&flow).unwrap();
    assert_eq!(flow.src_addr.to_string(), "2001::1");
    assert_eq!(flow.next_hop.to_string(), "::");
    let collector = nest(8, &[nla(1, &long), nla_u16(2, 9995)]);
    let info = Info::decode(&collector).unwrap();
    assert_eq!(info.collectors[0].endpoint().to_string(), "[2001::1]:9995");
}

#[test]
fn a_link_local_address_is_told_with_its_interface() {
    let mut address = [0; 16];
    (address[0], address[1], address[15]) = (0xfe, 0x80, 1);
    let collector = nest(8, &[nla(1, &address), nla_u16(2, 9995), nla(7, b"eth0\0")]);
    let info = Info::decode(&collector).unwrap();
    assert_eq!(
        info.collectors[0].endpoint().to_string(),
        "[fe80::1%eth0]:9995"
    );
}

#[test]
fn collectors_keep_their_order() {
    let collector = |last| nest(8, &[nla(1, &[192, 0, 2, last]), nla_u16(2, 2055)]);
    let info = Info::decode(&[collector(7), collector(3), collector(5)].concat()).unwrap();
    let last: Vec<_> = info
        .collectors
        .iter()
        .map(|c| c.address.to_string())
        .collect();
    assert_eq!(last, ["192.0.2.7", "192.0.2.3", "192.0.2.5"]);
}
