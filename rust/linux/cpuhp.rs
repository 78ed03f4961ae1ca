// SPDX-License-Identifier: GPL-2.0

//! CPU hotplug: who is told of CPUs that went offline.
//!
//! C header: [`include/linux/cpuhotplug.h`](srctree/include/linux/cpuhotplug.h)

use core::marker::PhantomData;

use kernel::{
    error::to_result,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            AtomicFlag,
            Full, //
        },
        Arc, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
    types::Opaque, //
};

use super::rwonce::RwOnce;
use crate::bindings;

/// A CPU that is offline, and stays so for `'a`: no code runs there. Whoever has this is the only
/// one.
pub(crate) struct DeadCpu<'a> {
    cpu: u32,
    /// Not to be sent to another thread, which would not wait for `'a` to end.
    _lifetime: PhantomData<(&'a (), *mut ())>,
}

impl DeadCpu<'_> {
    /// Its number.
    pub(super) fn number(&self) -> u32 {
        self.cpu
    }
}

/// Who is told.
pub(crate) trait CpuDead: Send + Sync + 'static {
    /// A CPU went offline, and its timers have not been moved to another one. Process context, on
    /// another CPU.
    fn cpu_dead(&self, cpu: &mut DeadCpu<'_>);
}

/// A state of CPU hotplug with several instances, all of them a `T`. For a `static`.
pub(crate) struct State<T: CpuDead> {
    registered: AtomicFlag,
    /// Its number, 0 while it has none.
    number: RwOnce<u32>,
    instances: Atomic<i32>,
    _target: PhantomData<fn() -> T>,
}

impl<T: CpuDead> State<T> {
    /// Registered nowhere yet.
    pub(crate) const fn new() -> Self {
        Self {
            registered: AtomicFlag::new(false),
            number: RwOnce::new(0),
            instances: Atomic::new(0),
            _target: PhantomData,
        }
    }

    /// Registers it, until what is returned is dropped. Process context.
    ///
    /// `EBUSY` if that was done before.
    pub(crate) fn register(&'static self) -> Result<Registration<T>> {
        if self.registered.xchg(true, Full) {
            return Err(EBUSY);
        }
        // SAFETY: The function is for nodes of an `Instance<T>`, as are all that are added to this
        // state.
        let state = unsafe { bindings::netflow_cpuhp_setup(Some(cpu_dead::<T>)) };
        to_result(state)?;
        // CAST: Not negative.
        self.number.write(state as u32);
        Ok(Registration(self))
    }
}

/// See [`State::register`].
pub(crate) struct Registration<T: CpuDead>(&'static State<T>);

impl<T: CpuDead> Drop for Registration<T> {
    /// Waits until there is no instance: the module's code may go next. Process context.
    fn drop(&mut self) {
        while self.0.instances.load(Acquire) != 0 {
            fsleep(Delta::from_millis(10));
        }
        // SAFETY: Registered, and without instances.
        unsafe { bindings::netflow_cpuhp_teardown(self.0.number.read()) };
        self.0.number.write(0);
    }
}

/// That a `T` is told, until this is dropped: on return it is not being told any more. Process
/// context.
///
/// # Invariants
///
/// `node` is in the list of the state `number`, which cannot go meanwhile as `instances` counts
/// this.
pub(crate) struct Instance<T: CpuDead> {
    node: KBox<Node<T>>,
    number: u32,
    state: &'static State<T>,
}

#[repr(C)]
struct Node<T> {
    node: Opaque<bindings::hlist_node>,
    target: Arc<T>,
}

// SAFETY: `node` is used by the kernel alone, under a lock of its own.
unsafe impl<T: CpuDead> Send for Instance<T> {}

impl<T: CpuDead> Instance<T> {
    /// Tells `target`. Process context. `EINVAL` if the state is not registered.
    pub(crate) fn new(state: &'static State<T>, target: Arc<T>) -> Result<Self> {
        let node = Node {
            node: Opaque::zeroed(),
            target,
        };
        let node = KBox::new(node, GFP_KERNEL_ACCOUNT)?;
        // Counted first, so that the number which is read then is valid until the count is taken
        // back.
        state.instances.fetch_add(1, Full);
        let number = state.number.read();
        // SAFETY: The node is new, and is not moved or freed before it is taken out. The kernel
        // refuses the number 0.
        let result = to_result(unsafe { bindings::netflow_cpuhp_add(number, node.node.get()) });
        if let Err(error) = result {
            state.instances.fetch_add(-1, Full);
            return Err(error);
        }
        // INVARIANT: Just added.
        Ok(Self {
            node,
            number,
            state,
        })
    }
}

impl<T: CpuDead> Drop for Instance<T> {
    fn drop(&mut self) {
        // SAFETY: It is in the list by the type invariant.
        unsafe { bindings::netflow_cpuhp_remove(self.number, self.node.node.get()) };
        self.state.instances.fetch_add(-1, Full);
    }
}

/// What the kernel calls when a CPU went offline.
///
/// # Safety
///
/// `node` must be that of a [`Node<T>`] in the list; `cpu` must be offline until this returns.
unsafe extern "C" fn cpu_dead<T: CpuDead>(cpu: c_uint, node: *mut bindings::hlist_node) -> c_int {
    // SAFETY: It is the first field, by the requirements of this function; being in the list, it
    // lives.
    let node = unsafe { &*node.cast::<Node<T>>() };
    let mut cpu = DeadCpu {
        cpu,
        _lifetime: PhantomData,
    };
    node.target.cpu_dead(&mut cpu);
    0
}
