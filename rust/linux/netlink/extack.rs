// SPDX-License-Identifier: GPL-2.0

//! Refusals by this module: each has a text that says what to change. (What the kernel's policy
//! refuses has the kernel's text, which says what is wrong.)

use core::ptr::NonNull;

use kernel::{
    alloc::AllocError,
    prelude::*, //
};

use super::attribute::Repeated;
use crate::bindings;

/// What a handler returns.
pub(crate) type ExtResult<T = ()> = Result<T, ExtAck>;

/// Why a request is refused: an error number for programs, a text for people.
#[derive(Clone, Copy)]
pub(crate) struct ExtAck {
    error: Error,
    /// `None` if there is nothing to say but what holds for the error in general.
    text: Option<&'static CStr>,
}

impl ExtAck {
    /// Refuses with a text that says what to change.
    pub(crate) const fn new(error: Error, text: &'static CStr) -> Self {
        Self {
            error,
            text: Some(text),
        }
    }

    /// The error number.
    pub(crate) fn error(&self) -> Error {
        self.error
    }

    /// Whether it has a text of its own.
    pub(crate) fn has_text(&self) -> bool {
        self.text.is_some()
    }

    /// What to change.
    pub(crate) fn text(&self) -> &'static CStr {
        self.text.unwrap_or_else(|| general(self.error))
    }

    /// Answers a request with the text, and returns the number for the kernel to answer with.
    ///
    /// # Safety
    ///
    /// `info` must be that of the request.
    pub(super) unsafe fn answer(&self, info: NonNull<bindings::genl_info>) -> c_int {
        // SAFETY: `info` is valid by the requirements of this function.
        let extack = unsafe { (*info.as_ptr()).extack };
        if let Some(extack) = NonNull::new(extack) {
            // SAFETY: The request's `extack` is valid, and ours to write to until it is answered.
            unsafe { (*extack.as_ptr())._msg = self.text().as_char_ptr() };
        }
        self.error.to_errno()
    }
}

/// What there is to say of an error that comes from other parts of the kernel.
fn general(error: Error) -> &'static CStr {
    match error {
        ENOMEM | ENOBUFS | ENFILE => {
            c"not enough memory: free some, or raise the limit of the control group"
        }
        EPERM | EACCES => {
            c"a security policy or a BPF program of the control group forbids it: allow it there"
        }
        E2BIG => c"netfilter has no room for another hook: remove some, as chains of nftables",
        _ => c"another part of the kernel refuses it: see its log and the number of the error",
    }
}

impl From<Error> for ExtAck {
    fn from(error: Error) -> Self {
        Self { error, text: None }
    }
}

impl From<Repeated> for ExtAck {
    fn from(_: Repeated) -> Self {
        Self::new(
            EINVAL,
            c"an attribute is given more than once: give it once",
        )
    }
}

impl From<AllocError> for ExtAck {
    fn from(_: AllocError) -> Self {
        ENOMEM.into()
    }
}
