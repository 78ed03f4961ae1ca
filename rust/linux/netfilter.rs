// SPDX-License-Identifier: GPL-2.0

//! Netfilter hooks that look at packets and let all of them pass.
//!
//! C header: [`include/linux/netfilter.h`](srctree/include/linux/netfilter.h)

use core::ptr::NonNull;

use kernel::{
    error::to_result,
    prelude::*,
    sync::{
        rcu,
        Arc,
        ArcBorrow, //
    },
    types::Opaque, //
};

use super::{
    netns::Netns,
    skb::Packet, //
};
use crate::{
    bindings,
    flow::observe::{
        ObservationPoint,
        ObservationPoints, //
    },
};

/// Who looks at the packets.
pub(crate) trait Observer: Send + Sync + 'static {
    /// Looks at a packet. Softirq or process context; RCU read lock held.
    fn observe(this: ArcBorrow<'_, Self>, packet: &Packet<'_>);
}

/// The hooks of an observer, at some of the observation points of IPv4, in place until this is dropped.
///
/// At PREROUTING a hook sits before everything that drops, changes or reassembles packets, but behind
/// the one with which a bridge keeps most packets from passing twice. At the other points it sits
/// behind filters and NAT: it sees what they let pass, with the addresses of the wire.
///
/// # Invariants
///
/// Each of `ops` is registered in `netns` at the point of the same place in [`ObservationPoint::ALL`], and its
/// private pointer is that of `observer`.
pub(crate) struct Hooks<T: Observer> {
    ops: [Option<KBox<Opaque<bindings::nf_hook_ops>>>; ObservationPoint::ALL.len()],
    netns: Netns,
    observer: Arc<T>,
}

// SAFETY: Hooks may be unregistered from any thread; `ops` is not used otherwise.
unsafe impl<T: Observer> Send for Hooks<T> {}

impl<T: Observer> Hooks<T> {
    /// No hooks yet.
    pub(crate) fn new(netns: Netns, observer: Arc<T>) -> Self {
        Self {
            ops: [const { None }; ObservationPoint::ALL.len()],
            netns,
            observer,
        }
    }

    /// Adds hooks at those of `points` that have none. Process context. On an error some may be there
    /// already.
    pub(crate) fn add(&mut self, points: ObservationPoints) -> Result {
        for (slot, point) in self.ops.iter_mut().zip(ObservationPoint::ALL) {
            if slot.is_some() || !points.has(point) {
                continue;
            }
            let ops = KBox::new(Opaque::new(ops(point, &self.observer)), GFP_KERNEL_ACCOUNT)?;
            // SAFETY: The namespace is valid by the invariant of `Netns`. The box does not move what is
            // in it; like the observer it lives until the hook is unregistered and nobody is in it.
            to_result(unsafe { bindings::nf_register_net_hook(self.netns.as_ptr(), ops.get()) })?;
            // INVARIANT: Just registered.
            *slot = Some(ops);
        }
        Ok(())
    }

    /// Removes the hooks that are not at `points`; on return no CPU is in them any more. Process
    /// context.
    pub(crate) fn retain(&mut self, points: ObservationPoints) {
        let mut removed = [const { None }; ObservationPoint::ALL.len()];
        let mut any = false;
        for ((slot, point), out) in self
            .ops
            .iter_mut()
            .zip(ObservationPoint::ALL)
            .zip(&mut removed)
        {
            if points.has(point) {
                continue;
            }
            *out = slot.take();
            if let Some(ops) = out {
                any = true;
                // SAFETY: Registered in `netns` by the type invariant.
                unsafe { bindings::nf_unregister_net_hook(self.netns.as_ptr(), ops.get()) };
            }
        }
        if any {
            // Unregistering does not wait for those who are in a hook: they hold the RCU read lock.
            rcu::synchronize_rcu();
        }
    }
}

impl<T: Observer> Drop for Hooks<T> {
    /// Removes the hooks; on return no CPU is in them any more. Process context.
    fn drop(&mut self) {
        self.retain(ObservationPoints::from_bits(0));
    }
}

/// What describes the hook of `observer` at `point`.
fn ops<T: Observer>(point: ObservationPoint, observer: &Arc<T>) -> bindings::nf_hook_ops {
    let priority = match point {
        ObservationPoint::Prerouting => bindings::nf_ip_hook_priorities_NF_IP_PRI_FIRST + 1,
        _ => bindings::nf_ip_hook_priorities_NF_IP_PRI_LAST,
    };
    // CAST: Constants that fit, and the observer is only ever read through the pointer.
    bindings::nf_hook_ops {
        hook: Some(match point {
            ObservationPoint::Prerouting => hook::<T, { ObservationPoint::Prerouting as usize }>,
            ObservationPoint::Input => hook::<T, { ObservationPoint::Input as usize }>,
            ObservationPoint::Forward => hook::<T, { ObservationPoint::Forward as usize }>,
            ObservationPoint::Output => hook::<T, { ObservationPoint::Output as usize }>,
            ObservationPoint::Postrouting => hook::<T, { ObservationPoint::Postrouting as usize }>,
        }),
        priv_: Arc::as_ptr(observer).cast_mut().cast(),
        pf: bindings::NFPROTO_IPV4 as u8,
        hooknum: point as c_uint,
        priority,
        ..pin_init::zeroed()
    }
}

// `ObservationPoint` numbers the hooks as C does.
const _: () = assert!(
    ObservationPoint::Prerouting as u32 == bindings::nf_inet_hooks_NF_INET_PRE_ROUTING
        && ObservationPoint::Input as u32 == bindings::nf_inet_hooks_NF_INET_LOCAL_IN
        && ObservationPoint::Forward as u32 == bindings::nf_inet_hooks_NF_INET_FORWARD
        && ObservationPoint::Output as u32 == bindings::nf_inet_hooks_NF_INET_LOCAL_OUT
        && ObservationPoint::Postrouting as u32 == bindings::nf_inet_hooks_NF_INET_POST_ROUTING
);

/// What netfilter calls at the observation point `ObservationPoint::ALL[POINT]`.
///
/// One function for each point, so that what depends on the point is decided by the compiler.
///
/// # Safety
///
/// `observer` must be the pointer to a live `T`; `skb` and `state` must be valid; the RCU read lock
/// must be held.
unsafe extern "C" fn hook<T: Observer, const POINT: usize>(
    observer: *mut c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> c_uint {
    // SAFETY: It is the pointer of an `Arc` that lives until the hook is unregistered and an RCU grace period
    // has passed, by the invariant of `Hooks`.
    let observer = unsafe { ArcBorrow::from_raw(observer.cast_const().cast::<T>()) };
    // SAFETY: Netfilter hands over a packet that nobody else changes and a state, neither null, under
    // the RCU read lock.
    let packet = unsafe {
        Packet::new(
            NonNull::new_unchecked(skb),
            NonNull::new_unchecked(state.cast_mut()),
            const { ObservationPoint::ALL[POINT] },
        )
    };
    T::observe(observer, &packet);
    bindings::NF_ACCEPT
}
