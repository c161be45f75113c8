//! Four peers with different pieces: prints which piece is picked from whom, in order.

use downpour_base::{BLOCK_SIZE, ConnectionId, Instant, Seed};
use downpour_picker::{PeerPieces, Picker, Priority};

fn main() {
    const PIECES: u32 = 8;
    let mut picker = Picker::new(u64::from(PIECES * BLOCK_SIZE), BLOCK_SIZE, Seed::from_u64(1));
    picker.set_priority(7, Priority::TOP);
    picker.set_priority(6, Priority::SKIP);
    let peers: Vec<PeerPieces> = (1..=4)
        .map(|step| {
            let mut pieces = PeerPieces::none(PIECES);
            (0..PIECES).filter(|piece| piece % step == 0).for_each(|piece| {
                pieces.insert(piece);
            });
            picker.add_peer(&pieces);
            pieces
        })
        .collect();
    (0..PIECES).for_each(|piece| println!("piece {piece}: {} copies", picker.availability(piece)));

    let mut out = Vec::new();
    while !picker.is_finished() {
        for (number, pieces) in (0..).zip(&peers) {
            picker.pick(Instant::ORIGIN, ConnectionId(number), pieces, 1, u64::MAX, &mut out);
            for block in out.drain(..) {
                println!("ask peer {number} for piece {}", block.piece);
                picker.received(Instant::ORIGIN, ConnectionId(number), block);
                picker.piece_passed(block.piece);
            }
        }
    }
    println!("finished; piece 6 was not wanted: {:?}", picker.have());
}
