//! Files and pieces: which pieces a choice of files asks for, and how much of each file is here. Pure.

use downpour_base::Bitfield;
use downpour_metainfo::Layout;

/// The priority of a file that nobody chose one for, as in libtorrent: 0 is "don't download", 7 the highest.
pub const DEFAULT_PRIORITY: u8 = 4;

/// The priority that `piece` has from the files that it has bytes of: the highest of theirs. `of_file` says it by index.
///
/// Pad files have no say, unless a piece is all padding.
#[must_use]
pub fn piece_priority(layout: &Layout, of_file: impl Fn(usize) -> u8, piece: u32) -> u8 {
    let spans = layout.spans(piece, 0, layout.piece_size(piece));
    let files = spans.filter(|span| !layout.files()[span.file].is_pad()).map(|span| of_file(span.file));
    files.max().unwrap_or(DEFAULT_PRIORITY)
}

/// How much of each file is in the pieces of `have`, in bytes.
#[must_use]
pub fn file_progress(layout: &Layout, have: &Bitfield) -> Vec<u64> {
    let mut progress = vec![0; layout.files().len()];
    for piece in have.iter().filter(|piece| *piece < layout.piece_count()) {
        for span in layout.spans(piece, 0, layout.piece_size(piece)) {
            progress[span.file] += span.length;
        }
    }
    progress
}
