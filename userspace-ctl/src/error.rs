// SPDX-License-Identifier: GPL-2.0-only

//! Errors, each of which is one line, but for the mistakes of a file.

use crate::{
    netlink::KernelError,
    uapi::FAMILY_NAME, //
};
use std::io;

/// Why a command failed. Its `Display` is one line without the name of the program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel has no family `netflow`.
    #[error(
        "the netflow module is not loaded \
         (family \"{FAMILY_NAME}\" is unknown to this kernel): modprobe netflow"
    )]
    ModuleNotLoaded,

    /// The kernel answered a request with an error.
    #[error("{request}: {error}")]
    Refused {
        /// The request, in the words of the command line.
        request: &'static str,
        /// The kernel's answer.
        error: KernelError,
    },

    /// The socket itself failed.
    #[error("netlink socket: {}", reason(.0))]
    Socket(#[source] io::Error),

    /// An answer that is not what the specification of the family describes.
    #[error("answer of the kernel not understood: {0}")]
    Malformed(String),

    /// What was dumped changed so much meanwhile that the kernel gave up on consistency.
    #[error(
        "flows: the exporter was reconfigured during the dump; flows may be missing or doubled"
    )]
    Interrupted,

    /// A network namespace could not be entered.
    #[error("{0}")]
    Netns(String),

    /// There is no interface of this name, and it is no index either.
    #[error("no interface \"{}\" in this network namespace", .0.escape_debug())]
    NoInterface(String),

    /// A file could not be read or written.
    #[error("{path}: {}", reason(.error))]
    File {
        /// Its path.
        path: String,
        /// Why.
        error: io::Error,
    },

    /// What is wrong with a file, a line for each mistake.
    #[error("{0}")]
    Mistakes(String),

    /// Host names in a file without an address, a line for each.
    #[error("{0}")]
    Unresolved(String),

    /// A state that no file can describe.
    #[error("cannot be saved: {0}")]
    Unwritable(String),

    /// A file was not applied, since one of the changes failed.
    #[error("{change}: {}; {after}", .error.reason())]
    NotApplied {
        /// The change.
        change: String,
        /// Why it failed.
        error: Box<Error>,
        /// What has become of the changes before it.
        after: String,
    },

    /// Standard output could not be written.
    #[error("cannot write: {}", reason(.0))]
    Output(#[from] io::Error),
}

impl Error {
    /// Whether the reader of standard output has closed it, as `head` does.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The status that the program exits with.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Mistakes(_) => 2,
            _ => 1,
        }
    }

    /// Why a request failed, without its name.
    pub fn reason(&self) -> String {
        match self {
            Self::Refused { error, .. } => error.to_string(),
            other => other.to_string(),
        }
    }
}

/// An error of serialization can only be one of the writer beneath.
impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}

/// The text of an error of the system, as the C library has it.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_no_number() {
        assert_eq!(
            reason(&io::Error::from_raw_os_error(22)),
            "Invalid argument"
        );
        assert_eq!(reason(&io::Error::other("words")), "words");
    }

    #[test]
    fn only_the_pipe_of_standard_output_is_forgiven() {
        let pipe = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(Error::from(pipe()).is_broken_pipe());
        assert!(!Error::Socket(pipe()).is_broken_pipe());
        assert!(!Error::from(io::Error::from_raw_os_error(28)).is_broken_pipe());
    }
}
