// SPDX-License-Identifier: GPL-2.0

//! What a network namespace has of this module: nothing but a configuration, until someone there
//! asks for more.
//!
//! Generic netlink holds a lock of the whole system while it calls the handler of a request, and
//! for all requests of a message together. So no request waits here: what takes long is begun, and
//! done by [`work`] and [`reserve`]; its end shows in the state. Only what waits for a tick of the
//! clock, so that packets in batches are accounted, does so in the request, once for a message. The
//! states are:
//!
//! ```text
//!   Disabled -- enable --> Enabling -- memory is reserved --> Enabled
//!   Enabling -- an error, which the state tells --> Disabled
//!   Enabled -- disable --> Disabling -- all is exported --> Disabled
//! ```
//!
//! From each of them the namespace or the module may go ([`Shared::pre_exit`], [`Shared::exit`]).

mod reserve;
mod work;

use core::net::SocketAddr;

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow,
        Mutex, //
    },
};

use self::reserve::{
    Reservation,
    Reserved, //
};
use crate::{
    config::{
        Config,
        Trust, //
    },
    export::{
        clock::Clock,
        destination::Destination,
        refresh::Intervals,
        state::{
            ExportState,
            Settings, //
        },
    },
    flow::{
        families::PerFamily,
        ledger::Ledger, //
    },
    linux::{
        netdevice::{
            DeviceName,
            Notifier, //
        },
        netlink::{
            ExtAck,
            ExtResult, //
        },
        netns::{
            per_net,
            Netns,
            State, //
        },
        on_demand_work::OnDemandWork,
        periodic_work::Started,
        workqueue::{
            self,
            Handle,
            Workqueue, //
        },
    },
    meter::{
        batch,
        domain::ObservationDomain,
        hooks::Observations,
        interfaces::InterfaceNumbers,
        nat_events::NatEventsAtWork,
        Meter, //
    },
    module_parameters,
};

per_net! {
    /// All namespaces.
    pub(crate) static NAMESPACES of Namespace;
}

/// Where the work of namespaces is done that belong to the system's administrator.
static WORKQUEUE: Workqueue = Workqueue::new(c"netflow");

/// Where that of the others is done: any user can make many of them, and let them wait.
static USERNS_WORKQUEUE: Workqueue = Workqueue::new(c"netflow_userns");

/// Where memory is reserved for the latter, so that who waits for it holds up no sweeps of others.
static USERNS_RESERVE_WORKQUEUE: Workqueue = Workqueue::new(c"netflow_userns_reserve");

/// Makes all, for as long as there are states of namespaces. Process context.
pub(crate) fn create_workqueues() -> Result<[workqueue::Created; 3]> {
    Ok([
        WORKQUEUE.create()?,
        USERNS_WORKQUEUE.create()?,
        USERNS_RESERVE_WORKQUEUE.create()?,
    ])
}

/// One of them.
pub(crate) struct Namespace {
    shared: Arc<Shared>,
    work: OnDemandWork<Shared>,
}

/// What requests and work share.
#[pin_data]
struct Shared {
    netns: Netns,
    queue: Handle,
    reserve_queue: Handle,
    #[pin]
    inner: Mutex<Inner>,
}

/// Nobody waits for a Collector, a grace period or RTNL with the lock held, but for a namespace
/// that ends ([`Shared::pre_exit`]).
struct Inner {
    trust: Trust,
    config: Config,
    /// Since the exporter was first enabled, had a Collector or a number for an interface.
    domain: Option<Arc<ObservationDomain>>,
    exporting: Exporting,
    /// Since an interface first had a number: keeps it with the name.
    notifier: Option<Notifier<InterfaceNumbers>>,
    /// Changes when it is enabled or disabled.
    generation: u32,
    flushes: Flushes,
    /// Whether the flows in the cache are to be judged anew, by a policy that has changed.
    recheck: bool,
    /// What exported NAT events until the setting changed: to be stopped.
    retired: Option<NatEventsAtWork>,
    /// Whether that is being stopped.
    is_retiring: bool,
    /// Why it is not enabled that was to be, the last time that someone asked for it.
    enable_error: Option<ExtAck>,
}

