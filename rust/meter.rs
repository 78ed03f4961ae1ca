// SPDX-License-Identifier: GPL-2.0

//! The metering process of a namespace: packets in, expired flows out.

use core::{
    mem::MaybeUninit,
    net::{
        Ipv4Addr,
        SocketAddrV4, //
    },
};

use kernel::{
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
    time::Msecs, //
};

use crate::{
    export::sender::Sender,
    exporter::{
        Exporter,
        OnCpu, //
    },
    flow::{
        cache::{
            Accounted,
            Cache,
            Expired,
            Place,
            Seen, //
        },
        expiry::{
            Pressure,
            LINGER, //
        },
        key::{
            Key,
            Secret, //
        },
        ledger::Entry,
        observe::{
            Point,
            Way, //
        },
        parse::{
            self,
            Frame,
            Unaccountable,
            HEADERS_MAX,
            IPPROTO_ICMP,
            IPPROTO_UDP, //
        },
        record::{
            Counts,
            Route, //
        },
    },
    linux::{
        self,
        clock::Clock,
        fib,
        hook::Observer,
        lock::SoftirqsOff,
        netns::Netns,
        packet::Packet,
        shared::Shared,
        tick::{
            Ticked,
            Ticking, //
        }, //
    },
    settings::Settings,
    switches::Word,
};

/// Which flows to export.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sweep {
    /// Those that have expired.
    Due,
    /// The same, and those that have finished at once: their room is needed.
    Early,
    /// The same, after a change of the policy: what was known to be due does not hold.
    Closely,
    /// All.
    All,
}

impl Sweep {
    /// Milliseconds that sending may wait for room in send buffers, all datagrams together.
    const fn patience(self) -> u32 {
        match self {
            Self::Due | Self::Early | Self::Closely => 200,
            Self::All => 2000,
        }
    }

    /// Milliseconds that finished flows stay.
    const fn linger(self) -> u32 {
        match self {
            Self::Due | Self::Closely => LINGER,
            Self::Early | Self::All => 0,
        }
    }
}

/// Buckets that are looked into before it is asked anew how full the cache is.
const BUCKETS_PER_LOOK: usize = 1024;

/// Accounts the packets of a namespace.
#[pin_data]
pub(crate) struct Meter {
    netns: Netns,
    clock: Clock,
    /// Milliseconds since boot at the last tick.
    ticked: Shared<u64>,
    exporter: Arc<Exporter>,
    #[pin]
    cache: Cache<Ipv4Addr>,
}

impl Meter {
    /// Reserves the cache. Process context. `ENOMEM` if there is not enough memory.
    pub(crate) fn new(
        netns: Netns,
        settings: &Settings,
        exporter: Arc<Exporter>,
    ) -> Result<Arc<Ticking<Self>>> {
        let secret = Secret::new(linux::random());
        let cache = Cache::new(settings.max_flows, settings.policy(), secret)?;
        let clock = exporter.clock;
        Ticking::new(try_pin_init!(Self {
            netns,
            clock,
            ticked: Shared::new(clock.millis()),
            exporter,
            cache <- cache,
        }))
    }

    /// Its cache.
    pub(crate) fn cache(&self) -> &Cache<Ipv4Addr> {
        &self.cache
    }

    /// Puts settings in force; the flows in the cache are judged by them at once. Process context.
    pub(crate) fn set(&self, settings: &Settings) {
        self.cache.set_policy(settings.policy());
        self.export(Sweep::Closely);
    }

