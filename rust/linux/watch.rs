// SPDX-License-Identifier: GPL-2.0

//! Hooks whose observer is a backlog: what they see waits there for its handler.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use super::{
    backlog::{
        Backlog,
        Draining, //
        Handler,
        Service,
    },
    netfilter::{
        Hooks,
        Observer, //
    },
    netns::Netns, //
};
use crate::flow::observe::ObservationPoints;

/// The hooks and the backlog, until this is dropped: then no hook is there any more, and nothing waits. Process context.
pub(crate) struct Watch<H: Handler>
where
    Backlog<H>: Observer,
{
    // The order of the fields is the order in which they go.
    hooks: Hooks<Backlog<H>>,
    service: Service<H>,
}

impl<H: Handler> Watch<H>
where
    Backlog<H>: Observer,
{
    /// No hooks yet. Process context.
    pub(crate) fn new(netns: Netns, handler: Arc<H>) -> Result<Self> {
        // SAFETY: Only hooks use queues, for as long as they are called: they are gone before the service.
        let service = unsafe { Service::new(handler)? };
        let hooks = Hooks::new(netns, service.backlog().clone());
        Ok(Self { hooks, service })
    }

    /// See [`Hooks::add`].
    pub(crate) fn add(&mut self, points: ObservationPoints) -> Result {
        self.hooks.add(points)
    }

    /// See [`Hooks::retain`].
    pub(crate) fn retain(&mut self, points: ObservationPoints) {
        self.hooks.retain(points);
    }

    /// What waits.
    pub(crate) fn draining(&self) -> Draining<H> {
        self.service.draining()
    }
}