/// How many flushes there were.
#[derive(Clone, Copy, Default)]
pub(crate) struct Flushes {
    /// Asked for.
    pub(crate) requested: u64,
    /// Of these, ended.
    pub(crate) done: u64,
}

/// Whether packets are accounted.
enum Exporting {
    Disabled,
    /// Not yet.
    Enabling(Arc<Reservation>),
    Enabled(Running),
    /// Not any more, but the work has yet to export what is in the cache of `meter`. `running` is
    /// what it has yet to stop.
    Disabling {
        running: Option<Running>,
        meter: Arc<Meter>,
    },
}

/// An enabled exporter. The order of the fields, and of those in them, is the order in which things
/// stop:
///
/// 1. the hook functions: on return no CPU is in one ([`Observations`]);
/// 2. the instance of CPU hotplug: `cpu_dead` does not run any more;
/// 3. the timers of the batches (`Datapath`), then the batches, which are drained;
/// 4. the work: neither a regular nor a kicked sweep runs any more;
/// 5. the work that exports NAT events; those that are left are exported, or if the namespace or
///    the module goes, counted as lost.
///
/// Before that the flags say that nothing is observed ([`Inner::disable`]); after it a flush
/// exports what is in the cache (`Shared::finish`).
///
/// Step 3 happens when the last `Arc<Datapath>` is dropped. That is the one in `Observations`, as
/// hooks and hotplug have dropped theirs; whoever else keeps one, lets packets into the cache after
/// the flush.
struct Running {
    observations: Observations,
    _work: Started<Meter>,
    meter: Arc<Meter>,
    /// While NAT events are exported.
    nat_events: Option<NatEventsAtWork>,
}

/// The state of a namespace, for a reply.
pub(crate) struct Report<'a> {
    /// Whether packets are accounted.
    pub(crate) enabled: bool,
    /// Whether memory is being reserved, so that they are soon.
    pub(crate) enabling: bool,
    /// Why they are not, although the last `enable` had begun.
    pub(crate) enable_error: Option<&'a ExtAck>,
    /// Whether flows are exported of an exporter that was disabled.
    pub(crate) disabling: bool,
    /// How many flushes there were.
    pub(crate) flushes: Flushes,
    /// Its configuration.
    pub(crate) config: Config,
    /// Flows in the cache.
    pub(crate) cached: u32,
    /// Flows created so far.
    pub(crate) created: PerFamily<u64>,
    /// All accounts.
    pub(crate) ledgers: PerFamily<Ledger>,
    /// The clock of flows and datagrams.
    pub(crate) clock: Clock,
    /// Collectors, record numbers, and why flows expired; `None` if it was never used.
    pub(crate) export: Option<&'a ExportState>,
}

impl Exporting {
    /// The meter, if packets are accounted.
    fn enabled(&self) -> Option<&Running> {
        match self {
            Self::Enabled(running) => Some(running),
            Self::Disabled | Self::Enabling(_) | Self::Disabling { .. } => None,
        }
    }

    /// The meter, if there may be flows in its cache.
    fn meter(&self) -> Option<&Arc<Meter>> {
        match self {
            Self::Disabled | Self::Enabling(_) => None,
            Self::Enabled(running) => Some(&running.meter),
            Self::Disabling { meter, .. } => Some(meter),
        }
    }

    /// What can be asked of an enabled exporter. `ENODATA` if it is not, `EBUSY` if it was or will
    /// be.
    fn running(&self) -> ExtResult<&Running> {
        match self {
            Self::Disabled => Err(ENODATA.into()),
            Self::Enabling(_) => Err(enabling()),
            Self::Enabled(running) => Ok(running),
            Self::Disabling { .. } => Err(disabling()),
        }
    }
}

