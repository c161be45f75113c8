//! Decoding and encoding are inverse, bounded, and never panic.

use std::collections::BTreeMap;

use downpour_bencode::*;
use proptest::prelude::*;

/// The naive twin: an owned tree with a recursive writer.
#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Tree>),
    Dict(BTreeMap<Vec<u8>, Tree>),
}

impl Tree {
    fn naive(&self) -> Vec<u8> {
        let bytes = |content: &[u8]| [format!("{}:", content.len()).as_bytes(), content].concat();
        match self {
            Tree::Int(value) => format!("i{value}e").into_bytes(),
            Tree::Bytes(content) => bytes(content),
            Tree::List(items) => {
                [b"l".to_vec(), items.iter().flat_map(Tree::naive).collect(), b"e".to_vec()].concat()
            }
            Tree::Dict(entries) => {
                let inside = entries.iter().flat_map(|(key, value)| [bytes(key), value.naive()].concat());
                [b"d".to_vec(), inside.collect(), b"e".to_vec()].concat()
            }
        }
    }

    fn encode(&self, to: Encoder<'_>, backwards: bool) {
        match self {
            Tree::Int(value) => to.int(*value),
            Tree::Bytes(content) => to.bytes(content),
            Tree::List(items) => {
                to.list(|list| items.iter().for_each(|item| item.encode(list.item(), backwards)))
            }
            Tree::Dict(entries) => to.dict(|dict| {
                let mut entries: Vec<_> = entries.iter().collect();
                if backwards {
                    entries.reverse();
                }
                entries.iter().for_each(|(key, value)| value.encode(dict.entry(key), backwards));
            }),
        }
    }

    fn of(value: Value<'_, '_>) -> Tree {
        match value.kind() {
            Kind::Int => Tree::Int(value.as_int().expect("within 64 bits")),
            Kind::Bytes => Tree::Bytes(value.as_bytes().unwrap().to_vec()),
            Kind::List => Tree::List(value.as_list().unwrap().iter().map(Tree::of).collect()),
            Kind::Dict => Tree::Dict(
                value.as_dict().unwrap().iter().map(|(key, value)| (key.to_vec(), Tree::of(value))).collect(),
            ),
        }
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Tree::Int),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Tree::Bytes),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Tree::List),
            prop::collection::btree_map(prop::collection::vec(any::<u8>(), 0..6), inner, 0..6)
                .prop_map(Tree::Dict),
        ]
    })
}

proptest! {
    #[test]
    fn round_trips(tree in tree(), backwards: bool) {
        let mut encoded = Vec::new();
        tree.encode(Encoder::new(&mut encoded), backwards);
        prop_assert_eq!(&encoded, &tree.naive());
        let document = Document::decode(&encoded).unwrap();
        prop_assert_eq!(Tree::of(document.root()), tree);
        prop_assert_eq!(document.root().raw(), &encoded[..]);
    }

    #[test]
    fn a_span_is_a_document_of_its_own(tree in tree()) {
        let encoded = tree.naive();
        let document = Document::decode(&encoded).unwrap();
        if let Some(dict) = document.root().as_dict() {
            for (key, value) in dict {
                prop_assert_eq!(Tree::of(Document::decode(value.raw()).unwrap().root()), Tree::of(value));
                prop_assert_eq!(&encoded[value.span()], value.raw());
                prop_assert_eq!(dict.get(key).unwrap().span(), value.span());
            }
        }
    }

    #[test]
    fn strict_takes_only_what_the_encoder_writes(input in prop::collection::vec(prop::sample::select(b"ilde0123456789:-ab".to_vec()), 0..40)) {
        if let Ok(document) = Document::decode(&input) {
            prop_assume!(input.iter().filter(|byte| byte.is_ascii_digit()).count() < 18);
            prop_assert_eq!(Tree::of(document.root()).naive(), input);
        }
    }

    #[test]
    fn any_bytes_never_panic(input in prop::collection::vec(any::<u8>(), 0..200), depth in 0usize..4, tokens in 0usize..8) {
        for options in [DecodeOptions::strict(Limits { depth, tokens }), DecodeOptions::lenient(Limits::MESSAGE)] {
            match options.decode_prefix(&input) {
                Ok(document) => {
                    let shown = format!("{:?}", document.root());
                    prop_assert!(document.encoded_len() <= input.len() && !shown.is_empty());
                }
                Err(error) => prop_assert!(error.offset <= input.len()),
            }
        }
    }

    #[test]
    fn every_truncation_is_an_error(tree in tree()) {
        let encoded = tree.naive();
        for end in 0..encoded.len() {
            prop_assert!(Document::decode(&encoded[..end]).is_err());
        }
    }
}

