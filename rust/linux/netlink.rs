// SPDX-License-Identifier: GPL-2.0

//! A generic-netlink family: requests, and the messages that answer them.
//!
//! The policies and the table of operations are C, generated from a specification in YNL's form.
//! What comes here has passed them.
//!
//! C header: [`include/net/genetlink.h`](srctree/include/net/genetlink.h)

mod attribute;
mod dump;
mod extack;
mod message;
pub(crate) mod text;

pub(crate) use self::{
    attribute::{
        Attribute,
        Attributes, //
    },
    dump::{
        run_dump,
        Dump, //
    },
    extack::{
        ExtAck,
        ExtResult, //
    },
    message::Message,
};

use core::{
    marker::PhantomData,
    ptr::NonNull,
    slice, //
};

use kernel::{
    error::to_result,
    prelude::*,
    sync::ArcBorrow, //
};

use super::netns::{
    self,
    State, //
};
use crate::bindings;

/// Room for the attributes of a reply.
const REPLY_SIZE: usize = 4096;

const _: () = assert!(size_of::<bindings::nlattr>() == attribute::HEADER_LEN);

/// A generic-netlink family, the operations of which work on the states `T` of namespaces. Defined
/// by [`operations!`].
///
/// # Invariants
///
/// Points to a static and valid family. Its operations are functions made by [`operations!`] for
/// the same `T`.
pub(crate) struct Family<T: State> {
    family: *mut bindings::genl_family,
    _states: PhantomData<fn() -> T>,
}

// SAFETY: The family is written by the kernel alone, which has a lock for that.
unsafe impl<T: State> Sync for Family<T> {}

impl<T: State> Family<T> {
    /// # Safety
    ///
    /// What the type invariant says must hold for `family`.
    pub(crate) const unsafe fn new(family: *mut bindings::genl_family) -> Self {
        // INVARIANT: By the requirement of this function.
        Self {
            family,
            _states: PhantomData,
        }
    }

    /// Registers the family: from here on, requests come and ask for `states`. Process context.
    pub(crate) fn register(
        &'static self,
        states: netns::Registration<T>,
    ) -> Result<Registration<T>> {
        // SAFETY: Static and valid by the type invariant. A family that is registered is refused.
        to_result(unsafe { bindings::genl_register_family(self.family) })?;
        // INVARIANT: Just registered.
        Ok(Registration {
            family: self,
            _states: states,
        })
    }
}

/// That a family can be asked. Dropping it makes it unknown, and waits for requests under way.
///
/// # Invariants
///
/// The family is registered.
pub(crate) struct Registration<T: State> {
    family: &'static Family<T>,
    /// What requests ask for. Dropped after the family is gone.
    _states: netns::Registration<T>,
}

impl<T: State> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: Registered by the type invariant.
        unsafe { bindings::genl_unregister_family(self.family.family) };
    }
}

/// A request to a family, the operations of which work on the states `T` of namespaces.
///
/// # Invariants
///
/// `info` is valid for `'a`, and came with a request to a [`Family<T>`] that is registered.
pub(crate) struct Request<'a, T: State> {
    info: NonNull<bindings::genl_info>,
    is_first: bool,
    _lifetime: PhantomData<&'a bindings::genl_info>,
    _states: PhantomData<fn() -> T>,
}

