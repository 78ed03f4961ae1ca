// SPDX-License-Identifier: GPL-2.0

//! Who uses something that goes away: its owner waits until nobody does.

use kernel::{
    prelude::*,
    sync::{
        Arc,
        Completion,
        Refcount, //
    },
};

/// Counts the users, and the owner as one of them.
#[pin_data]
struct Users {
    count: Refcount,
    #[pin]
    unused: Completion,
}

impl Users {
    fn put(&self) {
        if self.count.dec_and_test() {
            self.unused.complete_all();
        }
    }
}

/// The owner's end. Dropping it waits, without a limit, until all users are gone: a user that stays
/// is a bug, and a task that hangs is a better end to it than a pointer to freed memory.
pub(super) struct Owner(Arc<Users>);

impl Owner {
    /// Nobody uses it yet. Process context.
    pub(super) fn new() -> Result<Self> {
        let users = Arc::pin_init(
            pin_init!(Users {
                count: Refcount::new(1),
                unused <- Completion::new(),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        Ok(Self(users))
    }

    /// One more user.
    pub(super) fn user(&self) -> User {
        self.0.count.inc();
        User(self.0.clone())
    }
}

impl Drop for Owner {
    /// Process context.
    fn drop(&mut self) {
        self.0.put();
        self.0.unused.wait_for_completion();
    }
}

/// A user: what it uses is there until this is dropped.
pub(super) struct User(Arc<Users>);

impl Clone for User {
    fn clone(&self) -> Self {
        self.0.count.inc();
        Self(self.0.clone())
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.0.put();
    }
}
