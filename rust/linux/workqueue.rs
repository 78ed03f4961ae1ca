// SPDX-License-Identifier: GPL-2.0

//! A workqueue of the module's own: what sleeps in it delays no work of others.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use core::{
    ops::Deref,
    ptr::NonNull, //
};

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full, //
        },
        SetOnce, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
    workqueue::Queue,
};

use crate::bindings;

/// Work items that run at the same time; the others wait. It is as many as a machine with hundreds
/// of namespaces needs whose collectors are slow, and bounds the threads that they keep.
const MAX_ACTIVE: c_int = 64;

/// An unbound workqueue, for a `static`.
pub(crate) struct Workqueue {
    name: &'static CStr,
    queue: SetOnce<RawQueue>,
    /// How many [`Handle`]s there are; negative before it is made and once it goes.
    handles: Atomic<i32>,
}

/// What [`Workqueue::handles`] is while there is no workqueue.
const CLOSED: i32 = i32::MIN / 2;

#[derive(Clone, Copy)]
struct RawQueue(NonNull<bindings::workqueue_struct>);

// SAFETY: The kernel has locks for what can be done with a workqueue.
unsafe impl Send for RawQueue {}
// SAFETY: As above.
unsafe impl Sync for RawQueue {}

impl Workqueue {
    /// Not made yet.
    pub(crate) const fn new(name: &'static CStr) -> Self {
        Self {
            name,
            queue: SetOnce::new(),
            handles: Atomic::new(CLOSED),
        }
    }

    /// Makes it, until what is returned is dropped. Process context. `EBUSY` if that was done
    /// before.
    pub(crate) fn create(&'static self) -> Result<Created> {
        // SAFETY: The format and its argument match; both are strings.
        let queue = unsafe {
            bindings::alloc_workqueue_noprof(
                c"%s".as_char_ptr(),
                bindings::wq_flags_WQ_UNBOUND,
                MAX_ACTIVE,
                self.name.as_char_ptr(),
            )
        };
        let queue = RawQueue(NonNull::new(queue).ok_or(ENOMEM)?);
        if !self.queue.populate(queue) {
            // SAFETY: Just made, and unused.
            unsafe { bindings::destroy_workqueue(queue.0.as_ptr()) };
            return Err(EBUSY);
        }
        self.handles.fetch_sub(CLOSED, Full);
        // INVARIANT: Just made; `handles` was `CLOSED` until now.
        Ok(Created(self))
    }

    /// A way to it. Process context. `ENODEV` if there is no workqueue.
    pub(crate) fn handle(&'static self) -> Result<Handle> {
        let queue = self.queue.copy().ok_or(ENODEV)?;
        if self.handles.fetch_add(1, Full) < 0 {
            self.handles.fetch_sub(1, Full);
            return Err(ENODEV);
        }
        // INVARIANT: It is counted, and was not negative: `Created` waits for it.
        Ok(Handle {
            queue,
            workqueue: self,
        })
    }
}

/// That a [`Workqueue`] is there.
///
/// # Invariants
///
/// `queue` is a valid workqueue until `handles` is [`CLOSED`].
pub(crate) struct Created(&'static Workqueue);

impl Drop for Created {
    /// Waits until there is no handle, and for work that runs. Process context.
    fn drop(&mut self) {
        while self.0.handles.cmpxchg(0, CLOSED, Full).is_err() {
            fsleep(Delta::from_millis(10));
        }
        if let Some(queue) = self.0.queue.copy() {
            // SAFETY: Valid by the type invariant. Nobody can queue work, as that takes a handle.
            unsafe { bindings::destroy_workqueue(queue.0.as_ptr()) };
        }
    }
}

/// A way to a [`Workqueue`], which does not go before the last of these is dropped.
///
/// # Invariants
///
/// It is one of `workqueue.handles`, so `queue` is valid.
pub(crate) struct Handle {
    queue: RawQueue,
    workqueue: &'static Workqueue,
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        self.workqueue.handles.fetch_add(1, Full);
        // INVARIANT: Just counted; as there is `self`, it was not negative.
        Self {
            queue: self.queue,
            workqueue: self.workqueue,
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.workqueue.handles.fetch_sub(1, Full);
    }
}

impl Deref for Handle {
    type Target = Queue;

    #[inline]
    fn deref(&self) -> &Queue {
        // SAFETY: Valid by the type invariant for as long as `self` is.
        unsafe { Queue::from_raw(self.queue.0.as_ptr()) }
    }
}
