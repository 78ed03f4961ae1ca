// SPDX-License-Identifier: GPL-2.0-only

//! The real kernel, asked about what every kernel has: the controller of generic netlink.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

use netflowctl::{
    error::Error,
    netlink::{
        attributes,
        Connection,
        Request,
        Socket, //
    }, //
};

/// GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID and CTRL_ATTR_FAMILY_NAME of
/// linux/genetlink.h.
const CONTROLLER: u16 = 16;
const GETFAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

const NAMES: &[(u16, &str)] = &[(1, "family-id"), (2, "family-name")];

fn connection() -> Connection<Socket> {
    Connection::new(Socket::open().unwrap())
}

#[test]
fn families_are_found_by_name() {
    let mut connection = connection();
    assert_eq!(connection.family("nlctrl").unwrap(), Some(CONTROLLER));
    assert_eq!(connection.family("no-such-family").unwrap(), None);
    assert_eq!(connection.family("nlctrl").unwrap(), Some(CONTROLLER));
}

#[test]
fn families_are_dumped() {
    let mut connection = connection();
    let request = Request::new("families", GETFAMILY, 2, NAMES).dump();
    let mut replies = connection.request(CONTROLLER, request).unwrap();
    let mut found = false;
    while let Some(payload) = replies.next().unwrap() {
        for attribute in attributes(payload).map(Result::unwrap) {
            found |= attribute.kind == FAMILY_NAME && attribute.value == b"nlctrl\0";
        }
    }
    assert!(found);
    assert!(!replies.interrupted());
}

#[test]
fn a_refusal_names_the_attribute() {
    let request = Request::new("family", GETFAMILY, 2, NAMES)
        .attribute(FAMILY_NAME, b"nlctrl\0")
        .attribute(FAMILY_ID, &[1]);
    let mut connection = connection();
    let replies = connection.request(CONTROLLER, request).unwrap();
    match replies.finish().unwrap_err() {
        Error::Refused { request, error } => {
            assert_eq!(request, "family");
            assert_eq!(error.attribute, Some("family-id"));
            assert!(error.text.is_some());
        }
        other => assert_eq!(other.to_string(), "a refusal"),
    }
}
