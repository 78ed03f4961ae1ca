// SPDX-License-Identifier: GPL-2.0

//! The numbers by which interfaces are reported instead of their index.
//!
//! A number belongs to a name. The interface that has the name has the number; when it is renamed,
//! goes, or leaves for another namespace it has the number no longer, and the next one of that name
//! does. An index has no memory: who gets one that was in use before does not inherit a number.

use kernel::{
    new_mutex, pr_warn_once,
    prelude::*,
    rbtree::RBTree,
    sync::{
        Arc,
        Mutex,
        MutexGuard, //
    },
};

use crate::{
    bindings,
    linux::{
        netdevice::{
            DeviceEvents,
            DeviceName, //
        },
        netns::Netns,
        xarray::XArrayU32, //
    },
};

/// The numbers of a namespace.
#[pin_data]
pub(crate) struct InterfaceNumbers {
    #[pin]
    names: Mutex<Names>,
    /// The same for the interfaces that are there, as packets ask for it. Written under the lock of
    /// `names`.
    #[pin]
    by_index: XArrayU32,
}

pub(crate) struct Names {
    numbers: RBTree<DeviceName, u32>,
    len: u32,
    /// Changes when a number does.
    generation: u32,
}

impl InterfaceNumbers {
    /// There are none yet. Process context.
    pub(super) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                names <- new_mutex!(
                    Names {
                        numbers: RBTree::new(),
                        len: 0,
                        generation: 0,
                    },
                    "netflow_interfaces"
                ),
                by_index <- XArrayU32::new(),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Gives a name a number, or with 0 takes it away. Returns how many have one. `ENOSPC` if no
    /// more can. Whoever tells of devices, does so by now.
    pub(super) fn set(&self, netns: &Netns, name: DeviceName, number: u32) -> Result<u32> {
        let mut names = self.names.lock();
        let names = &mut *names;
        let before = names.set(name, number)?;
        // Should it be renamed at this moment, we are told of that when the lock is free.
        let stored = match name.index(netns) {
            Some(index) => self.set_index(index, number),
            None => Ok(()),
        };
        if let Err(error) = stored {
            names.set(name, before)?;
            return Err(error);
        }
        names.generation = names.generation.wrapping_add(1);
        Ok(names.len)
    }

    fn set_index(&self, index: u32, number: u32) -> Result {
        match number {
            0 => self.by_index.erase(index),
            _ => self.by_index.store(index, number)?,
        }
        Ok(())
    }

    /// The number of the interface that has an index, which is the index unless it was given one.
    /// Any context.
    pub(super) fn of(&self, index: u32) -> u32 {
        self.by_index.load(index).unwrap_or(index)
    }

    /// The names and their numbers, which do not change meanwhile. Process context.
    pub(crate) fn list(&self) -> List<'_> {
        List(self.names.lock())
    }
}

/// The names and their numbers.
pub(crate) struct List<'a>(MutexGuard<'a, Names>);

impl List<'_> {
    /// Another number whenever they are others.
    pub(crate) fn generation(&self) -> u32 {
        self.0.generation
    }

    /// Passes each name and its number to `to`, in order and without the first `skip`, until it
    /// fails.
    pub(crate) fn for_each(
        &self,
        mut skip: usize,
        mut to: impl FnMut((&DeviceName, &u32)) -> Result,
    ) -> Result {
        // Not by `Iterator::skip`, whose arithmetic may panic.
        self.0.numbers.iter().try_for_each(|entry| {
            if skip == 0 {
                return to(entry);
            }
            skip = skip.wrapping_sub(1);
            Ok(())
        })
    }
}

impl Names {
    /// Returns the number that the name had, 0 if it had none.
    fn set(&mut self, name: DeviceName, number: u32) -> Result<u32> {
        if number == 0 {
            let before = self.numbers.remove(&name);
            self.len = self.len.saturating_sub(before.is_some().into());
            return Ok(before.unwrap_or(0));
        }
        if let Some(known) = self.numbers.get_mut(&name) {
            return Ok(core::mem::replace(known, number));
        }
        if self.len >= bindings::NETFLOW_MAX_IFACES {
            return Err(ENOSPC);
        }
        self.numbers
            .try_create_and_insert(name, number, GFP_KERNEL_ACCOUNT)?;
        self.len = self.len.saturating_add(1);
        Ok(0)
    }
}

impl DeviceEvents for InterfaceNumbers {
    fn named(&self, name: DeviceName, index: u32) {
        let names = self.names.lock();
        let number = names.numbers.get(&name).copied().unwrap_or(0);
        if self.set_index(index, number).is_err() {
            // It has a smaller number that is right too, its index; the device is not to suffer.
            pr_warn_once!("no memory for the number of an interface, which is told by its index\n");
        }
    }

    fn gone(&self, index: u32) {
        let _names = self.names.lock();
        self.by_index.erase(index);
    }
}
