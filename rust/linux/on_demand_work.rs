// SPDX-License-Identifier: GPL-2.0

//! Work in process context whenever someone asks for it.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use kernel::{
    impl_has_work, new_work,
    prelude::*,
    sync::Arc,
    workqueue::{
        HasWork,
        Work,
        WorkItem, //
    },
};

use super::workqueue::Handle;
use crate::bindings;

/// What is done.
pub(crate) trait OnDemandTask: Send + Sync + 'static {
    /// Does one thing of what there is to do. Returns whether there may be more, which is done when
    /// the others had their turn that wait for the workqueue. Process context; never twice at the
    /// same time.
    fn run(&self) -> bool;
}

#[pin_data]
struct Item<T: OnDemandTask> {
    #[pin]
    work: Work<Self>,
    queue: Handle,
    task: Arc<T>,
}

impl_has_work! {
    impl{T: OnDemandTask} HasWork<Self> for Item<T> { self.work }
}

impl<T: OnDemandTask> WorkItem for Item<T> {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        if this.task.run() {
            this.ask();
        }
    }
}

impl<T: OnDemandTask> Item<T> {
    fn new(task: Arc<T>, queue: Handle) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                work <- new_work!("netflow_on_demand"),
                queue,
                task,
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    fn ask(self: &Arc<Self>) {
        // An error returns the reference, to be dropped: it is queued, or was stopped.
        let _ = self.queue.enqueue::<Arc<Self>, 0>(self.clone());
    }
}

/// Has a task run without an owner who would stop it, until it says that there is no more to do.
/// Nobody waits for it but who makes the module or the workqueue go. Process context.
pub(crate) fn run_unowned<T: OnDemandTask>(task: Arc<T>, queue: Handle) -> Result {
    let item = Item::new(task, queue)?;
    item.ask();
    Ok(())
}

/// The work of a task. On drop it is stopped: it does not run any more, nor will it.
pub(crate) struct OnDemandWork<T: OnDemandTask>(Arc<Item<T>>);

impl<T: OnDemandTask> OnDemandWork<T> {
    /// Nothing runs before someone asks. Process context.
    pub(crate) fn new(task: Arc<T>, queue: Handle) -> Result<Self> {
        Ok(Self(Item::new(task, queue)?))
    }

    /// Has the task run once from its beginning, as soon as may be. Any context. To ask again
    /// before it begins changes nothing.
    pub(crate) fn ask(&self) {
        self.0.ask();
    }

    /// Stops it; on return the task does not run any more, nor will it. Process context, not in the
    /// task.
    pub(crate) fn stop(&self) {
        // SAFETY: The pointer is valid, and so is the work item in it.
        let work = unsafe {
            Work::raw_get(<Item<T> as HasWork<Item<T>, 0>>::raw_get_work(
                Arc::as_ptr(&self.0).cast_mut(),
            ))
        };
        // SAFETY: The work is initialised and lives as long as `self`. This is process context, and
        // not the work itself.
        if unsafe { bindings::disable_work_sync(work) } {
            // SAFETY: What was queued held a reference, which `enqueue` gave up; it will not run.
            drop(unsafe { Arc::from_raw(Arc::as_ptr(&self.0)) });
        }
    }
}

impl<T: OnDemandTask> Drop for OnDemandWork<T> {
    /// Process context, not in the task.
    fn drop(&mut self) {
        self.stop();
    }
}