/// Why there is nothing to do while the exporter is being enabled.
fn enabling() -> ExtAck {
    ExtAck::new(
        EBUSY,
        c"the exporter is being enabled: wait until memory is reserved for its cache",
    )
}

/// Why there is nothing to do while the exporter is being disabled.
fn disabling() -> ExtAck {
    ExtAck::new(
        EBUSY,
        c"the exporter is being disabled: wait until it has exported what was in the cache",
    )
}

/// Why NAT events cannot be exported again yet: those of a moment would be, twice.
fn retiring() -> ExtAck {
    ExtAck::new(
        EBUSY,
        c"the last NAT events are being exported since that was switched off: try again",
    )
}

impl Inner {
    /// The observation domain, a new one if there is none. Who succeeds with what it is for, keeps
    /// it.
    fn domain(&self) -> Result<Arc<ObservationDomain>> {
        match &self.domain {
            Some(domain) => Ok(domain.clone()),
            None => ObservationDomain::new(clock()),
        }
    }

    /// The configuration, changed by `change` and checked.
    fn changed(&self, change: impl FnOnce(&mut Config) -> ExtResult) -> ExtResult<Config> {
        let mut config = self.config;
        change(&mut config)?;
        config.check(self.trust)?;
        Ok(config)
    }

    /// Counts no packets any more, and leaves the rest to the work.
    fn disable(&mut self, running: Running) {
        running.meter.domain.path_config.observe_nothing();
        self.generation = self.generation.wrapping_add(1);
        self.exporting = Exporting::Disabling {
            meter: running.meter.clone(),
            running: Some(running),
        };
    }
}

/// The clock of flows and datagrams.
fn clock() -> Clock {
    Clock::new(module_parameters::uptime_offset.value())
}

/// Puts in force what does not concern the cache.
fn apply(config: &Config, domain: &ObservationDomain) {
    domain.export.lock().set(Settings {
        engine: (config.engine_type, config.engine_id),
        domain_id: config.observation_domain_id,
        packet_size: config.max_packet_size,
        payload: config.max_payload,
        intervals: Intervals {
            seconds: config.template_refresh,
            datagrams: config.template_refresh_datagrams,
        },
        active_timeout: config.active_timeout,
        inactive_timeout: config.inactive_timeout,
        sampling: config.sampling_method(),
        nat_records: config.nat_records(),
    });
    // Before the flag that has it asked.
    domain.sampler.set_method(config.sampling_method());
    domain.path_config.set(config);
}

impl Shared {
    /// Begins to account packets. On an error the work may have something to stop.
    fn start(&self, inner: &mut Inner, config: &Config, reserved: Reserved) -> ExtResult {
        let Reserved {
            meter,
            work,
            datapaths,
        } = reserved;
        let observations = Observations::new(&self.netns, &meter, datapaths)?;
        let mut running = Running {
            observations,
            _work: Started::new(work),
            meter,
            nat_events: None,
        };
        if let Err(error) = running.observations.add(config.observe) {
            inner.disable(running);
            return Err(error.into());
        }
        if config.nat_records().events {
            let domain = running.meter.domain.clone();
            match NatEventsAtWork::new(&self.netns, domain, self.queue.clone()) {
                Ok(nat_events) => running.nat_events = Some(nat_events),
                Err(error) => {
                    inner.disable(running);
                    return Err(error.into());
                }
            }
        }
        apply(config, &running.meter.domain);
        // Collectors may have come since the memory was reserved.
        running.meter.set(config);
        inner.config = *config;
        inner.generation = inner.generation.wrapping_add(1);
        inner.exporting = Exporting::Enabled(running);
        Ok(())
    }
}

