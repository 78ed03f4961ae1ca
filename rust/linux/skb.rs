// SPDX-License-Identifier: GPL-2.0

//! A packet on its way through netfilter, as a hook may look at it.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use core::{
    hint::assert_unchecked,
    marker::PhantomData,
    mem::MaybeUninit,
    net::Ipv4Addr,
    ptr::NonNull,
    slice, //
};

use super::{
    bh_lock::BhGuard, //
    fib::{
        RouteQuery, //
        RoutedTo,
    },
};
use crate::{
    bindings,
    flow::{
        observe::{
            HookFacts,
            ObservationPoint, //
        },
        parse::Gso, //
    },
};

/// A packet that a hook was handed. Lives only for the call, in which the RCU read lock is held.
///
/// # Invariants
///
/// `skb` and `state` are what netfilter handed to a hook at `point`, valid for `'a`. `view` was taken from them,
/// and the packet does not change during `'a`. The RCU read lock is held for `'a`.
pub(crate) struct Packet<'a> {
    skb: NonNull<bindings::sk_buff>,
    state: NonNull<bindings::nf_hook_state>,
    point: ObservationPoint,
    view: bindings::packet_view,
    _lifetime: PhantomData<&'a bindings::sk_buff>,
}

impl<'a> Packet<'a> {
    /// Looks at a packet.
    ///
    /// # Safety
    ///
    /// Both must be what netfilter handed to a hook at `point`, valid for `'a`, and so must the RCU read lock be
    /// held.
    #[inline(always)]
    pub(super) unsafe fn new(
        skb: NonNull<bindings::sk_buff>,
        state: NonNull<bindings::nf_hook_state>,
        point: ObservationPoint,
    ) -> Self {
        let mut view = MaybeUninit::uninit();
        // SAFETY: Both are valid by the requirements of this function, and `view` takes what is
        // written.
        unsafe {
            bindings::netflow_packet_view(skb.as_ptr(), state.as_ptr(), view.as_mut_ptr());
        }
        // INVARIANT: By the requirements of this function.
        Self {
            skb,
            state,
            point,
            // SAFETY: It was just written, all of it.
            view: unsafe { view.assume_init() },
            _lifetime: PhantomData,
        }
    }

    /// The first `N` bytes from the network header on. `None` if the kernel does not have them in one piece.
    #[inline(always)]
    pub(crate) fn prefix<const N: usize>(&self) -> Option<&[u8; N]> {
        if N > self.view.linear as usize {
            return None;
        }
        // SAFETY: `linear` bytes at `data` are readable by the type invariant, as long as the packet is
        // borrowed. So `data` is no null pointer; the compiler is told, or it would check.
        unsafe {
            assert_unchecked(!self.view.data.is_null());
            Some(&*self.view.data.cast())
        }
    }

    /// The bytes from the network header on: `N` of them, or all if the packet has fewer. `None` if the kernel
    /// does not have them in one piece.
    #[inline(always)]
    pub(crate) fn headers_in_place<const N: usize>(&self) -> Option<&[u8]> {
        let wanted = N.min(self.view.len as usize);
        if wanted > self.view.linear as usize {
            return None;
        }
        // SAFETY: `linear` bytes at `data` are readable by the type invariant, as long as the packet is
        // borrowed.
        Some(unsafe { slice::from_raw_parts(self.view.data.cast(), wanted) })
    }

