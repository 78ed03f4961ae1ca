// SPDX-License-Identifier: GPL-2.0

//! Data that each CPU has a copy of, so that using it does not share a cache line.
//!
//! - [`PerCpu`]: shared by reference; for counters that one CPU writes and all read.
//! - [`PerCpuExclusive`]: used by its own CPU alone.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)

use core::{
    cell::{
        Cell,
        UnsafeCell, //
    },
    marker::PhantomData,
    ops::{
        Deref,
        DerefMut, //
    },
    ptr::NonNull, //
};

use kernel::prelude::*;
use pin_init::Zeroable;

use super::{
    bh_lock::BhDisabled,
    cpuhp::DeadCpu, //
};
use crate::bindings;

/// How many CPUs run now.
pub(crate) fn cpus_online() -> u32 {
    // SAFETY: Reading it has no requirements.
    unsafe { bindings::netflow_cpus_online() }
}

/// One more than the highest number of a CPU.
fn cpu_ids() -> u32 {
    // SAFETY: It is set at boot, and only read then.
    unsafe { bindings::nr_cpu_ids }
}

/// The number of this CPU.
#[inline]
pub(crate) fn this_cpu(_bh: BhDisabled<'_>) -> u32 {
    // SAFETY: Reading it has no requirements.
    unsafe { bindings::netflow_this_cpu() }
}

/// Zeroed memory for a `T` of each CPU, whose drop is not run.
///
/// # Invariants
///
/// `each` is a per-CPU allocation, zeroed at first, with size and alignment of `T`, that this owns.
struct Allocation<T> {
    each: NonNull<T>,
}

impl<T> Allocation<T> {
    /// Process context.
    fn new() -> Result<Self> {
        const { assert!(!core::mem::needs_drop::<T>()) };
        // SAFETY: Allocation has no requirements.
        let each = unsafe { bindings::netflow_alloc_percpu(size_of::<T>(), align_of::<T>()) };
        // INVARIANT: The allocation is new, and zeroed.
        Ok(Self {
            each: NonNull::new(each.cast()).ok_or(ENOMEM)?,
        })
    }

    /// The memory of this CPU.
    #[inline(always)]
    fn this(&self, _bh: BhDisabled<'_>) -> *mut T {
        // SAFETY: The allocation is valid by the type invariant.
        unsafe { bindings::netflow_this_cpu_ptr(self.each.as_ptr().cast()).cast() }
    }

    /// The memory of a CPU, null if there can be no such CPU.
    fn of(&self, cpu: u32) -> *mut T {
        if cpu >= cpu_ids() {
            return core::ptr::null_mut();
        }
        // SAFETY: The allocation is valid by the type invariant, and `cpu` in range.
        unsafe { bindings::netflow_per_cpu_ptr(self.each.as_ptr().cast(), cpu).cast() }
    }

    /// The memory of all CPUs that there can be.
    fn iter(&self) -> impl Iterator<Item = *mut T> + '_ {
        (0..cpu_ids())
            .map(|cpu| self.of(cpu))
            .filter(|memory| !memory.is_null())
    }
}

impl<T> Drop for Allocation<T> {
    fn drop(&mut self) {
        // SAFETY: The allocation is ours by the type invariant, and nobody can use it any more.
        unsafe { bindings::netflow_free_percpu(self.each.as_ptr().cast()) }
    }
}

/// A `T` for each CPU, all zero at first, shared by reference.
pub(crate) struct PerCpu<T: Zeroable + Sync>(Allocation<T>);

// SAFETY: A per-CPU allocation may be used and freed from any thread, and a `T` is shared by
// reference only. It needs no drop.
unsafe impl<T: Zeroable + Sync> Send for PerCpu<T> {}

// SAFETY: As above.
unsafe impl<T: Zeroable + Sync> Sync for PerCpu<T> {}

impl<T: Zeroable + Sync> PerCpu<T> {
    /// Allocates them. Process context.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(Allocation::new()?))
    }

    /// That of this CPU.
    #[inline(always)]
    pub(crate) fn this<'a>(&'a self, bh: BhDisabled<'a>) -> &'a T {
        // SAFETY: The memory is valid. It was zeroed, which makes a `T`, was changed as a `T`
        // alone, and `T` may be shared.
        unsafe { &*self.0.this(bh) }
    }

    /// That of a CPU which is offline.
    pub(crate) fn of_dead(&self, cpu: &DeadCpu<'_>) -> Option<&T> {
        // SAFETY: As in `this`, unless it is null.
        unsafe { self.0.of(cpu.number()).as_ref() }
    }

    /// Those of all CPUs. Any context.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        // SAFETY: As in `this`.
        self.0.iter().map(|memory| unsafe { &*memory })
    }
}

