//! Canonical output.

/// Writes one value at the end of a buffer.
#[derive(Debug)]
pub struct Encoder<'b> {
    out: &'b mut Vec<u8>,
}

impl<'b> Encoder<'b> {
    /// A writer at the end of `out`.
    pub fn new(out: &'b mut Vec<u8>) -> Self {
        Self { out }
    }

    /// The buffer, for those who write a value by other means.
    #[cfg(feature = "serde")]
    pub(crate) fn into_out(self) -> &'b mut Vec<u8> {
        self.out
    }

    /// Writes an integer.
    pub fn int(self, value: impl Into<i128>) {
        self.out.push(b'i');
        self.out.extend_from_slice(value.into().to_string().as_bytes());
        self.out.push(b'e');
    }

    /// Writes a byte string.
    pub fn bytes(self, content: impl AsRef<[u8]>) {
        let content = content.as_ref();
        self.out.extend_from_slice(content.len().to_string().as_bytes());
        self.out.push(b':');
        self.out.extend_from_slice(content);
    }

    /// Writes a value that is already encoded, such as [`Value::raw`](crate::Value::raw) of another document.
    pub fn raw(self, encoded: &[u8]) {
        self.out.extend_from_slice(encoded);
    }

    /// Writes a list, whose items `fill` writes.
    pub fn list(self, fill: impl FnOnce(&mut ListEncoder<'_>)) {
        self.out.push(b'l');
        fill(&mut ListEncoder { out: &mut *self.out });
        self.out.push(b'e');
    }

    /// Writes a dictionary, whose entries `fill` writes in any order.
    pub fn dict(self, fill: impl FnOnce(&mut DictEncoder<'_>)) {
        let mut dict = DictEncoder::open(self.out);
        fill(&mut dict);
        dict.close();
    }
}

/// The inside of a list.
#[derive(Debug)]
pub struct ListEncoder<'b> {
    out: &'b mut Vec<u8>,
}

impl ListEncoder<'_> {
    /// A writer for the next item, which must be used.
    pub fn item(&mut self) -> Encoder<'_> {
        Encoder { out: self.out }
    }
}

/// The inside of a dictionary.
#[derive(Debug)]
pub struct DictEncoder<'b> {
    out: &'b mut Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    key: Vec<u8>,
    start: usize,
}

impl<'b> DictEncoder<'b> {
    pub(crate) fn open(out: &'b mut Vec<u8>) -> Self {
        out.push(b'd');
        Self { out, entries: Vec::new() }
    }

    /// Writes the end, and gives the buffer back.
    pub(crate) fn close(mut self) -> &'b mut Vec<u8> {
        self.sort();
        self.out.push(b'e');
        self.out
    }

    /// Takes back the entry that was begun last, whose value turned out to be nothing.
    #[cfg(feature = "serde")]
    pub(crate) fn withdraw(&mut self) {
        if let Some(entry) = self.entries.pop() {
            self.out.truncate(entry.start);
        }
    }

    /// A writer for the value under `key`, which must be used. If a key is written twice, the last value stays.
    pub fn entry(&mut self, key: &[u8]) -> Encoder<'_> {
        self.entries.push(Entry { key: key.to_vec(), start: self.out.len() });
        Encoder { out: self.out }.bytes(key);
        Encoder { out: self.out }
    }

    /// Brings the entries into the order that BEP 3 asks for; no work if they were written so.
    fn sort(&mut self) {
        if self.entries.windows(2).all(|pair| pair[0].key < pair[1].key) {
            return;
        }
        let Some(base) = self.entries.first().map(|entry| entry.start) else { return };
        let written = self.out.split_off(base);
        let ends: Vec<usize> = self.entries.iter().skip(1).map(|entry| entry.start - base).collect();
        let mut ordered: Vec<(&Entry, &[u8])> = self
            .entries
            .iter()
            .zip(ends.into_iter().chain([written.len()]))
            .map(|(entry, end)| (entry, &written[entry.start - base..end]))
            .collect();
        ordered.sort_by(|a, b| a.0.key.cmp(&b.0.key));
        for (position, (entry, encoded)) in ordered.iter().enumerate() {
            let replaced = ordered.get(position + 1).is_some_and(|later| later.0.key == entry.key);
            if !replaced {
                self.out.extend_from_slice(encoded);
            }
        }
    }
}
