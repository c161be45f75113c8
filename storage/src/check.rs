//! What must be hashed before a torrent can go on. Pure: the disk's answers are arguments.

use std::fs::Metadata;
use std::time::UNIX_EPOCH;

use downpour_base::Bitfield;
use downpour_metainfo::Layout;

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

/// Which pieces are known good, and which have to be hashed to know. The rest is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckPlan {
    /// Known good without looking.
    pub good: Bitfield,
    /// To be hashed, ascending.
    pub to_hash: Vec<u32>,
}

/// Plans the check of a torrent whose files look like `on_disk` now.
///
/// - Without resume state, every piece whose bytes can be there is hashed.
/// - With the state of a clean stop, pieces are what it says as long as the files they lie on are unchanged;
///   pieces of changed files are hashed.
/// - With the state of a crash, what it records is good if the files are still long enough: it was synced. What it
///   does not record may have been written since, and is hashed.
#[must_use]
pub fn plan_check(layout: &Layout, resume: Option<&ResumeData>, on_disk: &[Option<FileStamp>]) -> CheckPlan {
    let resume = resume.filter(|resume| resume.have.len() == layout.piece_count());
    let clean = resume.and_then(|resume| resume.stamps.as_ref());
    let clean = clean.filter(|stamps| stamps.len() == layout.files().len());
    let mut plan = CheckPlan { good: Bitfield::new(layout.piece_count()), to_hash: Vec::new() };
    for piece in 0..layout.piece_count() {
        let spans = || layout.spans(piece, 0, layout.piece_size(piece));
        let present = |file: usize| on_disk.get(file).copied().flatten();
        let all_there = spans()
            .all(|span| present(span.file).is_some_and(|stamp| stamp.length >= span.offset + span.length));
        if !all_there {
            continue;
        }
        let recorded = resume.is_some_and(|resume| resume.have.contains(piece));
        let unchanged = clean.map(|stamps| spans().all(|span| stamps[span.file] == present(span.file)));
        match (unchanged, recorded) {
            (Some(true) | None, true) => {
                plan.good.insert(piece);
            }
            (Some(true), false) => {}
            (Some(false), _) | (None, false) => plan.to_hash.push(piece),
        }
    }
    plan
}
