// SPDX-License-Identifier: GPL-2.0-only

//! What can be set: its names and values, for the command line as for requests.

use crate::{
    uapi::{
        expiry,
        icmp_ports,
        observe,
        MAX_FLOWS_MAX,
        MAX_FLOWS_MIN,
        TIMEOUT_MAX,
        TIMEOUT_MIN, //
    },
    values::{
        on_off,
        Expiry,
        IcmpPorts,
        Items,
        Observe, //
    }, //
};
use clap::{
    builder::{
        PossibleValue,
        PossibleValuesParser,
        TypedValueParser, //
    },
    Arg,
    Args,
    Command,
    Error, //
};
use std::ffi::OsStr;

/// Settings of the exporter. What is `None` stays as it is.
///
/// As arguments they are options, which have the names of the attributes.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Flows that the cache holds at most
    #[arg(
        long,
        value_name = "N",
        help = format!("Flows that the cache holds at most, {MAX_FLOWS_MIN} to {MAX_FLOWS_MAX}"),
    )]
    pub max_flows: Option<u32>,

    /// Seconds after which a flow that goes on is exported
    #[arg(
        long,
        value_name = "SECONDS",
        help = format!(
            "Seconds after which a flow that goes on is exported, {TIMEOUT_MIN} to {TIMEOUT_MAX}"
        ),
    )]
    pub active_timeout: Option<u32>,

    /// Seconds without a packet after which a flow is inactive, at most the active timeout
    #[arg(long, value_name = "SECONDS")]
    pub inactive_timeout: Option<u32>,

    /// What becomes of an inactive flow
    #[arg(long, value_name = "MODE", value_parser = one_of(expiry::ITEMS).map(Expiry))]
    pub expiry: Option<Expiry>,

    /// Where packets are counted, with commas in between; each only at the first on its way
    #[arg(
        long,
        value_name = "POINT[,POINT]...",
        value_parser = AnyOf(one_of(observe::ITEMS)).map(Observe),
    )]
    pub observe: Option<Observe>,

    /// Engine type in the header of v5 datagrams, 0 to 255
    #[arg(long, value_name = "N")]
    pub engine_type: Option<u8>,

    /// Engine id in the header of v5 datagrams, 0 to 255; tells the exporters of one host apart
    #[arg(long, value_name = "N")]
    pub engine_id: Option<u8>,

    /// What the destination port of an ICMP flow holds
    #[arg(long, value_name = "MODE", value_parser = one_of(icmp_ports::ITEMS).map(IcmpPorts))]
    pub icmp_ports: Option<IcmpPorts>,

    /// Whether the exporter's own datagrams are accounted
    #[arg(
        long,
        value_name = "SWITCH",
        value_parser = one_of(SWITCH).map(|value| value != 0),
    )]
    pub count_own: Option<bool>,
}

/// The values of `count_own`.
const SWITCH: Items = &[
    (1, on_off(true), "Like all others."),
    (0, on_off(false), "They are ignored."),
];

/// Reads the name of one item.
fn one_of(items: Items) -> impl TypedValueParser<Value = u32> {
    let values = items
        .iter()
        .map(|&(_, name, meaning)| PossibleValue::new(name).help(meaning));
    PossibleValuesParser::new(values).map(move |given| {
        let item = items.iter().find(|item| item.1 == given);
        // The parser lets no other name through.
        item.map_or(0, |item| item.0)
    })
}

/// Reads several names that have commas between them, and adds up their bits.
#[derive(Clone)]
struct AnyOf<P>(P);

impl<P: TypedValueParser<Value = u32>> TypedValueParser for AnyOf<P> {
    type Value = u32;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<u32, Error> {
        let mut bits = 0;
        for name in value.to_string_lossy().split(',') {
            bits |= self.0.parse_ref(command, arg, name.as_ref())?;
        }
        Ok(bits)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}
