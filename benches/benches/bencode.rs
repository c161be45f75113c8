//! Decoding whole torrents: ours beside bendy, serde_bencode and bt_bencode.
//!
//! Ours and bendy's token decoder also walk everything they decoded, and read every number and string: both put
//! off work that the others do at once.

#![allow(missing_docs)]

use std::hint::black_box;

use bendy::decoding::{Decoder, FromBencode, Object};
use bt_bencode::ByteString;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use downpour_bencode::{DecodeOptions, Kind, Limits, Value};
use serde::Deserialize;

/// What a program wants of a torrent; `S` is a string, owned or borrowed.
#[derive(Deserialize)]
#[serde(bound(deserialize = "S: Deserialize<'de>"))]
struct Torrent<S> {
    announce: S,
    info: Info<S>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "S: Deserialize<'de>"))]
struct Info<S> {
    name: S,
    #[serde(rename = "piece length")]
    piece_length: u32,
    pieces: ByteString,
    length: Option<u64>,
    files: Option<Vec<File<S>>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "S: Deserialize<'de>"))]
struct File<S> {
    length: u64,
    path: Vec<S>,
}

impl<S: AsRef<str>> Torrent<S> {
    /// Uses every field, so that none is left out of the decoding.
    fn walk(&self) -> u64 {
        let files = self.info.files.iter().flatten();
        let files =
            files.map(|file| file.length + file.path.iter().map(|s| s.as_ref().len() as u64).sum::<u64>());
        let info = &self.info;
        files.sum::<u64>()
            + info.length.unwrap_or(0)
            + u64::from(info.piece_length)
            + (info.name.as_ref().len() + info.pieces.len() + self.announce.as_ref().len()) as u64
    }
}

/// The sum of all numbers and of the lengths of all strings and keys.
fn walk(value: Value<'_, '_>) -> u64 {
    match value.kind() {
        Kind::Int => value.as_int().unwrap_or(0) as u64,
        Kind::Bytes => value.as_bytes().unwrap_or_default().len() as u64,
        Kind::List => value.as_list().into_iter().flatten().map(walk).sum(),
        Kind::Dict => {
            let entries = value.as_dict().into_iter().flatten();
            entries.map(|(key, value)| key.len() as u64 + walk(value)).sum()
        }
    }
}

/// The same on bendy's objects.
fn walk_bendy(object: Object<'_, '_>) -> u64 {
    let mut sum = 0;
    match object {
        Object::Integer(number) => sum += number.parse::<i64>().unwrap_or(0) as u64,
        Object::Bytes(bytes) => sum += bytes.len() as u64,
        Object::List(mut list) => {
            while let Some(item) = list.next_object().expect("valid") {
                sum += walk_bendy(item);
            }
        }
        Object::Dict(mut dict) => {
            while let Some((key, value)) = dict.next_pair().expect("valid") {
                sum += key.len() as u64 + walk_bendy(value);
            }
        }
    }
    sum
}

fn ours(options: DecodeOptions, input: &[u8]) -> u64 {
    walk(options.decode(input).expect("valid").root())
}

fn bendy_tokens(input: &[u8]) -> u64 {
    walk_bendy(Decoder::new(input).next_object().expect("valid").expect("an object"))
}

fn case(criterion: &mut Criterion, name: &str, input: &[u8], typed: bool) {
    let (strict, lenient) = (DecodeOptions::strict(Limits::TORRENT), DecodeOptions::lenient(Limits::TORRENT));
    assert_eq!(ours(strict, input), bendy_tokens(input), "both see the same torrent");
    let mut group = criterion.benchmark_group(format!("bencode/{name}"));
    group.throughput(Throughput::Bytes(input.len() as u64));
    group.bench_function("downpour strict", |b| b.iter(|| ours(strict, black_box(input))));
    group.bench_function("downpour lenient", |b| b.iter(|| ours(lenient, black_box(input))));
    group.bench_function("bendy tokens", |b| b.iter(|| bendy_tokens(black_box(input))));
    group.bench_function("bendy value", |b| {
        // `from_bencode` allows its values no depth at all.
        b.iter(|| {
            let mut decoder = Decoder::new(black_box(input)).with_max_depth(100);
            let object = decoder.next_object().expect("valid").expect("an object");
            bendy::value::Value::decode_bencode_object(object).expect("valid")
        });
    });
    group.bench_function("serde_bencode value", |b| {
        b.iter(|| serde_bencode::from_bytes::<serde_bencode::value::Value>(black_box(input)).expect("valid"));
    });
    group.bench_function("bt_bencode value", |b| {
        b.iter(|| bt_bencode::from_slice::<bt_bencode::Value>(black_box(input)).expect("valid"));
    });
    if typed {
        group.bench_function("downpour typed", |b| {
            b.iter(|| {
                downpour_bencode::serde::from_bytes::<Torrent<&str>>(black_box(input)).expect("valid").walk()
            });
        });
        group.bench_function("serde_bencode typed", |b| {
            b.iter(|| serde_bencode::from_bytes::<Torrent<String>>(black_box(input)).expect("valid").walk());
        });
        group.bench_function("bt_bencode typed", |b| {
            b.iter(|| bt_bencode::from_slice::<Torrent<&str>>(black_box(input)).expect("valid").walk());
        });
    }
    group.finish();
}

fn bencode(criterion: &mut Criterion) {
    case(criterion, "20,000 files", &downpour_benches::many_files(), true);
    // A file tree has names as keys, which no plain struct describes.
    case(criterion, "v2 file tree", &downpour_benches::file_tree(), false);
    case(criterion, "1 MiB of hashes", &downpour_benches::piece_hashes(), true);
}

criterion_group!(benches, bencode);
criterion_main!(benches);
