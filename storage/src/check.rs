//! What must be hashed before a torrent can go on. Pure: the disk's answers are arguments.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::time::UNIX_EPOCH;

use downpour_base::Bitfield;
use downpour_metainfo::{FileSpan, Layout};

use crate::ResumeData;

/// What tells a file apart from one that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// Its length in bytes.
    pub length: u64,
    /// When it was last written to, in nanoseconds since 1970.
    pub modified_nanos: u64,
}

impl FileStamp {
    /// The stamp of a regular file.
    pub(crate) fn of(metadata: &Metadata) -> Option<Self> {
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified_nanos = modified.map_or(0, |since| since.as_nanos() as u64);
        metadata.is_file().then_some(Self { length: metadata.len(), modified_nanos })
    }
}

/// What the disk has of a torrent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnDisk {
    /// The torrent's files by index, `None` for one that is not there.
    pub files: Vec<Option<FileStamp>>,
    /// The part file, if it holds something.
    pub parts: Option<FileStamp>,
    /// What is in the part file: file and piece.
    pub in_parts: BTreeSet<(usize, u32)>,
}

/// Which pieces are known good, and which have to be hashed to know. The rest is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckPlan {
    /// Known good without looking.
    pub good: Bitfield,
    /// To be hashed, ascending.
    pub to_hash: Vec<u32>,
}

/// Plans the check of a torrent of which the disk has `on_disk` now.
///
/// - Without resume state, every piece whose bytes can be there is hashed.
/// - With the state of a clean stop, pieces are what it says as long as the files they lie on are unchanged;
///   pieces of changed files are hashed.
/// - With the state of a crash, what it records is good if the files are still long enough: it was synced. What it
///   does not record may have been written since, and is hashed.
/// - A piece of which something came to or left the part file since the state was saved is hashed.
#[must_use]
pub fn plan_check(layout: &Layout, resume: Option<&ResumeData>, on_disk: &OnDisk) -> CheckPlan {
    let resume = resume.filter(|resume| resume.have.len() == layout.piece_count());
    let clean = resume.and_then(|resume| resume.stamps.as_ref());
    let clean = clean.filter(|stamps| stamps.files.len() == layout.files().len());
    let mut plan = CheckPlan { good: Bitfield::new(layout.piece_count()), to_hash: Vec::new() };
    for piece in 0..layout.piece_count() {
        // Pad files are always there, and do not change.
        let is_stored = |span: &FileSpan| !layout.files()[span.file].is_pad();
        let spans = || layout.spans(piece, 0, layout.piece_size(piece)).filter(is_stored);
        let present = |file: usize| on_disk.files.get(file).copied().flatten();
        let in_parts = |span: &FileSpan| on_disk.in_parts.contains(&(span.file, piece));
        let is_there = |span: FileSpan| {
            in_parts(&span)
                || present(span.file).is_some_and(|stamp| stamp.length >= span.offset + span.length)
        };
        if !spans().all(is_there) {
            continue;
        }
        let recorded = resume.is_some_and(|resume| resume.have.contains(piece));
        let unmoved = |span: FileSpan| {
            resume.is_none_or(|resume| resume.in_parts.contains(&(span.file, piece)) == in_parts(&span))
        };
        let unchanged = |span: FileSpan| {
            clean.is_none_or(|stamps| match in_parts(&span) {
                true => stamps.parts == on_disk.parts,
                false => stamps.files[span.file] == present(span.file),
            })
        };
        let trusted = spans().all(unmoved) && spans().all(unchanged);
        match (trusted, recorded) {
            (true, true) => {
                plan.good.insert(piece);
            }
            (true, false) if clean.is_some() => {}
            _ => plan.to_hash.push(piece),
        }
    }
    plan
}
