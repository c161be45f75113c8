//! What decodes strictly is what the encoder writes; what decodes at all can be walked.
#![no_main]

use downpour_bencode::{DecodeOptions, Document, Encoder, Kind, Limits, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let lenient = DecodeOptions::lenient(Limits::TORRENT).decode(input);
    match &lenient {
        Ok(document) => check(document.root(), input),
        Err(error) => assert!(error.offset <= input.len()),
    }
    match Document::decode(input) {
        Ok(document) => {
            assert!(lenient.is_ok(), "lenient takes less than strict");
            let mut out = Vec::new();
            encode(document.root(), Encoder::new(&mut out));
            assert_eq!(out, input);
        }
        Err(error) => assert!(error.offset <= input.len()),
    }
    if let Ok(document) = DecodeOptions::strict(Limits::MESSAGE).decode_prefix(input) {
        assert!(Document::decode(&input[..document.encoded_len()]).is_ok());
    }
});

/// Every value stands inside the one around it, and is a document of its own.
fn check(value: Value<'_, '_>, around: &[u8]) {
    assert!(around.as_ptr_range().contains(&value.raw().as_ptr()) && value.raw().len() <= around.len());
    let alone = DecodeOptions::lenient(Limits::TORRENT).decode(value.raw()).expect("a value");
    assert_eq!(alone.root().kind(), value.kind());
    let inside = value.raw();
    match value.kind() {
        Kind::Int => assert!(inside.len() >= 3),
        Kind::Bytes => assert!(inside.ends_with(value.as_bytes().expect("a string"))),
        // Not deeper: each level decodes everything below it again.
        Kind::List => value.as_list().expect("a list").iter().for_each(|item| {
            assert!(inside.as_ptr_range().contains(&item.raw().as_ptr()));
        }),
        Kind::Dict => value.as_dict().expect("a dictionary").iter().for_each(|(key, item)| {
            assert!(inside.as_ptr_range().contains(&item.raw().as_ptr()));
            assert!(value.as_dict().expect("a dictionary").get(key).is_some());
        }),
    }
}

fn encode(value: Value<'_, '_>, to: Encoder<'_>) {
    match value.kind() {
        Kind::Int => match value.as_int() {
            Some(number) => to.int(number),
            // More than 64 bits.
            None => to.raw(value.raw()),
        },
        Kind::Bytes => to.bytes(value.as_bytes().expect("a string")),
        Kind::List => to.list(|list| {
            value.as_list().expect("a list").iter().for_each(|item| encode(item, list.item()));
        }),
        Kind::Dict => to.dict(|dict| {
            let entries = value.as_dict().expect("a dictionary").iter();
            entries.for_each(|(key, item)| encode(item, dict.entry(key)));
        }),
    }
}
