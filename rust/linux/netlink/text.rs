// SPDX-License-Identifier: GPL-2.0

//! Texts that are put together while compiling, so that they state limits as they are.
//!
//! Plain Rust, compiled on the host too.

use core::ffi::CStr;

/// What [`text!`] is given: texts, and numbers in braces.
pub(crate) enum Part {
    Text(&'static str),
    Number(u32),
}

/// Bytes that a text can have, with the 0 at its end. A longer one does not compile.
pub(crate) const LEN_MAX: usize = 128;

/// Writes `parts` one after the other, and zeros behind them. For constants.
pub(crate) const fn concat(parts: &[Part]) -> [u8; LEN_MAX] {
    let mut bytes = [0; LEN_MAX];
    let mut len = 0;
    let mut index = 0;
    while index < parts.len() {
        match parts[index] {
            Part::Text(text) => {
                let text = text.as_bytes();
                let mut from = 0;
                while from < text.len() {
                    bytes[len] = text[from];
                    len += 1;
                    from += 1;
                }
            }
            Part::Number(number) => {
                let mut digit = 1;
                while number / digit >= 10 {
                    digit *= 10;
                }
                while digit > 0 {
                    // CAST: Below 10.
                    bytes[len] = b'0' + (number / digit % 10) as u8;
                    len += 1;
                    digit /= 10;
                }
            }
        }
        index += 1;
    }
    bytes
}

/// The text at the beginning of `bytes`. For constants.
pub(crate) const fn as_c_str(bytes: &'static [u8; LEN_MAX]) -> &'static CStr {
    match CStr::from_bytes_until_nul(bytes) {
        Ok(text) => text,
        Err(_) => panic!("the text is too long"),
    }
}

/// A constant `&CStr` of literals and of numbers in braces: `text!("up to " {LIMIT} " seconds")`.
macro_rules! text {
    (@part $text:literal) => {
        $crate::linux::netlink::text::Part::Text($text)
    };
    (@part {$number:expr}) => {
        $crate::linux::netlink::text::Part::Number($number)
    };
    ($($part:tt)+) => {{
        const BYTES: [u8; $crate::linux::netlink::text::LEN_MAX] =
            $crate::linux::netlink::text::concat(&[
                $($crate::linux::netlink::text::text!(@part $part)),+
            ]);
        const TEXT: &::core::ffi::CStr = $crate::linux::netlink::text::as_c_str(&BYTES);
        TEXT
    }};
}
pub(crate) use text;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits_are_stated_as_numbers() {
        const MAX: u32 = 604_800;
        let said = text!("active-timeout" " must be from " {1} " to " {MAX} " seconds");
        assert_eq!(said, c"active-timeout must be from 1 to 604800 seconds");
        assert_eq!(text!({ 0 }), c"0");
        assert_eq!(text!({ u32::MAX }), c"4294967295");
    }

    proptest! {
        #[test]
        fn any_number_is_written_as_others_write_it(number: u32) {
            let bytes = concat(&[Part::Number(number)]);
            let written = CStr::from_bytes_until_nul(&bytes).unwrap().to_str().unwrap();
            prop_assert_eq!(written, number.to_string());
        }
    }
}
