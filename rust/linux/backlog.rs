// SPDX-License-Identifier: GPL-2.0

//! Items that wait for a moment on the CPU where they came, to be handled several at a time.
//!
//! Whoever adds an item can make the CPU fetch the memory that handling it will touch; while further
//! ones come, it arrives. Items wait until there are [`ITEMS`], and no longer than to the next tick of the
//! system's clock, when a timer looks after them. When a CPU is turned off, the one that turns it off does.
//!
//! C header: [`include/linux/timer.h`](srctree/include/linux/timer.h)

mod service;

pub(super) use service::Service;
pub(crate) use service::{
    CpuDead, //
    Draining,
    Registration,
};

use core::{
    cell::{
        Cell,
        UnsafeCell, //
    },
    mem::MaybeUninit,
    slice, //
};

use kernel::{
    prelude::*,
    sync::{
        barrier::{
            smp_mb,
            Read,
            Write, //
        },
        Arc,
        ArcBorrow, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
    types::Opaque, //
};
use pin_init::Zeroable;

use super::{
    bh_lock::{
        BhDisabled, //
        BhGuard,
    },
    percpu::{
        cpus,
        PerCpu, //
    },
    rwonce::RwOnce, //
};
use crate::bindings;

/// Items that wait on a CPU at most.
const ITEMS: usize = 16;

/// Position of the last of them.
const LAST: u32 = ITEMS as u32 - 1;

/// Instead of a number of items: they are being handled.
const HANDLED: u32 = u32::MAX;

/// Who handles the items.
pub(crate) trait Handler: Send + Sync + 'static {
    /// What waits.
    type Item: Copy + Send;

    /// What it keeps for each CPU, beside the items.
    type Own: Sync + Zeroable;

    /// What an item can take along.
    type Shard;

    /// What tells it of CPUs that are turned off; always the same.
    fn turned_off() -> &'static CpuDead<Self>
    where
        Self: Sized;

    /// Has an item take `part` along. Returns whether it does.
    fn join(item: &mut Self::Item, part: &Self::Shard) -> bool;

    /// Handles items, in the order in which they came. `own` is of the CPU where they waited.
    fn handle(this: ArcBorrow<'_, Self>, items: &[Self::Item], own: &Self::Own, bh: BhDisabled<'_>);
}

/// Items that wait for a handler.
///
/// # Invariants
///
/// Each of `cpus` has a timer that is set up, and points to `handler`.
#[pin_data(PinnedDrop)]
pub(crate) struct Backlog<H: Handler> {
    cpus: PerCpu<Waiting<H>>,
    handler: Arc<H>,
    /// In the list of [`CpuDead`] while this is served.
    #[pin]
    node: Opaque<bindings::hlist_node>,
}

// SAFETY: `node` is used by the kernel alone, under a lock of its own.
unsafe impl<H: Handler> Send for Backlog<H> {}

// SAFETY: As above.
unsafe impl<H: Handler> Sync for Backlog<H> {}

/// What waits on a CPU.
///
/// # Invariants
///
/// The first `len` of `items` are initialised. They are used by one at a time: its CPU, with softirqs off; who has turned
/// that off; or, when nobody adds any more, the timer and then who ends the service. They are not written if `len` is
/// [`HANDLED`]. `handler` does not change.
#[repr(C, align(64))]
struct Waiting<H: Handler> {
    timer: Opaque<bindings::timer_list>,
    handler: Cell<*const H>,
    len: RwOnce<u32>,
    /// How often what waited was handled.
    rounds: RwOnce<u32>,
    own: H::Own,
    items: UnsafeCell<[MaybeUninit<H::Item>; ITEMS]>,
}

// SAFETY: Items are used by one at a time, by the type invariant, and may be sent there. The timer is the kernel's, which
// has a lock for it. The rest is `Sync` or does not change.
unsafe impl<H: Handler> Sync for Waiting<H> {}

// SAFETY: No pointer, no items, a C struct, and an `Own` that is.
unsafe impl<H: Handler> Zeroable for Waiting<H> {}

