// SPDX-License-Identifier: GPL-2.0

//! Something to do every so often, in process context, and sooner when it is urgent.
//!
//! A kernel timer queues a work item, which starts the timer again. A second work item does the same
//! at once.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use core::ops::Deref;

use kernel::{
    container_of, impl_has_delayed_work, impl_has_work, new_delayed_work, new_work,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
    time::{
        msecs_to_jiffies,
        Msecs, //
    },
    workqueue::{
        DelayedWork,
        HasWork,
        Queue,
        Work,
        WorkItem, //
    },
};

use super::rwonce::RwOnce;
use crate::bindings;

/// What is done at each tick.
pub(crate) trait PeriodicTask: Send + Sync + 'static {
    /// Milliseconds from the end of one tick to the next.
    const PERIOD: Msecs;

    /// A tick. Process context.
    fn tick(&self);

    /// A tick before its time. Returns whether that was of use: if not, there is none until the next
    /// regular one. Process context.
    fn reclaim(&self) -> bool;
}

/// A `T`, and the work that ticks it.
#[pin_data]
pub(crate) struct Periodic<T: PeriodicTask> {
    #[pin]
    regular: DelayedWork<Self>,
    #[pin]
    early: Work<Self, EARLY>,
    /// 1 if a tick was asked for that has not been, or was of no use.
    kicked: RwOnce<u32>,
    #[pin]
    task: T,
}

/// The number of the second work item.
const EARLY: u64 = 1;

impl_has_delayed_work! {
    impl{T: PeriodicTask} HasDelayedWork<Self> for Periodic<T> { self.regular }
}

impl_has_work! {
    impl{T: PeriodicTask} HasWork<Self, EARLY> for Periodic<T> { self.early }
}

impl<T: PeriodicTask> WorkItem for Periodic<T> {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.task.tick();
        this.kicked.write(0);
        this.enqueue();
    }
}

impl<T: PeriodicTask> WorkItem<EARLY> for Periodic<T> {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        if this.task.reclaim() {
            this.kicked.write(0);
        }
    }
}

impl<T: PeriodicTask> Deref for Periodic<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.task
    }
}

impl<T: PeriodicTask> Periodic<T> {
    /// Not ticking yet. Process context.
    pub(crate) fn new(task: impl PinInit<T, Error>) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                regular <- new_delayed_work!("netflow_tick"),
                early <- new_work!("netflow_early_tick"),
                kicked: RwOnce::new(0),
                task <- task,
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Ticks as soon as may be. Any context; to ask again before that costs nothing.
    #[inline]
    pub(crate) fn kick(this: ArcBorrow<'_, Self>) {
        if this.kicked.read() == 0 {
            this.kicked.write(1);
            // An error returns the reference, to be dropped: it is queued, or was stopped.
            let _ = queue().enqueue::<Arc<Self>, EARLY>(this.into());
        }
    }

    /// Queues the regular work, unless it is queued or was stopped.
    fn enqueue(self: Arc<Self>) {
        // An error returns the reference, to be dropped: someone else has queued it, or stopped it.
        let _ = queue().enqueue_delayed::<Arc<Self>, 0>(self, msecs_to_jiffies(T::PERIOD));
    }

    /// Stops a work item: on return it does not run, nor will it. Process context, not in the work.
    ///
    /// # Safety
    ///
    /// `disable` must do that to the work item `ID` of `self`, and return whether it was queued.
    unsafe fn stop<const ID: u64>(
        self: &Arc<Self>,
        disable: unsafe extern "C" fn(*mut bindings::work_struct) -> bool,
    ) where
        Self: HasWork<Self, ID>,
    {
        // SAFETY: The pointer is valid, and so is the work item in it.
        let work = unsafe {
            Work::raw_get(<Self as HasWork<Self, ID>>::raw_get_work(
                Arc::as_ptr(self).cast_mut(),
            ))
        };
        // SAFETY: The work is initialised and lives as long as `self`. This is process context, and not the
        // work itself.
        if unsafe { disable(work) } {
            // SAFETY: What was queued held a reference, which `enqueue` gave up; it will not run.
            drop(unsafe { Arc::from_raw(Arc::as_ptr(self)) });
        }
    }
}

/// Where the work is done: unbound, as a tick may keep a CPU for long.
fn queue() -> &'static Queue {
    // SAFETY: The queue is a variable of the kernel that is set at boot and never changes; it is
    // valid for ever.
    unsafe { Queue::from_raw(bindings::system_dfl_wq) }
}

/// That something ticks, until this is dropped.
pub(crate) struct PeriodicGuard<T: PeriodicTask> {
    ticking: Arc<Periodic<T>>,
}

impl<T: PeriodicTask> PeriodicGuard<T> {
    /// Starts to tick, one period from now. Process context.
    pub(crate) fn start(ticking: Arc<Periodic<T>>) -> Self {
        ticking.clone().enqueue();
        Self { ticking }
    }
}

impl<T: PeriodicTask> Drop for PeriodicGuard<T> {
    /// Stops; on return no tick runs any more, nor will one. Process context, not in a tick.
    fn drop(&mut self) {
        /// Stops the work of a delayed work.
        ///
        /// # Safety
        ///
        /// `work` must be that of a valid `delayed_work`; process context.
        unsafe extern "C" fn disable_delayed(work: *mut bindings::work_struct) -> bool {
            // SAFETY: By the requirements of this function.
            unsafe {
                bindings::disable_delayed_work_sync(container_of!(
                    work,
                    bindings::delayed_work,
                    work
                ))
            }
        }
        // SAFETY: The first is a delayed work, the second is not; these are their functions.
        unsafe {
            self.ticking.stop::<0>(disable_delayed);
            self.ticking.stop::<EARLY>(bindings::disable_work_sync);
        }
    }
}
