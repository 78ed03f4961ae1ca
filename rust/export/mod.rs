// SPDX-License-Identifier: GPL-2.0

//! How flows reach the collectors: datagram codecs, and the sender.

pub(crate) mod clock;
pub(crate) mod exporter;
pub(crate) mod v5;