    /// Exports flows, and returns how many. Process context; on return they are sent.
    ///
    /// Walks the whole table, bucket by bucket: the time that it takes is in reading the buckets in
    /// order, as only those are looked into that have something due.
    pub(crate) fn export(&self, sweep: Sweep) -> u32 {
        let mut exported = 0u32;
        let mut sender = self.exporter.sender.lock();
        sender.begin(sweep.patience());
        exported = exported.saturating_add(self.export_waiting(&mut sender));
        let (closely, linger) = (sweep != Sweep::Due, sweep.linger());
        self.cache.walk_begins();
        let mut now = self.clock.uptime();
        let mut pressure = Pressure::Low;
        let mut expired: Expired<Ipv4Addr> = [const { None }; _];
        for bucket in 0..self.cache.buckets() {
            // Now and then: to ask takes the lock of each CPU's part.
            if bucket % BUCKETS_PER_LOOK == 0 {
                pressure = match sweep {
                    Sweep::Due | Sweep::Early | Sweep::Closely => self.cache.pressure(),
                    Sweep::All => Pressure::Flush,
                };
            }
            let cache = &self.cache;
            if cache.expire(bucket, now, &mut pressure, closely, linger, &mut expired) {
                for (flow, reason) in expired.iter_mut().filter_map(Option::take) {
                    sender.export(&flow, reason);
                    exported = exported.saturating_add(1);
                }
                now = self.clock.uptime();
            }
            linux::cond_resched();
        }
        self.cache.walk_ends(linger);
        if sweep == Sweep::All {
            // Some of all may have moved there during the walk.
            exported = exported.saturating_add(self.export_waiting(&mut sender));
        }
        sender.send_rest();
        exported
    }

    /// Exports the flows that wait outside of the table now, and returns how many.
    fn export_waiting(&self, sender: &mut Sender) -> u32 {
        let mut exported = 0u32;
        // Those that come meanwhile wait for the next time, or the buckets would.
        for _ in 0..self.cache.waiting_flows() {
            let Some((flow, reason)) = self.cache.next_waiting() else {
                break;
            };
            sender.export(&flow, reason);
            exported = exported.saturating_add(1);
        }
        exported
    }
}

impl Observer for Ticking<Meter> {
    #[inline(always)]
    fn observe(this: ArcBorrow<'_, Self>, packet: &Packet<'_>) {
        if this.account(packet) {
            Ticking::hurry(this);
        }
    }
}

/// What goes with a packet that is to be accounted.
#[derive(Clone, Copy)]
struct Sight<'a> {
    packet: &'a Packet<'a>,
    word: Word,
    /// Whether it comes from here.
    is_local: bool,
    /// The interface that it came in by, by its number.
    input: u32,
    cpu: &'a OnCpu,
    softirqs: SoftirqsOff<'a>,
}

impl Meter {
    /// Accounts a packet. Returns whether the cache is short of room, so that flows had better be exported
    /// soon. Softirq or process context; RCU read lock held.
    #[inline(always)]
    fn account(&self, packet: &Packet<'_>) -> bool {
        let word = self.exporter.switches.word();
        let point = packet.point();
        let way = Way::of(point, &packet.facts());
        if !way.counts(point, word.points()) {
            return false;
        }

        let softirqs = packet.softirqs_off();
        let softirqs = softirqs.proof();
        let is_local = way.is_local(point);
        let sight = Sight {
            packet,
            word,
            is_local,
            input: match point {
                // The kernel names an interface for some packets that it sends.
                Point::Output | Point::Postrouting if is_local => 0,
                Point::Postrouting => self.exporter.switches.iface(word, packet.forwarded_from()),
                _ => self.exporter.switches.iface(word, packet.input()),
            },
            cpu: self.exporter.on_cpu(softirqs),
            softirqs,
        };
        let headers = packet.headers_in_place::<HEADERS_MAX>();
        let plain = headers.and_then(|headers| parse::plain(headers, packet.len(), sight.input));
        match plain {
            Some((key, counts)) if !packet.is_aggregate() => self.account_to(sight, key, counts),
            _ => self.account_any(sight),
        }
    }

    /// Accounts a packet that is not like most of them.
    #[inline(never)]
    fn account_any(&self, sight: Sight<'_>) -> bool {
        let mut buffer = MaybeUninit::uninit();
        let frame = Frame {
            headers: sight.packet.headers::<HEADERS_MAX>(&mut buffer),
            len: sight.packet.len(),
            input: sight.input,
            gso: sight.packet.gso(),
        };
        match parse::ipv4(&frame) {
            Ok((mut key, counts)) => {
                if key.proto() == IPPROTO_ICMP && sight.word.icmp_zero() {
                    key.clear_ports();
                }
                self.account_to(sight, key, counts)
            }
            Err(reason) => {
                let entry = match reason {
                    Unaccountable::Truncated => Entry::Truncated,
                    Unaccountable::Malformed => Entry::Malformed,
                };
                sight.cpu.enter(entry, 1, frame.len);
                false
            }
        }
    }

