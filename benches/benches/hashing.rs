//! SHA-1 with the CPU's instructions (`sha1`, for content) beside the small portable one (`sha1_smol`, for
//! info-hashes).

#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sha1::{Digest, Sha1};

fn hashing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sha1");
    for length in [64usize, 16 << 10, 1 << 20] {
        let input = downpour_benches::noise(length);
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_with_input(BenchmarkId::new("sha1", length), &input, |b, input| {
            b.iter(|| -> [u8; 20] { Sha1::digest(black_box(input)).into() });
        });
        group.bench_with_input(BenchmarkId::new("sha1_smol", length), &input, |b, input| {
            b.iter(|| sha1_smol::Sha1::from(black_box(input)).digest().bytes());
        });
    }
    group.finish();
}

criterion_group!(benches, hashing);
criterion_main!(benches);
