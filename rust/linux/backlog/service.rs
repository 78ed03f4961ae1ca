// SPDX-License-Identifier: GPL-2.0

//! A backlog in service: from when hooks may use it until nothing waits any more. Meanwhile it is told of CPUs that are
//! turned off.
//!
//! C header: [`include/linux/cpuhotplug.h`](srctree/include/linux/cpuhotplug.h)

use core::marker::PhantomData;

use kernel::{
    container_of,
    error::to_result,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full, //
        },
        Arc, //
    },
    types::Opaque, //
};

use super::{
    super::{
        bh_lock::BhGuard,
        rwonce::RwOnce, //
    },
    Backlog,
    Handler, //
};
use crate::bindings;

/// That a backlog is served, until this is dropped: then nothing waits any more. Process context.
///
/// # Invariants
///
/// The backlog is in the list of its handler's [`CpuDead`].
pub(in crate::linux) struct Service<H: Handler>(Arc<Backlog<H>>);

impl<H: Handler> Service<H> {
    /// A backlog for the items of a handler. Process context.
    ///
    /// # Safety
    ///
    /// When this is dropped, nobody may use a [`Queue`](super::Queue) of the backlog any more.
    pub(in crate::linux) unsafe fn new(handler: Arc<H>) -> Result<Self> {
        let backlog = Backlog::new(handler)?;
        let state = H::turned_off().state.read();
        // SAFETY: The node is new, and lives until it is taken out. The state is registered, or refused.
        to_result(unsafe { bindings::netflow_cpuhp_add(state, backlog.node.get()) })?;
        // INVARIANT: Just added.
        Ok(Self(backlog))
    }

    /// The backlog.
    pub(in crate::linux) fn backlog(&self) -> &Arc<Backlog<H>> {
        &self.0
    }

    /// What can be waited for without it.
    pub(in crate::linux) fn draining(&self) -> Draining<H> {
        Draining(self.0.clone())
    }
}

impl<H: Handler> Drop for Service<H> {
    fn drop(&mut self) {
        let state = H::turned_off().state.read();
        // SAFETY: It is in the list by the type invariant.
        unsafe { bindings::netflow_cpuhp_remove(state, self.0.node.get()) };
        for waiting in self.0.cpus.iter() {
            waiting.stop();
            waiting.handle(BhGuard::new().token());
        }
    }
}

/// What waits, for those who want to see what becomes of it.
pub(crate) struct Draining<H: Handler>(Arc<Backlog<H>>);

impl<H: Handler> Draining<H> {
    /// Returns when all is handled that was added before, or after 0.1 seconds: where softirqs have no time for
    /// so long, nor have packets. Process context.
    pub(crate) fn wait(&self) {
        self.0.drain();
    }
}

/// Tells backlogs of CPUs that are turned off.
pub(crate) struct CpuDead<H: Handler> {
    registered: Atomic<bool>,
    /// The number of the hotplug state, 0 while it has none.
    state: RwOnce<u32>,
    _handler: PhantomData<fn() -> H>,
}

impl<H: Handler> CpuDead<H> {
    /// Not registered yet.
    pub(crate) const fn new() -> Self {
        Self {
            registered: Atomic::new(false),
            state: RwOnce::new(0),
            _handler: PhantomData,
        }
    }

    /// Registers it, until what is returned is dropped; nothing may be served then. Process context. `EBUSY` if that was
    /// done before.
    pub(crate) fn register(&'static self) -> Result<Registration<H>> {
        if self.registered.xchg(true, Full) {
            return Err(EBUSY);
        }
        // SAFETY: The function is for nodes of backlogs, as are all that are added.
        let state = unsafe { bindings::netflow_cpuhp_setup(Some(turned_off::<H>)) };
        to_result(state)?;
        // CAST: Not negative.
        self.state.write(state as u32);
        Ok(Registration(self))
    }
}

/// See [`CpuDead::register`].
pub(crate) struct Registration<H: Handler>(&'static CpuDead<H>);

impl<H: Handler> Drop for Registration<H> {
    fn drop(&mut self) {
        // SAFETY: Registered, and no backlog is served any more.
        unsafe { bindings::netflow_cpuhp_teardown(self.0.state.read()) };
        self.0.state.write(0);
    }
}

/// A CPU was turned off, and is not turned on before this returns. Process context.
///
/// # Safety
///
/// `node` must be that of a [`Backlog<H>`] in the list.
unsafe extern "C" fn turned_off<H: Handler>(cpu: c_uint, node: *mut bindings::hlist_node) -> c_int {
    // SAFETY: By the requirements of this function. Being served, it lives.
    let backlog = unsafe { &*container_of!(Opaque::cast_from(node), Backlog<H>, node) };
    if let Some(waiting) = backlog.cpus.of(cpu) {
        // SAFETY: Set up by the type invariant.
        unsafe { bindings::timer_delete(waiting.timer.get()) };
        waiting.handle(BhGuard::new().token());
    }
    0
}
