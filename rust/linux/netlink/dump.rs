// SPDX-License-Identifier: GPL-2.0

//! Dumps: answers of many messages.

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

use kernel::prelude::*;

use super::{
    super::netns::State,
    ExtResult,
    Message,
    Request, //
};
use crate::bindings;

/// A dump: the kernel calls for the next part of it until a part has no messages.
///
/// # Invariants
///
/// `callback` and `skb` are those of a dump under way, valid for `'a`.
pub(crate) struct Dump<'a, T: State> {
    request: Request<'a, T>,
    skb: NonNull<bindings::sk_buff>,
    callback: NonNull<bindings::netlink_callback>,
}

impl<T: State> Dump<'_, T> {
    /// The request that asked for the dump.
    pub(crate) fn request(&self) -> &Request<'_, T> {
        &self.request
    }

    /// Where the last part ended, 0 at first.
    pub(crate) fn cursor(&self) -> usize {
        // SAFETY: The callback is valid by the type invariant; `ctx` is for our use, zero at first,
        // aligned for and as large as several pointers.
        unsafe { *(&raw const (*self.callback.as_ptr()).__bindgen_anon_1).cast::<usize>() }
    }

    /// Remembers where this part ends.
    pub(crate) fn set_cursor(&mut self, cursor: usize) {
        // SAFETY: As in `cursor`.
        unsafe {
            *(&raw mut (*self.callback.as_ptr()).__bindgen_anon_1).cast::<usize>() = cursor;
        }
    }

    /// States which generation of the data this part is of. If it differs between parts, the dump
    /// is marked as inconsistent (`NLM_F_DUMP_INTR`). To be called before the first message.
    pub(crate) fn set_generation(&mut self, generation: u32) {
        // Zero would mean that there are no generations.
        // SAFETY: The callback is valid by the type invariant.
        unsafe { (*self.callback.as_ptr()).seq = generation.max(1) };
    }

    /// Appends messages: all that `fill` appends, or none if they do not all fit.
    ///
    /// `EMSGSIZE` if they do not.
    pub(crate) fn all_or_none(&mut self, fill: impl FnOnce(&mut Self) -> Result) -> Result {
        // SAFETY: The buffer is valid by the type invariant.
        let mark = unsafe { bindings::netflow_skb_tail(self.skb.as_ptr()) };
        fill(self).inspect_err(|_| {
            // SAFETY: The mark is in this buffer, which has only grown since.
            unsafe { bindings::netflow_nlmsg_trim(self.skb.as_ptr(), mark) };
        })
    }

    /// Appends one message of what `fill` puts. `EMSGSIZE` if it does not fit.
    pub(crate) fn message(&mut self, fill: impl FnOnce(&mut Message<'_>) -> Result) -> Result {
        let (skb, info) = (self.skb, self.request.info);
        // SAFETY: Both are valid by the type invariants.
        let header = unsafe { Message::build(skb, info, bindings::NLM_F_MULTI, fill) }?;
        // SAFETY: The callback is valid, the header that of the message just built.
        unsafe {
            bindings::netflow_genl_dump_check_consistent(self.callback.as_ptr(), header.as_ptr())
        };
        Ok(())
    }
}

/// Runs the handler of a `dump` operation.
///
/// # Safety
///
/// Both must be what the kernel passed to an operation of a [`Family<T>`](super::Family).
pub(crate) unsafe fn run_dump<T: State>(
    skb: *mut bindings::sk_buff,
    callback: *mut bindings::netlink_callback,
    handler: impl FnOnce(&mut Dump<'_, T>) -> ExtResult,
) -> c_int {
    // SAFETY: The callback is valid by the requirements of this function.
    let info = unsafe { bindings::netflow_genl_info_dump(callback) };
    let (Some(skb), Some(callback), Some(info)) = (
        NonNull::new(skb),
        NonNull::new(callback),
        NonNull::new(info.cast_mut()),
    ) else {
        return EINVAL.to_errno();
    };
    // INVARIANT: By the requirements of this function. A dump under way holds a reference to the
    // module, and the family is registered for as long as the module is there.
    let mut dump = Dump {
        request: Request {
            info,
            // SAFETY: The callback is valid by the requirements of this function, and has the
            // request that asked for the dump.
            is_first: unsafe {
                let callback = callback.as_ptr();
                bindings::netflow_genl_is_first((*callback).skb, (*callback).nlh)
            },
            _lifetime: PhantomData,
            _states: PhantomData,
        },
        skb,
        callback,
    };
    match handler(&mut dump) {
        // CAST: A buffer is at most some ten KiB.
        // SAFETY: The buffer is valid.
        Ok(()) => unsafe { bindings::netflow_skb_len(skb.as_ptr()) as c_int },
        // SAFETY: `info` is valid by the requirements of this function.
        Err(extack) => unsafe { extack.answer(info) },
    }
}
