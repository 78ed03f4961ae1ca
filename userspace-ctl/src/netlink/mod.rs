// SPDX-License-Identifier: GPL-2.0-only

//! Generic netlink, as far as one conversation at a time needs it.
//!
//! ```text
//!   Request --encode--> Transport --datagram--> Replies --payload--> attributes()
//!                                                  |
//!                                                  +--error--> Refusal
//! ```
//!
//! Integers are in the byte order of the machine, as netlink has it.

mod attribute;
mod connection;
mod refusal;
mod request;
mod socket;

pub use attribute::{
    attributes,
    Attribute, //
};
pub use connection::{
    Connection,
    Replies,
    Transport, //
};
pub use refusal::Refusal;
pub use request::Request;
pub use socket::Socket;
