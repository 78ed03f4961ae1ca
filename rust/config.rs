// SPDX-License-Identifier: GPL-2.0

//! What an operator may set, and its limits.

use kernel::{
    prelude::*,
    str::CStr, //
};

use crate::{
    bindings,
    flow::{
        expiry::{
            Policy,
            LINGER, //
        },
        observe::ObservationPoints, //
    },
    module_parameters, //
};

/// The settings of a namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// Flows that the cache holds at most.
    pub(crate) max_flows: u32,
    /// Seconds after the first packet at which a flow is exported although it goes on.
    pub(crate) active_timeout: u32,
    /// Seconds after the last packet at which a flow is inactive.
    pub(crate) inactive_timeout: u32,
    /// Whether all inactive flows are exported, `NETFLOW_EXPIRY_STRICT`.
    pub(crate) strict: bool,
    /// Where packets are counted.
    pub(crate) observe: ObservationPoints,
    /// In the header of v5 datagrams.
    pub(crate) engine_type: u8,
    /// In the header of v5 datagrams.
    pub(crate) engine_id: u8,
    /// Whether ICMP flows have no type and code, `NETFLOW_ICMP_PORTS_ZERO`.
    pub(crate) icmp_zero: bool,
    /// Whether the exporter's own datagrams are accounted.
    pub(crate) count_own: bool,
}

impl Config {
    /// What the load parameters say.
    pub(crate) fn from_parameters() -> Self {
        Self {
            max_flows: module_parameters::max_flows.value(),
            active_timeout: module_parameters::active_timeout.value(),
            inactive_timeout: module_parameters::inactive_timeout.value(),
            strict: false,
            observe: ObservationPoints::DEFAULT,
            engine_type: 0,
            engine_id: 0,
            icmp_zero: false,
            count_own: false,
        }
    }

    /// Checks the limits. The error says what to change.
    pub(crate) fn check(&self) -> Result<(), &'static CStr> {
        let timeouts = bindings::NETFLOW_TIMEOUT_MIN..=bindings::NETFLOW_TIMEOUT_MAX;
        let flows = bindings::NETFLOW_MAX_FLOWS_MIN..=bindings::NETFLOW_MAX_FLOWS_MAX;
        if !flows.contains(&self.max_flows) {
            Err(c"max_flows must be from 1 to 8388608")
        } else if !timeouts.contains(&self.active_timeout) {
            Err(c"active_timeout must be from 1 to 604800 seconds")
        } else if !timeouts.contains(&self.inactive_timeout) {
            Err(c"inactive_timeout must be from 1 to 604800 seconds")
        } else if self.inactive_timeout > self.active_timeout {
            Err(c"inactive_timeout must not be greater than active_timeout")
        } else if self.observe.is_empty() {
            Err(c"observe must name an observation point: disable the exporter to count nothing")
        } else {
            Ok(())
        }
    }

    /// The timeouts as the cache wants them; the export can tell flows of `max_bytes`.
    pub(crate) fn policy(&self, max_bytes: u64) -> Policy {
        const MSEC_PER_SEC: u32 = 1000;

        Policy {
            active: self.active_timeout.saturating_mul(MSEC_PER_SEC),
            inactive: self.inactive_timeout.saturating_mul(MSEC_PER_SEC),
            strict: self.strict,
            linger: LINGER,
            max_bytes,
        }
    }
}
