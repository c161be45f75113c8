//! Types to bencode and back.

use std::collections::BTreeMap;

use downpour_bencode::serde::{Error, from_bytes, from_value, to_vec};
use downpour_bencode::{DecodeErrorKind, DecodeOptions, Document, Limits};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes};

/// Fields out of order on purpose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    z: bool,
    #[serde(rename = "a long name")]
    numbers: (i8, u16, i64, u64),
    large: (i128, u128),
    text: String,
    character: char,
    bytes: ByteBuf,
    some: Option<u32>,
    nested: Vec<Vec<Choice>>,
    map: BTreeMap<String, Option<Wrapped>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(u32);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Choice {
    Nothing,
    One(String),
    Two(u8, ByteBuf),
    Named { b: Option<bool>, a: i64 },
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        Just(Choice::Nothing),
        any::<String>().prop_map(Choice::One),
        any::<(u8, Vec<u8>)>().prop_map(|(number, bytes)| Choice::Two(number, ByteBuf::from(bytes))),
        any::<(Option<bool>, i64)>().prop_map(|(b, a)| Choice::Named { b, a }),
    ]
}

fn everything() -> impl Strategy<Value = Everything> {
    let map =
        prop::collection::btree_map(any::<String>(), any::<u32>().prop_map(Wrapped).prop_map(Some), 0..4);
    let nested = prop::collection::vec(prop::collection::vec(choice(), 0..3), 0..3);
    let simple = any::<(bool, (i8, u16, i64, u64), (i128, u128), String, char, Vec<u8>, Option<u32>)>();
    (simple, nested, map).prop_map(|((z, numbers, large, text, character, bytes, some), nested, map)| {
        Everything { z, numbers, large, text, character, bytes: ByteBuf::from(bytes), some, nested, map }
    })
}

