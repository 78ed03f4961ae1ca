// SPDX-License-Identifier: GPL-2.0

//! Numbers by index, read without a lock.
//!
//! The kernel crate's `XArray` takes its lock to read, and holds pointers.
//!
//! C header: [`include/linux/xarray.h`](srctree/include/linux/xarray.h)

use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

use crate::bindings;

/// An xarray of numbers.
///
/// # Invariants
///
/// `xa` is initialised, and all of its entries are values.
#[pin_data(PinnedDrop)]
pub(crate) struct XArrayU32 {
    #[pin]
    xa: Opaque<bindings::xarray>,
}

// SAFETY: An xarray may be used and freed from any thread.
unsafe impl Send for XArrayU32 {}
// SAFETY: It has a lock for those who write, and RCU for those who read.
unsafe impl Sync for XArrayU32 {}

impl XArrayU32 {
    /// An empty one, whose memory is charged to the control group of who stores.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: The memory is valid for writes. It is not moved, as it is pinned.
            xa <- Opaque::ffi_init(|xa| unsafe { bindings::netflow_xa_init(xa) }),
        })
    }

    /// The number at an index. Any context.
    #[inline]
    pub(crate) fn load(&self, index: u32) -> Option<u32> {
        let mut value = 0;
        // SAFETY: Initialised by the type invariant; the function takes the RCU read lock.
        unsafe { bindings::netflow_xa_load_u32(self.xa.get(), index, &mut value) }.then_some(value)
    }

    /// Stores a number at an index. Process context.
    pub(crate) fn store(&self, index: u32, value: u32) -> Result {
        // SAFETY: Initialised by the type invariant. What is stored is a value.
        to_result(unsafe { bindings::netflow_xa_store_u32(self.xa.get(), index, value) })
    }

    /// Takes away what is at an index. Any context but interrupts.
    pub(crate) fn erase(&self, index: u32) {
        // CAST: As wide or wider.
        // SAFETY: Initialised by the type invariant. The entry needs no drop, as it is a value.
        unsafe { bindings::xa_erase(self.xa.get(), index as c_ulong) };
    }
}

#[pinned_drop]
impl PinnedDrop for XArrayU32 {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Initialised by the type invariant. Entries need no drop, as they are values.
        unsafe { bindings::xa_destroy(self.xa.get()) };
    }
}
