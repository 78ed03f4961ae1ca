// SPDX-License-Identifier: GPL-2.0

//! Time that may be spent in each second.

use kernel::time::{
    Delta,
    Msecs, //
};

use super::clock::Deadline;

/// So much time may be spent in each second, in one piece or in several, by one at a time.
pub(crate) struct TimeBudget {
    per_second: Delta,
    /// Nanoseconds that are left of this second's.
    left: i64,
    /// When there is as much again.
    renewed: Deadline,
}

impl TimeBudget {
    /// `per_second` milliseconds of each second.
    pub(crate) fn new(per_second: Msecs) -> Self {
        let per_second = Delta::from_millis(per_second.into());
        Self {
            per_second,
            left: per_second.as_nanos(),
            renewed: Deadline::after(1000),
        }
    }

    /// Whether some is left of this second's.
    pub(crate) fn has_some(&mut self) -> bool {
        if self.renewed.has_passed() {
            *self = Self {
                left: self.per_second.as_nanos(),
                renewed: Deadline::after(1000),
                ..*self
            };
        }
        self.left > 0
    }

    /// Takes all that is left, to be spent until the deadline. `None` if there is nothing, or
    /// someone else has it.
    pub(crate) fn take(&mut self) -> Option<Deadline> {
        self.has_some().then(|| {
            let deadline = Deadline::after_nanos(self.left);
            self.left = 0;
            deadline
        })
    }

    /// Gives back what was taken and is left until `deadline`.
    pub(crate) fn give_back(&mut self, deadline: Deadline) {
        self.left = deadline.left().max(0);
    }
}