proptest! {
    #[test]
    fn round_trips(value in everything()) {
        let encoded = to_vec(&value).unwrap();
        prop_assert!(Document::decode(&encoded).is_ok(), "what is written is canonical");
        prop_assert_eq!(from_bytes::<Everything>(&encoded).unwrap(), value);
    }

    #[test]
    fn any_bytes_never_panic(input in prop::collection::vec(prop::sample::select(b"ilde0123456789:-ab".to_vec()), 0..40)) {
        // Whether it fits is the input's luck; an error must name a place in it.
        if let Err(Error::Mismatch { offset, .. }) = from_bytes::<BTreeMap<String, Choice>>(&input) {
            prop_assert!(offset < input.len());
        }
    }

    #[test]
    fn integers_are_taken_exactly_or_not_at_all(number: i128) {
        let encoded = format!("i{number}e");
        prop_assert_eq!(from_bytes::<i128>(encoded.as_bytes()).unwrap(), number);
        prop_assert_eq!(from_bytes::<i64>(encoded.as_bytes()).ok(), i64::try_from(number).ok());
        prop_assert_eq!(from_bytes::<u8>(encoded.as_bytes()).ok(), u8::try_from(number).ok());
        let small = number % 300;
        let encoded = format!("i{small}e");
        prop_assert_eq!(from_bytes::<u8>(encoded.as_bytes()).ok(), u8::try_from(small).ok());
        prop_assert_eq!(from_bytes::<i8>(encoded.as_bytes()).ok(), i8::try_from(small).ok());
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Torrent<'a> {
    announce: &'a str,
    #[serde(borrow)]
    info: Info<'a>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Info<'a> {
    #[serde(borrow)]
    files: Vec<File<'a>>,
    name: &'a str,
    #[serde(rename = "piece length")]
    piece_length: u32,
    #[serde(borrow)]
    pieces: &'a Bytes,
    private: Option<bool>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct File<'a> {
    length: u64,
    #[serde(borrow)]
    path: Vec<&'a str>,
}

const TORRENT: &[u8] = b"d8:announce8:http://t4:infod5:filesld6:lengthi5e4:pathl1:a1:beee4:name1:n\
12:piece lengthi16384e6:pieces3:\xff\x00\xfe7:privatei1eee";

#[test]
fn a_torrent_is_borrowed_from_the_input() {
    let torrent: Torrent<'_> = from_bytes(TORRENT).unwrap();
    assert_eq!(torrent.info.files, [File { length: 5, path: vec!["a", "b"] }]);
    assert_eq!(torrent.info.private, Some(true));
    let inside = TORRENT.as_ptr_range();
    assert!(inside.contains(&torrent.info.pieces.as_ptr()) && inside.contains(&torrent.announce.as_ptr()));
    assert_eq!(to_vec(&torrent).unwrap(), TORRENT);
}

#[test]
fn a_part_of_a_lenient_document_is_read_too() {
    let input = b"d4:infod4:name1:n5:filesle12:piece lengthi016e6:pieces0:eunread";
    let document = DecodeOptions::lenient(Limits::MESSAGE).decode_prefix(input).err();
    assert_eq!(document.unwrap().kind, DecodeErrorKind::ExpectedKey, "the outer dictionary does not end");
    let document = DecodeOptions::lenient(Limits::MESSAGE).decode_prefix(&input[7..]).unwrap();
    let info: Info<'_> = from_value(document.root()).unwrap();
    assert_eq!((info.name, info.piece_length), ("n", 16));
}

#[test]
fn nothing_is_left_out_of_dictionaries_and_refused_elsewhere() {
    let map = BTreeMap::from([("a", None), ("b", Some(1))]);
    assert_eq!(to_vec(&map).unwrap(), b"d1:bi1ee");
    assert_eq!(to_vec(&vec![Some(1), None]).unwrap_err(), Error::Nothing);
    assert_eq!(to_vec(&None::<u8>).unwrap_err(), Error::Nothing);
    assert_eq!(to_vec(&()).unwrap_err(), Error::Nothing);
    assert_eq!(to_vec(&Some(7)).unwrap(), b"i7e");
}

#[test]
fn floats_and_keys_that_are_no_strings_are_refused() {
    assert_eq!(to_vec(&[1.5]).unwrap_err(), Error::Float);
    assert_eq!(from_bytes::<f64>(b"i1e").unwrap_err(), Error::Float);
    assert_eq!(to_vec(&BTreeMap::from([(1, 2)])).unwrap_err(), Error::Key);
    assert_eq!(to_vec(&BTreeMap::from([((), 2)])).unwrap_err(), Error::Nothing);
    let bytes = BTreeMap::from([(ByteBuf::from(b"\xff:".to_vec()), 2)]);
    assert_eq!(to_vec(&bytes).unwrap(), b"d2:\xff:i2ee");
    assert_eq!(from_bytes::<BTreeMap<ByteBuf, i32>>(b"d2:\xff:i2ee").unwrap(), bytes);
}

#[test]
fn variants_are_strings_or_dictionaries_of_one_entry() {
    let cases: [(Choice, &[u8]); 4] = [
        (Choice::Nothing, b"7:Nothing"),
        (Choice::One("x".into()), b"d3:One1:xe"),
        (Choice::Two(1, ByteBuf::from(b"\xff".to_vec())), b"d3:Twoli1e1:\xffee"),
        (Choice::Named { b: None, a: -1 }, b"d5:Namedd1:ai-1eee"),
    ];
    for (choice, encoded) in cases {
        assert_eq!(to_vec(&choice).unwrap(), encoded);
        assert_eq!(from_bytes::<Choice>(encoded).unwrap(), choice);
    }
    for wrong in [&b"3:One"[..], b"de", b"d3:One1:x3:Twolee", b"d7:Nothing1:xe", b"i1e", b"d3:Twoli1e0:0:ee"]
    {
        assert!(from_bytes::<Choice>(wrong).is_err(), "{}", wrong.escape_ascii());
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Extended {
    v: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, Loose>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(i64),
    Text(String),
    Bytes(ByteBuf),
    List(Vec<Loose>),
}

#[test]
fn flattened_and_untagged_types_see_text_or_bytes() {
    let encoded = b"d1:ai-3e1:b2:hi1:c1:\xff1:dli1e1:xe1:v2:ube";
    let value: Extended = from_bytes(encoded).unwrap();
    assert_eq!(value.v.as_deref(), Some("ub"));
    assert_eq!(value.rest["a"], Loose::Number(-3));
    assert_eq!(value.rest["b"], Loose::Text("hi".into()));
    assert_eq!(value.rest["c"], Loose::Bytes(ByteBuf::from(b"\xff".to_vec())));
    assert_eq!(to_vec(&value).unwrap(), encoded);
}

#[test]
fn errors_name_the_byte() {
    let offset = |input: &[u8]| match from_bytes::<Torrent<'_>>(input).unwrap_err() {
        Error::Mismatch { offset, .. } => offset,
        other => panic!("{other}"),
    };
    assert_eq!(offset(b"i1e"), 0, "no dictionary");
    assert_eq!(offset(b"d8:announcei1ee"), 11, "no string");
    assert_eq!(offset(b"d8:announce1:\xffe"), 11, "no UTF-8");
    assert_eq!(offset(b"d8:announce1:a4:infod4:name1:nee"), 20, "a field is missing");
    assert_eq!(offset(b"d8:announce1:a4:infod5:filesld6:lengthi-1eeeee"), 38, "out of range");
    let error = from_bytes::<(u8, bool)>(b"li1ei2ee").unwrap_err();
    assert_eq!(error.to_string(), "at byte 4: invalid value: integer `2`, expected 0 or 1");
    let error = from_bytes::<(u8, u8)>(b"li1ei2ei3ee").unwrap_err();
    assert_eq!(error.to_string(), "at byte 0: the list has 1 more items than expected");
    let huge = format!("i{}e", "9".repeat(60));
    assert_eq!(
        from_bytes::<u128>(huge.as_bytes()).unwrap_err().to_string(),
        "at byte 0: the integer does not fit in 128 bits"
    );
    assert!(matches!(from_bytes::<u8>(b"i01e").unwrap_err(), Error::Decode(error) if error.offset == 1));
}
