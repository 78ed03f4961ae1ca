// SPDX-License-Identifier: GPL-2.0

//! A packet on its way through netfilter, as a hook function may look at it.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use core::{
    hint::assert_unchecked,
    marker::PhantomData,
    mem::MaybeUninit,
    net::{
        Ipv4Addr,
        Ipv6Addr, //
    },
    ptr::NonNull,
    slice, //
};

use super::{
    bh_lock::BhGuard,
    netfilter::{
        Hook,
        Protocol, //
    },
};
use crate::bindings;

/// What is known only of some packets: those that are for this host, go out, or were bridged.
pub(crate) use bindings::packet_facts as PacketFacts;

/// A packet that a hook function was handed. Lives only for the call, in which the RCU read lock is
/// held.
///
/// # Invariants
///
/// `skb` and `state` are what netfilter handed over at `hook` of `protocol`, valid for `'a`. `view`
/// was taken from them, and the packet does not change during `'a`. The RCU read lock is held for
/// `'a`.
pub(crate) struct Packet<'a> {
    skb: NonNull<bindings::sk_buff>,
    state: NonNull<bindings::nf_hook_state>,
    hook: Hook,
    protocol: Protocol,
    view: bindings::packet_view,
    _lifetime: PhantomData<&'a bindings::sk_buff>,
}

impl<'a> Packet<'a> {
    /// Looks at a packet.
    ///
    /// # Safety
    ///
    /// Both must be what netfilter handed to a hook function at `hook` of `protocol`, valid for
    /// `'a`, and so must the RCU read lock be held.
    #[inline(always)]
    pub(super) unsafe fn new(
        skb: NonNull<bindings::sk_buff>,
        state: NonNull<bindings::nf_hook_state>,
        hook: Hook,
        protocol: Protocol,
    ) -> Self {
        let take_view = match protocol {
            Protocol::Ipv4 => bindings::netflow_packet_view,
            Protocol::Ipv6 => bindings::netflow_packet6_view,
        };
        let mut view = MaybeUninit::uninit();
        // SAFETY: Both are valid by the requirements of this function, and `view` takes what is
        // written.
        unsafe { take_view(skb.as_ptr(), state.as_ptr(), view.as_mut_ptr()) };
        // INVARIANT: By the requirements of this function.
        Self {
            skb,
            state,
            hook,
            protocol,
            // SAFETY: It was just written, all of it.
            view: unsafe { view.assume_init() },
            _lifetime: PhantomData,
        }
    }

    /// The hook that the packet is in.
    #[inline(always)]
    pub(crate) fn hook(&self) -> Hook {
        self.hook
    }

    /// Bytes from the network header to the end.
    #[inline(always)]
    pub(crate) fn len(&self) -> u32 {
        self.view.len
    }

    /// The first `N` bytes from the network header on. `None` if the kernel does not have them in
    /// one piece.
    #[inline(always)]
    pub(crate) fn prefix<const N: usize>(&self) -> Option<&[u8; N]> {
        if N > self.view.linear as usize {
            return None;
        }
        // SAFETY: `linear` bytes at `data` are readable by the type invariant, as long as the
        // packet is borrowed. So `data` is no null pointer; the compiler is told, or it would
        // check.
        unsafe {
            assert_unchecked(!self.view.data.is_null());
            Some(&*self.view.data.cast())
        }
    }

