// SPDX-License-Identifier: GPL-2.0

//! The generic-netlink family: requests, and the messages that answer them.
//!
//! Policies and the table of operations are C, generated from the specification
//! (`Documentation/netlink/specs/netflow.yaml`). What comes here has passed them.
//!
//! C header: [`include/net/genetlink.h`](srctree/include/net/genetlink.h)

mod dump;
mod extack;
mod message;

pub(crate) use self::{
    dump::{
        run_dump,
        Dump, //
    },
    extack::{
        ExtAck, //
        ExtResult,
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

/// That the family can be asked. Dropping it makes it unknown and waits for requests under way.
///
/// # Invariants
///
/// The family is registered.
pub(crate) struct Registration<T: State> {
    /// What requests ask for. Dropped after the family is gone.
    _states: netns::Registration<T>,
}

impl<T: State> Registration<T> {
    /// Registers the family, which asks for the states of namespaces. Process context.
    pub(crate) fn new(states: netns::Registration<T>) -> Result<Self> {
        // SAFETY: The family is static, and generated to be valid.
        to_result(unsafe { bindings::genl_register_family(&raw mut bindings::netflow_nl_family) })?;
        // INVARIANT: Just registered.
        Ok(Self { _states: states })
    }
}

impl<T: State> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: Registered by the type invariant.
        unsafe { bindings::genl_unregister_family(&raw const bindings::netflow_nl_family) };
    }
}

/// A request.
///
/// # Invariants
///
/// `info` is valid for `'a`, and its attributes have passed the policy of the operation, which knows those
/// up to `max`.
pub(crate) struct Request<'a> {
    info: NonNull<bindings::genl_info>,
    max: u32,
    _lifetime: PhantomData<&'a bindings::genl_info>,
}

impl Request<'_> {
    /// The state of the namespace that the request came from.
    pub(crate) fn state<T: State>(&self) -> ExtResult<ArcBorrow<'_, T>> {
        // SAFETY: `info` is valid by the type invariant.
        let net = unsafe { bindings::netflow_genl_info_net(self.info.as_ptr()) };
        // SAFETY: The socket that asks keeps its namespace alive. Requests arrive only while the family
        // is registered, which it is only while the states are (`Registration`).
        unsafe { T::pernet().get(net) }.ok_or(ExtAck::new(
            ENODEV,
            c"this network namespace is being taken down: ask in another",
        ))
    }

    /// The attribute `kind`, if given and known to the operation.
    fn attribute(&self, kind: u32) -> Option<Attribute<'_>> {
        if kind > self.max {
            return None;
        }
        // SAFETY: `info` is valid by the type invariant, its table has an entry for each attribute up
        // to `max`.
        let attr = unsafe {
            let attrs = (*self.info.as_ptr()).attrs;
            if attrs.is_null() {
                return None;
            }
            *attrs.add(kind as usize)
        };
        // INVARIANT: The kernel has checked its length.
        NonNull::new(attr).map(|attr| Attribute {
            attr,
            _lifetime: PhantomData,
        })
    }

    /// The nest `kind`, if given.
    pub(crate) fn nest(&self, kind: u32) -> Option<Attribute<'_>> {
        self.attribute(kind)
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

/// An attribute of a request.
///
/// # Invariants
///
/// `attr` is a valid attribute for `'a`, and the length that it states is there.
pub(crate) struct Attribute<'a> {
    attr: NonNull<bindings::nlattr>,
    _lifetime: PhantomData<&'a bindings::nlattr>,
}

impl<'a> Attribute<'a> {
    /// The payload.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        // SAFETY: Valid by the type invariant.
        let (data, len) = unsafe {
            (
                bindings::netflow_nla_data(self.attr.as_ptr()),
                bindings::netflow_nla_len(self.attr.as_ptr()),
            )
        };
        // SAFETY: The payload is there for `'a` by the type invariant.
        unsafe { slice::from_raw_parts(data.cast(), usize::try_from(len).unwrap_or(0)) }
    }

    /// The payload as a `u32` in host byte order, if it is one.
    pub(crate) fn u32(&self) -> Option<u32> {
        Some(u32::from_ne_bytes(self.bytes().try_into().ok()?))
    }

    /// The payload as a `u16` in host byte order, if it is one.
    pub(crate) fn u16(&self) -> Option<u16> {
        Some(u16::from_ne_bytes(self.bytes().try_into().ok()?))
    }

    /// The attribute `kind` of this nest, if given.
    pub(crate) fn get(&self, kind: u32) -> Option<Attribute<'a>> {
        // CAST: Attribute numbers are small.
        // SAFETY: Valid by the type invariant.
        let attr = unsafe { bindings::netflow_nla_find_nested(self.attr.as_ptr(), kind as c_int) };
        // INVARIANT: The kernel has checked the nest by its policy.
        NonNull::new(attr.cast_mut()).map(|attr| Attribute {
            attr,
            _lifetime: PhantomData,
        })
    }
}

/// Runs the handler of a `do` operation.
///
/// # Safety
///
/// `info` must be what the kernel passed to the operation, whose policy must know the attributes up to
/// `max`; 0 if it has none.
pub(crate) unsafe fn run_do(
    info: *mut bindings::genl_info,
    max: u32,
    handler: impl FnOnce(&Request<'_>) -> ExtResult,
) -> c_int {
    let Some(info) = NonNull::new(info) else {
        return EINVAL.to_errno();
    };
    // INVARIANT: By the requirements of this function.
    let request = Request {
        info,
        max,
        _lifetime: PhantomData,
    };
    match handler(&request) {
        Ok(()) => 0,
        // SAFETY: `info` is valid by the requirements of this function.
        Err(extack) => unsafe { extack.answer(info) },
    }
}

/// Defines the functions that the generated table of operations names, in terms of safe handlers. In
/// parentheses is the last attribute that the operation takes, `maxattr` in that table.
macro_rules! operations {
    ($(do $doit:ident($max:expr) => $do_handler:path;)* $(dump $dumpit:ident => $dump_handler:path;)*) => {
        $(
            /// What the kernel calls for this operation.
            ///
            /// # Safety
            ///
            /// For the kernel only.
            #[no_mangle]
            unsafe extern "C" fn $doit(
                _skb: *mut $crate::bindings::sk_buff,
                info: *mut $crate::bindings::genl_info,
            ) -> ::kernel::ffi::c_int {
                // SAFETY: The kernel calls this as the operation, whose policy is generated.
                unsafe { $crate::linux::netlink::run_do(info, $max, $do_handler) }
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
                // SAFETY: The kernel calls this as the operation.
                unsafe { $crate::linux::netlink::run_dump(skb, callback, $dump_handler) }
            }

            // The signature is that of the generated C header.
            const _: () = {
                let _ = if true { $crate::bindings::$dumpit } else { $dumpit };
            };
        )*
    };
}
pub(crate) use operations;
