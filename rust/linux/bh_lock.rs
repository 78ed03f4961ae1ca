// SPDX-License-Identifier: GPL-2.0

//! A spinlock for data that softirq and process context share.
//!
//! The kernel crate's `SpinLock` leaves bottom halves enabled: a softirq that interrupts the owner
//! and wants the lock would wait for ever.
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

/// A spinlock that keeps bottom halves disabled on this CPU while it is held.
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

/// That bottom halves are disabled on this CPU, for `'a`: no softirq runs there meanwhile but the
/// one that this may be in, and what runs is not moved to another CPU.
#[derive(Clone, Copy)]
pub(crate) struct BhDisabled<'a>(PhantomData<(&'a (), *mut ())>);

/// Keeps bottom halves disabled on this CPU until it is dropped.
///
/// # Invariants
///
/// Bottom halves are disabled on this CPU: because this disabled them, if `disabled`, and else
/// because they were and stay so.
pub(crate) struct BhGuard {
    disabled: bool,
    _not_send: PhantomData<*mut ()>,
}

impl BhGuard {
    /// Disables bottom halves. Not in hard interrupts.
    pub(crate) fn new() -> Self {
        // SAFETY: Nothing is claimed.
        unsafe { Self::assume_disabled(false) }
    }

    /// Disables bottom halves, unless they `are_disabled`. Not in hard interrupts.
    ///
    /// # Safety
    ///
    /// If `are_disabled` they must be disabled on this CPU, and stay so until this is dropped.
    #[inline(always)]
    pub(super) unsafe fn assume_disabled(are_disabled: bool) -> Self {
        if !are_disabled {
            // SAFETY: Not a hard interrupt, by the requirements of this function.
            unsafe { bindings::netflow_local_bh_disable() }
        }
        // INVARIANT: Either by the requirements of this function, or just turned off.
        Self {
            disabled: !are_disabled,
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
        if self.disabled {
            // SAFETY: By the type invariant it was this that turned them off.
            unsafe { bindings::netflow_local_bh_enable() }
        }
    }
}

/// The guard of a [`SpinLockBh`].
pub(crate) type SpinLockBhGuard<'a, T> = Guard<'a, T, SpinLockBhBackend>;

/// Takes the lock where bottom halves are disabled already, which takes less time.
#[inline(always)]
pub(crate) fn lock_with<'a, T>(
    lock: &'a SpinLockBh<T>,
    _bh: BhDisabled<'a>,
) -> SpinLockBhGuard<'a, T> {
    let state = core::ptr::from_ref(lock).cast_mut().cast();
    // SAFETY: A `Lock` begins with its state (it is `repr(C)`), which is initialised. No softirq
    // can interrupt the owner on this CPU: they are off for as long as the guard can live.
    unsafe { bindings::netflow_spin_lock(state) };
    // SAFETY: The lock was just taken, in the way that is stated.
    unsafe { Guard::new(lock, OnUnlock::KeepBhDisabled) }
}

/// What unlocking does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnUnlock {
    /// Taking the lock has disabled bottom halves: enables them.
    EnableBh,
    /// They were disabled before, and stay so.
    KeepBhDisabled,
}

/// The backend of [`SpinLockBh`]: `spin_lock_bh()`.
pub(crate) struct SpinLockBhBackend;

// SAFETY: `spinlock_t` ensures mutual exclusion. `relock` is the default one, which
// disables bottom halves and says so in the guard's state.
unsafe impl Backend for SpinLockBhBackend {
    type State = bindings::spinlock_t;
    type GuardState = OnUnlock;

    #[inline]
    unsafe fn init(ptr: *mut Self::State, name: *const c_char, key: *mut bindings::lock_class_key) {
        // SAFETY: `ptr` is valid for writes, `name` and `key` for reads indefinitely, by the
        // requirements of this function.
        unsafe { bindings::__spin_lock_init(ptr, name, key) }
    }

    #[inline]
    unsafe fn lock(ptr: *mut Self::State) -> OnUnlock {
        // SAFETY: `ptr` is valid and initialised by the requirements of this function.
        unsafe { bindings::netflow_spin_lock_bh(ptr) };
        OnUnlock::EnableBh
    }

    #[inline]
    unsafe fn try_lock(ptr: *mut Self::State) -> Option<OnUnlock> {
        // SAFETY: `ptr` is valid and initialised by the requirements of this function.
        let locked = unsafe { bindings::netflow_spin_trylock_bh(ptr) };
        (locked != 0).then_some(OnUnlock::EnableBh)
    }

    #[inline]
    unsafe fn unlock(ptr: *mut Self::State, on_unlock: &OnUnlock) {
        // SAFETY: `ptr` is valid and the caller owns the lock by the requirements of this function;
        // it is released as it was taken.
        unsafe {
            match on_unlock {
                OnUnlock::EnableBh => bindings::netflow_spin_unlock_bh(ptr),
                OnUnlock::KeepBhDisabled => bindings::netflow_spin_unlock(ptr),
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
