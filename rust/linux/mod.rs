// SPDX-License-Identifier: GPL-2.0

//! What this module needs of Linux and the kernel crate does not offer: one file for each noun.
//!
//! The interfaces are safe, and as narrow as their users need them: no general `sk_buff`, no
//! general socket. They know nothing of flows. Nearly all `unsafe` code of the module is here.

pub(crate) mod alloc;
pub(crate) mod bh_lock;
pub(crate) mod clock;
pub(crate) mod conntrack;
pub(crate) mod cpuhp;
pub(crate) mod fib;
pub(crate) mod fib6;
mod grace_period;
pub(crate) mod memcg;
pub(crate) mod netdevice;
pub(crate) mod netfilter;
pub(crate) mod netlink;
pub(crate) mod netns;
pub(crate) mod on_demand_work;
pub(crate) mod percpu;
pub(crate) mod periodic_work;
pub(crate) mod rwonce;
pub(crate) mod skb;
pub(crate) mod socket;
pub(crate) mod time_budget;
pub(crate) mod timer;
mod users;
pub(crate) mod workqueue;
pub(crate) mod xarray;

use crate::bindings;

/// Random numbers that nobody can guess. Process context.
pub(crate) fn random<const N: usize>() -> [u64; N] {
    let mut numbers = [0; N];
    // SAFETY: The array is valid for writes of its size, and any bytes are numbers.
    unsafe { bindings::get_random_bytes(numbers.as_mut_ptr().cast(), size_of_val(&numbers)) };
    numbers
}

/// A random number below `n`, which nobody can guess; 0 if `n` is. Any context.
pub(crate) fn random_below(n: u32) -> u32 {
    // SAFETY: It has no requirements.
    unsafe { bindings::netflow_random_below(n) }
}

/// Lets other tasks run that want to. Process context, without locks that spin.
#[inline]
pub(crate) fn cond_resched() {
    // SAFETY: No lock that spins is held, as the callers ensure; else the kernel complains.
    unsafe { bindings::netflow_cond_resched() }
}

/// The same for long loops of short turns: at one turn in 65,536.
#[inline]
pub(crate) fn cond_resched_at(turn: usize) {
    if turn & 0xffff == 0 {
        cond_resched();
    }
}

/// Makes the CPU fetch what will be written soon. Any context.
#[inline(always)]
pub(crate) fn prefetch_for_write<T>(what: *const T) {
    // A call takes longer than what it does. All CPUs of this kind know the instruction, or ignore
    // it.
    #[cfg(target_arch = "x86_64")]
    // SAFETY: A prefetch has no effect on anything, wherever it points.
    unsafe {
        core::arch::asm!(
            "prefetchw [{}]",
            in(reg) what,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: As above.
    unsafe {
        bindings::netflow_prefetchw(what.cast())
    }
}
