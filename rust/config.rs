// SPDX-License-Identifier: GPL-2.0

//! The settings of a namespace. Each stands once, in the table below.
//!
//! A further setting takes an attribute of the set `config` in
//! `Documentation/netlink/specs/netflow.yaml`, an entry of the table, and its use. The attribute
//! without the entry does not compile.

mod table;

use core::{
    fmt::Write,
    ops::RangeInclusive, //
};

use kernel::{
    fmt,
    prelude::*, //
};

use self::table::{
    enumeration,
    settings,
    Value, //
};
use crate::{
    bindings as uapi,
    flow::{
        expiry::{
            Policy,
            LINGER, //
        },
        families::AddressFamilies,
        nat::NatRecords,
        observe::ObservationPoints,
        sampling::Method, //
    },
    linux::netlink::{
        text::text,
        Attributes,
        ExtAck,
        ExtResult,
        Message, //
    },
    module_parameters,
};

settings! {
    /// Flows that the cache holds at most.
    max_flows: u32 {
        name: "max-flows",
        attribute: NETFLOW_A_CONFIG_MAX_FLOWS,
        range: NETFLOW_MAX_FLOWS_MIN to NETFLOW_MAX_FLOWS_MAX,
        default: module_parameters::max_flows.value(),
    }
    /// Seconds after its first packet at which a flow is exported although it goes on.
    active_timeout: u32 {
        name: "active-timeout",
        attribute: NETFLOW_A_CONFIG_ACTIVE_TIMEOUT,
        range: NETFLOW_TIMEOUT_MIN to NETFLOW_TIMEOUT_MAX " seconds",
        default: module_parameters::active_timeout.value(),
    }
    /// Seconds after its last packet at which a flow is inactive.
    inactive_timeout: u32 {
        name: "inactive-timeout",
        attribute: NETFLOW_A_CONFIG_INACTIVE_TIMEOUT,
        range: NETFLOW_TIMEOUT_MIN to NETFLOW_TIMEOUT_MAX " seconds",
        default: module_parameters::inactive_timeout.value(),
    }
    /// What becomes of an inactive flow.
    expiry: Expiry {
        name: "expiry",
        attribute: NETFLOW_A_CONFIG_EXPIRY,
        default: Expiry::Lazy,
    }
    /// Where packets are counted.
    observe: ObservationPoints {
        name: "observe",
        attribute: NETFLOW_A_CONFIG_OBSERVE,
        default: ObservationPoints::DEFAULT,
    }
    /// What the destination port of an ICMP flow holds.
    icmp_ports: IcmpPorts {
        name: "icmp-ports",
        attribute: NETFLOW_A_CONFIG_ICMP_PORTS,
        default: IcmpPorts::TypeCode,
    }
    /// Whether the exporter's own datagrams are accounted.
    count_own: bool {
        name: "count-own",
        attribute: NETFLOW_A_CONFIG_COUNT_OWN,
        default: false,
    }
    /// Engine type in the header of v5 datagrams.
    engine_type: u8 {
        name: "engine-type",
        attribute: NETFLOW_A_CONFIG_ENGINE_TYPE,
        default: 0,
    }
    /// Engine id in the header of v5 datagrams.
    engine_id: u8 {
        name: "engine-id",
        attribute: NETFLOW_A_CONFIG_ENGINE_ID,
        default: 0,
    }
    /// Bytes that a datagram takes at most, IP and UDP headers included.
    max_packet_size: u32 {
        name: "max-packet-size",
        attribute: NETFLOW_A_CONFIG_MAX_PACKET_SIZE,
        range: NETFLOW_PACKET_SIZE_MIN to NETFLOW_PACKET_SIZE_MAX " bytes",
        default: 1500,
    }
    /// Observation Domain ID of IPFIX, Source ID of NetFlow v9.
    observation_domain_id: u32 {
        name: "observation-domain-id",
        attribute: NETFLOW_A_CONFIG_OBSERVATION_DOMAIN_ID,
        default: 0,
    }
    /// Seconds after which templates and options are sent again.
    template_refresh: u32 {
        name: "template-refresh",
        attribute: NETFLOW_A_CONFIG_TEMPLATE_REFRESH,
        range: NETFLOW_REFRESH_MIN to NETFLOW_REFRESH_SECONDS_MAX " seconds",
        default: 60,
    }
    /// Datagrams after which they are.
    template_refresh_datagrams: u32 {
        name: "template-refresh-datagrams",
        attribute: NETFLOW_A_CONFIG_TEMPLATE_REFRESH_DATAGRAMS,
        range: NETFLOW_REFRESH_MIN to NETFLOW_REFRESH_DATAGRAMS_MAX " datagrams",
        default: 500,
    }
    /// Of which transport protocols flows have ports.
    transport_ports: TransportPorts {
        name: "transport-ports",
        attribute: NETFLOW_A_CONFIG_TRANSPORT_PORTS,
        default: TransportPorts::All,
    }
    /// Of which address families packets are counted.
    families: AddressFamilies {
        name: "families",
        attribute: NETFLOW_A_CONFIG_FAMILIES,
        default: AddressFamilies::ALL,
    }
    /// Of how many packets one is accounted.
    sampling: u32 {
        name: "sampling",
        attribute: NETFLOW_A_CONFIG_SAMPLING,
        range: NETFLOW_SAMPLING_MIN to NETFLOW_SAMPLING_MAX " packets",
        default: 1,
    }
    /// Which of them.
    sampling_mode: SamplingMode {
        name: "sampling-mode",
        attribute: NETFLOW_A_CONFIG_SAMPLING_MODE,
        default: SamplingMode::Random,
    }
    /// Bytes of payload that a datagram of NetFlow v9 or IPFIX takes at most.
    max_payload: u32 {
        name: "max-payload",
        attribute: NETFLOW_A_CONFIG_MAX_PAYLOAD,
        range: NETFLOW_PAYLOAD_MIN to NETFLOW_PAYLOAD_MAX " bytes",
        default: 1400,
    }
    /// What is told of network address translation.
    nat: Nat {
        name: "nat",
        attribute: NETFLOW_A_CONFIG_NAT,
        default: Nat::Off,
    }
}