/// What can be asked of a namespace. Process context; nothing here waits.
impl Namespace {
    /// Begins to enable the exporter, with the configuration as `change` leaves it: packets are
    /// accounted when its memory is reserved. `EALREADY` if they are, `EBUSY` if they will be, or
    /// were until a moment ago. Neither a refusal nor a failure changes anything.
    pub(crate) fn enable(
        this: ArcBorrow<'_, Self>,
        change: impl FnOnce(&mut Config) -> ExtResult,
    ) -> ExtResult {
        let shared = &this.shared;
        let mut inner = shared.inner.lock();
        match inner.exporting {
            Exporting::Disabled => {}
            Exporting::Enabling(_) => return Err(enabling()),
            Exporting::Enabled(_) => return Err(EALREADY.into()),
            Exporting::Disabling { .. } => return Err(disabling()),
        }
        let config = inner.changed(change)?;
        let domain = inner.domain()?;
        let reservation = Reservation::begin(
            this.into(),
            config,
            domain.clone(),
            shared.queue.clone(),
            shared.reserve_queue.clone(),
        )?;
        // Collectors that come meanwhile are of this domain.
        inner.domain = Some(domain);
        inner.enable_error = None;
        inner.exporting = Exporting::Enabling(reservation);
        Ok(())
    }

    /// The end of [`Self::enable`].
    fn enabled(&self, config: &Config, reserved: ExtResult<Reserved>) {
        let mut inner = self.shared.inner.lock();
        if !matches!(inner.exporting, Exporting::Enabling(_)) {
            // The namespace or the module goes.
            return;
        }
        inner.exporting = Exporting::Disabled;
        let result = reserved.and_then(|reserved| self.shared.start(&mut inner, config, reserved));
        if let Err(extack) = result {
            inner.enable_error = Some(extack);
            self.work.ask();
        }
    }

    /// Begins to account packets, while the module is loaded: who loads it waits for the memory.
    fn enable_at_load(&self) -> ExtResult {
        let mut inner = self.shared.inner.lock();
        let (config, domain) = (inner.config, inner.domain()?);
        let reserved = Reserved::new(&config, domain.clone(), self.shared.queue.clone())?;
        // Who stops what was started, finds it by the domain.
        inner.domain = Some(domain);
        self.shared
            .start(&mut inner, &config, reserved)
            .inspect_err(|_| self.work.ask())
    }

