//! Typed access to the fields of a dictionary, with the field's name in every error.

use downpour_bencode::{Dict, List, Value};

use crate::{Expected, MetainfoError};

/// A dictionary whose look-ups know what they look for.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'d, 'a>(Dict<'d, 'a>);

impl<'d, 'a> Fields<'d, 'a> {
    pub(crate) fn of(value: Value<'d, 'a>, field: &'static str) -> Result<Self, MetainfoError> {
        value.as_dict().map(Self).ok_or(MetainfoError::WrongKind { field, expected: Expected::Dict })
    }

    pub(crate) fn dict(self) -> Dict<'d, 'a> {
        self.0
    }

    pub(crate) fn optional(self, field: &'static str) -> Option<Value<'d, 'a>> {
        self.0.get(field.as_bytes())
    }

    pub(crate) fn required(self, field: &'static str) -> Result<Value<'d, 'a>, MetainfoError> {
        self.optional(field).ok_or(MetainfoError::Missing(field))
    }

    /// An integer in `minimum..=maximum`.
    pub(crate) fn int(self, field: &'static str, minimum: i64, maximum: i64) -> Result<i64, MetainfoError> {
        let wrong = MetainfoError::WrongKind { field, expected: Expected::Int };
        let value = self.required(field)?.as_int().ok_or(wrong)?;
        if value < minimum || value > maximum {
            return Err(MetainfoError::OutOfRange { field, value, minimum, maximum });
        }
        Ok(value)
    }

    pub(crate) fn bytes(self, field: &'static str) -> Result<&'a [u8], MetainfoError> {
        let wrong = MetainfoError::WrongKind { field, expected: Expected::Bytes };
        self.required(field)?.as_bytes().ok_or(wrong)
    }

    pub(crate) fn list(self, field: &'static str) -> Result<List<'d, 'a>, MetainfoError> {
        let wrong = MetainfoError::WrongKind { field, expected: Expected::List };
        self.required(field)?.as_list().ok_or(wrong)
    }

    /// A string under `field.utf-8` if it is there (an old habit of clients that wrote other encodings
    /// under the plain name), else under `field`.
    pub(crate) fn text(self, field: &'static str, utf8: &'static str) -> Result<&'a [u8], MetainfoError> {
        if self.optional(utf8).is_some() { self.bytes(utf8) } else { self.bytes(field) }
    }
}
