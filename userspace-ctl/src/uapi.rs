// SPDX-License-Identifier: GPL-2.0-only

//! The generic-netlink family `netflow`, as Documentation/netlink/specs/netflow.yaml specifies it:
//! its operations in [`cmd`], a module for each of its sets of attributes, and its [`SETTINGS`].

use crate::settings::{
    Item,
    Kind,
    Setting,
    Width, //
};

include!(concat!(env!("OUT_DIR"), "/uapi.rs"));
