// SPDX-License-Identifier: GPL-2.0

//! State that belongs to a network namespace: made when the namespace is, gone before it is.
//!
//! C header: [`include/net/net_namespace.h`](srctree/include/net/net_namespace.h)

use core::{
    marker::PhantomData,
    mem::size_of,
    ptr::NonNull, //
};

use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*,
    sync::{
        atomic::{
            AtomicFlag,
            Full, //
        },
        Arc,
        ArcBorrow, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    },
};

use super::users::{
    Owner,
    User, //
};
use crate::bindings;

/// A network namespace, which is not freed before the last of these is dropped.
///
/// Does not hold a reference. Everything that keeps a `Netns` must be dropped with the state;
/// `exit` waits until it is.
///
/// # Invariants
///
/// `net` is valid as long as `_user` is one of its users: `exit` waits for them.
#[derive(Clone)]
pub(crate) struct Netns {
    net: NonNull<bindings::net>,
    _user: User,
}

// SAFETY: What is done with a namespace is safe from any thread.
unsafe impl Send for Netns {}
// SAFETY: As above.
unsafe impl Sync for Netns {}

impl Netns {
    /// For calls to C.
    #[inline]
    pub(super) fn as_ptr(&self) -> *mut bindings::net {
        self.net.as_ptr()
    }

    /// The inode number, by which people know it (`ls -l /proc/PID/ns/net`).
    pub(crate) fn inode(&self) -> u32 {
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::netflow_net_inum(self.as_ptr()) }
    }

    /// Whether it belongs to the initial user namespace, so that only the root of the system, and
    /// not just any user, can have made it.
    pub(crate) fn is_of_init_user_ns(&self) -> bool {
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::netflow_net_is_of_init_user_ns(self.as_ptr()) }
    }

    /// Whether someone uses it, so that it is not about to go.
    pub(crate) fn is_alive(&self) -> bool {
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::netflow_net_is_alive(self.as_ptr()) }
    }

    /// Whether this is the namespace that the system was booted in.
    pub(crate) fn is_initial(&self) -> bool {
        core::ptr::eq(self.as_ptr(), &raw const bindings::init_net)
    }
}

/// What a module keeps for each namespace. Where the states are kept is defined by [`per_net!`].
pub(crate) trait State: HasPerNet {
    /// Makes the state of a namespace. Process context.
    fn new(netns: Netns) -> Result<Arc<Self>>;

    /// The namespace is about to go, or the module. Its devices and routes still work, for the last
    /// time if it is the namespace. Process context; must not wait, as meanwhile no other namespace
    /// can come or go.
    fn pre_exit(&self);

    /// The same, when an RCU grace period has passed since [`Self::pre_exit`]: stops everything
    /// that uses the namespace. Process context.
    fn exit(&self);
}

/// That states of this type are kept somewhere.
///
/// # Safety
///
/// There must be one [`PerNet`] of this type, and `pernet` must return it.
pub(crate) unsafe trait HasPerNet: Sized + Send + Sync + 'static {
    /// Where they are kept.
    fn pernet() -> &'static PerNet<Self>;
}