    /// The bytes from the network header on: `N` of them, or all if the packet has fewer; copied to
    /// `buffer` if they are in several pieces. Empty if they cannot be read.
    pub(crate) fn headers<'b, const N: usize>(
        &'b self,
        buffer: &'b mut MaybeUninit<[u8; N]>,
    ) -> &'b [u8] {
        let wanted = N.min(self.view.len as usize);
        if wanted <= self.view.linear as usize {
            // SAFETY: `linear` bytes at `data` are readable by the type invariant, as long as the
            // packet is borrowed.
            return unsafe { slice::from_raw_parts(self.view.data.cast(), wanted) };
        }
        let buffer = buffer.write([0; N]);
        self.copy_headers(buffer.get_mut(..wanted).unwrap_or_default())
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

    /// Disables bottom halves, if they are not. They mostly are where packets are received; not for
    /// a packet that comes back from NFQUEUE, or that waited for a multicast route.
    #[inline(always)]
    pub(crate) fn bh_disabled(&self) -> BhGuard<'_> {
        // SAFETY: The CPU that runs this told whether they are; if so, they stay disabled while the
        // hook function runs, which is the lifetime of the packet. It does not run in hard
        // interrupts.
        unsafe { BhGuard::assume_disabled(self.view.bh_disabled != 0) }
    }

    /// Index of the interface that it came in by: in a VRF the enslaved one. The kernel may name
    /// one for what this host sends, too.
    #[inline(always)]
    pub(crate) fn input(&self) -> u32 {
        self.view.input
    }

    /// `skb->skb_iif`: index of the device that received it last, in a VRF that of the VRF; 0 if it
    /// was made here.
    pub(crate) fn skb_iif(&self) -> u32 {
        // SAFETY: `skb` is valid by the type invariant.
        unsafe { bindings::netflow_skb_iif(self.skb.as_ptr()) }
    }

    /// Its mark (fwmark).
    #[inline(always)]
    pub(crate) fn mark(&self) -> u32 {
        self.view.mark
    }

    /// `IPSKB_FORWARDED`, of IPv6 at POSTROUTING alone: the kernel has routed it, as something that
    /// is not for this host.
    #[inline(always)]
    pub(crate) fn is_forwarded(&self) -> bool {
        self.view.ipcb_flags & bindings::NETFLOW_IPSKB_FORWARDED != 0
    }

    /// `NETFLOW_PAST_LOCAL_IN`, of IPv6 at FORWARD and POSTROUTING: it was for this host, which
    /// sends it on.
    #[inline(always)]
    pub(crate) fn is_past_local_in(&self) -> bool {
        self.view.ipcb_flags & bindings::NETFLOW_PAST_LOCAL_IN != 0
    }

    /// `IPSKB_L3SLAVE`: a VRF has received it from a device that is enslaved to it.
    #[inline(always)]
    pub(crate) fn is_l3_slave(&self) -> bool {
        self.view.ipcb_flags & bindings::NETFLOW_IPSKB_L3SLAVE != 0
    }

    /// Its route was found in order to send it (`rt_is_output_route()`), not as what was received.
    /// Of IPv6, at PREROUTING and LOCAL_IN alone.
    #[inline(always)]
    pub(crate) fn has_output_route(&self) -> bool {
        self.view.output_route != 0
    }

    /// A bridge hands it over (br_netfilter).
    #[inline(always)]
    pub(crate) fn is_bridged(&self) -> bool {
        self.view.bridged != 0
    }

    /// What else is known of it. It takes long to find out.
    pub(crate) fn facts(&self) -> PacketFacts {
        let find_out = match self.protocol {
            Protocol::Ipv4 => bindings::netflow_packet_facts,
            Protocol::Ipv6 => bindings::netflow_packet6_facts,
        };
        let mut facts = PacketFacts::default();
        // SAFETY: Both are valid by the type invariant, `facts` is ours.
        unsafe { find_out(self.skb.as_ptr(), self.state.as_ptr(), &mut facts) };
        facts
    }

    /// Index of the interface that it goes out by, 0 if the kernel has not decided yet.
    pub(crate) fn output(&self) -> u32 {
        // SAFETY: `state` is valid by the type invariant.
        unsafe { bindings::netflow_output(self.state.as_ptr()) }
    }

    /// Index of the device whose VRF the kernel has routed it in, or will; 0 if there is none.
    pub(crate) fn vrf_device(&self) -> u32 {
        // SAFETY: `state` is valid by the type invariant.
        unsafe { bindings::netflow_device(self.state.as_ptr()) }
    }

    /// Gateway of the route that the kernel has found, unspecified if there is none, or none of
    /// IPv4.
    pub(crate) fn gateway4(&self) -> Ipv4Addr {
        // SAFETY: `skb` is valid and the RCU read lock held by the type invariant.
        let gateway = unsafe { bindings::netflow_skb_gateway(self.skb.as_ptr()) };
        Ipv4Addr::from(gateway.to_ne_bytes())
    }

    /// The same of IPv6.
    pub(crate) fn gateway6(&self) -> Ipv6Addr {
        let mut gateway = [0; 16];
        // SAFETY: `skb` is valid and the RCU read lock held by the type invariant; the address has
        // as many bytes.
        unsafe { bindings::netflow_skb_gateway6(self.skb.as_ptr(), gateway.as_mut_ptr()) };
        Ipv6Addr::from(gateway)
    }

    /// Whether this host has an address, in the VRF that the packet is in.
    pub(crate) fn is_host_address4(&self, address: Ipv4Addr) -> bool {
        let address = u32::from_ne_bytes(address.octets());
        // SAFETY: `state` is valid and the RCU read lock held by the type invariant.
        unsafe { bindings::netflow_is_host_address(self.state.as_ptr(), address) }
    }

    /// The same of IPv6.
    pub(crate) fn is_host_address6(&self, address: Ipv6Addr) -> bool {
        let address = address.octets();
        // SAFETY: `skb` and `state` are valid and the RCU read lock held by the type invariant; the
        // address has 16 bytes.
        unsafe {
            bindings::netflow_is_host_address6(
                self.skb.as_ptr(),
                self.state.as_ptr(),
                address.as_ptr(),
            )
        }
    }

    /// Whether it stands for several packets on the wire (GRO, GSO).
    #[inline(always)]
    pub(crate) fn is_gso(&self) -> bool {
        self.view.gso_size != 0
    }

    /// Payload bytes in each of these but the last, 0 if it stands for itself alone.
    pub(crate) fn gso_size(&self) -> u16 {
        // CAST: As wide as in the C struct.
        self.view.gso_size as u16
    }

    /// How many packets it stands for, 0 if the kernel does not know.
    pub(crate) fn gso_segs(&self) -> u16 {
        // SAFETY: `skb` is valid by the type invariant.
        unsafe { bindings::netflow_gso_segs(self.skb.as_ptr()) }
    }

    /// Bytes of headers up to the payload of the packet in a tunnel, 0 if it is not in one.
    pub(crate) fn gso_tunnel_headers(&self) -> u16 {
        // SAFETY: `skb` is valid by the type invariant.
        unsafe { bindings::netflow_gso_tunnel_headers(self.skb.as_ptr()) }
    }
}
