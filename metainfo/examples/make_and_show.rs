//! Makes a torrent of two files in memory, and shows on which files its pieces lie.

use downpour_metainfo::{Builder, Metainfo};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let content = [vec![1u8; 20_000], vec![2u8; 30_000]];
    let files = vec![(vec!["docs".into(), "one.txt".into()], 20_000), (vec!["two.bin".into()], 30_000)];
    let mut creation =
        Builder::tree("example", files).piece_length(16 << 10).comment("made by an example").create()?;

    // Where the bytes come from is the caller's business: here they are in memory.
    let layout = creation.layout().clone();
    for piece in 0..layout.piece_count() {
        let mut hasher = sha1_smol::Sha1::new();
        for span in layout.spans(piece, 0, layout.piece_size(piece)) {
            let start = span.offset as usize;
            hasher.update(&content[span.file][start..start + span.length as usize]);
        }
        creation.set_piece_hash(piece, hasher.digest().bytes())?;
    }

    let metainfo = Metainfo::parse(&creation.finish()?)?;
    println!("{} {}", metainfo.info.info_hash(), metainfo.info.name());
    for piece in 0..layout.piece_count() {
        for span in layout.spans(piece, 0, layout.piece_size(piece)) {
            let path = &layout.files()[span.file].path;
            println!("piece {piece}: {} bytes at {} of {path}", span.length, span.offset);
        }
    }
    Ok(())
}
