// SPDX-License-Identifier: GPL-2.0

//! What conntrack knows of connections.
//!
//! Its module need not be there, and is not waited for. Connections are looked for in the default
//! zone alone.
//!
//! C header: [`include/net/netfilter/nf_conntrack.h`](srctree/include/net/netfilter/nf_conntrack.h)

use core::ptr::{
    self,
    NonNull, //
};

use kernel::{
    error::to_result,
    prelude::*, //
};

use super::netns::Netns;
use crate::bindings;

pub(crate) use kernel::bindings::{
    AF_INET,
    AF_INET6, //
};

/// Where packets come from and go to. Ports are as they lie in a packet, and addresses of IPv4 have
/// zeros behind them.
pub(crate) use bindings::conntrack_ends as Ends;

/// The connections of a network namespace.
///
/// # Invariants
///
/// `find` is what `netflow_conntrack_get` has returned: the module stays until it is put.
pub(crate) struct Conntrack {
    find: NonNull<c_void>,
    netns: Netns,
}

// SAFETY: The kernel looks connections up with locks of its own, in any thread.
unsafe impl Send for Conntrack {}

impl Conntrack {
    /// `None` if the module is not loaded, and so no connection is known. Any context.
    pub(crate) fn get(netns: &Netns) -> Option<Self> {
        // SAFETY: It has no requirements.
        let find = NonNull::new(unsafe { bindings::netflow_conntrack_get() })?;
        // INVARIANT: Just returned.
        Some(Self {
            find,
            netns: netns.clone(),
        })
    }

    /// Maps the addresses and ports that packets have at a hook to those with which they leave this
    /// host. `None` if they are of no connection, or of one with both SNAT and DNAT, seen after one
    /// and before the other. Any context.
    pub(crate) fn post_nat(&self, mut ends: Ends) -> Option<Ends> {
        // SAFETY: `find` is that by the type invariant; the namespace is valid by the invariant of
        // `Netns`, whose operations are those of a device: its exit comes before that of conntrack.
        // `ends` is ours.
        let is_known = unsafe {
            bindings::netflow_conntrack_post_nat(self.find.as_ptr(), self.netns.as_ptr(), &mut ends)
        };
        is_known.then_some(ends)
    }
}

impl Drop for Conntrack {
    fn drop(&mut self) {
        // SAFETY: By the type invariant there is one to put, and it is used no more.
        unsafe { bindings::netflow_conntrack_put() };
    }
}

/// Is told of connections as they begin and end.
///
/// # Invariants
///
/// `socket` is a valid socket that this owns, of `netflow_conntrack_listen`.
pub(crate) struct Listener {
    socket: NonNull<bindings::socket>,
    /// Released before the namespace is freed, as a socket of the kernel's own does not keep that.
    _netns: Netns,
}

// SAFETY: To receive takes the lock of the queue, and the kernel's sockets belong to no thread.
unsafe impl Send for Listener {}

impl Listener {
    /// Listens from now on; what was not received yet takes `bytes` at most, as the kernel accounts
    /// them. Process context, in a task of the kernel, whose capabilities it needs; waits for no
    /// module. `EAGAIN` if nfnetlink is not there yet, nor will be if the kernel has none.
    pub(crate) fn new(netns: &Netns, bytes: u32) -> Result<Self> {
        let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
        let mut socket = ptr::null_mut();
        // SAFETY: The namespace is valid by the invariant of `Netns`, and `socket` is ours.
        to_result(unsafe {
            bindings::netflow_conntrack_listen(netns.as_ptr(), bytes, &mut socket)
        })?;
        // INVARIANT: Just made.
        Ok(Self {
            socket: NonNull::new(socket).ok_or(EINVAL)?,
            _netns: netns.clone(),
        })
    }

    /// The next message: a netlink message of nfnetlink_conntrack, cut off if `buffer` is too
    /// small, and empty if not of the kernel. `None` if there is none. Process context; does not
    /// wait.
    pub(crate) fn receive<'a>(&self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        // SAFETY: The socket is valid by the type invariant; so many bytes may be written.
        let len = unsafe {
            bindings::netflow_conntrack_receive(
                self.socket.as_ptr(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
            )
        };
        buffer.get(..usize::try_from(len).ok()?)
    }

    /// How many messages were lost so far, as they did not fit; modulo 2^32.
    pub(crate) fn missed(&self) -> u32 {
        // SAFETY: The socket is valid by the type invariant.
        unsafe { bindings::netflow_conntrack_missed(self.socket.as_ptr()) }
    }
}

impl Drop for Listener {
    /// Process context. nf_tables looks for what the socket may own, with the lock of the
    /// namespace's rules.
    fn drop(&mut self) {
        // SAFETY: The socket is ours by the type invariant.
        unsafe { bindings::sock_release(self.socket.as_ptr()) };
    }
}
