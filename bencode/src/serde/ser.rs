//! From types to canonical bencode, whatever the order of their fields.

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::Error;
use crate::{DictEncoder, Encoder};

/// Writes `value`. If a dictionary gets a key twice, the last value stays.
///
/// # Errors
/// If something in the value has no form in bencode: a floating-point number, nothing, a key that is no string.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    value.serialize(Serializer(&mut out))?.written()?;
    Ok(out)
}

struct Serializer<'b>(&'b mut Vec<u8>);

/// Whether there was anything to write.
#[derive(PartialEq, Eq)]
enum Outcome {
    Written,
    /// It was `None`.
    Nothing,
}

impl Outcome {
    fn written(self) -> Result<(), Error> {
        match self {
            Self::Written => Ok(()),
            Self::Nothing => Err(Error::Nothing),
        }
    }
}

impl Serializer<'_> {
    fn int(self, value: impl Into<i128>) -> Result<Outcome, Error> {
        Encoder::new(self.0).int(value);
        Ok(Outcome::Written)
    }
}

impl<'b> Serializer<'b> {
    fn list_in(self, variant: Option<&str>) -> ListSerializer<'b> {
        if let Some(variant) = variant {
            self.0.push(b'd');
            Encoder::new(self.0).bytes(variant);
        }
        self.0.push(b'l');
        ListSerializer { out: self.0, in_variant: variant.is_some() }
    }

    fn dict_in(self, variant: Option<&str>) -> DictSerializer<'b> {
        if let Some(variant) = variant {
            self.0.push(b'd');
            Encoder::new(self.0).bytes(variant);
        }
        DictSerializer { dict: DictEncoder::open(self.0), key: Vec::new(), in_variant: variant.is_some() }
    }
}

impl<'b> serde::Serializer for Serializer<'b> {
    type Ok = Outcome;
    type Error = Error;
    type SerializeSeq = ListSerializer<'b>;
    type SerializeTuple = ListSerializer<'b>;
    type SerializeTupleStruct = ListSerializer<'b>;
    type SerializeTupleVariant = ListSerializer<'b>;
    type SerializeMap = DictSerializer<'b>;
    type SerializeStruct = DictSerializer<'b>;
    type SerializeStructVariant = DictSerializer<'b>;

    fn serialize_bool(self, value: bool) -> Result<Outcome, Error> {
        self.int(value)
    }
    fn serialize_i8(self, value: i8) -> Result<Outcome, Error> {
        self.int(value)
    }
    fn serialize_i16(self, value: i16) -> Result<Outcome, Error> {
        self.int(value)
    }
    fn serialize_i32(self, value: i32) -> Result<Outcome, Error> {
        self.int(value)
    }
    fn serialize_i64(self, value: i64) -> Result<Outcome, Error> {
        self.int(value)
    }
    fn serialize_i128(self, value: i128) -> Result<Outcome, Error> {
        self.int(value)
    }
    fn serialize_u8(self, value: u8) -> Result<Outcome, Error> {
        self.int(value)
    }
    fn serialize_u16(self, value: u16) -> Result<Outcome, Error> {
        self.int(value)
    }
    fn serialize_u32(self, value: u32) -> Result<Outcome, Error> {
        self.int(value)
    }
    fn serialize_u64(self, value: u64) -> Result<Outcome, Error> {
        self.int(value)
    }
    fn serialize_u128(self, value: u128) -> Result<Outcome, Error> {
        Encoder::new(self.0).raw(format!("i{value}e").as_bytes());
        Ok(Outcome::Written)
    }
    fn serialize_f32(self, _: f32) -> Result<Outcome, Error> {
        Err(Error::Float)
    }
    fn serialize_f64(self, _: f64) -> Result<Outcome, Error> {
        Err(Error::Float)
    }
    fn serialize_char(self, value: char) -> Result<Outcome, Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }
    fn serialize_str(self, value: &str) -> Result<Outcome, Error> {
        self.serialize_bytes(value.as_bytes())
    }
    fn serialize_bytes(self, value: &[u8]) -> Result<Outcome, Error> {
        Encoder::new(self.0).bytes(value);
        Ok(Outcome::Written)
    }
    fn serialize_none(self) -> Result<Outcome, Error> {
        Ok(Outcome::Nothing)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Outcome, Error> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<Outcome, Error> {
        Err(Error::Nothing)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<Outcome, Error> {
        Err(Error::Nothing)
    }
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Outcome, Error> {
        self.serialize_str(variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Outcome, Error> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Outcome, Error> {
        self.0.push(b'd');
        Encoder::new(self.0).bytes(variant);
        value.serialize(Serializer(self.0))?.written()?;
        self.0.push(b'e');
        Ok(Outcome::Written)
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<ListSerializer<'b>, Error> {
        Ok(self.list_in(None))
    }
    fn serialize_tuple(self, _: usize) -> Result<ListSerializer<'b>, Error> {
        Ok(self.list_in(None))
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<ListSerializer<'b>, Error> {
        Ok(self.list_in(None))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<ListSerializer<'b>, Error> {
        Ok(self.list_in(Some(variant)))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<DictSerializer<'b>, Error> {
        Ok(self.dict_in(None))
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<DictSerializer<'b>, Error> {
        Ok(self.dict_in(None))
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<DictSerializer<'b>, Error> {
        Ok(self.dict_in(Some(variant)))
    }
    fn is_human_readable(&self) -> bool {
        false
    }
}

struct ListSerializer<'b> {
    out: &'b mut Vec<u8>,
    /// Whether a dictionary of one entry is around it.
    in_variant: bool,
}

impl ListSerializer<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(Serializer(self.out))?.written()
    }

    fn close(self) -> Result<Outcome, Error> {
        self.out.extend_from_slice(if self.in_variant { b"ee" } else { b"e" });
        Ok(Outcome::Written)
    }
}

