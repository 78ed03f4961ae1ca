// SPDX-License-Identifier: GPL-2.0

//! Network devices: their names and indices, and who is told when these change.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use kernel::{
    error::to_result,
    prelude::*,
    sync::Arc,
    types::Opaque, //
};

use super::netns::Netns;
use crate::bindings;

/// The bytes of a name, with at least one NUL at its end.
const LEN: usize = bindings::IFNAMSIZ as usize;

/// A name that a device can have.
///
/// # Invariants
///
/// From the first NUL on there are only NULs, and there is one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DeviceName([u8; LEN]);

impl DeviceName {
    /// A name of these bytes, up to the first NUL. `None` if no device can have it.
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        let mut name = [0; LEN];
        let bytes = bytes.split(|byte| *byte == 0).next()?;
        name.get_mut(..bytes.len())?.copy_from_slice(bytes);
        if *name.last()? != 0 {
            return None;
        }
        // SAFETY: It ends with a NUL.
        let is_valid = unsafe { bindings::dev_valid_name(name.as_ptr().cast()) };
        // INVARIANT: What was copied has no NUL, and does not reach the end.
        is_valid.then_some(Self(name))
    }

    /// Its bytes, and one NUL.
    pub(crate) fn bytes_with_nul(&self) -> &[u8] {
        let len = self.0.iter().take_while(|byte| **byte != 0).count();
        self.0.get(..=len).unwrap_or(&self.0)
    }

    /// As C takes it.
    pub(super) fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }

    /// Index of the device that has it in a namespace. Alternative names do not count. Process
    /// context or softirq.
    pub(crate) fn index(&self, netns: &Netns) -> Option<u32> {
        // SAFETY: The namespace is valid by the invariant of `Netns`, and the name ends with a NUL.
        let index = unsafe { bindings::netflow_dev_index(netns.as_ptr(), self.as_ptr()) };
        Some(index).filter(|index| *index != 0)
    }
}

/// Bytes of an alias that are looked at, and a NUL.
const ALIAS: usize = 80;

/// A device, as people know it.
pub(crate) struct Device {
    /// Its index.
    pub(crate) index: u32,
    name: [u8; LEN],
    alias: [u8; ALIAS],
}

impl Device {
    /// The device of a namespace with the least index above `after`. Process context or softirq.
    ///
    /// While it is being renamed, its name may be mixed of the old and the new one.
    pub(crate) fn next(netns: &Netns, after: u32) -> Option<Self> {
        let mut device = Self {
            index: 0,
            name: [0; LEN],
            alias: [0; ALIAS],
        };
        // SAFETY: The namespace is valid by the invariant of `Netns`. A name fits, and of the alias
        // there are as many bytes as stated.
        device.index = unsafe {
            bindings::netflow_next_dev(
                netns.as_ptr(),
                after,
                device.name.as_mut_ptr().cast(),
                device.alias.as_mut_ptr().cast(),
                ALIAS,
            )
        };
        (device.index != 0).then_some(device)
    }

    /// Its name.
    pub(crate) fn name(&self) -> &[u8] {
        text(&self.name)
    }

    /// Its alias (`ip link set alias`); empty if it has none.
    pub(crate) fn alias(&self) -> &[u8] {
        text(&self.alias)
    }
}

/// What is in front of the first NUL.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Who is told of the devices of a namespace. All of this in process context, under RTNL, one after
/// the other.
pub(crate) trait DeviceEvents: Send + Sync + 'static {
    /// A device is there with this name: it is new, comes from another namespace, or was renamed.
    fn named(&self, name: DeviceName, index: u32);

    /// A device goes, or leaves for another namespace. Its index may have another device next.
    fn gone(&self, index: u32);
}

/// That a `T` is told, until this is dropped.
///
/// # Invariants
///
/// The block is registered in `netns`.
pub(crate) struct Notifier<T: DeviceEvents> {
    block: KBox<Block<T>>,
    netns: Netns,
}

#[repr(C)]
struct Block<T> {
    block: Opaque<bindings::notifier_block>,
    target: Arc<T>,
}

// SAFETY: The block is used by the kernel alone, under a lock of its own.
unsafe impl<T: DeviceEvents> Send for Notifier<T> {}
// SAFETY: As above.
unsafe impl<T: DeviceEvents> Sync for Notifier<T> {}

impl<T: DeviceEvents> Notifier<T> {
    /// Tells `target` of all devices that are there, and of what becomes of them. Process context,
    /// takes RTNL.
    pub(crate) fn new(netns: Netns, target: Arc<T>) -> Result<Self> {
        let block = bindings::notifier_block {
            notifier_call: Some(notify::<T>),
            ..pin_init::zeroed()
        };
        let block = Block {
            block: Opaque::new(block),
            target,
        };
        let block = KBox::new(block, GFP_KERNEL_ACCOUNT)?;
        // SAFETY: The namespace is valid by the invariant of `Netns`. The block is new; it is
        // neither moved nor freed before it is unregistered.
        to_result(unsafe {
            bindings::register_netdevice_notifier_net(netns.as_ptr(), block.block.get())
        })?;
        // INVARIANT: Just registered.
        Ok(Self { block, netns })
    }
}

impl<T: DeviceEvents> Drop for Notifier<T> {
    /// On return `target` is not being told any more. Process context, takes RTNL.
    fn drop(&mut self) {
        // SAFETY: Registered in this namespace by the type invariant.
        unsafe {
            bindings::unregister_netdevice_notifier_net(self.netns.as_ptr(), self.block.block.get())
        };
    }
}

/// What a notifier returns. CAST: Zero.
const DONE: c_int = bindings::NOTIFY_DONE as c_int;

/// What the kernel calls.
///
/// # Safety
///
/// `block` must be that of a [`Block<T>`] in the chain, and `info` tell of a device.
unsafe extern "C" fn notify<T: DeviceEvents>(
    block: *mut bindings::notifier_block,
    event: c_ulong,
    info: *mut c_void,
) -> c_int {
    // SAFETY: It is the first field, by the requirements of this function; being in the chain, it
    // lives.
    let target = unsafe { &(*block.cast::<Block<T>>()).target };
    let mut name = [0; LEN];
    // SAFETY: `info` is as required here, and a name fits.
    let index = unsafe { bindings::netflow_notified_dev(info, name.as_mut_ptr().cast()) };
    let Some(name) = DeviceName::new(&name) else {
        // Never: the kernel has checked it.
        return DONE;
    };
    if index == 0 {
        // It has gone before.
        return DONE;
    }
    // CAST: Events are few.
    match event as u32 {
        bindings::netdev_cmd_NETDEV_REGISTER | bindings::netdev_cmd_NETDEV_CHANGENAME => {
            target.named(name, index);
        }
        bindings::netdev_cmd_NETDEV_UNREGISTER => target.gone(index),
        _ => {}
    }
    DONE
}