/// A `T` for each CPU, used by that CPU alone, while its bottom halves are disabled. Not reentrant:
/// while there is an [`InUse`] of a CPU's value, another one is refused.
///
/// # Invariants
///
/// Each CPU's memory holds an initialised [`Exclusive<T>`]. Its value is referred to only by an
/// [`InUse`], or through `&mut self`.
pub(crate) struct PerCpuExclusive<T: Send>(Allocation<Exclusive<T>>);

#[repr(C)]
struct Exclusive<T> {
    in_use: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: A `T` is used by one thread at a time, by the type invariant, and may be sent there. It
// needs no drop.
unsafe impl<T: Send> Send for PerCpuExclusive<T> {}

// SAFETY: As above.
unsafe impl<T: Send> Sync for PerCpuExclusive<T> {}

impl<T: Send> PerCpuExclusive<T> {
    /// Makes a `T` for each CPU. Process context.
    pub(crate) fn new(init: impl Fn() -> T) -> Result<Self> {
        let each = Allocation::<Exclusive<T>>::new()?;
        for memory in each.iter() {
            let exclusive = Exclusive {
                in_use: Cell::new(false),
                value: UnsafeCell::new(init()),
            };
            // SAFETY: The memory is new, of the size and alignment of what is written.
            unsafe { memory.write(exclusive) };
        }
        // INVARIANT: Each was just initialised, and nobody uses any.
        Ok(Self(each))
    }

    /// That of this CPU. `None` if the caller's own stack has an [`InUse`] of it already.
    #[inline(always)]
    pub(crate) fn get<'a>(&'a self, bh: BhDisabled<'a>) -> Option<InUse<'a, T>> {
        // SAFETY: It is this CPU's, and bottom halves are disabled for `'a`: the task neither
        // sleeps nor moves to another CPU, no softirq runs here meanwhile, and the CPU does not go
        // offline. So nobody else uses it but whoever is further up the stack.
        unsafe { InUse::new(self.0.this(bh)) }
    }

    /// That of a CPU that is offline. `None` as for [`Self::get`], or if there is no such CPU.
    pub(crate) fn get_dead<'a>(&'a self, cpu: &'a mut DeadCpu<'_>) -> Option<InUse<'a, T>> {
        let memory = self.0.of(cpu.number());
        if memory.is_null() {
            return None;
        }
        // SAFETY: This thread alone has a `DeadCpu` of it. No `InUse` is left on that CPU: it has
        // bottom halves disabled, and a CPU does not go offline like that.
        unsafe { InUse::new(memory) }
    }

    /// Those of all CPUs, for the only one who knows of them.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter().map(|memory| {
            // SAFETY: As this is borrowed exclusively nobody else uses any, and each is handed out
            // once.
            unsafe { &mut *(*memory).value.get() }
        })
    }
}

/// A CPU's value of a [`PerCpuExclusive`], in use until this is dropped.
///
/// # Invariants
///
/// `exclusive` is valid for `'a`, its `in_use` was set by this, and nobody else refers to its
/// value.
pub(crate) struct InUse<'a, T> {
    exclusive: &'a Exclusive<T>,
    /// Not to be sent to another thread, where bottom halves may be enabled.
    _not_send: PhantomData<*mut ()>,
}

impl<'a, T> InUse<'a, T> {
    /// # Safety
    ///
    /// `exclusive` must be valid for `'a`, and nobody else may use it meanwhile, but callers
    /// further up the stack.
    #[inline(always)]
    unsafe fn new(exclusive: *const Exclusive<T>) -> Option<Self> {
        // SAFETY: Valid by the requirements of this function.
        let exclusive = unsafe { &*exclusive };
        if exclusive.in_use.replace(true) {
            return None;
        }
        // INVARIANT: As it was not set, no caller further up refers to the value; nobody else does,
        // by the requirements of this function.
        Some(Self {
            exclusive,
            _not_send: PhantomData,
        })
    }
}

impl<T> Deref for InUse<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: Nobody else refers to it by the type invariant.
        unsafe { &*self.exclusive.value.get() }
    }
}

impl<T> DerefMut for InUse<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: Nobody else refers to it by the type invariant.
        unsafe { &mut *self.exclusive.value.get() }
    }
}

impl<T> Drop for InUse<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.exclusive.in_use.set(false);
    }
}
