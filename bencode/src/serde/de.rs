//! From a document's tokens to types, borrowing where the type borrows.

use std::str::FromStr;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, EnumAccess, Error as _, MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};

use super::Error;
use crate::{Dict, DictIter, Document, Kind, List, ListIter, Value};

/// Reads a type from `input`, which must be canonical and within [`Limits::TORRENT`](crate::Limits::TORRENT).
///
/// # Errors
/// If `input` is not canonical bencode, or does not fit the type.
pub fn from_bytes<'a, T: Deserialize<'a>>(input: &'a [u8]) -> Result<T, Error> {
    from_value(Document::decode(input)?.root())
}

/// Reads a type from a value that is decoded already: of a lenient document, with other limits, or a part of one.
/// A struct refuses a dictionary that names one of its fields twice.
///
/// # Errors
/// If the value does not fit the type.
pub fn from_value<'a, T: Deserialize<'a>>(value: Value<'_, 'a>) -> Result<T, Error> {
    T::deserialize(Deserializer(value))
}

#[derive(Clone, Copy)]
struct Deserializer<'d, 'a>(Value<'d, 'a>);

impl<'d, 'a> Deserializer<'d, 'a> {
    /// Gives an error of `read` the place of this value, unless one inside has put its own.
    fn placed<T>(self, read: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        read().map_err(|error| error.at(self.0.span().start))
    }

    fn list<V: Visitor<'a>>(self, list: List<'d, 'a>, visitor: V) -> Result<V::Value, Error> {
        let mut items = Items(list.iter());
        let value = visitor.visit_seq(&mut items)?;
        let left = items.0.count();
        if left > 0 {
            return Err(Error::custom(format_args!("the list has {left} more items than expected")));
        }
        Ok(value)
    }

    fn dict<V: Visitor<'a>>(self, dict: Dict<'d, 'a>, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Entries { rest: dict.iter(), value: None })
    }

    fn number<N: FromStr>(self) -> Option<N> {
        std::str::from_utf8(self.0.digits()).ok()?.parse().ok()
    }

    fn int<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        if let Some(number) = self.0.as_int() {
            visitor.visit_i64(number)
        } else if let Some(number) = self.number::<u64>() {
            visitor.visit_u64(number)
        } else if let Some(number) = self.number::<i128>() {
            visitor.visit_i128(number)
        } else if let Some(number) = self.number::<u128>() {
            visitor.visit_u128(number)
        } else {
            Err(Error::custom("the integer does not fit in 128 bits"))
        }
    }
}

impl<'a> serde::Deserializer<'a> for Deserializer<'_, 'a> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.placed(|| match self.0.kind() {
            Kind::Int => self.int(visitor),
            Kind::Bytes => match self.0.as_str() {
                Some(text) => visitor.visit_borrowed_str(text),
                None => visitor.visit_borrowed_bytes(self.0.as_bytes().unwrap_or_default()),
            },
            Kind::List => match self.0.as_list() {
                Some(list) => self.list(list, visitor),
                None => Err(Error::custom("no list")),
            },
            Kind::Dict => match self.0.as_dict() {
                Some(dict) => self.dict(dict, visitor),
                None => Err(Error::custom("no dictionary")),
            },
        })
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.placed(|| match self.0.as_int() {
            Some(0) => visitor.visit_bool(false),
            Some(1) => visitor.visit_bool(true),
            Some(other) => Err(Error::invalid_value(Unexpected::Signed(other), &"0 or 1")),
            None => self.deserialize_any(visitor),
        })
    }

    fn deserialize_f32<V: Visitor<'a>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::Float)
    }

    fn deserialize_f64<V: Visitor<'a>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::Float)
    }

    fn deserialize_bytes<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.placed(|| match self.0.as_bytes() {
            Some(bytes) => visitor.visit_borrowed_bytes(bytes),
            None => self.deserialize_any(visitor),
        })
    }

    fn deserialize_byte_buf<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.placed(|| visitor.visit_newtype_struct(self))
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.placed(|| {
            if self.0.kind() == Kind::Bytes {
                return visitor.visit_enum(Variant { name: self.0, content: None });
            }
            let mut entries = self.0.as_dict().into_iter().flat_map(Entries::of);
            match (entries.next(), entries.next()) {
                (Some((name, content)), None) => visitor.visit_enum(Variant { name, content: Some(content) }),
                _ => Err(Error::custom("an enum is a string or a dictionary of one entry")),
            }
        })
    }

    fn deserialize_identifier<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    /// Costs nothing, whatever the value holds.
    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    serde::forward_to_deserialize_any! {
        <W: Visitor<'a>>
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 char str string unit unit_struct seq tuple tuple_struct map struct
    }
}

struct Items<'d, 'a>(ListIter<'d, 'a>);

impl<'a> SeqAccess<'a> for Items<'_, 'a> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0.next().map(|item| seed.deserialize(Deserializer(item))).transpose()
    }
}

struct Entries<'d, 'a> {
    rest: DictIter<'d, 'a>,
    value: Option<Value<'d, 'a>>,
}

impl<'d, 'a> Entries<'d, 'a> {
    /// Keys and values, both as values.
    fn of(dict: Dict<'d, 'a>) -> impl Iterator<Item = (Value<'d, 'a>, Value<'d, 'a>)> {
        let mut rest = dict.iter();
        std::iter::from_fn(move || rest.next_entry())
    }
}

impl<'a> MapAccess<'a> for Entries<'_, 'a> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.rest.next_entry() else { return Ok(None) };
        self.value = Some(value);
        Deserializer(key).placed(|| seed.deserialize(Deserializer(key))).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let value = self.value.take().ok_or_else(|| Error::custom("a value was asked for before its key"))?;
        Deserializer(value).placed(|| seed.deserialize(Deserializer(value)))
    }
}

/// A variant's name, and its content unless it is written as a mere string.
struct Variant<'d, 'a> {
    name: Value<'d, 'a>,
    content: Option<Value<'d, 'a>>,
}

impl<'d, 'a> Variant<'d, 'a> {
    fn content(self) -> Result<Deserializer<'d, 'a>, Error> {
        self.content.map(Deserializer).ok_or_else(|| Error::custom("the variant has no content"))
    }
}

impl<'a> EnumAccess<'a> for Variant<'_, 'a> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'a>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name = Deserializer(self.name);
        Ok((name.placed(|| seed.deserialize(name))?, self))
    }
}

impl<'a> VariantAccess<'a> for Variant<'_, 'a> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        if self.content.is_some() {
            return Err(Error::custom("a variant without content is written as a string"));
        }
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, seed: T) -> Result<T::Value, Error> {
        let content = self.content()?;
        content.placed(|| seed.deserialize(content))
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        serde::Deserializer::deserialize_any(self.content()?, visitor)
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        serde::Deserializer::deserialize_any(self.content()?, visitor)
    }
}