    /// Changes the configuration; while enabled, in force on return for packets that come, and soon
    /// for flows in the cache. `EBUSY` for what cannot change then, and for everything while it is
    /// being enabled: the configuration is the one that it was asked for with.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Config) -> ExtResult) -> ExtResult {
        let mut inner = self.shared.inner.lock();
        let inner = &mut *inner;
        if let Exporting::Enabling(_) = inner.exporting {
            return Err(enabling());
        }
        let config = inner.changed(change)?;
        if let (Exporting::Enabled(running), Some(domain)) = (&mut inner.exporting, &inner.domain) {
            config.check_change(&inner.config)?;
            // A new hook counts nothing before the switch, an old one nothing after it. A packet
            // that is between two points meanwhile may be counted at both, or at none. An old one
            // stays: whenever a hook goes, all packets are dropped that wait in an NFQUEUE of the
            // namespace (nf_queue_nf_hook_drop()).
            running.observations.add(config.observe)?;
            match (config.nat_records().events, &running.nat_events) {
                (true, None) if inner.is_retiring => return Err(retiring()),
                (true, None) => {
                    // What is to be stopped goes on instead.
                    running.nat_events = Some(match inner.retired.take() {
                        Some(nat_events) => nat_events,
                        None => {
                            let queue = self.shared.queue.clone();
                            NatEventsAtWork::new(&self.shared.netns, domain.clone(), queue)?
                        }
                    });
                }
                (false, Some(_)) => inner.retired = running.nat_events.take(),
                _ => {}
            }
            apply(&config, domain);
            running.meter.set(&config);
            inner.recheck = true;
            self.work.ask();
        }
        inner.config = config;
        Ok(())
    }

    /// Gives interfaces of a name a number, or with 0 takes it away. `ENOSPC` if too many have one.
    pub(crate) fn set_iface(&self, name: DeviceName, number: u32) -> Result {
        let mut inner = self.shared.inner.lock();
        let domain = inner.domain()?;
        // The notifier tells the numbers of this domain, so that is to stay.
        inner.domain = Some(domain.clone());
        let is_told = inner.notifier.is_some();
        // RTNL may be held for long: other requests are not to wait for it.
        drop(inner);
        let notifier = match is_told {
            true => None,
            false => {
                let interfaces = domain.path_config.interfaces().clone();
                Some(Notifier::new(self.shared.netns.clone(), interfaces)?)
            }
        };
        let mut inner = self.shared.inner.lock();
        // If another request was faster, this one is dropped, without the lock.
        let _spare = match inner.notifier {
            Some(_) => notifier,
            None => {
                inner.notifier = notifier;
                None
            }
        };
        let numbers = &domain.path_config;
        let result = numbers.set_iface(&self.shared.netns, name, number);
        drop(inner);
        result
    }

    /// The numbers of interfaces; `None` if it was never used.
    pub(crate) fn interfaces(&self) -> Option<Arc<InterfaceNumbers>> {
        let inner = self.shared.inner.lock();
        let domain = inner.domain.as_ref()?;
        Some(domain.path_config.interfaces().clone())
    }

    /// Accounts no packets from now on, and begins to export all flows. `ENODATA` if not enabled.
    pub(crate) fn disable(&self) -> ExtResult {
        let mut inner = self.shared.inner.lock();
        inner.exporting.running()?;
        let enabled = core::mem::replace(&mut inner.exporting, Exporting::Disabled);
        if let Exporting::Enabled(running) = enabled {
            inner.disable(running);
        }
        self.work.ask();
        Ok(())
    }

    /// Begins to export all flows, and returns which flush this is: it has ended when so many are
    /// done. `ENODATA` if not enabled.
    ///
    /// All that are asked for before one begins are done by that one.
    pub(crate) fn flush(&self) -> ExtResult<u64> {
        let mut inner = self.shared.inner.lock();
        inner.exporting.running()?;
        inner.flushes.requested = inner.flushes.requested.wrapping_add(1);
        self.work.ask();
        Ok(inner.flushes.requested)
    }

    /// See [`batch::wait_until_drained`]. At most once for a datagram with requests.
    pub(crate) fn wait_until_drained(&self) {
        let inner = self.shared.inner.lock();
        let running = inner.exporting.enabled();
        let pending = running.map(|running| running.observations.pending());
        // Nobody else is to wait for it.
        drop(inner);
        if let Some(pending) = pending {
            batch::wait_until_drained(pending);
        }
    }

    /// The meter, `None` while disabled; and a number that is another whenever it is another meter.
    pub(crate) fn meter(&self) -> (Option<Arc<Meter>>, u32) {
        let inner = self.shared.inner.lock();
        let running = inner.exporting.enabled();
        (
            running.map(|running| running.meter.clone()),
            inner.generation,
        )
    }

    /// Adds a Collector. See [`ExportState::add_collector`].
    pub(crate) fn add_collector(&self, to: Destination) -> Result {
        let mut inner = self.shared.inner.lock();
        let domain = inner.domain()?;
        self.change_collectors(&mut inner, &domain, |export| {
            export.add_collector(&self.shared.netns, to)
        })?;
        inner.domain = Some(domain);
        Ok(())
    }

    /// Removes a Collector. See [`ExportState::remove_collector`].
    pub(crate) fn remove_collector(
        &self,
        address: SocketAddr,
        device: Option<DeviceName>,
    ) -> Result {
        let mut inner = self.shared.inner.lock();
        let domain = inner.domain.clone().ok_or(ENOENT)?;
        self.change_collectors(&mut inner, &domain, |export| {
            export.remove_collector(address, device)
        })
    }

    /// Changes the Collectors. Flows leave the cache earlier if a format is in use that cannot
    /// count as far as others.
    fn change_collectors(
        &self,
        inner: &mut Inner,
        domain: &ObservationDomain,
        change: impl FnOnce(&mut ExportState) -> Result,
    ) -> Result {
        let mut export = domain.export.lock();
        let before = export.max_bytes();
        change(&mut export)?;
        let after = export.max_bytes();
        drop(export);
        if let (true, Exporting::Enabled(running)) = (before != after, &inner.exporting) {
            running.meter.set(&inner.config);
            inner.recheck = true;
            self.work.ask();
        }
        Ok(())
    }

    /// Calls `to` with the state.
    pub(crate) fn report<R>(&self, to: impl FnOnce(&Report<'_>) -> R) -> R {
        let inner = self.shared.inner.lock();
        let enabling = matches!(inner.exporting, Exporting::Enabling(_));
        let disabling = matches!(inner.exporting, Exporting::Disabling { .. });
        let enable_error = inner.enable_error.as_ref();
        let Some(domain) = &inner.domain else {
            return to(&Report {
                enabled: false,
                enabling,
                enable_error,
                disabling,
                flushes: inner.flushes,
                config: inner.config,
                cached: 0,
                created: PerFamily::default(),
                ledgers: PerFamily::default(),
                clock: clock(),
                export: None,
            });
        };
        let export = domain.export.lock();
        let meter = inner.exporting.meter().map(|meter| &**meter);
        to(&Report {
            enabled: inner.exporting.enabled().is_some(),
            enabling,
            enable_error,
            disabling,
            flushes: inner.flushes,
            config: inner.config,
            cached: meter.map_or(0, |meter| meter.budget().used()),
            created: PerFamily {
                ipv4: domain.statistics.ipv4.created(),
                ipv6: domain.statistics.ipv6.created(),
            },
            ledgers: domain.ledgers(&export.accounts, meter),
            clock: domain.clock,
            export: Some(&export),
        })
    }
}

