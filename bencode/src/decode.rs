//! One pass over the input, one flat list of tokens.

use crate::{DecodeError, DecodeErrorKind as Kind, Value};

/// What a decoded document may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Levels of lists and dictionaries.
    pub depth: usize,
    /// Tokens: values, keys, and one end for each list and dictionary. A token takes 12 bytes.
    pub tokens: usize,
}

impl Limits {
    /// Enough for every .torrent file in use: 100 levels, four million tokens.
    pub const TORRENT: Self = Self { depth: 100, tokens: 4_000_000 };
    /// For messages from the network: 16 levels, 10,000 tokens.
    pub const MESSAGE: Self = Self { depth: 16, tokens: 10_000 };
}

/// How to decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeOptions {
    lenient: bool,
    limits: Limits,
}

impl DecodeOptions {
    /// Only canonical bencode.
    #[must_use]
    pub const fn strict(limits: Limits) -> Self {
        Self { lenient: false, limits }
    }

    /// Also unsorted and repeated keys, superfluous zeros and `-0`.
    #[must_use]
    pub const fn lenient(limits: Limits) -> Self {
        Self { lenient: true, limits }
    }

    /// Decodes `input`, which must be one value and nothing more.
    ///
    /// # Errors
    /// At the first byte that breaks a rule or a limit.
    pub fn decode(self, input: &[u8]) -> Result<Document<'_>, DecodeError> {
        let document = self.decode_prefix(input)?;
        let end = document.encoded_len();
        if end < input.len() {
            return Err(DecodeError { offset: end, kind: Kind::TrailingData });
        }
        Ok(document)
    }

    /// Decodes the value that `input` starts with; [`Document::encoded_len`] tells where it ends.
    ///
    /// # Errors
    /// At the first byte that breaks a rule or a limit.
    pub fn decode_prefix(self, input: &[u8]) -> Result<Document<'_>, DecodeError> {
        if u32::try_from(input.len()).is_err() {
            return Err(DecodeError { offset: 0, kind: Kind::InputTooLarge });
        }
        let mut decoder = Decoder { input, options: self, tokens: Vec::new(), at: 0 };
        decoder.run()?;
        Ok(Document { input, tokens: decoder.tokens })
    }
}

/// A decoded value with everything in it, borrowing the input.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) tokens: Vec<Token>,
}

impl<'a> Document<'a> {
    /// Decodes canonical bencode within [`Limits::TORRENT`].
    ///
    /// # Errors
    /// At the first byte that breaks a rule or a limit.
    pub fn decode(input: &'a [u8]) -> Result<Self, DecodeError> {
        DecodeOptions::strict(Limits::TORRENT).decode(input)
    }

    /// The outermost value.
    #[must_use]
    pub fn root(&self) -> Value<'_, 'a> {
        Value { document: self, index: 0 }
    }

    /// How many bytes of the input the outermost value took.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.tokens.last().map_or(0, |last| last.offset as usize)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Int,
    Bytes,
    List,
    Dict,
    /// Closes a list or dictionary; also the last token of all, which marks where the root ends.
    End,
}

/// A value's start in the input and its successor in the list. Where a value ends is where the next token
/// starts, so that need not be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) offset: u32,
    /// The index of the token after this value and all that is in it.
    pub(crate) next: u32,
    pub(crate) kind: TokenKind,
    /// For strings: the length of the `123:` before the content.
    pub(crate) header: u8,
}

struct Decoder<'a> {
    input: &'a [u8],
    options: DecodeOptions,
    tokens: Vec<Token>,
    at: usize,
}

/// An open list or dictionary.
struct Open {
    token: u32,
    state: State,
    /// The bounds of the last key, to check the order.
    key: (u32, u32),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    List,
    Key,
    Value,
}