/// Defines the `static` that the states of a type are kept in.
macro_rules! per_net {
    ($(#[$attr:meta])* $vis:vis static $name:ident of $state:ty;) => {
        $(#[$attr])*
        $vis static $name: $crate::linux::netns::PerNet<$state> =
            // SAFETY: As a type can implement `HasPerNet` but once, this is the only one.
            unsafe { $crate::linux::netns::PerNet::new() };

        // SAFETY: As above.
        unsafe impl $crate::linux::netns::HasPerNet for $state {
            fn pernet() -> &'static $crate::linux::netns::PerNet<Self> {
                &$name
            }
        }
    };
}
pub(crate) use per_net;

/// What `init` puts into the slot of a namespace, and `exit` takes out. The order of the fields is
/// the order in which they go: the state first, then `users`, which waits for all that the state
/// has left.
struct Slot<T> {
    state: Arc<T>,
    _users: Owner,
}

/// The states of all namespaces, found by namespace. Made by [`per_net!`].
pub(crate) struct PerNet<T> {
    ops: Opaque<bindings::pernet_operations>,
    /// Written by the kernel when `ops` is registered, constant from then on.
    id: Opaque<c_uint>,
    registered: AtomicFlag,
    _state: PhantomData<T>,
}

// SAFETY: `ops` and `id` are written only during registration, which happens once.
unsafe impl<T> Sync for PerNet<T> {}

impl<T> PerNet<T> {
    /// Registered nowhere yet.
    ///
    /// # Safety
    ///
    /// There must be no other one of this type: the functions that the kernel calls on behalf of
    /// this one find it by the type.
    pub(crate) const unsafe fn new() -> Self {
        Self {
            ops: Opaque::zeroed(),
            id: Opaque::zeroed(),
            registered: AtomicFlag::new(false),
            _state: PhantomData,
        }
    }
}

impl<T: State> PerNet<T> {
    /// Makes the state of all namespaces that exist and of all to come. Process context.
    ///
    /// `EBUSY` if that was done before.
    pub(crate) fn register(&'static self) -> Result<Registration<T>> {
        if self.registered.xchg(true, Full) {
            return Err(EBUSY);
        }
        // Registered as operations of a device, not of a subsystem, as those are stopped first: the
        // last flows of a namespace leave it over its devices.
        let ops = bindings::pernet_operations {
            init: Some(Self::init),
            pre_exit: Some(Self::pre_exit),
            exit: Some(Self::exit),
            id: self.id.get(),
            size: size_of::<*mut c_void>(),
            ..pin_init::zeroed()
        };
        // SAFETY: `ops` is not registered, so nobody else uses it.
        unsafe { self.ops.get().write(ops) };
        // SAFETY: `ops` is static, and it was just initialised.
        to_result(unsafe { bindings::register_pernet_device(self.ops.get()) })?;
        Ok(Registration { pernet: self })
    }

    /// The state of the namespace that a netlink request came from.
    ///
    /// # Safety
    ///
    /// `net` must be a valid namespace for `'a`, and this must stay registered for `'a`.
    pub(super) unsafe fn get<'a>(&self, net: *const bindings::net) -> Option<ArcBorrow<'a, T>> {
        // SAFETY: As this function requires.
        let slot = unsafe { *self.slot(net) };
        if slot.is_null() {
            return None;
        }
        // SAFETY: `init` put it there with `into_foreign`; `exit` takes it when nobody is left who
        // could ask.
        let slot: &'a Slot<T> = unsafe { KBox::borrow(slot) };
        Some(slot.state.as_arc_borrow())
    }

    /// Where the namespace keeps the pointer to its [`Slot`].
    ///
    /// # Safety
    ///
    /// `net` must be valid, and this registered.
    unsafe fn slot(&self, net: *const bindings::net) -> *mut *mut c_void {
        // SAFETY: The number was written at registration and is constant since.
        let id = unsafe { *self.id.get() };
        // SAFETY: `net` is valid, and `id` a registered number, by the requirements of this
        // function.
        unsafe { bindings::netflow_net_generic(net, id) }.cast()
    }

    /// A namespace begins, or was there when the module came.
    ///
    /// # Safety
    ///
    /// To be called by the kernel only, on behalf of `T::pernet()`.
    unsafe extern "C" fn init(net: *mut bindings::net) -> c_int {
        from_result(|| {
            let users = Owner::new()?;
            // INVARIANT: `exit` drops `users`, and so waits for this one, before the namespace is
            // freed; so does an error here.
            let netns = Netns {
                net: NonNull::new(net).ok_or(EINVAL)?,
                _user: users.user(),
            };
            let state = T::new(netns)?;
            let slot = KBox::new(
                Slot {
                    state,
                    _users: users,
                },
                GFP_KERNEL_ACCOUNT,
            )?;
            // SAFETY: The kernel calls this after it has reserved the slot in a valid namespace,
            // and nobody else uses the slot yet.
            unsafe { *T::pernet().slot(net) = slot.into_foreign() };
            Ok(0)
        })
    }

    /// A namespace, or the module, is about to go.
    ///
    /// # Safety
    ///
    /// As for `init`.
    unsafe extern "C" fn pre_exit(net: *mut bindings::net) {
        // SAFETY: The namespace is valid during the call, and still registered.
        if let Some(state) = unsafe { T::pernet().get(net) } {
            state.pre_exit();
        }
    }

    /// A namespace, or the module, goes.
    ///
    /// # Safety
    ///
    /// As for `init`.
    unsafe extern "C" fn exit(net: *mut bindings::net) {
        // SAFETY: The namespace is valid during the call, and still registered.
        let slot = unsafe { T::pernet().slot(net) };
        // SAFETY: Nobody else uses the slot any more: sockets hold a reference to their namespace,
        // and the netlink family is unregistered before this is.
        let slot = unsafe { core::ptr::replace(slot, core::ptr::null_mut()) };
        if !slot.is_null() {
            // SAFETY: It came from `into_foreign` in `init`, and was just taken out.
            let slot = unsafe { KBox::<Slot<T>>::from_foreign(slot) };
            slot.state.exit();
        }
    }
}

/// That a [`PerNet`] is registered.
///
/// Dropping it stops and drops the states of all namespaces. Whoever can ask for a state, as a
/// netlink family, must be gone before.
///
/// # Invariants
///
/// `pernet` is registered.
pub(crate) struct Registration<T: State> {
    pernet: &'static PerNet<T>,
}

impl<T: State> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: Registered by the type invariant.
        unsafe { bindings::unregister_pernet_device(self.pernet.ops.get()) };
    }
}
