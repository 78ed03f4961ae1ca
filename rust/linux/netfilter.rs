// SPDX-License-Identifier: GPL-2.0

//! Netfilter hooks that look at packets and let all of them pass.
//!
//! C header: [`include/linux/netfilter.h`](srctree/include/linux/netfilter.h)

use core::ptr::NonNull;

use kernel::{
    error::to_result,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
    types::Opaque, //
};

use super::{
    grace_period::GracePeriod,
    netns::Netns,
    skb::Packet, //
};
use crate::bindings;

/// A hook of the IP families, numbered as in `enum nf_inet_hooks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    PreRouting,
    LocalIn,
    Forward,
    LocalOut,
    PostRouting,
}

impl Hook {
    /// All of them, by number.
    pub(crate) const ALL: [Self; 5] = [
        Self::PreRouting,
        Self::LocalIn,
        Self::Forward,
        Self::LocalOut,
        Self::PostRouting,
    ];
}

// The numbers are those of C.
const _: () = assert!(
    Hook::PreRouting as u32 == bindings::nf_inet_hooks_NF_INET_PRE_ROUTING
        && Hook::LocalIn as u32 == bindings::nf_inet_hooks_NF_INET_LOCAL_IN
        && Hook::Forward as u32 == bindings::nf_inet_hooks_NF_INET_FORWARD
        && Hook::LocalOut as u32 == bindings::nf_inet_hooks_NF_INET_LOCAL_OUT
        && Hook::PostRouting as u32 == bindings::nf_inet_hooks_NF_INET_POST_ROUTING
);

/// Protocol families that have hooks, `NFPROTO_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Protocol {
    // CAST: Fits.
    Ipv4 = bindings::NFPROTO_IPV4 as u8,
    Ipv6 = bindings::NFPROTO_IPV6 as u8,
}

/// Where a hook function stands among those of the same hook: the lower, the earlier.
pub(crate) type Priority = i32;

/// Before all others, `NF_IP_PRI_FIRST`. What must come first of all, as br_netfilter, has it too.
pub(crate) const PRI_FIRST: Priority = bindings::nf_ip_hook_priorities_NF_IP_PRI_FIRST;

/// After all others, `NF_IP_PRI_LAST`.
pub(crate) const PRI_LAST: Priority = bindings::nf_ip_hook_priorities_NF_IP_PRI_LAST;

/// Who looks at the packets.
pub(crate) trait Inspect: Send + Sync + 'static {
    /// Of which protocol family.
    const PROTOCOL: Protocol;

    /// Looks at a packet. Softirq or process context; RCU read lock held.
    fn inspect(this: ArcBorrow<'_, Self>, packet: &Packet<'_>);
}

/// Hook functions of `target`, in place until this is dropped or [`Self::unregister`] is called.
///
/// # Invariants
///
/// - Each of `ops` is initialised, and its private pointer is that of `target`.
/// - While `unregistered` is `None`, each of `ops` is registered in `netns` at the hook of the same
///   place in [`Hook::ALL`]. Else none is, and that since `unregistered`.
pub(crate) struct Hooks<T: Inspect> {
    ops: [Option<KBox<Opaque<bindings::nf_hook_ops>>>; Hook::ALL.len()],
    unregistered: Option<GracePeriod>,
    netns: Netns,
    target: Arc<T>,
}

// SAFETY: Hooks may be unregistered from any thread; `ops` is not used otherwise.
unsafe impl<T: Inspect> Send for Hooks<T> {}

impl<T: Inspect> Hooks<T> {
    /// None is in place yet.
    pub(crate) fn new(netns: Netns, target: Arc<T>) -> Self {
        Self {
            ops: [const { None }; Hook::ALL.len()],
            unregistered: None,
            netns,
            target,
        }
    }

    /// Puts a hook function in place, unless there is one at that hook. Process context.
    /// `ESHUTDOWN` after [`Self::unregister`].
    pub(crate) fn add(&mut self, hook: Hook, priority: Priority) -> Result {
        if self.unregistered.is_some() {
            return Err(ESHUTDOWN);
        }
        let Some(slot @ None) = self.ops.get_mut(hook as usize) else {
            return Ok(());
        };
        let ops = ops(hook, priority, &self.target);
        let ops = KBox::new(Opaque::new(ops), GFP_KERNEL_ACCOUNT)?;
        // SAFETY: The namespace is valid by the invariant of `Netns`. The box does not move what is
        // in it; like the target it lives until the hook is unregistered and nobody is in it.
        to_result(unsafe { bindings::nf_register_net_hook(self.netns.as_ptr(), ops.get()) })?;
        // INVARIANT: Just registered.
        *slot = Some(ops);
        Ok(())
    }

    /// Removes all hook functions, without waiting for those who are in one: whoever drops this
    /// does. Process context.
    pub(crate) fn unregister(&mut self) {
        if self.unregistered.is_some() || self.ops.iter().all(Option::is_none) {
            return;
        }
        for ops in self.ops.iter().flatten() {
            // SAFETY: Registered in `netns` by the type invariant.
            unsafe { bindings::nf_unregister_net_hook(self.netns.as_ptr(), ops.get()) };
        }
        // INVARIANT: All were just unregistered.
        self.unregistered = Some(GracePeriod::begin());
    }
}

impl<T: Inspect> Drop for Hooks<T> {
    /// Removes all; on return no CPU is in them any more. Process context.
    fn drop(&mut self) {
        self.unregister();
        if let Some(since) = self.unregistered.take() {
            // Unregistering does not wait for those who are in a hook: they hold the RCU read lock.
            since.wait();
        }
    }
}

/// What describes the hook function of `target`.
fn ops<T: Inspect>(hook: Hook, priority: Priority, target: &Arc<T>) -> bindings::nf_hook_ops {
    // CAST: The target is only ever read through the pointer.
    bindings::nf_hook_ops {
        hook: Some(match hook {
            Hook::PreRouting => hook_fn::<T, { Hook::PreRouting as usize }>,
            Hook::LocalIn => hook_fn::<T, { Hook::LocalIn as usize }>,
            Hook::Forward => hook_fn::<T, { Hook::Forward as usize }>,
            Hook::LocalOut => hook_fn::<T, { Hook::LocalOut as usize }>,
            Hook::PostRouting => hook_fn::<T, { Hook::PostRouting as usize }>,
        }),
        priv_: Arc::as_ptr(target).cast_mut().cast(),
        pf: T::PROTOCOL as u8,
        hooknum: hook as c_uint,
        priority,
        ..pin_init::zeroed()
    }
}

/// What netfilter calls at the hook `Hook::ALL[HOOK]`.
///
/// One function for each hook, so that what depends on the hook is decided by the compiler.
///
/// # Safety
///
/// `target` must be the pointer to a live `T`; `skb` and `state` must be valid; the RCU read lock
/// must be held.
unsafe extern "C" fn hook_fn<T: Inspect, const HOOK: usize>(
    target: *mut c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> c_uint {
    // SAFETY: It is the pointer of an `Arc` that lives until the hook is unregistered and an RCU
    // grace period has passed, by the invariant of `Hooks`.
    let target = unsafe { ArcBorrow::from_raw(target.cast_const().cast::<T>()) };
    // SAFETY: Netfilter hands over a packet that nobody else changes and a state, neither null,
    // under the RCU read lock.
    let packet = unsafe {
        Packet::new(
            NonNull::new_unchecked(skb),
            NonNull::new_unchecked(state.cast_mut()),
            const { Hook::ALL[HOOK] },
            T::PROTOCOL,
        )
    };
    T::inspect(target, &packet);
    bindings::NF_ACCEPT
}
