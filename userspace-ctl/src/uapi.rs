// SPDX-License-Identifier: GPL-2.0-only

//! The numbers of the generic-netlink family `netflow`, which build.rs takes from the C header of
//! the interface: its commands in [`cmd`], and a module for each of its sets of attributes and each
//! of its enumerations.
//!
//! Documentation/netlink/specs/netflow.yaml is their source, and says what each of them means.

include!(concat!(env!("OUT_DIR"), "/netflow.rs"));
