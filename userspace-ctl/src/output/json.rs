// SPDX-License-Identifier: GPL-2.0-only

//! JSON, on one line as `ip -j` has it, or indented as by `ip -j -p`.

use crate::{
    error::Error,
    messages::Flow, //
};
use serde::{
    ser::{
        SerializeSeq,
        Serializer as _, //
    },
    Serialize, //
};
use serde_json::{
    ser::{
        CompactFormatter,
        Formatter,
        PrettyFormatter, //
    },
    Serializer, //
};
use std::io::Write;

/// How JSON is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// On one line.
    Compact,
    /// Indented.
    Pretty,
}

/// Writes one value.
pub fn value<T: Serialize>(out: &mut impl Write, layout: Layout, value: &T) -> Result<(), Error> {
    match layout {
        Layout::Compact => serde_json::to_writer(&mut *out, value)?,
        Layout::Pretty => serde_json::to_writer_pretty(&mut *out, value)?,
    }
    Ok(writeln!(out)?)
}

/// Writes an array of flows as they come in.
///
/// If the first is an error, nothing is written. If a later one is, the array stays open, so that
/// no reader takes a part for the whole.
pub fn flows(
    out: &mut impl Write,
    layout: Layout,
    flows: impl Iterator<Item = Result<Flow, Error>>,
) -> Result<(), Error> {
    match layout {
        Layout::Compact => array(out, CompactFormatter, flows)?,
        Layout::Pretty => array(out, PrettyFormatter::new(), flows)?,
    }
    Ok(writeln!(out)?)
}

fn array(
    out: &mut impl Write,
    formatter: impl Formatter,
    mut flows: impl Iterator<Item = Result<Flow, Error>>,
) -> Result<(), Error> {
    let mut next = flows.next().transpose()?;
    let mut serializer = Serializer::with_formatter(out, formatter);
    let mut array = serializer.serialize_seq(None)?;
    while let Some(flow) = next {
        array.serialize_element(&flow)?;
        next = flows.next().transpose()?;
    }
    Ok(array.end()?)
}