impl Decoder<'_> {
    fn fail<T>(&self, offset: usize, kind: Kind) -> Result<T, DecodeError> {
        Err(DecodeError { offset: offset.min(self.input.len()), kind })
    }

    fn run(&mut self) -> Result<(), DecodeError> {
        // Guesses the number of tokens from torrents of many small files; growth corrects it.
        self.tokens.reserve((self.input.len() / 12).min(self.options.limits.tokens).min(1 << 16));
        let mut stack: Vec<Open> = Vec::with_capacity(8);
        loop {
            let Some(&byte) = self.input.get(self.at) else {
                return self.fail(self.at, Kind::UnexpectedEnd);
            };
            match stack.last_mut() {
                Some(open) if byte == b'e' => {
                    if open.state == State::Value {
                        return self.fail(self.at, Kind::MissingValue);
                    }
                    let token = open.token;
                    stack.pop();
                    self.push(TokenKind::End, 0)?;
                    self.at += 1;
                    self.tokens[token as usize].next = self.tokens.len() as u32;
                }
                Some(open) if open.state == State::Key => {
                    if !byte.is_ascii_digit() {
                        return self.fail(self.at, Kind::ExpectedKey);
                    }
                    let (start, previous) = (self.at, open.key);
                    open.state = State::Value;
                    let content = self.string()?;
                    self.check_order(previous, content, start)?;
                    open.key = content;
                    continue;
                }
                _ => {
                    let token = self.tokens.len() as u32;
                    let state = match byte {
                        b'0'..=b'9' => {
                            self.string()?;
                            None
                        }
                        b'i' => {
                            self.integer()?;
                            None
                        }
                        b'l' => Some((TokenKind::List, State::List)),
                        b'd' => Some((TokenKind::Dict, State::Key)),
                        _ => return self.fail(self.at, Kind::ExpectedValue),
                    };
                    if let Some((kind, state)) = state {
                        if stack.len() >= self.options.limits.depth {
                            return self.fail(self.at, Kind::TooDeep);
                        }
                        self.push(kind, 0)?;
                        self.at += 1;
                        stack.push(Open { token, state, key: (u32::MAX, 0) });
                        continue;
                    }
                }
            }
            // A value is complete.
            match stack.last_mut() {
                Some(open) if open.state == State::Value => open.state = State::Key,
                Some(_) => {}
                None => return self.push(TokenKind::End, 0),
            }
        }
    }

    fn push(&mut self, kind: TokenKind, header: u8) -> Result<(), DecodeError> {
        // One more than the limit: the mark at the end is not the input's.
        if self.tokens.len() > self.options.limits.tokens {
            return self.fail(self.at, Kind::TooManyTokens);
        }
        let next = self.tokens.len() as u32 + 1;
        self.tokens.push(Token { offset: self.at as u32, next, kind, header });
        Ok(())
    }

    fn check_order(&self, previous: (u32, u32), key: (u32, u32), offset: usize) -> Result<(), DecodeError> {
        if self.options.lenient || previous.0 == u32::MAX {
            return Ok(());
        }
        let content = |bounds: (u32, u32)| &self.input[bounds.0 as usize..bounds.1 as usize];
        match content(previous).cmp(content(key)) {
            std::cmp::Ordering::Less => Ok(()),
            std::cmp::Ordering::Equal => self.fail(offset, Kind::DuplicateKey),
            std::cmp::Ordering::Greater => self.fail(offset, Kind::UnsortedKeys),
        }
    }

    /// Takes a string and returns the bounds of its content.
    fn string(&mut self) -> Result<(u32, u32), DecodeError> {
        let start = self.at;
        let mut length = 0usize;
        let mut at = start;
        loop {
            match self.input.get(at) {
                Some(digit @ b'0'..=b'9') => {
                    length = length * 10 + usize::from(digit - b'0');
                    // Also bounds the digits, and so the header's length to a byte.
                    if length > self.input.len() || at - start >= 20 {
                        return self.fail(start, Kind::StringTooLong);
                    }
                    at += 1;
                }
                Some(b':') => break,
                Some(_) => return self.fail(at, Kind::ExpectedDigit),
                None => return self.fail(at, Kind::UnexpectedEnd),
            }
        }
        if !self.options.lenient && self.input[start] == b'0' && at - start > 1 {
            return self.fail(start, Kind::NonCanonicalNumber);
        }
        let content = at + 1;
        if length > self.input.len() - content {
            return self.fail(start, Kind::StringTooLong);
        }
        self.push(TokenKind::Bytes, (content - start) as u8)?;
        self.at = content + length;
        Ok((content as u32, self.at as u32))
    }

    fn integer(&mut self) -> Result<(), DecodeError> {
        let digits = self.at + 1 + usize::from(self.input.get(self.at + 1) == Some(&b'-'));
        let mut at = digits;
        while self.input.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        match self.input.get(at) {
            None => return self.fail(at, Kind::UnexpectedEnd),
            Some(b'e') if at > digits => {}
            Some(_) => return self.fail(at, Kind::ExpectedDigit),
        }
        let negative = digits > self.at + 1;
        let superfluous = self.input[digits] == b'0' && (negative || at - digits > 1);
        if superfluous && !self.options.lenient {
            return self.fail(digits, Kind::NonCanonicalNumber);
        }
        self.push(TokenKind::Int, 0)?;
        self.at = at + 1;
        Ok(())
    }
}