fn error(input: &[u8]) -> (usize, DecodeErrorKind) {
    let error = Document::decode(input).unwrap_err();
    (error.offset, error.kind)
}

#[test]
fn each_broken_rule_has_its_name_and_place() {
    use DecodeErrorKind::*;
    assert_eq!(error(b""), (0, UnexpectedEnd));
    assert_eq!(error(b"x"), (0, ExpectedValue));
    assert_eq!(error(b"e"), (0, ExpectedValue));
    assert_eq!(error(b"di1ei2ee"), (1, ExpectedKey));
    assert_eq!(error(b"d1:ae"), (4, MissingValue));
    assert_eq!(error(b"ie"), (1, ExpectedDigit));
    assert_eq!(error(b"i-e"), (2, ExpectedDigit));
    assert_eq!(error(b"i1x"), (2, ExpectedDigit));
    assert_eq!(error(b"i-0e"), (2, NonCanonicalNumber));
    assert_eq!(error(b"i03e"), (1, NonCanonicalNumber));
    assert_eq!(error(b"01:a"), (0, NonCanonicalNumber));
    assert_eq!(error(b"5:abc"), (0, StringTooLong));
    assert_eq!(error(b"99999999999999999999999999:a"), (0, StringTooLong));
    assert_eq!(error(b"1a:"), (1, ExpectedDigit));
    assert_eq!(error(b"d1:bi1e1:ai1ee"), (7, UnsortedKeys));
    assert_eq!(error(b"d1:ai1e1:ai1ee"), (7, DuplicateKey));
    assert_eq!(error(b"i1ei2e"), (3, TrailingData));
    assert_eq!(error(&[b'l'; 200]), (100, TooDeep));
}

#[test]
fn limits_hold_exactly() {
    let decode =
        |depth, tokens| DecodeOptions::strict(Limits { depth, tokens }).decode(b"lli1eee").map(|_| ());
    assert_eq!(decode(2, 5), Ok(()));
    assert_eq!(decode(1, 5).unwrap_err().kind, DecodeErrorKind::TooDeep);
    assert_eq!(decode(2, 4).unwrap_err().kind, DecodeErrorKind::TooManyTokens);
}

#[test]
fn lenient_takes_what_is_in_the_wild() {
    let options = DecodeOptions::lenient(Limits::MESSAGE);
    let document = options.decode(b"d1:bi-0e1:ai007e1:ai8e02:xxlee").unwrap();
    let dict = document.root().as_dict().unwrap();
    assert_eq!(dict.get(b"a").unwrap().as_int(), Some(7), "the first of two");
    assert_eq!(dict.get(b"b").unwrap().as_int(), Some(0));
    assert_eq!(options.decode_prefix(b"i1erest").unwrap().encoded_len(), 3);
}

#[test]
fn integers_reach_to_both_ends_of_64_bits_and_no_further() {
    let int = |text: &str| Document::decode(text.as_bytes()).unwrap().root().as_int();
    assert_eq!(int("i9223372036854775807e"), Some(i64::MAX));
    assert_eq!(int("i-9223372036854775808e"), Some(i64::MIN));
    assert_eq!(int("i9223372036854775808e"), None);
    assert_eq!(int("i-9223372036854775809e"), None);
}

#[test]
fn a_key_written_twice_keeps_the_last_value() {
    let mut out = Vec::new();
    Encoder::new(&mut out).dict(|dict| {
        dict.entry(b"a").int(1);
        dict.entry(b"a").int(2);
    });
    assert_eq!(out, b"d1:ai2ee");
}
