// SPDX-License-Identifier: GPL-2.0

//! Preallocated slots, and handles that own them.
//!
//! A handle is to its slot what a `Box` is to its memory, in 24 bits: it cannot be copied, so
//! whoever has it, has the slot. Who guards a handle by a lock thereby guards the slot, and no slot
//! is ever in two places. Handles are made once, for all slots, and are kept by whoever may use the
//! slot.
//!
//! This is the only file of `flow` with `unsafe` code.
//!
//! # Invariants
//!
//! - For each slot of a slab there is at most one handle.
//! - A handle is used only with the slab that it was made with: who makes a slab promises that
//!   ([`Slab::new`]), as 24 bits are too few to tell.

use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    num::NonZeroU32,
    ops::Deref, //
};

/// Bits of a handle that say which slot it owns.
const INDEX_BITS: u32 = 24;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;

/// The most slots that a slab can have.
const SLOTS_MAX: usize = INDEX_MASK as usize;

/// Owns a slot of a slab. Carries eight bits of its holder, the tag, along.
#[derive(Debug)]
pub(crate) struct Handle<T>(NonZeroU32, PhantomData<Slot<T>>);

impl<T> Handle<T> {
    /// The same handle with another tag.
    #[inline(always)]
    pub(crate) fn with_tag(self, tag: u8) -> Self {
        let index = self.0.get() & INDEX_MASK;
        match NonZeroU32::new((u32::from(tag) << INDEX_BITS) | index) {
            Some(bits) => Self(bits, PhantomData),
            // Never: an index is not zero.
            None => self,
        }
    }

    /// The tag.
    #[inline(always)]
    pub(crate) fn tag(&self) -> u8 {
        // CAST: Eight bits are left.
        (self.0.get() >> INDEX_BITS) as u8
    }

    /// Position of the slot in its slab.
    #[inline(always)]
    fn index(&self) -> usize {
        // Indices in handles count from 1.
        ((self.0.get() & INDEX_MASK) as usize).wrapping_sub(1)
    }
}

/// A slot of a slab, not accessible but by its handle.
#[repr(transparent)]
pub(crate) struct Slot<T>(UnsafeCell<T>);

// SAFETY: A slot is accessed only by its handle: shared references to it come from shared ones to
// the handle, exclusive references from exclusive ones.
unsafe impl<T: Send + Sync> Sync for Slot<T> {}

impl<T> Slot<T> {
    /// A slot that holds `value`.
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }
}

/// FlowSlots of `T` in the memory `S`.
pub(crate) struct Slab<T, S> {
    slots: S,
    _cells: PhantomData<T>,
}

impl<T, S: Deref<Target = [Slot<T>]>> Slab<T, S> {
    /// A slab of the given slots, and the handles of its first [`SLOTS_MAX`].
    ///
    /// # Safety
    ///
    /// The handles must be used with no other slab, and with this one no other handles. `slots`
    /// must stand for the same memory as long as it lives.
    pub(crate) unsafe fn new(slots: S) -> (Self, impl Iterator<Item = Handle<T>>) {
        let count = slots.len().min(SLOTS_MAX);
        let slab = Self {
            slots,
            _cells: PhantomData,
        };
        // CAST: At most `SLOTS_MAX`.
        // INVARIANT: One handle for each slot.
        let handles = (1..=count as u32)
            .filter_map(|index| Some(Handle(NonZeroU32::new(index)?, PhantomData)));
        (slab, handles)
    }

    /// The same for a test, which keeps them together.
    #[cfg(test)]
    pub(crate) fn new_in_test(slots: S) -> (Self, impl Iterator<Item = Handle<T>>) {
        // SAFETY: Tests have one slab of a type, and use what is made here with it.
        unsafe { Self::new(slots) }
    }

    /// The slot of `handle`.
    #[inline(always)]
    pub(crate) fn get<'a>(&'a self, handle: &'a Handle<T>) -> &'a T {
        // SAFETY: By the invariants, `handle` was made with this slab, so its index is in range.
        let slot = unsafe { self.slots.get_unchecked(handle.index()) };
        // SAFETY: By the invariants, this is the only handle, and while it is borrowed as shared
        // nobody has exclusive access by it.
        unsafe { &*slot.0.get() }
    }

    /// Where the slot at `index` lies, if there is one.
    #[inline(always)]
    pub(crate) fn address(&self, index: usize) -> *const T {
        self.slots.as_ptr().wrapping_add(index).cast()
    }

    /// The slot of `handle`, to change.
    #[inline(always)]
    pub(crate) fn get_mut<'a>(&'a self, handle: &'a mut Handle<T>) -> &'a mut T {
        // SAFETY: As in `get`.
        let slot = unsafe { self.slots.get_unchecked(handle.index()) };
        // SAFETY: By the invariants, this is the only handle, and it is borrowed exclusively.
        unsafe { &mut *slot.0.get() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Numbers = Slab<usize, Vec<Slot<usize>>>;

    fn slab(n: usize) -> (Numbers, Vec<Handle<usize>>) {
        // SAFETY: Each test has one slab, and what is made here with it.
        let (slab, handles) = unsafe { Slab::new((0..n).map(Slot::new).collect::<Vec<_>>()) };
        (slab, handles.collect())
    }

    #[test]
    fn each_handle_has_its_own_cell() {
        let (slab, mut handles) = slab(1000);
        assert_eq!(handles.len(), 1000);
        for (i, handle) in handles.iter_mut().enumerate() {
            assert_eq!(*slab.get(handle), i);
            *slab.get_mut(handle) += 5000;
        }
        for (i, handle) in handles.iter().enumerate() {
            assert_eq!(*slab.get(handle), i + 5000);
        }
    }

    #[test]
    fn a_tag_does_not_change_the_cell() {
        let (slab, handles) = slab(3);
        for (i, mut handle) in handles.into_iter().enumerate() {
            for tag in [0, 1, 0x80, 0xff] {
                handle = handle.with_tag(tag);
                assert_eq!(handle.tag(), tag);
                assert_eq!(*slab.get(&handle), i);
            }
        }
    }

    #[test]
    fn no_handle_takes_more_than_four_bytes() {
        assert_eq!(size_of::<Option<Handle<u64>>>(), 4);
    }
}
