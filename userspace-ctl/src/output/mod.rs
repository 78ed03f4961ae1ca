// SPDX-License-Identifier: GPL-2.0-only

//! Showing what the kernel told.
//!
//! [`json`] shows all of it, under the names of the fields of [`messages`](crate::messages), and
//! [`prometheus`] what can be watched. The others are for people: [`table`] aligns columns, and
//! [`info`], [`config`], [`flows`], [`collectors`] and [`ifaces`] say what is in them.

pub mod collectors;
pub mod config;
pub mod flows;
pub mod ifaces;
pub mod info;
pub mod json;
pub mod prometheus;
pub mod table;
