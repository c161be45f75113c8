//! What it costs to pick and receive one block, by the number of pieces, with 1,000 peers.

#![allow(missing_docs)]

use std::collections::VecDeque;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use downpour_base::{BLOCK_SIZE, Bitfield, Block, ConnectionId, Instant, Rng, Seed};
use downpour_picker::{PeerPieces, Picker, Receipt};

const PEERS: usize = 1_000;
/// Blocks on their way: asked for and not yet received.
const ON_THE_WAY: usize = 1_000;
/// Pieces that are had before the oldest is lost again, so that a download goes on for ever.
const HAD: usize = 64;

/// Which pieces peer number `peer` has.
#[derive(Clone, Copy)]
enum Shape {
    /// Every piece by chance, of so many in a hundred.
    Random(u64),
    Seeds,
    /// The odd pieces; but every tenth peer the even ones, which are so the rarest.
    Odd,
}

impl Shape {
    fn peer(self, rng: &mut Rng, peer: usize, count: u32) -> PeerPieces {
        let mut bits = Bitfield::new(count);
        match self {
            Self::Random(percent) => (0..u64::from(count) * percent / 100).for_each(|_| {
                bits.insert(rng.below(u64::from(count)) as u32);
            }),
            Self::Seeds => return PeerPieces::all(count),
            Self::Odd => (u32::from(!peer.is_multiple_of(10))..count).step_by(2).for_each(|piece| {
                bits.insert(piece);
            }),
        }
        PeerPieces::from_bitfield(&bits)
    }
}

struct Download {
    picker: Picker,
    peers: Vec<PeerPieces>,
    rng: Rng,
    on_the_way: VecDeque<(ConnectionId, Block)>,
    had: VecDeque<u32>,
    out: Vec<Block>,
}

impl Download {
    fn new(shape: Shape, count: u32, blocks_per_piece: u32) -> Self {
        let mut rng = Rng::new(Seed::from_u64(1));
        let piece_length = blocks_per_piece * BLOCK_SIZE;
        let mut picker = Picker::new(u64::from(count) * u64::from(piece_length), piece_length, rng.fork());
        let peers: Vec<_> = (0..PEERS).map(|peer| shape.peer(&mut rng, peer, count)).collect();
        peers.iter().for_each(|pieces| picker.add_peer(pieces));
        let (on_the_way, had) = (VecDeque::new(), VecDeque::new());
        Self { picker, peers, rng, on_the_way, had, out: Vec::new() }
    }

    /// A peer, but none of those every tenth ones that have the rarest pieces.
    fn any_peer(&mut self) -> usize {
        let peer = self.rng.index(PEERS);
        peer + usize::from(peer.is_multiple_of(10))
    }

    fn pick(&mut self) -> Option<(ConnectionId, Block)> {
        let peer = self.any_peer();
        let connection = ConnectionId(peer as u64);
        self.out.clear();
        self.picker.pick(Instant::ORIGIN, connection, &self.peers[peer], 1, u64::MAX, &mut self.out);
        self.out.pop().map(|block| (connection, block))
    }

    /// Picks a block and receives one that was picked earlier.
    fn block(&mut self) {
        let picked = self.pick();
        self.on_the_way.extend(picked);
        if self.on_the_way.len() < ON_THE_WAY && picked.is_some() {
            return;
        }
        let Some((connection, block)) = self.on_the_way.pop_front() else { return };
        if let Receipt::Accepted { complete: true, .. } =
            self.picker.received(Instant::ORIGIN, connection, block)
        {
            self.picker.piece_passed(block.piece);
            self.had.push_back(block.piece);
        }
        if self.had.len() > HAD {
            let lost = self.had.pop_front().unwrap_or_default();
            self.picker.piece_lost(lost);
        }
    }

    /// Has all but 32 pieces, and asks one peer for every block of those.
    fn go_to_endgame(&mut self) {
        let count = self.picker.piece_count();
        (0..count)
            .filter(|piece| piece % (count / 32) != 7)
            .for_each(|piece| self.picker.piece_passed(piece));
        self.picker.pick(
            Instant::ORIGIN,
            ConnectionId(PEERS as u64),
            &self.peers[0],
            usize::MAX,
            u64::MAX,
            &mut self.out,
        );
    }

    /// Picks a block that others were asked for too, and gives it back.
    fn endgame(&mut self) {
        if let Some((connection, block)) = self.pick() {
            self.picker.abandon(connection, block);
        }
    }
}

fn picker(criterion: &mut Criterion) {
    let shapes = [
        ("half of the pieces", Shape::Random(50), 16),
        ("1 % of the pieces", Shape::Random(1), 16),
        ("seeds", Shape::Seeds, 16),
        ("odd pieces, even are rarest", Shape::Odd, 1),
    ];
    for (name, shape, blocks_per_piece) in shapes {
        let mut group = criterion.benchmark_group(format!("picker/{name}"));
        for power in [10, 15, 20] {
            let id = BenchmarkId::new("block", format!("2^{power}"));
            let mut download = Download::new(shape, 1 << power, blocks_per_piece);
            (0..2 * ON_THE_WAY).for_each(|_| download.block());
            group.bench_function(id, |b| b.iter(|| download.block()));
        }
        group.finish();
    }
    let mut group = criterion.benchmark_group("picker/endgame");
    for power in [10, 15, 20] {
        let mut download = Download::new(Shape::Seeds, 1 << power, 16);
        download.go_to_endgame();
        group.bench_function(BenchmarkId::new("block", format!("2^{power}")), |b| {
            b.iter(|| download.endgame())
        });
    }
    group.finish();
}

criterion_group!(benches, picker);
criterion_main!(benches);
