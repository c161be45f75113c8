//! Making a .torrent file.

use thiserror::Error;

use crate::creation::{Content, Creation};
use crate::entry::{Extra, Files};
use crate::limits::{MAX_PIECE_LENGTH, MAX_PIECES, MAX_V2_FILE_LENGTH};
use crate::path::safe_component;
use crate::{FileAttributes, HostPort, Layout, MetainfoError};

/// What can be wrong with what a torrent is to be made of.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No byte to share.
    #[error("there is no content: all files are empty")]
    Empty,
    /// A name that is unsafe on some platform, or used twice.
    #[error("the name `{0}` is unsafe on some platform, or used twice")]
    UnsafeName(String),
    /// The piece length is not a power of two from 16 KiB to 512 MiB.
    #[error("the piece length {0} is not a power of two from 16 KiB to 512 MiB")]
    PieceLength(u64),
    /// Too many pieces at this piece length.
    #[error("{0} pieces are more than 2^21: choose a larger piece length")]
    TooManyPieces(u64),
    /// A piece past the end.
    #[error("there is no piece {0}")]
    NoSuchPiece(u32),
    /// A piece whose hash was not given.
    #[error("the hash of piece {0} is missing")]
    MissingHash(u32),
    /// Another number of leaves than the piece has blocks of 16 KiB.
    #[error("piece {piece} has {expected} block(s), but {found} hash(es) were given")]
    LeafCount {
        /// The piece.
        piece: u32,
        /// How many blocks of it hold bytes of its file.
        expected: u32,
        /// How many hashes there are.
        found: usize,
    },
    /// A hash of a version that the torrent is not made for.
    #[error("the torrent is not made for the version of this hash")]
    OtherVersion,
    /// What was made cannot be read back, such as for the sum of its sizes.
    #[error("the torrent cannot be made: {0}")]
    Unusable(#[from] MetainfoError),
}

/// For which versions of the protocol a torrent is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TorrentVersion {
    /// BEP 3: what every client knows.
    #[default]
    V1,
    /// BEP 52: a hash tree for each file. Old clients do not know it.
    V2,
    /// Both in one: pad files (BEP 47) bring the files to where v2 wants them.
    Hybrid,
}

impl TorrentVersion {
    /// Whether pieces need SHA-1 hashes.
    #[must_use]
    pub fn has_v1(self) -> bool {
        self != Self::V2
    }

    /// Whether blocks need SHA-256 hashes.
    #[must_use]
    pub fn has_v2(self) -> bool {
        self != Self::V1
    }
}

/// What a torrent is to be made of.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) name: String,
    pub(crate) version: TorrentVersion,
    /// Whether the name is that of a folder.
    tree: bool,
    files: Vec<BuilderFile>,
    piece_length: Option<u64>,
    pub(crate) trackers: Vec<Vec<String>>,
    pub(crate) web_seeds: Vec<String>,
    pub(crate) http_seeds: Vec<String>,
    pub(crate) nodes: Vec<HostPort>,
    pub(crate) comment: Option<String>,
    pub(crate) created_by: Option<String>,
    pub(crate) creation_date: Option<i64>,
    pub(crate) private: bool,
    pub(crate) source: Option<String>,
}

/// A file: its path below the name (or the name, if there is no other), and what is said of it.
#[derive(Clone, Debug)]
struct BuilderFile {
    components: Vec<String>,
    length: u64,
    attributes: FileAttributes,
}

impl Builder {
    /// A torrent of one file.
    #[must_use]
    pub fn file(name: &str, length: u64) -> Self {
        Self::new(name, false, vec![(vec![name.to_owned()], length)])
    }

    /// A torrent of a folder `name`, with the path components below it and the length of each file. The order of the
    /// files is the order of a v1 torrent; v2 and hybrid torrents have that of their file tree, by the bytes of the
    /// names.
    #[must_use]
    pub fn tree(name: &str, files: Vec<(Vec<String>, u64)>) -> Self {
        Self::new(name, true, files)
    }

    fn new(name: &str, tree: bool, files: Vec<(Vec<String>, u64)>) -> Self {
        let file =
            |(components, length)| BuilderFile { components, length, attributes: FileAttributes::default() };
        Self {
            name: name.to_owned(),
            version: TorrentVersion::default(),
            tree,
            files: files.into_iter().map(file).collect(),
            piece_length: None,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            http_seeds: Vec::new(),
            nodes: Vec::new(),
            comment: None,
            created_by: None,
            creation_date: None,
            private: false,
            source: None,
        }
    }

    /// Sets for which versions of the protocol it is; [`TorrentVersion::V1`] unless this is called.
    #[must_use]
    pub fn version(mut self, version: TorrentVersion) -> Self {
        self.version = version;
        self
    }

    /// Says what kind of file the one at `index` of those given is (BEP 47). Pad files come by themselves: `pad` has no
    /// effect.
    #[must_use]
    pub fn attributes(mut self, index: usize, attributes: FileAttributes) -> Self {
        if let Some(file) = self.files.get_mut(index) {
            file.attributes = FileAttributes { pad: false, ..attributes };
        }
        self
    }

