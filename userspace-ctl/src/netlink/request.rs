// SPDX-License-Identifier: GPL-2.0-only

//! Building requests.

use netlink_packet_core::{
    DefaultNla,
    Emitable,
    NetlinkHeader,
    NLA_F_NESTED,
    NLA_HEADER_SIZE,
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_REQUEST, //
};
use netlink_packet_generic::GenlHeader;

/// Bytes of `struct nlmsghdr`.
pub const HEADER_LEN: usize = 16;

/// Numbers and names of the attributes of a set.
pub type Names = &'static [(u16, &'static str)];

/// A request to a generic-netlink family.
#[derive(Clone, Debug)]
pub struct Request {
    name: &'static str,
    dump: bool,
    /// The generic-netlink header and the attributes, as they are sent.
    payload: Vec<u8>,
    /// The set of its attributes.
    set: Names,
    /// Where in `payload` an attribute begins, and its name.
    offsets: Vec<(usize, &'static str)>,
}

impl Request {
    /// A request without attributes, to be answered at most once.
    ///
    /// Errors call it `name`, and its attributes by their names in `set`.
    pub fn new(name: &'static str, command: u8, version: u8, set: Names) -> Self {
        let header = GenlHeader {
            cmd: command,
            version,
        };
        Self {
            set,
            ..Self::with_payload(name, &header)
        }
    }

    /// A request with this generic-netlink header and these attributes, the names of which errors
    /// do not know.
    pub fn with_payload(name: &'static str, message: &impl Emitable) -> Self {
        let mut payload = vec![0; message.buffer_len()];
        message.emit(&mut payload);
        Self {
            name,
            dump: false,
            payload,
            set: &[],
            offsets: Vec::new(),
        }
    }

    /// Asks for all there is, in any number of answers.
    pub fn dump(mut self) -> Self {
        self.dump = true;
        self
    }

    /// Adds an attribute with these bytes; integers are wanted in the byte order of the machine.
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.note(0, kind, self.set);
        append(&mut self.payload, kind, value);
        self
    }

    /// Adds an attribute that holds others, which are of another set.
    pub fn nest(
        mut self,
        kind: u16,
        set: Names,
        attributes: impl IntoIterator<Item = (u16, Vec<u8>)>,
    ) -> Self {
        self.note(0, kind, self.set);
        let mut nest = Vec::new();
        for (kind, value) in attributes {
            self.note(NLA_HEADER_SIZE + nest.len(), kind, set);
            append(&mut nest, kind, &value);
        }
        append(&mut self.payload, kind | NLA_F_NESTED, &nest);
        self
    }

    /// Notes that an attribute will begin at this distance from the end.
    fn note(&mut self, distance: usize, kind: u16, set: Names) {
        if let Some((_, name)) = set.iter().find(|&&(number, _)| number == kind) {
            self.offsets.push((self.payload.len() + distance, name));
        }
    }

    /// What errors call this request.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// The attribute whose header is at this offset of the encoded message.
    pub(super) fn attribute_at(&self, offset: usize) -> Option<&'static str> {
        let offset = offset.checked_sub(HEADER_LEN)?;
        let (_, name) = self.offsets.iter().find(|&&(start, _)| start == offset)?;
        Some(name)
    }

    /// The message, ready to be sent.
    pub(super) fn encode(&self, family: u16, sequence: u32) -> Vec<u8> {
        let mut header = NetlinkHeader::default();
        // A request has a handful of attributes of at most 16 bytes.
        header.length = (HEADER_LEN + self.payload.len()) as u32;
        header.message_type = family;
        header.flags = NLM_F_REQUEST
            | match self.dump {
                true => NLM_F_DUMP,
                false => NLM_F_ACK,
            };
        header.sequence_number = sequence;

        let mut message = vec![0; HEADER_LEN];
        header.emit(&mut message);
        message.extend(&self.payload);
        message
    }
}

/// Appends an attribute with its padding.
fn append(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let attribute = DefaultNla::new(kind, value.to_vec());
    let start = to.len();
    to.resize(start + attribute.buffer_len(), 0);
    attribute.emit(&mut to[start..]);
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    const NAMES: Names = &[(1, "enabled"), (2, "max-flows"), (3, "inner")];
    const INNER: Names = &[(1, "address"), (2, "port-number")];

    fn inner() -> [(u16, Vec<u8>); 2] {
        [(1, vec![10, 0, 0, 1]), (2, vec![7, 8])]
    }

    #[test]
    fn the_bytes_are_those_of_the_headers() {
        let request = Request::new("test", 3, 1, NAMES)
            .attribute(2, &[4, 3, 2, 1])
            .attribute(5, &[0x55])
            .nest(3, INNER, inner());
        #[rustfmt::skip]
        let expected = [
            56, 0, 0, 0,    // nlmsg_len
            0x1c, 0,        // nlmsg_type
            0x05, 0,        // nlmsg_flags: NLM_F_REQUEST | NLM_F_ACK
            7, 0, 0, 0,     // nlmsg_seq
            0, 0, 0, 0,     // nlmsg_pid
            3, 1, 0, 0,     // cmd, version, reserved
            8, 0, 2, 0, 4, 3, 2, 1,
            5, 0, 5, 0, 0x55, 0, 0, 0,
            20, 0, 3, 0x80, // NLA_F_NESTED
            8, 0, 1, 0, 10, 0, 0, 1,
            6, 0, 2, 0, 7, 8, 0, 0,
        ];
        assert_eq!(request.encode(0x1c, 7), expected);
    }

    #[test]
    fn a_dump_asks_for_no_acknowledgement() {
        let bytes = Request::new("test", 2, 1, NAMES).dump().encode(0x1c, 1);
        assert_eq!(bytes.len(), 20);
        assert_eq!(bytes[6..8], [0x01, 0x03]);
    }

    #[test]
    fn an_offset_names_an_attribute() {
        let request = Request::new("test", 3, 1, NAMES)
            .attribute(1, &[1])
            .attribute(2, &[0; 4])
            .attribute(9, &[0; 4])
            .nest(3, INNER, inner());
        assert_eq!(request.attribute_at(20), Some("enabled"));
        assert_eq!(request.attribute_at(28), Some("max-flows"));
        assert_eq!(request.attribute_at(44), Some("inner"));
        assert_eq!(request.attribute_at(48), Some("address"));
        assert_eq!(request.attribute_at(56), Some("port-number"));
        for offset in [0, 16, 24, 36, 40, 64, usize::MAX] {
            assert_eq!(request.attribute_at(offset), None);
        }
    }
}
