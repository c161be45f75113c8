//! How fast uTP packets are read and written, and what two endpoints carry between them.

#![allow(missing_docs)]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use downpour_base::{Instant, Machine as _, Seed};
use downpour_utp::{Datagram, Endpoint, Read, Settings, StreamId};

const BYTES: usize = 16 << 20;

fn address(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 6881))
}

struct Pair {
    now: Instant,
    sides: [Endpoint; 2],
    ids: [StreamId; 2],
    buffer: Vec<u8>,
    packets: usize,
}

impl Pair {
    fn new() -> Self {
        let settings = Settings::default();
        let mut sides = [1, 2].map(|n| Endpoint::new(Seed::from_u64(n), settings));
        let now = Instant::from_nanos(1_000_000);
        let id = sides[0].connect(now, address(1)).expect("room");
        let mut pair = Self { now, sides, ids: [id; 2], buffer: Vec::new(), packets: 0 };
        (0..3).for_each(|_| pair.turn());
        pair.ids[1] = pair.sides[1].accept().expect("connected").0;
        pair
    }

    /// Carries all datagrams there and back; half a millisecond passes.
    fn turn(&mut self) {
        for from in [0, 1] {
            while let Some(transmit) = self.sides[from].poll_transmit(self.now, 64, &mut self.buffer) {
                // One buffer for a run of datagrams, as a socket with GRO gives it.
                let run = Bytes::copy_from_slice(&self.buffer);
                for at in (0..run.len()).step_by(transmit.segment_size) {
                    let payload = run.slice(at..run.len().min(at + transmit.segment_size));
                    self.sides[1 - from]
                        .handle_input(self.now, Datagram { from: address(from as u8), payload });
                    self.packets += 1;
                }
            }
        }
        self.now += Duration::from_micros(500);
        self.sides.iter_mut().for_each(|side| {
            side.handle_timeout(self.now);
            while side.poll_output().is_some() {}
        });
    }

    /// Sends `length` bytes from 0 to 1, and as many back if `both`; returns how many packets that took.
    fn transfer(&mut self, content: &Bytes, both: bool) -> usize {
        let mut left = [content.clone(), if both { content.clone() } else { Bytes::new() }];
        let mut expected = left[0].len() + left[1].len();
        while expected > 0 {
            for (at, left) in left.iter_mut().enumerate() {
                self.sides[at].write(self.now, self.ids[at], left).expect("open");
            }
            self.turn();
            for at in [0, 1] {
                while let Ok(Read::Data(data)) = self.sides[at].read(self.now, self.ids[at]) {
                    expected -= data.len();
                }
            }
        }
        self.packets
    }
}

fn utp(criterion: &mut Criterion) {
    let content = Bytes::from(downpour_benches::noise(BYTES));
    let mut group = criterion.benchmark_group("utp");
    group.sample_size(10);
    for (name, both) in [("one way", false), ("both ways", true)] {
        let bytes = BYTES as u64 * if both { 2 } else { 1 };
        group.throughput(Throughput::Bytes(bytes));
        group.bench_function(format!("bytes {name}"), |b| {
            b.iter_batched(Pair::new, |mut pair| pair.transfer(&content, both), BatchSize::LargeInput);
        });
        let packets = Pair::new().transfer(&content, both);
        group.throughput(Throughput::Elements(packets as u64));
        group.bench_function(format!("packets {name}"), |b| {
            b.iter_batched(Pair::new, |mut pair| pair.transfer(&content, both), BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, utp);
criterion_main!(benches);
