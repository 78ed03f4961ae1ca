// SPDX-License-Identifier: GPL-2.0

//! The files of the module that call nothing of the kernel, compiled for the host.

#![allow(dead_code, unused_imports, unused_macros)]

#[path = "../../../rust/flow/mod.rs"]
mod flow;

#[path = "../../../rust/export"]
mod export {
    pub(crate) mod batch;
    #[path = "../../selftests/host/src/collector.rs"]
    pub(crate) mod collector;
    pub(crate) mod field;
    pub(crate) mod format;
    pub(crate) mod ipfix;
    pub(crate) mod nat_event;
    pub(crate) mod options;
    pub(crate) mod refresh;
    pub(crate) mod sets;
    pub(crate) mod stream;
    pub(crate) mod templated;
    pub(crate) mod v5;
    pub(crate) mod v9;
    pub(crate) mod writer;
}

#[path = "../../../rust/linux"]
mod linux {
    #[path = "netlink"]
    pub(crate) mod netlink {
        pub(crate) mod attribute;
        pub(crate) mod text;
    }
}