    /// Accounts a packet to the flow of its key.
    #[inline(always)]
    fn account_to(&self, sight: Sight<'_>, key: Key<Ipv4Addr>, counts: Counts) -> bool {
        let Sight { word, cpu, .. } = sight;
        let enter = move |entry| cpu.enter(entry, counts.packets, counts.bytes);
        let may_be_own = sight.is_local && !word.counts_own() && key.proto() == IPPROTO_UDP;
        if may_be_own && self.is_own(&key) {
            enter(Entry::Own);
            return false;
        }
        let Some(place) = self.cache.locate(key) else {
            enter(Entry::CacheFull);
            return false;
        };
        if cpu.expects_new() {
            self.account_expected(sight, place, counts)
        } else {
            self.account_at(sight, place, counts, None)
        }
    }

    /// Accounts a packet where flow upon flow begins, as in a flood or a scan. Its routes are looked up before it
    /// is known that it begins one: the memory of the flow is on its way meanwhile, and no lock is held.
    #[inline(never)]
    fn account_expected(
        &self,
        sight: Sight<'_>,
        place: Place<'_, Ipv4Addr>,
        counts: Counts,
    ) -> bool {
        let route = self.route(sight, place.key());
        self.account_at(sight, place, counts, Some(route))
    }

    /// Accounts a packet to the flow at `place`. Its `route` is looked up when it is needed and not known.
    #[inline(always)]
    fn account_at(
        &self,
        sight: Sight<'_>,
        place: Place<'_, Ipv4Addr>,
        counts: Counts,
        route: Option<Route<Ipv4Addr>>,
    ) -> bool {
        let cpu = sight.cpu;
        let seen = Seen {
            counts,
            at: self.clock.recent(&cpu.reading),
        };
        let accounted = self.cache.account(
            place,
            seen,
            sight.softirqs,
            move |key| route.unwrap_or_else(|| self.route(sight, key)),
            move |accounted| {
                match accounted {
                    Accounted::New => cpu.note_created(),
                    Accounted::Known | Accounted::Full => cpu.note_other(),
                }
                cpu.enter(accounted.into(), counts.packets, counts.bytes);
            },
        );
        match accounted {
            Accounted::Known => false,
            Accounted::New => self.cache.is_exhausted(),
            Accounted::Full => true,
        }
    }

    /// Looks up where a packet goes, and where it comes from.
    #[inline(never)]
    fn route(&self, sight: Sight<'_>, key: &Key<Ipv4Addr>) -> Route<Ipv4Addr> {
        let mut route = fib::route(self.netns, sight.packet, key);
        route.output = self.exporter.switches.iface(sight.word, route.output);
        route
    }

    /// Whether a UDP datagram that was sent here is one of the exporter.
    fn is_own(&self, key: &Key<Ipv4Addr>) -> bool {
        let to = SocketAddrV4::new(key.dst(), key.dst_port());
        self.exporter.switches.is_own(to, key.src_port())
    }
}

impl Ticked for Meter {
    const PERIOD: Msecs = 1000;

    fn tick(&self) {
        /// Half of what SysUptime's order can bear.
        const TOO_LONG: u64 = 1 << 30;

        let now = self.clock.millis();
        let slept = now.wrapping_sub(self.ticked.read());
        self.ticked.write(now);
        // After a suspend of weeks the times of flows would soon look like times to come.
        self.export(match slept {
            0..=TOO_LONG => Sweep::Due,
            _ => Sweep::All,
        });
    }

    fn tick_early(&self) -> bool {
        // What it takes to walk through the table is not worth a few flows.
        while self.export(Sweep::Early) > self.cache.max() / 64 {
            if !self.cache.is_exhausted() {
                return true;
            }
        }
        false
    }
}
