// SPDX-License-Identifier: GPL-2.0-only

//! Why the kernel refused a request: the error number and the extended acknowledgement.

use super::{
    attributes,
    Request, //
};
use crate::error::reason;
use netlink_packet_generic::constants::{
    NL_POLICY_TYPE_ATTR_MAX_VALUE_U,
    NL_POLICY_TYPE_ATTR_MIN_VALUE_U, //
};
use std::{
    fmt,
    io, //
};

/// Attributes of an extended acknowledgement, `enum nlmsgerr_attrs` of linux/netlink.h.
const ATTR_MSG: u16 = 1;
const ATTR_OFFS: u16 = 2;
const ATTR_POLICY: u16 = 4;

const EPERM: i32 = 1;

/// An error that the kernel answered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelError {
    /// Error number, positive.
    pub errno: i32,
    /// Text of the extended acknowledgement.
    pub text: Option<String>,
    /// The attribute that it concerns.
    pub attribute: Option<&'static str>,
    /// The least and the greatest value that the attribute may have.
    pub range: Option<(u64, u64)>,
}

impl KernelError {
    /// Reads the answer to `request`: the error number as the kernel has it, negative, and the
    /// attributes of the extended acknowledgement. What of them cannot be read is left out, since
    /// the error number says enough.
    pub(super) fn decode(request: &Request, code: i32, acknowledgement: &[u8]) -> Self {
        let mut error = Self {
            errno: code.saturating_abs(),
            ..Self::default()
        };
        for attribute in attributes(acknowledgement).map_while(Result::ok) {
            match attribute.kind {
                ATTR_MSG => error.text = attribute.text(),
                ATTR_OFFS => {
                    let offset = attribute.u32().ok();
                    error.attribute = offset.and_then(|at| request.attribute_at(at as usize));
                }
                ATTR_POLICY => error.range = range(attribute.value),
                _ => {}
            }
        }
        error
    }
}

fn range(policy: &[u8]) -> Option<(u64, u64)> {
    let (mut min, mut max) = (None, None);
    for attribute in attributes(policy).map_while(Result::ok) {
        match attribute.kind {
            NL_POLICY_TYPE_ATTR_MIN_VALUE_U => min = attribute.uint().ok(),
            NL_POLICY_TYPE_ATTR_MAX_VALUE_U => max = attribute.uint().ok(),
            _ => {}
        }
    }
    min.zip(max)
}

/// `max-flows: integer out of range (1 to 8388608): Numerical result out of range`, with as many
/// of these parts as there are.
impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(attribute) = &self.attribute {
            write!(f, "{attribute}: ")?;
        }
        if let Some(text) = &self.text {
            write!(f, "{text}")?;
            if let Some((min, max)) = self.range {
                write!(f, " ({min} to {max})")?;
            }
            write!(f, ": ")?;
        }
        f.write_str(&reason(&io::Error::from_raw_os_error(self.errno)))?;
        if self.errno == EPERM && self.text.is_none() {
            write!(f, ": CAP_NET_ADMIN is needed in this network namespace")?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    fn enable() -> Request {
        Request::new("enable", 3, 1, &[(1, "enabled"), (2, "max-flows")]).attribute(2, &[0; 4])
    }

    #[test]
    fn all_parts_are_told() {
        #[rustfmt::skip]
        let acknowledgement = [
            12, 0, 1, 0, b't', b'o', b'o', b' ', b'f', b'e', b'w', 0,   // NLMSGERR_ATTR_MSG
            8, 0, 2, 0, 20, 0, 0, 0,                                    // NLMSGERR_ATTR_OFFS
            28, 0, 4, 0x80,                                             // NLMSGERR_ATTR_POLICY
            12, 0, 4, 0, 1, 0, 0, 0, 0, 0, 0, 0,
            12, 0, 5, 0, 0, 0, 128, 0, 0, 0, 0, 0,
        ];
        let error = KernelError::decode(&enable(), -34, &acknowledgement);
        assert_eq!(
            error.to_string(),
            "max-flows: too few (1 to 8388608): Numerical result out of range"
        );
    }

    #[test]
    fn an_errno_alone_is_told() {
        let error = KernelError::decode(&enable(), -22, &[]);
        assert_eq!(error.to_string(), "Invalid argument");
    }

    #[test]
    fn a_missing_capability_is_named() {
        let error = KernelError::decode(&enable(), -1, &[]);
        assert_eq!(
            error.to_string(),
            "Operation not permitted: CAP_NET_ADMIN is needed in this network namespace"
        );
    }

    #[test]
    fn garbage_is_left_out() {
        for garbage in [&[1][..], &[255, 255, 1, 0], &[6, 0, 2, 0, 1, 1, 0, 0]] {
            let error = KernelError::decode(&enable(), -22, garbage);
            assert_eq!(error.to_string(), "Invalid argument");
        }
        let error = KernelError::decode(&enable(), i32::MIN, &[]);
        assert_eq!(error.errno, i32::MAX);
    }

    #[test]
    fn a_text_stays_on_one_line() {
        let error = KernelError::decode(&enable(), -22, &[9, 0, 1, 0, b'a', b'\n', 0x1b, b'b', 0]);
        assert_eq!(error.text.unwrap(), "a  b");
    }
}