struct DictSerializer<'b> {
    dict: DictEncoder<'b>,
    /// The key whose value comes next.
    key: Vec<u8>,
    /// Whether a dictionary of one entry is around it.
    in_variant: bool,
}

impl DictSerializer<'_> {
    fn entry<T: Serialize + ?Sized>(&mut self, key: &[u8], value: &T) -> Result<(), Error> {
        let outcome = value.serialize(Serializer(self.dict.entry(key).into_out()))?;
        if outcome == Outcome::Nothing {
            self.dict.withdraw();
        }
        Ok(())
    }

    fn close(self) -> Result<Outcome, Error> {
        let out = self.dict.close();
        if self.in_variant {
            out.push(b'e');
        }
        Ok(Outcome::Written)
    }
}

macro_rules! list {
    ($trait:ident, $item:ident) => {
        impl $trait for ListSerializer<'_> {
            type Ok = Outcome;
            type Error = Error;
            fn $item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.item(value)
            }
            fn end(self) -> Result<Outcome, Error> {
                self.close()
            }
        }
    };
}

list!(SerializeSeq, serialize_element);
list!(SerializeTuple, serialize_element);
list!(SerializeTupleStruct, serialize_field);
list!(SerializeTupleVariant, serialize_field);

macro_rules! dict {
    ($trait:ident) => {
        impl $trait for DictSerializer<'_> {
            type Ok = Outcome;
            type Error = Error;
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.entry(key.as_bytes(), value)
            }
            fn end(self) -> Result<Outcome, Error> {
                self.close()
            }
        }
    };
}

dict!(SerializeStruct);
dict!(SerializeStructVariant);

impl SerializeMap for DictSerializer<'_> {
    type Ok = Outcome;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        // Written like any value, and taken if what came out is a string.
        let mut encoded = Vec::new();
        key.serialize(Serializer(&mut encoded))?.written().map_err(|_| Error::Key)?;
        let colon = encoded.iter().position(|byte| *byte == b':').filter(|_| encoded[0].is_ascii_digit());
        self.key = encoded.split_off(colon.ok_or(Error::Key)? + 1);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = std::mem::take(&mut self.key);
        self.entry(&key, value)
    }

    fn end(self) -> Result<Outcome, Error> {
        self.close()
    }
}
