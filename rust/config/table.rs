// SPDX-License-Identifier: GPL-2.0

//! What the table of settings is made of: the kinds of values, and what each entry turns into.

use kernel::prelude::*;

use crate::{
    flow::{
        families::AddressFamilies,
        observe::ObservationPoints, //
    },
    linux::netlink::{
        Attribute,
        Message, //
    },
};

/// A kind of value that settings have.
pub(super) trait Value: Copy {
    /// The value in an attribute of a request; `None` if there is no such value.
    fn read(attribute: &Attribute<'_>) -> Option<Self>;

    /// Puts the value as attribute `kind`.
    fn put(self, kind: u32, message: &mut Message<'_>) -> Result;
}

impl Value for u32 {
    fn read(attribute: &Attribute<'_>) -> Option<Self> {
        attribute.u32()
    }

    fn put(self, kind: u32, message: &mut Message<'_>) -> Result {
        message.put_u32(kind, self)
    }
}

impl Value for u8 {
    fn read(attribute: &Attribute<'_>) -> Option<Self> {
        attribute.u8()
    }

    fn put(self, kind: u32, message: &mut Message<'_>) -> Result {
        message.put_u8(kind, self)
    }
}

/// A switch: 0 is off, 1 is on.
impl Value for bool {
    fn read(attribute: &Attribute<'_>) -> Option<Self> {
        match attribute.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn put(self, kind: u32, message: &mut Message<'_>) -> Result {
        message.put_u8(kind, self.into())
    }
}

/// The bits of `enum netflow_observe`.
impl Value for ObservationPoints {
    fn read(attribute: &Attribute<'_>) -> Option<Self> {
        let bits = attribute.u32()?;
        Some(Self::from_bits(bits)).filter(|points| points.bits() == bits)
    }

    fn put(self, kind: u32, message: &mut Message<'_>) -> Result {
        message.put_u32(kind, self.bits())
    }
}

/// The bits of `enum netflow_families`.
impl Value for AddressFamilies {
    fn read(attribute: &Attribute<'_>) -> Option<Self> {
        let bits = attribute.u32()?;
        Some(Self::from_bits(bits)).filter(|families| families.bits() == bits)
    }

    fn put(self, kind: u32, message: &mut Message<'_>) -> Result {
        message.put_u32(kind, self.bits())
    }
}

/// Defines an enumeration whose values are constants of the netlink interface, as a [`Value`].
macro_rules! enumeration {
    (
        $(#[$doc:meta])*
        $name:ident {
            $($(#[$variant_doc:meta])* $variant:ident = $constant:ident,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub(crate) enum $name {
            $($(#[$variant_doc])* $variant = $crate::bindings::$constant,)+
        }

        impl $crate::config::table::Value for $name {
            fn read(attribute: &$crate::linux::netlink::Attribute<'_>) -> Option<Self> {
                match attribute.u32()? {
                    $($crate::bindings::$constant => Some(Self::$variant),)+
                    _ => None,
                }
            }

            fn put(
                self,
                kind: u32,
                message: &mut $crate::linux::netlink::Message<'_>,
            ) -> ::kernel::error::Result {
                // CAST: The enumeration is represented as its constants are.
                message.put_u32(kind, self as u32)
            }
        }
    };
}
pub(super) use enumeration;

/// Defines [`Config`](super::Config) from the table of settings.
///
/// An entry has, in this order: the documentation; the field and the type of its value; the name as
/// people type it; the number of its attribute; for a number the constants that limit it, and its
/// unit; and what holds unless it is set.
macro_rules! settings {
    ($(
        $(#[$doc:meta])*
        $field:ident: $value:ty {
            name: $name:literal,
            attribute: $attribute:ident,
            $(range: $min:ident to $max:ident $($unit:literal)?,)?
            default: $default:expr,
        }
    )+) => {
        /// The settings of a namespace.
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct Config {
            $($(#[$doc])* pub(crate) $field: $value,)+
        }

        impl Config {
            /// The load parameters, and defaults.
            fn defaults() -> Self {
                Self {
                    $($field: $default,)+
                }
            }

            /// Changes the settings that `nest` gives. The policy of the attributes refuses all
            /// values that the types cannot hold; one that it lets through is refused here.
            pub(crate) fn read(&mut self, nest: Attributes<'_>) -> ExtResult {
                $(
                    if let Some(attribute) = nest.get(uapi::$attribute)? {
                        self.$field = Value::read(&attribute).ok_or(ExtAck::new(
                            EINVAL,
                            text!(
                                $name " has no such value: give one of the netlink specification"
                            ),
                        ))?;
                    }
                )+
                Ok(())
            }

            /// Puts all settings into `nest`.
            pub(crate) fn put(&self, nest: &mut Message<'_>) -> Result {
                $(self.$field.put(uapi::$attribute, nest)?;)+
                Ok(())
            }

            /// Checks each setting that has limits. Netlink's policy has checked the same for
            /// requests; load parameters pass no policy.
            fn check_ranges(&self) -> ExtResult {
                $($(
                    if !(uapi::$min..=uapi::$max).contains(&self.$field) {
                        return Err(ExtAck::new(
                            EINVAL,
                            text!(
                                $name " must be from " {uapi::$min} " to " {uapi::$max} $($unit)?
                            ),
                        ));
                    }
                )?)+
                Ok(())
            }
        }

        // The attributes of the table in its order are those of the specification, none missing.
        const _: () = {
            let attributes = [$(uapi::$attribute),+];
            assert!(
                attributes.len() == uapi::NETFLOW_A_CONFIG_MAX as usize,
                "the table of settings lacks one of the specification"
            );
            let mut index = 0;
            while index < attributes.len() {
                assert!(
                    attributes[index] as usize == index + 1,
                    "the table of settings has not the order of the specification"
                );
                index += 1;
            }
        };
    };
}
pub(super) use settings;