impl State for Namespace {
    fn new(netns: Netns) -> Result<Arc<Self>> {
        let is_initial = netns.is_initial();
        let trust = match netns.is_of_init_user_ns() {
            true => Trust::Host,
            false => Trust::User,
        };
        let (queue, reserve_queue) = match trust {
            Trust::Host => (WORKQUEUE.handle()?, WORKQUEUE.handle()?),
            Trust::User => (
                USERNS_WORKQUEUE.handle()?,
                USERNS_RESERVE_WORKQUEUE.handle()?,
            ),
        };
        let work_queue = queue.clone();
        let shared = Arc::pin_init(
            pin_init!(Shared {
                netns,
                queue,
                reserve_queue,
                inner <- new_mutex!(
                    Inner {
                        trust,
                        config: Config::from_parameters(trust),
                        domain: None,
                        exporting: Exporting::Disabled,
                        notifier: None,
                        generation: 0,
                        flushes: Flushes::default(),
                        recheck: false,
                        retired: None,
                        is_retiring: false,
                        enable_error: None,
                    },
                    "netflow_namespace"
                ),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        let work = OnDemandWork::new(shared.clone(), work_queue)?;
        let namespace = Arc::new(Self { shared, work }, GFP_KERNEL_ACCOUNT)?;
        if is_initial && module_parameters::enable.value() {
            namespace.enable_at_load().map_err(|extack| {
                pr_err!("cannot enable: {}\n", extack.text());
                extack.error()
            })?;
        }
        Ok(namespace)
    }

    fn pre_exit(&self) {
        self.shared.pre_exit();
    }

    fn exit(&self) {
        self.work.stop();
        self.shared.exit();
    }
}
