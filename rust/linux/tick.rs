// SPDX-License-Identifier: GPL-2.0

//! Something to do every so often, in process context.
//!
//! A kernel timer queues a work item, which starts the timer again.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use kernel::{
    container_of, impl_has_delayed_work, new_delayed_work,
    prelude::*,
    sync::Arc,
    time::{
        msecs_to_jiffies,
        Msecs, //
    },
    workqueue::{
        DelayedWork,
        Queue,
        Work,
        WorkItem, //
    },
};

use crate::bindings;

/// What is done at each tick.
pub(crate) trait Ticked: Send + Sync + 'static {
    /// Milliseconds from the end of one tick to the next.
    const PERIOD: Msecs;

    /// A tick. Process context; never runs twice at a time.
    fn tick(&self);
}

/// Work that is done every so often until this is dropped.
pub(crate) struct Tick<T: Ticked> {
    inner: Arc<Inner<T>>,
}

#[pin_data]
struct Inner<T: Ticked> {
    #[pin]
    work: DelayedWork<Self>,
    ticked: Arc<T>,
}

impl_has_delayed_work! {
    impl{T: Ticked} HasDelayedWork<Self> for Inner<T> { self.work }
}

impl<T: Ticked> WorkItem for Inner<T> {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.ticked.tick();
        enqueue(this, T::PERIOD);
    }
}

/// Queues the work, unless it is queued or was stopped.
fn enqueue<T: Ticked>(inner: Arc<Inner<T>>, delay: Msecs) {
    // SAFETY: The queue is a variable of the kernel that is set at boot and never changes; it is
    // valid for ever. Unbound, as a tick may keep a CPU for long.
    let queue = unsafe { Queue::from_raw(bindings::system_dfl_wq) };
    // An error returns the reference, to be dropped: someone else has queued it, or stopped it.
    let _ = queue.enqueue_delayed(inner, msecs_to_jiffies(delay));
}

impl<T: Ticked> Tick<T> {
    /// Starts to tick, one period from now. Process context.
    pub(crate) fn new(ticked: Arc<T>) -> Result<Self> {
        let inner = Arc::pin_init(
            pin_init!(Inner {
                work <- new_delayed_work!("netflow_tick"),
                ticked,
            }),
            GFP_KERNEL,
        )?;
        enqueue(inner.clone(), T::PERIOD);
        Ok(Self { inner })
    }
}

impl<T: Ticked> Drop for Tick<T> {
    /// Stops; on return no tick runs any more, nor will one. Process context, not in a tick.
    fn drop(&mut self) {
        // SAFETY: The work lives as long as `self.inner`.
        let work = unsafe { Work::raw_get(DelayedWork::raw_as_work(&raw const self.inner.work)) };
        // SAFETY: It is the `work` of a `delayed_work`.
        let work = unsafe { container_of!(work, bindings::delayed_work, work) };
        // SAFETY: The work is initialised. This is process context, and not the work itself.
        let was_queued = unsafe { bindings::disable_delayed_work_sync(work) };
        if was_queued {
            // SAFETY: What was queued held a reference, which `enqueue` gave up; it will not run.
            drop(unsafe { Arc::from_raw(Arc::as_ptr(&self.inner)) });
        }
    }
}
