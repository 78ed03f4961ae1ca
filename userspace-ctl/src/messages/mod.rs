// SPDX-License-Identifier: GPL-2.0-only

//! What the messages of the family mean.
//!
//! Each type is decoded from attributes. An unknown attribute is skipped, since a newer kernel may
//! have it. An absent one is zero, except for those that identify a flow, a collector or an
//! interface: without them a message is malformed.
//!
//! The names of the fields are those of the JSON output, which is part of the interface.

mod flow;
mod info;
mod ledger;

pub use flow::Flow;
pub use info::{
    Collector,
    Family,
    FlowCounts,
    Iface,
    Info,
    Nat,
    NatEvents, //
};
pub use ledger::{
    Account,
    Expired,
    Ignored,
    Lost, //
};

use crate::error::Error;

/// An attribute without which a message has no meaning.
fn required<T>(value: Option<T>, name: &str) -> Result<T, Error> {
    value.ok_or_else(|| Error::Malformed(format!("a message without {name}")))
}
