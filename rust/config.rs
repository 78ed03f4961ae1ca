// SPDX-License-Identifier: GPL-2.0

//! The settings of a namespace. Each stands once, in the table below.
//!
//! A further setting takes an attribute of the set `config` in
//! `Documentation/netlink/specs/netflow.yaml`, an entry of the table, and its use. The attribute
//! without the entry does not compile.

mod table;

use kernel::prelude::*;

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
        observe::ObservationPoints,
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
}

// What concerns more than one setting, or more than its limits.
impl Config {
    /// Checks the settings, also against each other. The error says what to change.
    pub(crate) fn check(&self) -> ExtResult {
        self.check_ranges()?;
        if self.inactive_timeout > self.active_timeout {
            return Err(ExtAck::new(
                EINVAL,
                c"inactive-timeout must not be greater than active-timeout",
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
        Ok(())
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
            strict: self.expiry == Expiry::Strict,
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
