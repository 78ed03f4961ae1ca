// SPDX-License-Identifier: GPL-2.0

//! What a flow is, how it is read from a packet, when it expires, and how buckets hold it.
//!
//! All of it is plain Rust without calls into the kernel, and is tested on the host. The table of
//! buckets and its locks are in the folder `cache`.

pub(crate) mod bucket;
pub(crate) mod ctnetlink;
pub(crate) mod entry;
pub(crate) mod expiry;
pub(crate) mod families;
pub(crate) mod key;
pub(crate) mod ledger;
pub(crate) mod nat;
pub(crate) mod observe;
pub(crate) mod parse;
pub(crate) mod ring;
pub(crate) mod sampling;
pub(crate) mod slab;
pub(crate) mod uptime;
