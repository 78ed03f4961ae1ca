// SPDX-License-Identifier: GPL-2.0

//! A timer for each CPU that expires on that CPU, at its next tick.
//!
//! C header: [`include/linux/timer.h`](srctree/include/linux/timer.h)

use core::cell::Cell;

use kernel::{
    prelude::*,
    sync::Arc,
    types::Opaque, //
};
use pin_init::Zeroable;

use super::{
    bh_lock::{
        BhDisabled,
        BhGuard, //
    },
    cpuhp::DeadCpu,
    percpu::PerCpu, //
};
use crate::bindings;

/// Who is told when a timer expires.
pub(crate) trait Expire: Send + Sync + 'static {
    /// The timer of this CPU has expired. Softirq.
    fn expired(&self, bh: BhDisabled<'_>);
}

/// A pinned timer for each CPU. Dropping it stops them: on return none runs, nor will any. Process
/// context.
///
/// # Invariants
///
/// Each timer is set up, and its target is that of `_target`.
pub(crate) struct PinnedTimers<T: Expire> {
    timers: PerCpu<Timer<T>>,
    _target: Arc<T>,
}

#[repr(C)]
struct Timer<T> {
    timer: Opaque<bindings::timer_list>,
    /// Constant since it was set up.
    target: Cell<*const T>,
}

// SAFETY: The kernel has a lock for the timer; `target` does not change while it is shared.
unsafe impl<T: Send + Sync> Sync for Timer<T> {}

// SAFETY: A C struct and a pointer.
unsafe impl<T> Zeroable for Timer<T> {}

impl<T: Expire> PinnedTimers<T> {
    /// None is armed yet. Process context.
    pub(crate) fn new(target: Arc<T>) -> Result<Self> {
        let timers = PerCpu::<Timer<T>>::new()?;
        for timer in timers.iter() {
            timer.target.set(Arc::as_ptr(&target));
            // SAFETY: The memory does not move, and is freed when the timer was shut down.
            unsafe { bindings::netflow_timer_setup(timer.timer.get(), Some(expired::<T>)) };
        }
        // INVARIANT: Just set up.
        Ok(Self {
            timers,
            _target: target,
        })
    }

    /// Lets the timer of this CPU expire at the next tick, unless it is armed.
    #[inline(always)]
    pub(crate) fn arm(&self, bh: BhDisabled<'_>) {
        // SAFETY: Set up by the type invariant.
        unsafe { bindings::netflow_timer_arm(self.timers.this(bh).timer.get()) };
    }

    /// Disarms the timer of a CPU that is offline. The kernel would let it expire on another one,
    /// and until then, should the CPU come back, [`Self::arm`] would find it armed.
    pub(crate) fn disarm(&self, cpu: &DeadCpu<'_>) {
        if let Some(timer) = self.timers.of_dead(cpu) {
            // SAFETY: Set up by the type invariant.
            unsafe { bindings::timer_delete(timer.timer.get()) };
        }
    }
}

impl<T: Expire> Drop for PinnedTimers<T> {
    fn drop(&mut self) {
        for timer in self.timers.iter() {
            // SAFETY: Set up by the type invariant. This is process context.
            unsafe { bindings::timer_shutdown_sync(timer.timer.get()) };
        }
    }
}

/// What the kernel calls when a timer expires.
///
/// # Safety
///
/// `timer` must be that of a [`Timer<T>`] which belongs to a [`PinnedTimers<T>`].
unsafe extern "C" fn expired<T: Expire>(timer: *mut bindings::timer_list) {
    // SAFETY: It is the first field, by the requirements of this function.
    let timer = unsafe { &*timer.cast::<Timer<T>>() };
    // SAFETY: `PinnedTimers` has an `Arc` of the target, and waits for this before it drops that.
    let target = unsafe { &*timer.target.get() };
    // SAFETY: A timer's function runs in softirq, and no other softirq on this CPU meanwhile.
    let guard = unsafe { BhGuard::assume_disabled(true) };
    target.expired(guard.token());
}
