// SPDX-License-Identifier: GPL-2.0

//! The Metering Process (RFC 7011, section 2) of a namespace: packets in, expired flows out.

pub(crate) mod batch;
pub(crate) mod datapath;
pub(crate) mod domain;
pub(crate) mod family;
pub(crate) mod hooks;
pub(crate) mod interfaces;
pub(crate) mod nat_events;
pub(crate) mod path_config;
pub(crate) mod route;
pub(crate) mod sampler;
pub(crate) mod statistics;
mod sweep;
mod uptime_cache;

pub(crate) use sweep::Sweep;

use core::net::{
    Ipv4Addr,
    Ipv6Addr, //
};

use kernel::{
    prelude::*,
    sync::{
        Arc,
        SetOnce, //
    },
};

use self::{
    batch::PendingPacket,
    domain::ObservationDomain,
    family::Family,
    route::RoutedTo,
    statistics::CpuStatistics, //
};
use crate::{
    cache::{
        Cache,
        SlotBudget,
        SlotReservation,
        Update,
        Updated, //
    },
    config::Config,
    flow::{
        entry::Route,
        families::AddressFamily,
        key::Secret,
        uptime::Uptime, //
    },
    linux::{
        self,
        alloc::GFP_RESERVE,
        bh_lock::BhDisabled,
        netns::Netns,
        rwonce::RwOnce, //
    },
};

/// Meters the packets of a namespace while it is enabled.
#[pin_data]
pub(crate) struct Meter {
    /// Set before the first packet comes: memory is reserved without keeping a namespace.
    netns: SetOnce<Netns>,
    pub(crate) domain: Arc<ObservationDomain>,
    /// SysUptime at the last periodic sweep, in 64 bits.
    swept_at: RwOnce<u64>,
    #[pin]
    pub(crate) ipv4: Cache<Ipv4Addr>,
    #[pin]
    pub(crate) ipv6: Cache<Ipv6Addr>,
}

impl Meter {
    /// Reserves the caches, each for all flows that there may be, so that any may have all of them;
    /// that of a family which is not accounted has no room. Process context. `ENOMEM` if there is
    /// not enough memory.
    pub(crate) fn new(config: &Config, domain: Arc<ObservationDomain>) -> Result<Arc<Self>> {
        let secret = Secret::new(linux::random());
        let ipv6_secret = Secret::new(linux::random());
        let families = config.families;
        let budget = SlotBudget::new(config.max_flows, families.count(), GFP_RESERVE)?;
        let policy = config.policy(domain.export.lock().max_bytes());
        let flows = |family| match families.has(family) {
            true => config.max_flows,
            false => 0,
        };
        let last = families.count().saturating_sub(1);
        let (ipv4_flows, ipv6_flows) = (flows(AddressFamily::Ipv4), flows(AddressFamily::Ipv6));
        let ipv4 = Cache::new((budget.clone(), 0), ipv4_flows, policy, secret, GFP_RESERVE)?;
        let ipv6 = Cache::new((budget, last), ipv6_flows, policy, ipv6_secret, GFP_RESERVE)?;
        let now = domain.clock.millis();
        Arc::pin_init(
            try_pin_init!(Self {
                netns: SetOnce::new(),
                domain,
                swept_at: RwOnce::new(now),
                ipv4 <- ipv4,
                ipv6 <- ipv6,
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Says in which namespace the packets are routed.
    fn set_netns(&self, netns: Netns) {
        // There is one observation of a meter, and no second one.
        self.netns.populate(netns);
    }

    /// The slots that all caches share.
    #[inline(always)]
    pub(crate) fn budget(&self) -> &SlotBudget {
        self.ipv4.budget()
    }

    /// Puts the part of the configuration in force that the caches are concerned with, and what the
    /// formats of the Collectors ask of them. The flows in them are judged by that from the next
    /// [`Sweep::Recheck`] on.
    pub(crate) fn set(&self, config: &Config) {
        let policy = config.policy(self.domain.export.lock().max_bytes());
        self.ipv4.set_policy(policy);
        self.ipv6.set_policy(policy);
    }

    /// Accounts a packet, which came at `at`.
    #[inline(always)]
    fn update<A: Family>(
        &self,
        pending: &PendingPacket<A>,
        at: Uptime,
        routed_to: impl FnOnce() -> Option<RoutedTo<A>>,
        statistics: &CpuStatistics,
        reservation: &mut SlotReservation<'_>,
        bh: BhDisabled<'_>,
    ) {
        let PendingPacket { packet, .. } = pending;
        A::cache(self).update(
            Update { packet, at },
            reservation,
            bh,
            || self.route(pending, routed_to()),
            |updated| {
                if updated == Updated::New {
                    statistics.add_created();
                }
                statistics.enter(updated.into(), packet.counts.packets, packet.counts.bytes);
            },
        );
    }

    /// Looks up the route of the flow that a packet begins.
    #[inline(never)]
    fn route<A: Family>(
        &self,
        pending: &PendingPacket<A>,
        routed_to: Option<RoutedTo<A>>,
    ) -> Route<A> {
        let Some(netns) = self.netns.as_ref() else {
            return Route::NONE;
        };
        let path_config = &self.domain.path_config;
        let mut route = route::look_up(
            netns,
            &pending.query,
            routed_to,
            pending.packet.key.key(),
            pending.packet.label,
        );
        route.output = path_config.iface(path_config.flags(A::FAMILY), route.output);
        route
    }
}
