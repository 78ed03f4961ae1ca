// SPDX-License-Identifier: GPL-2.0

//! A queue of fixed length in memory that was there before.

use core::ops::DerefMut;

/// First in, first out. As many as `S` has elements.
///
/// # Invariants
///
/// `first` is less than the number of slots, unless there are none; `len` is not more.
pub(crate) struct Ring<S> {
    slots: S,
    first: usize,
    len: usize,
}

impl<T: Copy, S: DerefMut<Target = [T]>> Ring<S> {
    /// A queue in `slots`, whose contents do not matter.
    pub(crate) fn new(slots: S) -> Self {
        // INVARIANT: There is nothing in it.
        Self {
            slots,
            first: 0,
            len: 0,
        }
    }

    /// How many are in it.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether no further one fits in.
    pub(crate) fn is_full(&self) -> bool {
        self.len == self.slots.len()
    }

    /// Puts one in at the end. Returns whether it fitted.
    pub(crate) fn push(&mut self, value: T) -> bool {
        let (to_end, end) = (self.slots.len().wrapping_sub(self.first), self.len);
        let slot = if end < to_end {
            self.first.wrapping_add(end)
        } else {
            end.wrapping_sub(to_end)
        };
        if self.is_full() {
            return false;
        }
        match self.slots.get_mut(slot) {
            Some(slot) => {
                *slot = value;
                // INVARIANT: It was not full.
                self.len = self.len.wrapping_add(1);
                true
            }
            // Never: the slot is in range.
            None => false,
        }
    }

    /// Takes out the one that was put in first.
    pub(crate) fn pop(&mut self) -> Option<T> {
        if self.len == 0 {
            return None;
        }
        let value = self.slots.get(self.first).copied();
        self.forget(1);
        value
    }

    /// Takes out the `n` that were put in first, or all.
    pub(crate) fn forget(&mut self, n: usize) {
        let n = n.min(self.len);
        let to_end = self.slots.len().wrapping_sub(self.first);
        // INVARIANT: Behind the last slot comes the first; no more go than there are.
        self.first = if n < to_end {
            self.first.wrapping_add(n)
        } else {
            n.wrapping_sub(to_end)
        };
        self.len = self.len.wrapping_sub(n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        /// Against the standard library's queue.
        #[test]
        fn behaves_like_a_queue(
            slots in 0usize..6,
            steps in proptest::collection::vec(0usize..9, 0..60),
        ) {
            let mut ring = Ring::new(vec![0; slots]);
            let mut queue = VecDeque::new();
            for (i, step) in steps.into_iter().enumerate() {
                prop_assert_eq!(ring.is_full(), queue.len() == slots);
                match step {
                    0..4 => {
                        let fits = queue.len() < slots;
                        prop_assert_eq!(ring.push(i), fits);
                        if fits {
                            queue.push_back(i);
                        }
                    }
                    4..6 => prop_assert_eq!(ring.pop(), queue.pop_front()),
                    n => {
                        ring.forget(n - 6);
                        queue.drain(..queue.len().min(n - 6));
                    }
                }
                prop_assert_eq!(ring.len(), queue.len());
            }
        }
    }
}
