//! The part file: bytes of wanted pieces that belong to files which are not wanted.
//!
//! ```text
//! 0    "downpour-parts 1"          16 bytes
//! 16   length of a piece           4 bytes, all numbers big-endian
//! 20   entries of the table        4 bytes: pieces + files of the torrent
//! 24   length of the torrent       8 bytes
//! 32   the table                   8 bytes an entry
//! …    the data, from the next multiple of 4096 on
//! ```
//!
//! What a piece has in a file is a *share*. The share of piece `p` in file `f` has entry `p + f`: from one share of a torrent
//! to the next, piece or file or both go up, so no two have the same. An entry is where in the part file the share's
//! bytes begin, 0 for a share that is not here. It is written after the bytes are synced, so an entry on disk
//! never leads to bytes that a crash has lost. No place is used twice: when the last share leaves, the file goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::path::Path;

use downpour_metainfo::Layout;

use crate::vectored::{read_at, write_at};
use crate::{Operation, StorageError};

const MAGIC: &[u8; 16] = b"downpour-parts 1";
const HEADER: u64 = 32;
const ENTRY: u64 = 8;
const ALIGNMENT: u64 = 4096;

/// What one piece has in one file: file, piece.
pub(crate) type Share = (usize, u32);

/// Which shares are in the part file, and where.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    shares: BTreeMap<Share, u64>,
    /// Those whose bytes are written, and whose entries are not.
    uncommitted: BTreeSet<Share>,
    /// Where the next share goes; 0 while there is no part file.
    end: u64,
}

impl Parts {
    /// Reads the table of the part file at `path`. A file that is not there, or not for this torrent, holds nothing.
    pub(crate) fn load(path: &Path, layout: &Layout) -> Result<Self, StorageError> {
        let fail = |operation, error| StorageError::new(operation, path, error);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(fail(Operation::Open, error)),
        };
        let length = file.metadata().map_err(|error| fail(Operation::Open, error))?.len();
        let data = data_start(layout);
        if length < data {
            return Ok(Self::default());
        }
        let mut table = vec![0; data as usize];
        read_at(&file, &mut &mut [IoSliceMut::new(&mut table)][..], 0, data)
            .map_err(|error| fail(Operation::Read, error))?;
        if table[..HEADER as usize] != header(layout) {
            return Ok(Self::default());
        }
        let mut parts = Self { end: length, ..Self::default() };
        if table[HEADER as usize..].iter().all(|byte| *byte == 0) {
            return Ok(parts);
        }
        for piece in 0..layout.piece_count() {
            for span in layout.spans(piece, 0, layout.piece_size(piece)) {
                let at = entry_at((span.file, piece)) as usize;
                let entry = table.get(at..at + ENTRY as usize).and_then(|bytes| bytes.try_into().ok());
                let position = u64::from_be_bytes(entry.unwrap_or_default());
                if position >= data && position.checked_add(span.length).is_some_and(|end| end <= length) {
                    parts.shares.insert((span.file, piece), position);
                }
            }
        }
        Ok(parts)
    }

    /// Where the bytes of `share` begin, if they are here.
    pub(crate) fn position(&self, share: Share) -> Option<u64> {
        self.shares.get(&share).copied()
    }

    pub(crate) fn shares(&self) -> impl Iterator<Item = Share> {
        self.shares.keys().copied()
    }

    pub(crate) fn shares_of(&self, file: usize) -> Vec<(Share, u64)> {
        self.shares.range((file, 0)..=(file, u32::MAX)).map(|(share, position)| (*share, *position)).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    /// Whether there is a part file that can be written to.
    pub(crate) fn exists(&self) -> bool {
        self.end > 0
    }

    /// Makes `file` an empty part file.
    pub(crate) fn create(&mut self, file: &File, layout: &Layout) -> io::Result<()> {
        file.set_len(0)?;
        file.set_len(data_start(layout))?;
        write_at(file, &mut &mut [IoSlice::new(&header(layout))][..], 0, HEADER)?;
        self.end = data_start(layout);
        Ok(())
    }

    /// The part file is gone, or goes.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// A place for the `length` bytes of `share`.
    pub(crate) fn allocate(&mut self, share: Share, length: u64) -> u64 {
        let position = self.end;
        self.end += length;
        self.shares.insert(share, position);
        position
    }

    /// Bytes of `share` are written: after the next sync its entry may be.
    pub(crate) fn written(&mut self, share: Share) {
        self.uncommitted.insert(share);
    }

    /// The shares whose bytes are written, but whose entries are not.
    pub(crate) fn uncommitted(&self) -> Vec<(Share, u64)> {
        self.uncommitted.iter().filter_map(|share| Some((*share, self.position(*share)?))).collect()
    }

    /// The entries of `shares` are on disk.
    pub(crate) fn committed(&mut self, shares: &[(Share, u64)]) {
        shares.iter().for_each(|(share, _)| {
            self.uncommitted.remove(share);
        });
    }

    /// Nothing of `file` is here any more.
    pub(crate) fn remove(&mut self, shares: &[(Share, u64)]) {
        for (share, _) in shares {
            self.shares.remove(share);
            self.uncommitted.remove(share);
        }
    }
}

/// Writes the entries of `shares`; a position of 0 takes one out.
pub(crate) fn write_entries(file: &File, shares: impl Iterator<Item = (Share, u64)>) -> io::Result<()> {
    for (share, position) in shares {
        let entry = position.to_be_bytes();
        write_at(file, &mut &mut [IoSlice::new(&entry)][..], entry_at(share), ENTRY)?;
    }
    Ok(())
}

fn entry_at((file, piece): Share) -> u64 {
    HEADER + ENTRY * (file as u64 + u64::from(piece))
}

fn entries(layout: &Layout) -> u32 {
    layout.piece_count().saturating_add(layout.files().len() as u32)
}

fn data_start(layout: &Layout) -> u64 {
    (HEADER + ENTRY * u64::from(entries(layout))).next_multiple_of(ALIGNMENT)
}

fn header(layout: &Layout) -> [u8; HEADER as usize] {
    let mut header = [0; HEADER as usize];
    header[..16].copy_from_slice(MAGIC);
    header[16..20].copy_from_slice(&layout.piece_length().to_be_bytes());
    header[20..24].copy_from_slice(&entries(layout).to_be_bytes());
    header[24..].copy_from_slice(&layout.total_length().to_be_bytes());
    header
}
