// SPDX-License-Identifier: GPL-2.0

//! C, as bindgen sees it: the module's own items, over those of the kernel crate.
//!
//! Only `crate::linux`, which wraps them, uses functions and types of this module; the constants
//! `NETFLOW_*`, generated from the specification of the netlink interface, are for all.

#![allow(
    clippy::all,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

pub(crate) use kernel::bindings::*;
use pin_init::MaybeZeroable;

include!(concat!(
    env!("NETFLOW_OBJTREE"),
    "/rust/bindings/bindings_generated.rs"
));

// SAFETY: A newtype around its storage.
unsafe impl<S: pin_init::Zeroable> pin_init::Zeroable for __BindgenBitfieldUnit<S> {}
