// SPDX-License-Identifier: GPL-2.0

//! A spinlock for data that softirq and process context share.
//!
//! The kernel crate's `SpinLock` leaves softirqs on: one that interrupts the owner and wants the lock
//! would wait for ever.
//!
//! C header: [`include/linux/spinlock.h`](srctree/include/linux/spinlock.h)

use core::marker::PhantomData;

use kernel::{
    prelude::*,
    sync::lock::{
        Backend,
        Guard,
        Lock, //
    },
};

use crate::bindings;

/// A spinlock that keeps softirqs off this CPU while it is held.
///
/// Made with [`new_spinlock_bh!`]. May be taken in softirq and in process context, not in hard
/// interrupts.
pub(crate) type SpinLockBh<T> = Lock<T, SpinLockBhBackend>;

/// Data and its lock, on cache lines of their own: whoever writes them disturbs no neighbour.
#[pin_data]
#[repr(align(64))]
pub(crate) struct CacheAligned<T> {
    #[pin]
    pub(crate) data: SpinLockBh<T>,
}

/// That softirqs are off on this CPU, for `'a`: what runs then is not moved to another one.
#[derive(Clone, Copy)]
pub(crate) struct BhDisabled<'a>(PhantomData<(&'a (), *mut ())>);

/// Keeps softirqs off on this CPU until it is dropped.
///
/// # Invariants
///
/// Softirqs are off on this CPU: because this turned them off, if `turned_off`, and else because they were
/// and stay so.
pub(crate) struct BhGuard {
    turned_off: bool,
    _not_send: PhantomData<*mut ()>,
}

impl BhGuard {
    /// Turns softirqs off. Not in hard interrupts.
    pub(crate) fn new() -> Self {
        // SAFETY: Nothing is claimed.
        unsafe { Self::assume_disabled(false) }
    }

    /// Turns softirqs off, unless they `are_off`. Not in hard interrupts.
    ///
    /// # Safety
    ///
    /// If `are_off` they must be off on this CPU, and stay so until this is dropped.
    #[inline(always)]
    pub(super) unsafe fn assume_disabled(are_off: bool) -> Self {
        if !are_off {
            // SAFETY: Not a hard interrupt, by the requirements of this function.
            unsafe { bindings::netflow_local_bh_disable() }
        }
        // INVARIANT: Either by the requirements of this function, or just turned off.
        Self {
            turned_off: !are_off,
            _not_send: PhantomData,
        }
    }

    /// The proof.
    #[inline(always)]
    pub(crate) fn token(&self) -> BhDisabled<'_> {
        BhDisabled(PhantomData)
    }
}

impl Drop for BhGuard {
    #[inline(always)]
    fn drop(&mut self) {
        if self.turned_off {
            // SAFETY: By the type invariant it was this that turned them off.
            unsafe { bindings::netflow_local_bh_enable() }
        }
    }
}

/// The guard of a [`SpinLockBh`].
pub(crate) type SpinLockBhGuard<'a, T> = Guard<'a, T, SpinLockBhBackend>;

/// Takes the lock where softirqs are off already, which makes it cheaper.
#[inline(always)]
pub(crate) fn lock_with<'a, T>(
    lock: &'a SpinLockBh<T>,
    _softirqs: BhDisabled<'a>,
) -> SpinLockBhGuard<'a, T> {
    let state = core::ptr::from_ref(lock).cast_mut().cast();
    // SAFETY: A `Lock` begins with its state (it is `repr(C)`), which is initialised. No softirq can
    // interrupt the owner on this CPU: they are off for as long as the guard can live.
    unsafe { bindings::netflow_spin_lock(state) };
    // SAFETY: The lock was just taken, in the way that is stated.
    unsafe { Guard::new(lock, Softirqs::WereOff) }
}

/// What unlocking does to softirqs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Softirqs {
    /// Taking the lock has turned them off: on again.
    CpuDead,
    /// They were off before, and stay so.
    WereOff,
}

/// The backend of [`SpinLockBh`]: `spin_lock_bh()`.
pub(crate) struct SpinLockBhBackend;

// SAFETY: `spinlock_t` ensures mutual exclusion. `relock` is the default one, which turns softirqs off
// and says so in the guard's state.
unsafe impl Backend for SpinLockBhBackend {
    type State = bindings::spinlock_t;
    type GuardState = Softirqs;

    #[inline]
    unsafe fn init(ptr: *mut Self::State, name: *const c_char, key: *mut bindings::lock_class_key) {
        // SAFETY: `ptr` is valid for writes, `name` and `key` for reads indefinitely, by the
        // requirements of this function.
        unsafe { bindings::__spin_lock_init(ptr, name, key) }
    }

    #[inline]
    unsafe fn lock(ptr: *mut Self::State) -> Softirqs {
        // SAFETY: `ptr` is valid and initialised by the requirements of this function.
        unsafe { bindings::netflow_spin_lock_bh(ptr) };
        Softirqs::CpuDead
    }

    #[inline]
    unsafe fn try_lock(ptr: *mut Self::State) -> Option<Softirqs> {
        // SAFETY: `ptr` is valid and initialised by the requirements of this function.
        let locked = unsafe { bindings::netflow_spin_trylock_bh(ptr) };
        (locked != 0).then_some(Softirqs::CpuDead)
    }

    #[inline]
    unsafe fn unlock(ptr: *mut Self::State, bh: &Softirqs) {
        // SAFETY: `ptr` is valid and the caller owns the lock by the requirements of this function;
        // it is released as it was taken.
        unsafe {
            match bh {
                Softirqs::CpuDead => bindings::netflow_spin_unlock_bh(ptr),
                Softirqs::WereOff => bindings::netflow_spin_unlock(ptr),
            }
        }
    }

    #[inline]
    unsafe fn assert_is_held(ptr: *mut Self::State) {
        // Without lockdep this is a call that does nothing, on the way of every packet.
        if cfg!(CONFIG_LOCKDEP) {
            // SAFETY: `ptr` is valid and initialised by the requirements of this function.
            unsafe { bindings::spin_assert_is_held(ptr) }
        }
    }
}

/// Creates a [`SpinLockBh`] initialiser with a newly-created lock class.
macro_rules! new_spinlock_bh {
    ($inner:expr, $name:literal) => {
        $crate::linux::bh_lock::SpinLockBh::new(
            $inner,
            ::kernel::optional_name!($name),
            ::kernel::static_lock_class!(),
        )
    };
}
pub(crate) use new_spinlock_bh;
