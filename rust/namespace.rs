// SPDX-License-Identifier: GPL-2.0

//! What a network namespace has of this module: nothing but a configuration, until someone there
//! asks for more.

use core::net::{
    Ipv4Addr,
    SocketAddrV4, //
};

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};

use crate::{
    config::{
        Config,
        Trust, //
    },
    export::{
        clock::Clock,
        collector::Destination,
        exporter::Exporter, //
    },
    flow::ledger::Ledger,
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
        periodic_work::{
            PeriodicWork,
            Started, //
        },
    },
    meter::{
        domain::ObservationDomain,
        hooks::Observation,
        interfaces::InterfaceNumbers,
        Meter,
        Sweep, //
    },
    module_parameters,
};

per_net! {
    /// All namespaces.
    pub(crate) static NAMESPACES of Namespace;
}

/// One of them.
#[pin_data]
pub(crate) struct Namespace {
    netns: Netns,
    #[pin]
    inner: Mutex<Inner>,
}

struct Inner {
    trust: Trust,
    config: Config,
    /// Since the exporter was first enabled, had a Collector or a number for an interface.
    domain: Option<Arc<ObservationDomain>>,
    /// While it is enabled.
    running: Option<Running>,
    /// Since an interface first had a number: keeps it with the name.
    notifier: Option<Notifier<InterfaceNumbers>>,
    /// Changes when it is enabled or disabled.
    generation: u32,
}

/// An enabled exporter. The order of the fields, and of those in them, is the order in which things
/// stop:
///
/// 1. the hook functions: on return no CPU is in one ([`Observation`]);
/// 2. the instance of CPU hotplug: `cpu_dead` does not run any more;
/// 3. the timers of the batches (`Datapath`), then the batches, which are drained;
/// 4. the work: neither a regular nor a kicked sweep runs any more;
/// 5. a flush exports what is in the cache;
/// 6. the flags say that nothing is observed ([`Namespace::disable`]).
///
/// Step 3 happens when the last `Arc<Datapath>` is dropped. That is the one in `Observation`, as
/// hooks and hotplug have dropped theirs; whoever else keeps one, lets packets into the cache after
/// the flush.
struct Running {
    ipv4: Observation<Ipv4Addr>,
    _work: Started<Meter>,
    meter: FlushOnDrop,
}

/// A meter whose flows are all exported when this is dropped.
struct FlushOnDrop(Arc<Meter>);

impl Drop for FlushOnDrop {
    fn drop(&mut self) {
        self.0.sweep(Sweep::Flush);
    }
}

/// The state of a namespace, for a reply.
pub(crate) struct Report<'a> {
    /// Whether packets are accounted.
    pub(crate) enabled: bool,
    /// Its configuration.
    pub(crate) config: Config,
    /// Flows in the cache.
    pub(crate) cached: u32,
    /// Flows created so far.
    pub(crate) created: u64,
    /// All accounts.
    pub(crate) ledger: Ledger,
    /// The clock of flows and datagrams.
    pub(crate) clock: Clock,
    /// Collectors, record numbers, and why flows expired; `None` if it was never used.
    pub(crate) exporter: Option<&'a Exporter>,
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
}

/// The clock of flows and datagrams.
fn clock() -> Clock {
    Clock::new(module_parameters::uptime_offset.value())
}

/// Puts in force what does not concern the cache.
fn apply(config: &Config, domain: &ObservationDomain) {
    let mut exporter = domain.exporter.lock();
    exporter.set_engine(config.engine_type, config.engine_id);
    exporter.set_max_packet_size(config.max_packet_size);
    drop(exporter);
    domain.path_config.set(config);
}

