//! Borrowed values: cursors into a document.

use std::fmt;
use std::ops::Range;

use crate::Document;
use crate::decode::{Token, TokenKind};

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An integer of any size.
    Int,
    /// A byte string.
    Bytes,
    /// A list.
    List,
    /// A dictionary.
    Dict,
}

/// One value of a [`Document`]: as cheap to copy as a reference.
#[derive(Clone, Copy)]
pub struct Value<'d, 'a> {
    pub(crate) document: &'d Document<'a>,
    pub(crate) index: u32,
}

impl<'d, 'a> Value<'d, 'a> {
    fn token(self) -> Token {
        self.document.tokens[self.index as usize]
    }

    fn next(self) -> Self {
        Self { index: self.token().next, ..self }
    }

    /// What the value is.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.token().kind {
            TokenKind::Int => Kind::Int,
            TokenKind::Bytes => Kind::Bytes,
            TokenKind::List => Kind::List,
            TokenKind::Dict => Kind::Dict,
            TokenKind::End => unreachable!("no cursor stands on an end"),
        }
    }

    /// Where the encoded value stands in the input.
    #[must_use]
    pub fn span(self) -> Range<usize> {
        self.token().offset as usize..self.next().token().offset as usize
    }

    /// The encoded value as it stands in the input: what hashes and signatures are taken over.
    #[must_use]
    pub fn raw(self) -> &'a [u8] {
        &self.document.input[self.span()]
    }

    /// An integer between its `i` and `e`.
    pub(crate) fn digits(self) -> &'a [u8] {
        let raw = self.raw();
        &raw[1..raw.len() - 1]
    }

    /// The integer, if it is one and fits in 64 bits. (Bencode itself knows no bound.)
    #[must_use]
    pub fn as_int(self) -> Option<i64> {
        if self.token().kind != TokenKind::Int {
            return None;
        }
        let digits = self.digits();
        let (negative, digits) = match digits.strip_prefix(b"-") {
            Some(digits) => (true, digits),
            None => (false, digits),
        };
        // Counts downwards, since i64 reaches one further on that side.
        let below = digits
            .iter()
            .try_fold(0i64, |sum, digit| sum.checked_mul(10)?.checked_sub(i64::from(digit - b'0')))?;
        if negative { Some(below) } else { below.checked_neg() }
    }

    /// The content of a string.
    #[must_use]
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        let token = self.token();
        (token.kind == TokenKind::Bytes).then(|| &self.raw()[usize::from(token.header)..])
    }

    /// The content of a string that is UTF-8.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// The list, if the value is one.
    #[must_use]
    pub fn as_list(self) -> Option<List<'d, 'a>> {
        (self.token().kind == TokenKind::List).then_some(List(self))
    }

    /// The dictionary, if the value is one.
    #[must_use]
    pub fn as_dict(self) -> Option<Dict<'d, 'a>> {
        (self.token().kind == TokenKind::Dict).then_some(Dict(self))
    }
}

impl fmt::Debug for Value<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            Kind::Int => f.write_str(std::str::from_utf8(self.digits()).unwrap_or("?")),
            Kind::Bytes => write!(f, "\"{}\"", self.as_bytes().unwrap_or_default().escape_ascii()),
            Kind::List => f.debug_list().entries(List(*self)).finish(),
            Kind::Dict => f
                .debug_map()
                .entries(Dict(*self).into_iter().map(|(key, value)| (key.escape_ascii().to_string(), value)))
                .finish(),
        }
    }
}

/// A list of values.
#[derive(Clone, Copy, Debug)]
pub struct List<'d, 'a>(Value<'d, 'a>);

impl<'d, 'a> List<'d, 'a> {
    /// The values in order.
    #[must_use]
    pub fn iter(self) -> ListIter<'d, 'a> {
        ListIter(first_child(self.0))
    }
}

impl<'d, 'a> IntoIterator for List<'d, 'a> {
    type Item = Value<'d, 'a>;
    type IntoIter = ListIter<'d, 'a>;
    fn into_iter(self) -> ListIter<'d, 'a> {
        self.iter()
    }
}

/// The values of a [`List`].
#[derive(Clone, Debug)]
pub struct ListIter<'d, 'a>(Option<Value<'d, 'a>>);

impl<'d, 'a> Iterator for ListIter<'d, 'a> {
    type Item = Value<'d, 'a>;
    fn next(&mut self) -> Option<Value<'d, 'a>> {
        let value = self.0?;
        self.0 = not_at_end(value.next());
        Some(value)
    }
}

/// A dictionary: byte strings to values.
#[derive(Clone, Copy, Debug)]
pub struct Dict<'d, 'a>(Value<'d, 'a>);

impl<'d, 'a> Dict<'d, 'a> {
    /// The value under `key`; the first one, if a lenient document has several. O(entries).
    #[must_use]
    pub fn get(self, key: &[u8]) -> Option<Value<'d, 'a>> {
        self.iter().find(|entry| entry.0 == key).map(|entry| entry.1)
    }

    /// The entries in the order of the input.
    #[must_use]
    pub fn iter(self) -> DictIter<'d, 'a> {
        DictIter(first_child(self.0))
    }
}

impl<'d, 'a> IntoIterator for Dict<'d, 'a> {
    type Item = (&'a [u8], Value<'d, 'a>);
    type IntoIter = DictIter<'d, 'a>;
    fn into_iter(self) -> DictIter<'d, 'a> {
        self.iter()
    }
}

/// The entries of a [`Dict`].
#[derive(Clone, Debug)]
pub struct DictIter<'d, 'a>(Option<Value<'d, 'a>>);

impl<'d, 'a> DictIter<'d, 'a> {
    /// The next entry with its key as a value, which knows where it stands.
    pub(crate) fn next_entry(&mut self) -> Option<(Value<'d, 'a>, Value<'d, 'a>)> {
        let key = self.0?;
        let value = key.next();
        self.0 = not_at_end(value.next());
        Some((key, value))
    }
}

impl<'d, 'a> Iterator for DictIter<'d, 'a> {
    type Item = (&'a [u8], Value<'d, 'a>);
    fn next(&mut self) -> Option<(&'a [u8], Value<'d, 'a>)> {
        self.next_entry().map(|(key, value)| (key.as_bytes().unwrap_or_default(), value))
    }
}

fn first_child<'d, 'a>(value: Value<'d, 'a>) -> Option<Value<'d, 'a>> {
    not_at_end(Value { index: value.index + 1, ..value })
}

fn not_at_end<'d, 'a>(value: Value<'d, 'a>) -> Option<Value<'d, 'a>> {
    (value.token().kind != TokenKind::End).then_some(value)
}
