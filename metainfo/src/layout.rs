//! Pieces on files: the torrent's bytes are its files one after another (BEP 3).

/// What a torrent says about a file besides its name and length (BEP 47).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileAttributes {
    /// Zeros that fill a piece up, so that the next file begins with a piece. Never on disk.
    pub pad: bool,
    /// Not listed by default.
    pub hidden: bool,
    /// A program.
    pub executable: bool,
}

/// One file of a torrent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct File {
    /// The safe relative path, components joined by `/`; for a tree, the torrent's name is its first component.
    /// No two files share one, but pad files may, which are never on disk.
    pub path: String,
    /// Where the file begins in the torrent, in bytes.
    pub offset: u64,
    /// How long it is, in bytes; zero for symbolic links.
    pub length: u64,
    /// What BEP 47 says of it.
    pub attributes: FileAttributes,
    /// For a symbolic link: the file or folder of this torrent that it stands for, in the form of `path` (BEP 47).
    pub symlink_target: Option<String>,
    /// The root of the file's Merkle tree (BEP 52): for files with content, in v2 and hybrid torrents.
    pub pieces_root: Option<[u8; 32]>,
}

impl File {
    /// Whether this is a pad file: zeros that are part of pieces and never on disk (BEP 47).
    #[must_use]
    pub fn is_pad(&self) -> bool {
        self.attributes.pad
    }

    /// Whether this is a symbolic link (BEP 47).
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        self.symlink_target.is_some()
    }
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
///
/// The files tile the torrent without gaps. In v2 and hybrid torrents every file with content begins with a piece;
/// pad files fill the gaps, also where a v2 torrent has none in writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    files: Vec<File>,
    piece_length: u32,
    total_length: u64,
}

impl Layout {
    /// Lays `files` one after another and sets their offsets. Lengths saturate; the parser checks for overflow.
    pub(crate) fn new(mut files: Vec<File>, piece_length: u32) -> Self {
        let mut total_length = 0u64;
        for file in &mut files {
            file.offset = total_length;
            total_length = total_length.saturating_add(file.length);
        }
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

    /// The length of the torrent with its pad files, in bytes.
    #[must_use]
    pub fn total_length(&self) -> u64 {
        self.total_length
    }

    /// The length of all files but the pad files, in bytes: what is worth downloading.
    #[must_use]
    pub fn payload_length(&self) -> u64 {
        self.files.iter().filter(|file| !file.is_pad()).map(|file| file.length).sum()
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

    /// The runs of file bytes that `length` bytes from `begin` in `piece` lie on, clipped at the torrent's end. Runs
    /// on pad files are among them.
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
