// SPDX-License-Identifier: GPL-2.0-only

//! `netflowctl` controls the NetFlow exporter of the Linux kernel module `netflow`, by its
//! generic-netlink family of the same name.
//!
//! From the wire to the terminal, each module does one step:
//!
//! - [`uapi`]: the numbers of the family and the table of settings, as specified.
//! - [`netlink`]: a socket, requests with their replies and errors, attributes. Knows nothing of
//!   NetFlow.
//! - [`settings`]: what can be set, and the values; a table made from the specification.
//! - [`protocol`]: what can be sent to a collector.
//! - [`messages`]: what the family's other attributes mean: the state of the exporter, a flow.
//! - [`config_file`]: the state that a file wants; [`apply`]: what has to change for it.
//! - [`client`]: the operations of the family, as functions.
//! - [`output`]: text, JSON and metrics; [`names`] of [`interfaces`] and protocols.
//! - [`cli`]: the arguments; [`commands`] executes them.
//!
//! Nothing here is asynchronous: each command waits for the kernel's reply to each request.

pub mod address;
pub mod apply;
pub mod cli;
pub mod client;
pub mod commands;
pub mod config_file;
pub mod error;
pub mod interfaces;
pub mod manual;
pub mod messages;
pub mod names;
pub mod netlink;
pub mod netns;
pub mod output;
pub mod protocol;
pub mod settings;
pub mod uapi;
