// SPDX-License-Identifier: GPL-2.0

//! Memory control groups: who pays for memory that is taken on behalf of another task.
//!
//! C header: [`include/linux/memcontrol.h`](srctree/include/linux/memcontrol.h)

use crate::bindings;

/// A memory control group, which is not freed before this is dropped.
///
/// # Invariants
///
/// `group` is one of which this has a reference, or null, as it is where the kernel has none.
pub(crate) struct MemCgroup {
    group: *mut bindings::mem_cgroup,
}

// SAFETY: The kernel has locks for what can be done with a control group.
unsafe impl Send for MemCgroup {}
// SAFETY: As above.
unsafe impl Sync for MemCgroup {}

impl MemCgroup {
    /// That of the calling process. Process context.
    pub(crate) fn current() -> Self {
        // SAFETY: This is process context.
        let group = unsafe { bindings::netflow_memcg_get() };
        // INVARIANT: The reference is ours.
        Self { group }
    }

    /// Charges to it what `f` allocates with `__GFP_ACCOUNT`. The kernel slows down who takes more
    /// than `memory.high`: each 0.5 MiB may take two seconds. Process context.
    pub(crate) fn charge<R>(&self, f: impl FnOnce() -> R) -> R {
        // SAFETY: It stays valid until the former one is put back, as `self` is borrowed.
        let former = unsafe { bindings::netflow_memcg_set_active(self.group) };
        let result = f();
        // SAFETY: It was active before, so whoever made it so keeps it valid.
        unsafe { bindings::netflow_memcg_set_active(former) };
        result
    }
}

impl Drop for MemCgroup {
    fn drop(&mut self) {
        // SAFETY: The reference is ours by the type invariant, or this is null.
        unsafe { bindings::netflow_memcg_put(self.group) };
    }
}