    /// The same, copied to `buffer` if they are in several pieces. Empty if they cannot be read.
    pub(crate) fn headers<'b, const N: usize>(
        &'b self,
        buffer: &'b mut MaybeUninit<[u8; N]>,
    ) -> &'b [u8] {
        self.headers_in_place::<N>().unwrap_or_else(|| {
            let wanted = N.min(self.view.len as usize);
            let buffer = buffer.write([0; N]);
            self.copy_headers(buffer.get_mut(..wanted).unwrap_or_default())
        })
    }

    /// Copies the bytes from the network header on to `buffer`, from wherever they lie.
    #[cold]
    fn copy_headers<'b>(&self, buffer: &'b mut [u8]) -> &'b [u8] {
        // CAST: A few bytes.
        // SAFETY: `skb` is valid by the type invariant; the buffer takes as many bytes.
        let err = unsafe {
            bindings::netflow_copy_headers(
                self.skb.as_ptr(),
                buffer.as_mut_ptr().cast(),
                buffer.len() as u32,
            )
        };
        if err == 0 {
            buffer
        } else {
            &[]
        }
    }

    /// Bytes from the network header to the end.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.view.len
    }

    /// The hook that the packet is in.
    #[inline(always)]
    pub(crate) fn point(&self) -> ObservationPoint {
        self.point
    }

    /// Turns softirqs off, if they are not. They mostly are where packets are received; not for a packet
    /// that comes back from NFQUEUE, or that waited for a multicast route.
    #[inline(always)]
    pub(crate) fn bh_disabled(&self) -> BhGuard {
        // SAFETY: The CPU that runs this told whether they are off; if so, they stay off while the hook
        // runs, which is the lifetime of the packet. Hooks do not run in hard interrupts.
        unsafe { BhGuard::assume_disabled(self.view.bh_disabled != 0) }
    }

    /// What tells how it came there.
    #[inline(always)]
    pub(crate) fn facts(&self) -> HookFacts {
        let view = &self.view;
        let has = |flag: u32| view.ipcb_flags & flag != 0;
        let facts = HookFacts {
            from_l3_slave: has(bindings::NETFLOW_IPSKB_L3SLAVE),
            looped: view.looped != 0,
            routed: has(bindings::NETFLOW_IPSKB_FORWARDED),
            ..HookFacts::default()
        };
        match self.point {
            ObservationPoint::Prerouting | ObservationPoint::Forward if view.bridged == 0 => facts,
            _ => self.more_facts(HookFacts {
                bridged: view.bridged != 0,
                ..facts
            }),
        }
    }

    /// Adds what is known only of packets that are for this host, go out, or were bridged.
    fn more_facts(&self, facts: HookFacts) -> HookFacts {
        let mut more = bindings::packet_facts::default();
        // SAFETY: Both are valid by the type invariant, `more` is ours.
        unsafe {
            bindings::netflow_packet_facts(self.skb.as_ptr(), self.state.as_ptr(), &mut more)
        };
        HookFacts {
            in_bridge: more.in_bridge,
            ipvs: more.ipvs,
            to_l3_master: more.to_l3_master,
            to_here: more.to_here,
            group_copy: more.group_copy,
            leaked: more.leaked,
            // vrf_ip_rcv() makes it look as if it came from elsewhere, but it keeps the route that it was sent by.
            looped: facts.looped || (self.point == ObservationPoint::Input && more.output_route),
            ..facts
        }
    }

    /// Index of the interface that the packet came in by: in a VRF the enslaved one. 0 if it comes from
    /// here; but see [`crate::flow::observe::Traversal::is_local`], as the kernel may name one all the same.
    #[inline]
    pub(crate) fn input(&self) -> u32 {
        self.view.input
    }

    /// The same at POSTROUTING, where a packet that was leaked into a VRF is said to come in by that VRF.
    /// It came from the one returned.
    pub(crate) fn forwarded_from(&self) -> u32 {
        if self.view.ipcb_flags & bindings::NETFLOW_IPSKB_L3SLAVE != 0 {
            self.view.input
        } else {
            // SAFETY: `skb` is valid by the type invariant.
            unsafe { bindings::netflow_skb_iif(self.skb.as_ptr()) }
        }
    }

    /// What the FIB is to be asked with.
    #[inline(always)]
    pub(crate) fn path(&self) -> RouteQuery {
        RouteQuery {
            input: self.view.input,
            mark: self.view.mark,
        }
    }

    /// What the kernel has found in the FIB for the packet; at PREROUTING nothing yet.
    pub(crate) fn found(&self) -> Option<RoutedTo> {
        // SAFETY: `skb` and `state` are valid and the RCU read lock held by the type invariant.
        let (output, device, gateway) = unsafe {
            (
                bindings::netflow_output(self.state.as_ptr()),
                bindings::netflow_device(self.state.as_ptr()),
                bindings::netflow_skb_gateway(self.skb.as_ptr()),
            )
        };
        (output != 0).then_some(RoutedTo {
            output,
            device,
            gateway: Ipv4Addr::from(gateway.to_ne_bytes()),
        })
    }

    /// Whether the packet stands for several on the wire.
    #[inline(always)]
    pub(crate) fn is_aggregate(&self) -> bool {
        self.view.gso_size != 0
    }

    /// Of how many, and how large, if it does.
    pub(crate) fn gso(&self) -> Option<Gso> {
        // CAST: As wide as in the C struct.
        match self.view.gso_size as u16 {
            0 => None,
            size => Some(self.aggregate(size)),
        }
    }

    #[cold]
    fn aggregate(&self, size: u16) -> Gso {
        let skb = self.skb.as_ptr();
        // SAFETY: `skb` is valid by the type invariant.
        let (segs, headers) = unsafe {
            (
                bindings::netflow_gso_segs(skb),
                bindings::netflow_gso_tunnel_headers(skb),
            )
        };
        Gso {
            size,
            segs,
            headers,
        }
    }
}
