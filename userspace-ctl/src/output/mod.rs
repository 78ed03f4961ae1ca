// SPDX-License-Identifier: GPL-2.0-only

//! Output of what the kernel reports.
//!
//! [`json`] shows all of it, under the names of the fields of [`messages`](crate::messages), and
//! [`prometheus`] what can be monitored. The others are text: [`table`] aligns columns, and
//! [`info`], [`config`], [`flows`], [`collectors`] and [`ifaces`] fill them.

pub mod collectors;
pub mod config;
pub mod flows;
pub mod ifaces;
pub mod info;
pub mod json;
pub mod prometheus;
pub mod table;