/// What can be asked of a namespace. Process context.
impl Namespace {
    /// Begins to account packets, with the configuration as `change` leaves it. `EALREADY` if it
    /// does, `ENOMEM` if the cache finds no memory; a refusal changes nothing.
    pub(crate) fn enable(&self, change: impl FnOnce(&mut Config) -> ExtResult) -> ExtResult {
        let mut inner = self.inner.lock();
        if inner.running.is_some() {
            return Err(EALREADY.into());
        }
        let config = inner.changed(change)?;
        let domain = inner.domain()?;
        let meter = Meter::new(self.netns.clone(), &config, domain.clone()).map_err(|error| {
            ExtAck::new(
                error,
                c"not enough memory for the cache: ask for fewer flows with max-flows",
            )
        })?;
        let cpu_memory = c"not enough memory for what each CPU needs";
        let work = PeriodicWork::new(meter.clone())?;
        let ipv4 = Observation::new(self.netns.clone(), meter.clone(), work.clone())
            .map_err(|error| ExtAck::new(error, cpu_memory))?;
        // From here on, to fail is to disable.
        let mut running = Running {
            ipv4,
            _work: Started::new(work),
            meter: FlushOnDrop(meter),
        };
        running.ipv4.add(config.observe)?;
        apply(&config, &domain);
        inner.domain = Some(domain);
        inner.config = config;
        inner.generation = inner.generation.wrapping_add(1);
        inner.running = Some(running);
        Ok(())
    }

