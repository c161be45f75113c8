//! Pieces on files: the torrent's bytes are its files one after another (BEP 3).

/// One file of a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The safe relative path, components joined by `/`; for a tree, the torrent's name is its first component.
    pub path: String,
    /// Where the file begins in the torrent, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u64,
}

/// A run of bytes inside one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSpan {
    /// Index into [`Layout::files`].
    pub file: usize,
    /// Where the run begins in the file, in bytes.
    pub offset: u64,
    /// How long it is, in bytes; never zero.
    pub length: u64,
}

/// How a torrent's bytes lie on its files and in its pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    files: Vec<File>,
    piece_length: u32,
    total_length: u64,
}

impl Layout {
    /// Lays `files` (path and length) one after another. Lengths saturate; the parser checks for overflow.
    pub(crate) fn new(files: impl IntoIterator<Item = (String, u64)>, piece_length: u32) -> Self {
        let mut total_length = 0u64;
        let files = files
            .into_iter()
            .map(|(path, length)| {
                let offset = total_length;
                total_length = total_length.saturating_add(length);
                File { path, offset, length }
            })
            .collect();
        Self { files, piece_length: piece_length.max(1), total_length }
    }

    /// The files in the order of the torrent.
    #[must_use]
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The length of every piece but the last, in bytes.
    #[must_use]
    pub fn piece_length(&self) -> u32 {
        self.piece_length
    }

    /// The length of the torrent, in bytes.
    #[must_use]
    pub fn total_length(&self) -> u64 {
        self.total_length
    }

    /// How many pieces there are.
    #[must_use]
    pub fn piece_count(&self) -> u32 {
        self.total_length.div_ceil(u64::from(self.piece_length)) as u32
    }

    /// The length of piece `piece`, in bytes; zero past the end.
    #[must_use]
    pub fn piece_size(&self, piece: u32) -> u32 {
        let begin = u64::from(piece) * u64::from(self.piece_length);
        self.total_length.saturating_sub(begin).min(u64::from(self.piece_length)) as u32
    }

    /// The runs of file bytes that `length` bytes from `begin` in `piece` lie on, clipped at the torrent's end.
    #[must_use]
    pub fn spans(&self, piece: u32, begin: u32, length: u32) -> Spans<'_> {
        let start = u64::from(piece) * u64::from(self.piece_length) + u64::from(begin);
        self.spans_at(start, u64::from(length))
    }

    /// The runs of file bytes that `length` bytes from byte `start` of the torrent lie on.
    #[must_use]
    pub fn spans_at(&self, start: u64, length: u64) -> Spans<'_> {
        let end = start.saturating_add(length).min(self.total_length);
        // The last file that begins at or before `start`; empty files that begin there too come earlier.
        let file = self.files.partition_point(|file| file.offset <= start).saturating_sub(1);
        Spans { layout: self, file, at: start, end }
    }

    /// The pieces that hold bytes of `file`, as a half-open range.
    #[must_use]
    pub fn pieces_of(&self, file: usize) -> std::ops::Range<u32> {
        let Some(file) = self.files.get(file) else { return 0..0 };
        let piece_length = u64::from(self.piece_length);
        let first = (file.offset / piece_length) as u32;
        if file.length == 0 {
            return first..first;
        }
        first..(file.offset + file.length).div_ceil(piece_length) as u32
    }
}

/// The iterator of [`Layout::spans`].
#[derive(Clone, Debug)]
pub struct Spans<'l> {
    layout: &'l Layout,
    file: usize,
    at: u64,
    end: u64,
}

impl Iterator for Spans<'_> {
    type Item = FileSpan;
    fn next(&mut self) -> Option<FileSpan> {
        while self.at < self.end {
            let file = self.layout.files.get(self.file)?;
            let index = self.file;
            let file_end = file.offset + file.length;
            let start = self.at;
            if start < file_end {
                self.at = self.end.min(file_end);
                if self.at == file_end {
                    self.file += 1;
                }
                return Some(FileSpan { file: index, offset: start - file.offset, length: self.at - start });
            }
            self.file += 1;
        }
        None
    }
}
