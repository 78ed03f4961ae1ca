// SPDX-License-Identifier: GPL-2.0

//! Messages under construction.

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

use kernel::{
    error::to_result,
    prelude::*, //
};

use crate::bindings;

/// A message under construction: attributes are put one after the other.
///
/// # Invariants
///
/// `skb` is a valid netlink buffer with an open message, for `'a`.
pub(crate) struct Message<'a> {
    skb: NonNull<bindings::sk_buff>,
    _lifetime: PhantomData<&'a mut bindings::sk_buff>,
}

impl Message<'_> {
    /// Appends a message to `skb`. On an error, as `EMSGSIZE` when it does not fit, nothing of it
    /// stays.
    ///
    /// # Safety
    ///
    /// Both pointers must be valid; `info` is that of the request which the message answers.
    pub(super) unsafe fn build(
        skb: NonNull<bindings::sk_buff>,
        info: NonNull<bindings::genl_info>,
        flags: u32,
        fill: impl FnOnce(&mut Message<'_>) -> Result,
    ) -> Result<NonNull<c_void>> {
        // CAST: Message flags are few bits.
        // SAFETY: Both are valid by the requirements of this function.
        let header =
            unsafe { bindings::netflow_genlmsg_put(skb.as_ptr(), info.as_ptr(), flags as c_int) };
        let header = NonNull::new(header).ok_or(EMSGSIZE)?;
        // INVARIANT: The message was just opened.
        let mut message = Message {
            skb,
            _lifetime: PhantomData,
        };
        match fill(&mut message) {
            // SAFETY: The header is that of the open message.
            Ok(()) => unsafe { bindings::genlmsg_end(skb.as_ptr(), header.as_ptr()) },
            Err(error) => {
                // SAFETY: As above.
                unsafe { bindings::genlmsg_cancel(skb.as_ptr(), header.as_ptr()) };
                return Err(error);
            }
        }
        Ok(header)
    }

    /// Puts an attribute. `EMSGSIZE` if it does not fit.
    #[inline]
    pub(crate) fn put_bytes(&mut self, kind: u32, bytes: &[u8]) -> Result {
        let len = c_int::try_from(bytes.len()).map_err(|_| EMSGSIZE)?;
        // CAST: Attribute numbers are small.
        // SAFETY: The buffer is valid by the type invariant, `len` bytes are readable.
        to_result(unsafe {
            bindings::nla_put(self.skb.as_ptr(), kind as c_int, len, bytes.as_ptr().cast())
        })
    }

    /// Puts a `u8`.
    #[inline]
    pub(crate) fn put_u8(&mut self, kind: u32, value: u8) -> Result {
        self.put_bytes(kind, &[value])
    }

    /// Puts a `u16`, in host byte order.
    #[inline]
    pub(crate) fn put_u16(&mut self, kind: u32, value: u16) -> Result {
        self.put_bytes(kind, &value.to_ne_bytes())
    }

    /// Puts a `u32`, in host byte order.
    #[inline]
    pub(crate) fn put_u32(&mut self, kind: u32, value: u32) -> Result {
        self.put_bytes(kind, &value.to_ne_bytes())
    }

    /// Puts a `uint`: four bytes if they hold the value, else eight.
    #[inline]
    pub(crate) fn put_uint(&mut self, kind: u32, value: u64) -> Result {
        match u32::try_from(value) {
            Ok(value) => self.put_u32(kind, value),
            Err(_) => self.put_bytes(kind, &value.to_ne_bytes()),
        }
    }

    /// Puts a nest of what `fill` puts.
    pub(crate) fn put_nest(&mut self, kind: u32, fill: impl FnOnce(&mut Self) -> Result) -> Result {
        // CAST: Attribute numbers are small.
        // SAFETY: The buffer is valid by the type invariant.
        let nest = unsafe { bindings::netflow_nla_nest_start(self.skb.as_ptr(), kind as c_int) };
        let nest = NonNull::new(nest).ok_or(EMSGSIZE)?;
        // On an error the whole message is cancelled, and the nest with it.
        fill(self)?;
        // SAFETY: The nest was opened in this buffer, which has not been trimmed since.
        unsafe { bindings::netflow_nla_nest_end(self.skb.as_ptr(), nest.as_ptr()) };
        Ok(())
    }
}