    /// Changes the configuration; while enabled, in force on return. `EBUSY` for what cannot change
    /// then.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Config) -> ExtResult) -> ExtResult {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let config = inner.changed(change)?;
        if let (Some(running), Some(domain)) = (&mut inner.running, &inner.domain) {
            config.check_change(&inner.config)?;
            // A new hook counts nothing before the switch, an old one nothing after it. A packet
            // that is between two points meanwhile may be counted at both, or at none. An old one
            // stays: whenever a hook goes, all packets are dropped that wait in an NFQUEUE of the
            // namespace (nf_queue_nf_hook_drop()).
            running.ipv4.add(config.observe)?;
            apply(&config, domain);
            running.meter.0.set(&config);
        }
        inner.config = config;
        Ok(())
    }

    /// Gives interfaces of a name a number, or with 0 takes it away. `ENOSPC` if too many have one.
    pub(crate) fn set_iface(&self, name: DeviceName, number: u32) -> Result {
        let mut inner = self.inner.lock();
        let domain = inner.domain()?;
        if inner.notifier.is_none() {
            let interfaces = domain.path_config.interfaces().clone();
            inner.notifier = Some(Notifier::new(self.netns.clone(), interfaces)?);
            // It tells the numbers of this domain, so that is to stay.
            inner.domain = Some(domain.clone());
        }
        domain.path_config.set_iface(&self.netns, name, number)
    }

    /// The numbers of interfaces; `None` if it was never used.
    pub(crate) fn interfaces(&self) -> Option<Arc<InterfaceNumbers>> {
        let inner = self.inner.lock();
        let domain = inner.domain.as_ref()?;
        Some(domain.path_config.interfaces().clone())
    }

    /// Stops to account packets, and returns when all flows are exported. `ENODATA` if not enabled.
    /// All of it happens with the lock held: requests to this namespace wait meanwhile.
    pub(crate) fn disable(&self) -> Result {
        let mut inner = self.inner.lock();
        let running = inner.running.take().ok_or(ENODATA)?;
        inner.generation = inner.generation.wrapping_add(1);
        drop(running);
        if let Some(domain) = &inner.domain {
            domain.path_config.observe_nothing();
        }
        Ok(())
    }

    /// Exports all flows, and returns when they are sent. `ENODATA` if not enabled.
    pub(crate) fn flush(&self) -> Result {
        self.wait_until_drained();
        let (meter, _) = self.meter();
        meter.ok_or(ENODATA)?.sweep(Sweep::Flush);
        Ok(())
    }

    /// Returns when the packets are accounted that have come so far, or after 0.1 seconds.
    pub(crate) fn wait_until_drained(&self) {
        let inner = self.inner.lock();
        let running = inner.running.as_ref();
        let pending = running.map(|running| running.ipv4.pending());
        // Nobody else is to wait for it.
        drop(inner);
        if let Some(pending) = pending {
            pending.wait_until_drained();
        }
    }

    /// The meter, `None` while disabled; and a number that is another whenever it is another meter.
    pub(crate) fn meter(&self) -> (Option<Arc<Meter>>, u32) {
        let inner = self.inner.lock();
        let meter = inner
            .running
            .as_ref()
            .map(|running| running.meter.0.clone());
        (meter, inner.generation)
    }

    /// Adds a Collector. See [`Exporter::add_collector`].
    pub(crate) fn add_collector(&self, to: Destination) -> Result {
        let mut inner = self.inner.lock();
        let domain = inner.domain()?;
        let mut exporter = domain.exporter.lock();
        exporter.add_collector(&self.netns, to)?;
        drop(exporter);
        inner.domain = Some(domain);
        Ok(())
    }

    /// Removes a Collector. See [`Exporter::remove_collector`].
    pub(crate) fn remove_collector(&self, address: SocketAddrV4) -> Result {
        let domain = self.inner.lock().domain.clone().ok_or(ENOENT)?;
        let mut exporter = domain.exporter.lock();
        exporter.remove_collector(address)
    }

    /// Calls `to` with the state.
    pub(crate) fn report<R>(&self, to: impl FnOnce(&Report<'_>) -> R) -> R {
        self.wait_until_drained();
        let inner = self.inner.lock();
        let meter = inner.running.as_ref().map(|running| &*running.meter.0);
        let Some(domain) = &inner.domain else {
            return to(&Report {
                enabled: false,
                config: inner.config,
                cached: 0,
                created: 0,
                ledger: Ledger::default(),
                clock: clock(),
                exporter: None,
            });
        };
        let exporter = domain.exporter.lock();
        to(&Report {
            enabled: meter.is_some(),
            config: inner.config,
            cached: meter.map_or(0, |meter| meter.budget().used()),
            created: domain.statistics.created(),
            ledger: domain.ledger(&exporter, meter.map(|meter| &meter.ipv4)),
            clock: domain.clock,
            exporter: Some(&exporter),
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
        let namespace = Arc::pin_init(
            pin_init!(Self {
                netns,
                inner <- new_mutex!(
                    Inner {
                        trust,
                        config: Config::from_parameters(trust),
                        domain: None,
                        running: None,
                        notifier: None,
                        generation: 0,
                    },
                    "netflow_namespace"
                ),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        if is_initial && module_parameters::enable.value() {
            namespace.enable(|_| Ok(())).map_err(|extack| {
                pr_err!("cannot enable: {}\n", extack.text());
                extack.error()
            })?;
        }
        Ok(namespace)
    }

    /// Exports all flows and closes the sockets. Says how it ended, as nobody can ask any more.
    fn stop(&self) {
        // An error says that it was not enabled.
        let _ = self.disable();
        let mut inner = self.inner.lock();
        let (notifier, domain) = (inner.notifier.take(), inner.domain.take());
        drop(inner);
        drop(notifier);
        let Some(domain) = domain else {
            return;
        };
        let mut exporter = domain.exporter.lock();
        let ledger = domain.ledger(&exporter, None);
        exporter.remove_collectors();
        if ledger.cached.packets != 0 || ledger.pending.packets != 0 {
            pr_err!(
                "netns {}: {} packets are in no account\n",
                self.netns.inode(),
                ledger.cached.packets.wrapping_add(ledger.pending.packets),
            );
        }
        if !self.netns.is_of_init_user_ns() {
            // Or any user could fill the log.
            return;
        }
        let (seen, ignored, exported, lost) = (
            ledger.seen,
            ledger.ignored(),
            ledger.exported,
            ledger.lost(),
        );
        pr_info!(
            "netns {}: packets seen={} ignored={} exported={} lost={}, \
             bytes seen={} ignored={} exported={} lost={}\n",
            self.netns.inode(),
            seen.packets,
            ignored.packets,
            exported.packets,
            lost.packets,
            seen.bytes,
            ignored.bytes,
            exported.bytes,
            lost.bytes,
        );
    }
}
