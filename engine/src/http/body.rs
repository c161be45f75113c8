//! A body that is read and unpacked within a bound.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use hyper::header::{CONTENT_ENCODING, HeaderMap};

use super::error::HttpError;
use super::url::quoted;

/// Collects a body.
pub(super) struct Body {
    limit: usize,
    /// Bytes of the body as it came.
    received: usize,
    form: Form,
}

enum Form {
    Plain(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

/// Takes so many bytes and no more: a few bytes of gzip can stand for a thousand times as many.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
    exceeded: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.limit - self.bytes.len() {
            self.exceeded = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Body {
    pub(super) fn new(headers: &HeaderMap, limit: usize) -> Result<Self, HttpError> {
        let bounded = Bounded { bytes: Vec::new(), limit, exceeded: false };
        let form = match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes()) {
            None | Some(b"" | b"identity") => Form::Plain(bounded),
            Some(b"gzip" | b"x-gzip") => Form::Gzip(Box::new(MultiGzDecoder::new(bounded))),
            Some(other) => {
                let name = quoted(&String::from_utf8_lossy(other));
                return Err(HttpError::Encoding(format!("`{name}` was not asked for")));
            }
        };
        Ok(Self { limit, received: 0, form })
    }

    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), HttpError> {
        self.received = self.received.saturating_add(chunk.len());
        if self.received > self.limit {
            return Err(HttpError::TooLarge { limit: self.limit });
        }
        let (written, exceeded) = match &mut self.form {
            Form::Plain(bounded) => (bounded.write_all(chunk), bounded.exceeded),
            Form::Gzip(decoder) => (decoder.write_all(chunk), decoder.get_ref().exceeded),
        };
        self.check(written, exceeded)
    }

    pub(super) fn finish(mut self) -> Result<Vec<u8>, HttpError> {
        if let Form::Gzip(decoder) = &mut self.form
            && self.received > 0
        {
            let finished = decoder.try_finish();
            let exceeded = decoder.get_ref().exceeded;
            self.check(finished, exceeded)?;
        }
        Ok(match self.form {
            Form::Plain(bounded) => bounded.bytes,
            Form::Gzip(mut decoder) => std::mem::take(&mut decoder.get_mut().bytes),
        })
    }

    fn check(&self, done: io::Result<()>, exceeded: bool) -> Result<(), HttpError> {
        match done {
            Ok(()) => Ok(()),
            Err(_) if exceeded => Err(HttpError::TooLarge { limit: self.limit }),
            Err(error) => Err(HttpError::Encoding(format!("not proper gzip: {error}"))),
        }
    }
}