    /// Sets the length of a piece in bytes; without it, [`automatic_piece_length`] decides.
    #[must_use]
    pub fn piece_length(mut self, bytes: u64) -> Self {
        self.piece_length = Some(bytes);
        self
    }

    /// Adds a tracker in a tier of its own (BEP 12).
    #[must_use]
    pub fn tracker(mut self, url: &str) -> Self {
        self.trackers.push(vec![url.to_owned()]);
        self
    }

    /// Adds a tier of trackers: all of it are tried before the next tier (BEP 12).
    #[must_use]
    pub fn tier(mut self, urls: Vec<String>) -> Self {
        self.trackers.push(urls);
        self
    }

    /// Adds an HTTP or FTP server that has the files (BEP 19).
    #[must_use]
    pub fn web_seed(mut self, url: &str) -> Self {
        self.web_seeds.push(url.to_owned());
        self
    }

    /// Adds an HTTP server that has the pieces (BEP 17).
    #[must_use]
    pub fn http_seed(mut self, url: &str) -> Self {
        self.http_seeds.push(url.to_owned());
        self
    }

    /// Adds a node of the distributed hash table to start from (BEP 5).
    #[must_use]
    pub fn node(mut self, node: HostPort) -> Self {
        self.nodes.push(node);
        self
    }

    /// Sets the comment.
    #[must_use]
    pub fn comment(mut self, text: &str) -> Self {
        self.comment = Some(text.to_owned());
        self
    }

    /// Sets the name of the program that makes the torrent.
    #[must_use]
    pub fn created_by(mut self, text: &str) -> Self {
        self.created_by = Some(text.to_owned());
        self
    }

    /// Sets the date, in seconds since 1970.
    #[must_use]
    pub fn creation_date(mut self, seconds: i64) -> Self {
        self.creation_date = Some(seconds);
        self
    }

    /// Restricts peers to those of the trackers (BEP 27).
    #[must_use]
    pub fn private(mut self, private: bool) -> Self {
        self.private = private;
        self
    }

    /// Sets the tracker or group that the torrent is for: it gives the torrent an info-hash of its own.
    #[must_use]
    pub fn source(mut self, source: &str) -> Self {
        self.source = Some(source.to_owned());
        self
    }

    /// Checks names and sizes; what remains to be given are the hashes.
    ///
    /// # Errors
    /// If there is no content, a name is unsafe, or the piece length does not fit.
    pub fn create(mut self) -> Result<Creation, BuildError> {
        let length = self.files.iter().try_fold(0u64, |sum, file| sum.checked_add(file.length));
        let length = length.ok_or(MetainfoError::LengthOverflow)?;
        if length == 0 {
            return Err(BuildError::Empty);
        }
        let piece_length = self.piece_length.unwrap_or_else(|| automatic_piece_length(length));
        if !piece_length.is_power_of_two() || !(16 << 10..=MAX_PIECE_LENGTH).contains(&piece_length) {
            return Err(BuildError::PieceLength(piece_length));
        }
        if safe_component(self.name.as_bytes()) != self.name {
            return Err(BuildError::UnsafeName(self.name));
        }
        let mut content = std::mem::take(&mut self.files);
        if self.version.has_v2() {
            content.sort_by(|one, other| one.components.cmp(&other.components));
        }
        let layout = self.lay_out(&content, piece_length)?;
        let content = match self.tree {
            true => Content::Tree(content.into_iter().map(|file| file.components).collect()),
            false => Content::Single,
        };
        Ok(Creation::new(self, content, layout))
    }

    fn lay_out(&self, content: &[BuilderFile], piece_length: u64) -> Result<Layout, BuildError> {
        let mut files = Files::new(if self.tree { &self.name } else { "" }, Vec::new());
        // A file alone needs no padding: no other follows.
        let padded = self.version.has_v2() && content.len() > 1;
        for file in content {
            if self.version.has_v2() && file.length > MAX_V2_FILE_LENGTH {
                return Err(MetainfoError::LengthOverflow.into());
            }
            let extra = Extra::with(file.attributes);
            files.push(file.components.iter().map(String::as_bytes), file.length, &extra, None)?;
            let past = files.length() % piece_length;
            if padded && past > 0 {
                files.push_pad(piece_length - past)?;
            }
        }
        let pieces = files.length().div_ceil(piece_length);
        if pieces > MAX_PIECES {
            return Err(BuildError::TooManyPieces(pieces));
        }
        let (files, adjustments) = files.finish()?;
        match adjustments.into_iter().next() {
            Some(adjusted) => Err(BuildError::UnsafeName(adjusted.original)),
            None => Ok(Layout::new(files, piece_length as u32)),
        }
    }
}

/// A power of two that gives one to two thousand pieces, within 16 KiB to 16 MiB: small enough for peers to
/// trade soon, large enough for short piece lists.
#[must_use]
pub fn automatic_piece_length(total_length: u64) -> u64 {
    (total_length / 2048).next_power_of_two().clamp(16 << 10, 16 << 20)
}
