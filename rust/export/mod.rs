// SPDX-License-Identifier: GPL-2.0

//! The Exporting Process: how flows that left the cache reach the Collectors.
//!
//! ```text
//!   flow, reason --> Batch --> each Stream: Format --> datagram --> each Collector's socket
//!                      ^                                                   |
//!                      +---- outcome of each flow <------------------------+
//! ```
//!
//! A flow becomes one or more Data Records, as its [`format`] has it. When a [`batch`] is full or
//! the round of exports ends, every [`stream`] encodes all of its flows, and each flow is settled
//! in the ledger by what became of its records.
//!
//! What decides which bytes are sent, and in which account a flow ends, calls nothing of the kernel
//! and is tested on the host: [`batch`], [`format`], [`stream`] and the formats. These are [`v5`],
//! and [`v9`] and [`ipfix`], whose flow records come from one table of fields ([`field`]).

pub(crate) mod batch;
pub(crate) mod clock;
pub(crate) mod collector;
pub(crate) mod destination;
pub(crate) mod exporter;
pub(crate) mod field;
pub(crate) mod format;
mod interfaces;
pub(crate) mod ipfix;
pub(crate) mod nat_event;
pub(crate) mod options;
pub(crate) mod own;
pub(crate) mod refresh;
pub(crate) mod sets;
pub(crate) mod state;
pub(crate) mod stream;
pub(crate) mod templated;
mod translation;
pub(crate) mod v5;
pub(crate) mod v9;
pub(crate) mod writer;
