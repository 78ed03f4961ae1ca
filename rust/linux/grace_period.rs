// SPDX-License-Identifier: GPL-2.0

//! Grace periods of RCU that someone else may wait for.
//!
//! C header: [`include/linux/rcupdate.h`](srctree/include/linux/rcupdate.h)

use crate::bindings;

/// A moment after which a grace period is to pass.
pub(super) struct GracePeriod(bindings::rcu_gp_seq);

impl GracePeriod {
    /// From now on. Any context.
    pub(super) fn begin() -> Self {
        let mut state = bindings::rcu_gp_seq::default();
        // SAFETY: It is valid for writes.
        unsafe { bindings::get_state_synchronize_rcu_full(&mut state) };
        Self(state)
    }

    /// Returns when one has passed: at once, if it has passed already. Process context.
    pub(super) fn wait(mut self) {
        // SAFETY: It is what the kernel has written there.
        unsafe { bindings::cond_synchronize_rcu_full(&mut self.0) };
    }
}