impl<H: Handler> Backlog<H> {
    /// Nothing waits. Process context.
    fn new(handler: Arc<H>) -> Result<Arc<Self>> {
        let cpus = PerCpu::<Waiting<H>>::new()?;
        for waiting in cpus.iter() {
            waiting.handler.set(Arc::as_ptr(&handler));
            // SAFETY: The memory does not move, and is freed only when the timer was shut down, or never started.
            unsafe { bindings::netflow_timer_setup(waiting.timer.get(), Some(expired::<H>)) };
        }
        // INVARIANT: Just set up. The `Arc` moves, what it points to does not.
        Arc::pin_init(
            try_pin_init!(Self {
                cpus,
                handler,
                node: Opaque::zeroed(),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Who handles the items.
    #[inline(always)]
    pub(crate) fn handler(&self) -> ArcBorrow<'_, H> {
        self.handler.as_arc_borrow()
    }

    /// What waits on this CPU.
    #[inline(always)]
    pub(crate) fn queue<'a>(&'a self, bh: BhDisabled<'a>) -> Queue<'a, H> {
        Queue {
            waiting: self.cpus.this(bh),
            bh,
        }
    }

    /// See [`Draining::wait`].
    fn drain(&self) {
        const MILLISECONDS: u32 = 100;

        // Without memory for that, a CPU has to be found idle instead.
        let mut rounds = KVVec::with_capacity(cpus() as usize, GFP_KERNEL).unwrap_or_default();
        for waiting in self.cpus.iter() {
            let _ = rounds.push_within_capacity(waiting.rounds.read());
        }
        let mut then = rounds.iter();
        let mut left = MILLISECONDS;
        for waiting in self.cpus.iter() {
            let then = then.next();
            let handled = || then.is_some_and(|then| *then != waiting.rounds.read());
            while left != 0 && waiting.len.read() != 0 && !handled() {
                fsleep(Delta::from_millis(1));
                left = left.saturating_sub(1);
            }
        }
        smp_mb(Read);
    }
}

#[pinned_drop]
impl<H: Handler> PinnedDrop for Backlog<H> {
    fn drop(self: Pin<&mut Self>) {
        for waiting in self.cpus.iter() {
            waiting.stop();
        }
    }
}

/// What waits on this CPU, while softirqs are off.
pub(crate) struct Queue<'a, H: Handler> {
    waiting: &'a Waiting<H>,
    bh: BhDisabled<'a>,
}

impl<'a, H: Handler> Queue<'a, H> {
    /// What the handler keeps for this CPU.
    #[inline(always)]
    pub(crate) fn own(&self) -> &'a H::Own {
        &self.waiting.own
    }

    /// Has the item that came last take `part` along, if it still waits. Returns whether it did.
    #[inline(always)]
    pub(crate) fn join(&self, part: &H::Shard) -> bool {
        let last = self.waiting.len.read().wrapping_sub(1);
        if last > LAST {
            // None waits, or they are being handled.
            return false;
        }
        // SAFETY: This is its CPU, and softirqs are off. Nobody reads items, as `len` says; `H::join` is not given
        // anything that could.
        let items = unsafe { &mut *self.waiting.items.get() };
        items.get_mut(last as usize).is_some_and(|last| {
            // SAFETY: Initialised by the type invariant.
            H::join(unsafe { last.assume_init_mut() }, part)
        })
    }

    /// Adds an item. Returns whether there was room for it, as there is unless handling an item has made this one,
    /// which it never should.
    #[inline(always)]
    pub(crate) fn push(&self, item: H::Item) -> bool {
        let len = self.waiting.len.read();
        if len > LAST {
            return false;
        }
        // SAFETY: This is its CPU, and softirqs are off. Nobody reads items, as `len` says.
        let items = unsafe { &mut *self.waiting.items.get() };
        if let Some(slot) = items.get_mut(len as usize) {
            slot.write(item);
            // INVARIANT: One more.
            self.waiting.len.write(len.wrapping_add(1));
        }
        match len {
            // SAFETY: Set up by the type invariant of `Backlog`.
            0 => unsafe { bindings::netflow_timer_start(self.waiting.timer.get()) },
            LAST => self.waiting.handle(self.bh),
            _ => {}
        }
        true
    }

    /// Has all that waits handled.
    pub(crate) fn handle(&self) {
        self.waiting.handle(self.bh);
    }
}

impl<H: Handler> Waiting<H> {
    /// Has all items handled. For the one who may use them.
    #[inline(never)]
    fn handle(&self, bh: BhDisabled<'_>) {
        let len = self.len.read();
        if len == 0 || len > LAST + 1 {
            return;
        }
        self.len.write(HANDLED);
        // SAFETY: So many are initialised by the type invariant. None is written while they are read, as `len` says.
        let items =
            unsafe { slice::from_raw_parts(self.items.get().cast::<H::Item>(), len as usize) };
        // SAFETY: The backlog that this belongs to has an `Arc` of it.
        let handler = unsafe { ArcBorrow::from_raw(self.handler.get()) };
        H::handle(handler, items, &self.own, bh);
        // What became of them is seen by whoever sees that they do not wait any more.
        smp_mb(Write);
        self.rounds.write(self.rounds.read().wrapping_add(1));
        self.len.write(0);
    }

    /// Stops the timer for ever: on return its function does not run. Process context.
    fn stop(&self) {
        // SAFETY: Set up by the type invariant of `Backlog`. This is process context.
        unsafe { bindings::timer_shutdown_sync(self.timer.get()) };
    }
}

/// What the timer of a CPU does. As it is a pinned one, and is stopped when the CPU is turned off, it does so on this CPU;
/// but when a service ends, it may be on another.
///
/// # Safety
///
/// `timer` must be that of a [`Waiting<H>`] that is set up.
unsafe extern "C" fn expired<H: Handler>(timer: *mut bindings::timer_list) {
    // SAFETY: It is the first field, by the requirements of this function.
    let waiting = unsafe { &*timer.cast::<Waiting<H>>() };
    // SAFETY: A timer's function runs in softirq, and those do not interrupt each other.
    let guard = unsafe { BhGuard::assume_disabled(true) };
    waiting.handle(guard.token());
}