impl<T: State> Request<'_, T> {
    /// The state of the namespace that the request came from.
    pub(crate) fn state(&self) -> ExtResult<ArcBorrow<'_, T>> {
        // SAFETY: `info` is valid by the type invariant.
        let net = unsafe { bindings::netflow_genl_info_net(self.info.as_ptr()) };
        // SAFETY: The socket that asks keeps its namespace alive. The family is registered, by the
        // type invariant, and that only while the states of `T` are ([`Registration`]).
        unsafe { T::pernet().get(net) }.ok_or(ExtAck::new(
            ENODEV,
            c"this network namespace is being taken down: ask in another",
        ))
    }

    /// Whether it is the first request of its datagram. A datagram may have thousands, which hold
    /// up others together: what is waited for to answer the first one is there for the others.
    pub(crate) fn is_first(&self) -> bool {
        self.is_first
    }

    /// The attributes of the request. They have passed the policy of the operation, so all are
    /// among those that it takes.
    pub(crate) fn attributes(&self) -> Attributes<'_> {
        let info = self.info.as_ptr();
        // SAFETY: `info` is valid by the type invariant, and so is its message.
        let (data, len) = unsafe {
            (
                bindings::netflow_genl_attrdata(info),
                bindings::netflow_genl_attrlen(info),
            )
        };
        // SAFETY: The kernel has checked that the message has its headers and is as long as it
        // says. It is the kernel's copy, to which nobody writes during the request.
        let bytes =
            unsafe { slice::from_raw_parts(data.cast(), usize::try_from(len).unwrap_or(0)) };
        Attributes::new(bytes)
    }

    /// Sends a reply with the attributes that `fill` puts.
    pub(crate) fn reply(&self, fill: impl FnOnce(&mut Message<'_>) -> Result) -> ExtResult {
        // SAFETY: Allocation has no requirements.
        let skb = unsafe { bindings::genlmsg_new(REPLY_SIZE, bindings::GFP_KERNEL) };
        let skb = NonNull::new(skb).ok_or(ENOMEM)?;
        // SAFETY: Both are valid.
        let filled = unsafe { Message::build(skb, self.info, 0, fill) };
        if let Err(error) = filled {
            // SAFETY: It is ours, and was not sent.
            unsafe { bindings::nlmsg_free(skb.as_ptr()) };
            return Err(error.into());
        }
        // SAFETY: The buffer is ours, and passes to the function.
        to_result(unsafe { bindings::netflow_genlmsg_reply(skb.as_ptr(), self.info.as_ptr()) })?;
        Ok(())
    }
}

/// Runs the handler of a `do` operation.
///
/// # Safety
///
/// Both must be what the kernel passed to an operation of a [`Family<T>`].
pub(crate) unsafe fn run_do<T: State>(
    skb: *mut bindings::sk_buff,
    info: *mut bindings::genl_info,
    handler: impl FnOnce(&Request<'_, T>) -> ExtResult,
) -> c_int {
    let Some(info) = NonNull::new(info) else {
        return EINVAL.to_errno();
    };
    // INVARIANT: By the requirement of this function. The kernel calls operations of registered
    // families only, and to unregister one waits for them.
    let request = Request {
        info,
        // SAFETY: Both are valid by the requirement of this function.
        is_first: unsafe { bindings::netflow_genl_is_first(skb, (*info.as_ptr()).nlhdr) },
        _lifetime: PhantomData,
        _states: PhantomData,
    };
    match handler(&request) {
        Ok(()) => 0,
        // SAFETY: `info` is valid by the requirement of this function.
        Err(extack) => unsafe { extack.answer(info) },
    }
}

/// Defines `FAMILY`, a generated family, and the functions that its table of operations names, in
/// terms of safe handlers.
///
/// All operations of a family stand in one such list. The linker refuses a table that names a
/// function which no list defines, and a function which two define.
macro_rules! operations {
    (
        family $family:ident of $state:ty;
        $(do $doit:ident => $do_handler:path;)*
        $(dump $dumpit:ident => $dump_handler:path;)*
    ) => {
        /// The family, not yet registered.
        pub(crate) static FAMILY: $crate::linux::netlink::Family<$state> =
            // SAFETY: The family is static, and generated to be valid. Its operations are below.
            unsafe {
                $crate::linux::netlink::Family::new(&raw mut $crate::bindings::$family)
            };

        $(
            /// What the kernel calls for this operation.
            ///
            /// # Safety
            ///
            /// For the kernel only.
            #[no_mangle]
            unsafe extern "C" fn $doit(
                skb: *mut $crate::bindings::sk_buff,
                info: *mut $crate::bindings::genl_info,
            ) -> ::kernel::ffi::c_int {
                // SAFETY: The kernel calls this as an operation of the family.
                unsafe { $crate::linux::netlink::run_do::<$state>(skb, info, $do_handler) }
            }

            // The signature is that of the generated C header.
            const _: () = {
                let _ = if true { $crate::bindings::$doit } else { $doit };
            };
        )*
        $(
            /// What the kernel calls for this operation.
            ///
            /// # Safety
            ///
            /// For the kernel only.
            #[no_mangle]
            unsafe extern "C" fn $dumpit(
                skb: *mut $crate::bindings::sk_buff,
                callback: *mut $crate::bindings::netlink_callback,
            ) -> ::kernel::ffi::c_int {
                // SAFETY: The kernel calls this as an operation of the family.
                unsafe { $crate::linux::netlink::run_dump::<$state>(skb, callback, $dump_handler) }
            }

            // The signature is that of the generated C header.
            const _: () = {
                let _ = if true { $crate::bindings::$dumpit } else { $dumpit };
            };
        )*
    };
}
pub(crate) use operations;
