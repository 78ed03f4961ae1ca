// SPDX-License-Identifier: GPL-2.0

//! The rooms of the module that call nothing of the kernel, compiled for the host.

#![allow(dead_code)]

#[path = "../../../rust/flow"]
mod flow {
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
}

#[path = "../../../rust/export"]
mod export {
    pub(crate) mod batch;
    #[path = "../../selftests/host/src/collector.rs"]
    pub(crate) mod collector;
    pub(crate) mod format;
    pub(crate) mod stream;
    pub(crate) mod v5;
}
