// SPDX-License-Identifier: GPL-2.0

//! What a flow is, and where flows live until they expire.
//!
//! All but [`cache`] is plain Rust without calls into the kernel, and is tested on the host.

pub(crate) mod bucket;
pub(crate) mod entry;
pub(crate) mod expiry;
pub(crate) mod key;
pub(crate) mod ledger;
pub(crate) mod observe;
pub(crate) mod parse;
pub(crate) mod ring;
pub(crate) mod slab;
pub(crate) mod uptime;
