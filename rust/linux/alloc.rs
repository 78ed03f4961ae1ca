// SPDX-License-Identifier: GPL-2.0

//! How large memory is asked for.
//!
//! C header: [`include/linux/gfp_types.h`](srctree/include/linux/gfp_types.h)

use kernel::{
    alloc::Flags,
    prelude::*, //
};

use crate::bindings;

/// For memory that a request reserves, as much of it as the request says: charged to the caller's
/// control group, and refused where others would have to be killed for it (`__GFP_RETRY_MAYFAIL`,
/// as the maps of BPF have it), be it all memory or that of the group.
///
/// What is smaller than a page, and what each CPU has, is allocated as everywhere in the kernel.
pub(crate) const GFP_RESERVE: Flags = flags(bindings::NETFLOW_GFP_RESERVE);

/// `ENOMEM` if so many times `size` bytes are more than all memory that is available, page cache
/// included that can be reclaimed. Process context.
///
/// To ask for more than that fails in the end ([`GFP_RESERVE`]). But first it takes all there is,
/// and whoever else needs a page meanwhile wakes the OOM killer. (The ring buffer of tracing asks
/// before it takes much, too.)
pub(crate) fn check_available(count: usize, size: usize) -> Result {
    // SAFETY: Reading it has no requirements.
    let available = unsafe { bindings::netflow_mem_available() };
    // CAST: A `usize` has 64 bits at most.
    match count.checked_mul(size) {
        Some(bytes) if bytes as u64 <= available => Ok(()),
        _ => Err(ENOMEM),
    }
}

/// Flags that the kernel crate has no name for.
const fn flags(gfp: u32) -> Flags {
    // SAFETY: `Flags` is a `u32` and nothing else: the sizes are equal, or this does not compile.
    // Any combination of the kernel's own flags may be in it.
    unsafe { core::mem::transmute::<u32, Flags>(gfp) }
}
