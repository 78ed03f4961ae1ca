// SPDX-License-Identifier: GPL-2.0-only

//! Generic netlink, one request at a time.
//!
//! ```text
//!   Request --encode--> Transport --datagram--> Replies --payload--> attributes()
//!                                                  |
//!                                                  +--error--> KernelError
//! ```
//!
//! Integers are in the byte order of the machine, as netlink has it.

mod attribute;
mod connection;
mod kernel_error;
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
pub use kernel_error::KernelError;
pub use request::{
    Names,
    Request, //
};
pub use socket::Socket;