/// Checks the load parameters. The error says what to change.
pub(crate) fn check_parameters() -> ExtResult {
    const LIMITS: RangeInclusive<u32> = uapi::NETFLOW_MAX_FLOWS_MIN..=uapi::NETFLOW_MAX_FLOWS_MAX;

    if !LIMITS.contains(&module_parameters::max_flows_userns.value()) {
        return Err(ExtAck::new(
            EINVAL,
            text!(
                "max_flows_userns must be from " {uapi::NETFLOW_MAX_FLOWS_MIN}
                " to " {uapi::NETFLOW_MAX_FLOWS_MAX}
            ),
        ));
    }
    Config::defaults().check(Trust::Host)
}

/// A text in which settings have the names that load parameters have: `max_flows` for `max-flows`.
pub(crate) struct SpelledAsParameters(pub(crate) &'static CStr);

impl fmt::Display for SpelledAsParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not by `to_bytes`, whose arithmetic may panic.
        for byte in self.0.to_bytes_with_nul().iter().filter(|byte| **byte != 0) {
            // Texts are ASCII, and other dashes there are none.
            f.write_char(if *byte == b'-' {
                '_'
            } else {
                char::from(*byte)
            })?;
        }
        Ok(())
    }
}

/// Who can have made the namespace that is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The root of the host alone.
    Host,
    /// Any user, in a user namespace of his own.
    User,
}

impl Trust {
    /// Flows that the cache of such a namespace holds at most.
    fn max_flows(self) -> u32 {
        match self {
            Self::Host => uapi::NETFLOW_MAX_FLOWS_MAX,
            Self::User => module_parameters::max_flows_userns.value(),
        }
    }
}

// What concerns more than one setting, or more than its limits.
impl Config {
    /// What holds where nothing was set.
    pub(crate) fn from_parameters(trust: Trust) -> Self {
        let mut config = Self::defaults();
        config.max_flows = config.max_flows.min(trust.max_flows());
        config
    }

    /// Checks the settings, also against each other. The error says what to change.
    pub(crate) fn check(&self, trust: Trust) -> ExtResult {
        self.check_ranges()?;
        if self.max_flows > trust.max_flows() {
            return Err(ExtAck::new(
                EPERM,
                c"max-flows is more than the load parameter max_flows_userns allows to users: \
                  ask for fewer, or the root of the host for more",
            ));
        }
        if self.inactive_timeout > self.active_timeout {
            return Err(ExtAck::new(
                EINVAL,
                c"inactive-timeout must not be greater than active-timeout",
            ));
        }
        if self.families.is_empty() {
            return Err(ExtAck::new(
                EINVAL,
                c"families must name an address family: disable the exporter to count nothing",
            ));
        }
        if self.observe.is_empty() {
            return Err(ExtAck::new(
                EINVAL,
                c"observe must name an observation point: disable the exporter to count nothing",
            ));
        }
        Ok(())
    }

