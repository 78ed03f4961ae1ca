// SPDX-License-Identifier: GPL-2.0

//! Work in process context every so often, and sooner when someone asks for it.
//!
//! A kernel timer queues a work item, which starts the timer again when it is done. A second work
//! item is queued at once by [`PeriodicWork::kick`].
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use kernel::{
    container_of, impl_has_delayed_work, impl_has_work, new_delayed_work, new_work,
    prelude::*,
    sync::Arc,
    time::{
        msecs_to_jiffies,
        Msecs, //
    },
    workqueue::{
        DelayedWork,
        HasWork,
        Work,
        WorkItem, //
    },
};

use super::{
    rwonce::RwOnce,
    workqueue::Handle, //
};
use crate::bindings;

/// What is done.
pub(crate) trait PeriodicTask: Send + Sync + 'static {
    /// Milliseconds from the end of one run to the next.
    fn period(&self) -> Msecs;

    /// The regular run. Process context.
    fn run(&self);

    /// A run that was asked for by [`PeriodicWork::kick`]. Returns whether it was of use: if not,
    /// kicks do nothing until the next regular run. Process context.
    fn run_kicked(&self) -> bool;
}

/// The two work items of a task.
#[pin_data]
pub(crate) struct PeriodicWork<T: PeriodicTask> {
    #[pin]
    regular: DelayedWork<Self>,
    #[pin]
    kicked: Work<Self, KICKED>,
    /// 1 while kicks do nothing: before the work is started, since a kick until it was run, and
    /// longer if that was of no use.
    ignores_kicks: RwOnce<u32>,
    queue: Handle,
    task: Arc<T>,
}

/// The number of the second work item.
const KICKED: u64 = 1;

impl_has_delayed_work! {
    impl{T: PeriodicTask} HasDelayedWork<Self> for PeriodicWork<T> { self.regular }
}

impl_has_work! {
    impl{T: PeriodicTask} HasWork<Self, KICKED> for PeriodicWork<T> { self.kicked }
}

impl<T: PeriodicTask> WorkItem for PeriodicWork<T> {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.task.run();
        this.ignores_kicks.write(0);
        this.enqueue();
    }
}

impl<T: PeriodicTask> WorkItem<KICKED> for PeriodicWork<T> {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        if this.task.run_kicked() {
            this.ignores_kicks.write(0);
        }
    }
}

impl<T: PeriodicTask> PeriodicWork<T> {
    /// Nothing runs before [`Started::new`]. Process context.
    pub(crate) fn new(task: Arc<T>, queue: Handle) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                regular <- new_delayed_work!("netflow_periodic"),
                kicked <- new_work!("netflow_kicked"),
                ignores_kicks: RwOnce::new(1),
                queue,
                task,
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Has the task run as soon as may be. Any context; to ask again before that costs nothing.
    #[inline]
    pub(crate) fn kick(self: &Arc<Self>) {
        if self.ignores_kicks.read() == 0 {
            self.ignores_kicks.write(1);
            // An error returns the reference, to be dropped: it is queued, or was stopped.
            let _ = self.queue.enqueue::<Arc<Self>, KICKED>(self.clone());
        }
    }

    /// Queues the regular work, unless it is queued or was stopped.
    fn enqueue(self: Arc<Self>) {
        // An error returns the reference, to be dropped: someone else has queued it, or stopped it.
        let queue = self.queue.clone();
        let period = msecs_to_jiffies(self.task.period());
        let _ = queue.enqueue_delayed::<Arc<Self>, 0>(self, period);
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
        // SAFETY: The work is initialised and lives as long as `self`. This is process context, and
        // not the work itself.
        if unsafe { disable(work) } {
            // SAFETY: What was queued held a reference, which `enqueue` gave up; it will not run.
            drop(unsafe { Arc::from_raw(Arc::as_ptr(self)) });
        }
    }
}

/// That the work runs, until this is dropped.
pub(crate) struct Started<T: PeriodicTask>(Arc<PeriodicWork<T>>);

impl<T: PeriodicTask> Started<T> {
    /// The first run is one period from now. Process context.
    pub(crate) fn new(work: Arc<PeriodicWork<T>>) -> Self {
        work.ignores_kicks.write(0);
        work.clone().enqueue();
        Self(work)
    }
}

impl<T: PeriodicTask> Drop for Started<T> {
    /// Stops it; on return the task does not run any more, nor will it. Process context, not in the
    /// task.
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
            self.0.stop::<0>(disable_delayed);
            self.0.stop::<KICKED>(bindings::disable_work_sync);
        }
    }
}
