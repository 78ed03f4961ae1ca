// SPDX-License-Identifier: GPL-2.0-only

//! What the messages of the family mean.
//!
//! Each type decodes itself from attributes. An attribute that is not known is skipped, since a
//! newer kernel may have more to tell; one that is absent leaves zero, except for those without which
//! a flow, a collector or an interface is none.
//!
//! The names of the fields are those of the JSON output, which is part of the interface.

mod flow;
mod info;
mod ledger;

pub use flow::Flow;
pub use info::{
    Collector,
    FlowCounts,
    Iface,
    Info, //
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