    /// Checks that these settings can follow `current` while the exporter is enabled.
    pub(crate) fn check_change(&self, current: &Self) -> ExtResult {
        // The memory of the cache is reserved, and its hash table made for so many.
        if self.max_flows != current.max_flows {
            return Err(ExtAck::new(
                EBUSY,
                c"max-flows can change only while the exporter is disabled: disable it first",
            ));
        }
        // Each has a cache of its own, reserved if it is to be used.
        if self.families != current.families {
            return Err(ExtAck::new(
                EBUSY,
                c"families can change only while the exporter is disabled: disable it first",
            ));
        }
        // Collectors multiply all that they are sent from then on by the new rate.
        if self.sampling_method() != current.sampling_method() {
            return Err(ExtAck::new(
                EBUSY,
                c"sampling and sampling-mode can change only while the exporter is disabled, as \
                  flows in the cache are of the old rate: disable it first",
            ));
        }
        Ok(())
    }

    /// How packets are selected.
    pub(crate) fn sampling_method(&self) -> Method {
        Method::new(self.sampling, self.sampling_mode == SamplingMode::Random)
    }

    /// What is told of NAT.
    pub(crate) fn nat_records(&self) -> NatRecords {
        NatRecords {
            flows: matches!(self.nat, Nat::Flows | Nat::All),
            events: matches!(self.nat, Nat::Events | Nat::All),
        }
    }

    /// When flows leave the cache, in the units of [`Policy`]. `max_bytes`: bytes at which the
    /// export formats want a flow to leave.
    pub(crate) fn policy(&self, max_bytes: u64) -> Policy {
        const MSEC_PER_SEC: u32 = 1000;
        // A policy orders times by 32 bits of milliseconds.
        const _: () = assert!(uapi::NETFLOW_TIMEOUT_MAX < i32::MAX as u32 / MSEC_PER_SEC);

        Policy {
            active: self.active_timeout.saturating_mul(MSEC_PER_SEC),
            inactive: self.inactive_timeout.saturating_mul(MSEC_PER_SEC),
            // conntrack forgets a connection that pauses, and another one may get its ports.
            strict: self.expiry == Expiry::Strict || self.nat_records().flows,
            linger: LINGER,
            max_bytes,
        }
    }
}

enumeration! {
    /// What becomes of an inactive flow.
    Expiry {
        /// While there is room, only small flows are exported when inactive.
        Lazy = netflow_expiry_NETFLOW_EXPIRY_LAZY,
        /// It is exported.
        Strict = netflow_expiry_NETFLOW_EXPIRY_STRICT,
    }
}

enumeration! {
    /// What the destination port of an ICMP flow holds.
    IcmpPorts {
        /// type * 256 + code.
        TypeCode = netflow_icmp_ports_NETFLOW_ICMP_PORTS_TYPE_CODE,
        /// Nothing: messages of all types belong to one flow.
        Zero = netflow_icmp_ports_NETFLOW_ICMP_PORTS_ZERO,
    }
}

enumeration! {
    /// Which packets are accounted if not all are.
    SamplingMode {
        /// A random one of each so many.
        Random = netflow_sampling_mode_NETFLOW_SAMPLING_MODE_RANDOM,
        /// The last one of these.
        Deterministic = netflow_sampling_mode_NETFLOW_SAMPLING_MODE_DETERMINISTIC,
    }
}

enumeration! {
    /// What is told of network address translation.
    Nat {
        /// Nothing.
        Off = netflow_nat_NETFLOW_NAT_OFF,
        /// What it makes of flows.
        Flows = netflow_nat_NETFLOW_NAT_FLOWS,
        /// When sessions begin and end.
        Events = netflow_nat_NETFLOW_NAT_EVENTS,
        /// Both.
        All = netflow_nat_NETFLOW_NAT_ALL,
    }
}

enumeration! {
    /// Of which transport protocols flows have ports.
    TransportPorts {
        /// TCP, UDP, SCTP, DCCP and UDP-Lite.
        All = netflow_transport_ports_NETFLOW_TRANSPORT_PORTS_ALL,
        /// Those of the first exporters.
        TcpUdp = netflow_transport_ports_NETFLOW_TRANSPORT_PORTS_TCP_UDP,
    }
}
