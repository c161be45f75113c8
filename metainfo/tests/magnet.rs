//! Magnet links.

use downpour_base::{InfoHash, InfoHashV1, InfoHashV2};
use downpour_metainfo::limits::MAX_MAGNET_BYTES;
use downpour_metainfo::{Builder, FileSelection, HostPort, Magnet, MagnetError, Metainfo};
use proptest::prelude::*;

const V1: &str = "0123456789abcdef0123456789abcdef01234567";
const V2: &str = "caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e";

fn parse(text: &str) -> Result<Magnet, MagnetError> {
    text.parse()
}

#[test]
fn everything_of_the_beps_is_read() {
    let link = format!(
        "magnet:?xt=urn:btih:{V1}&xt=urn:btmh:1220{V2}&dn=a%20n%C3%A4me&xl=12&tr=http%3A%2F%2Ft%2Fannounce&tr=udp://u:1\
         &ws=https://w/x&x.pe=1.2.3.4:6881&x.pe=[2001:db8::1]:1&x.pe=host.example:80&so=0,2,4,6-8&unknown=1"
    );
    let magnet = parse(&link).unwrap();
    assert_eq!(magnet.info_hash, InfoHash::Hybrid(V1.parse().unwrap(), V2.parse().unwrap()));
    assert_eq!(magnet.name.as_deref(), Some("a näme"));
    assert_eq!(magnet.length, Some(12));
    assert_eq!(magnet.trackers, ["http://t/announce", "udp://u:1"]);
    assert_eq!(magnet.web_seeds, ["https://w/x"]);
    let peers: Vec<String> = magnet.peers.iter().map(HostPort::to_string).collect();
    assert_eq!(peers, ["1.2.3.4:6881", "[2001:db8::1]:1", "host.example:80"]);
    let selection = magnet.select_only.unwrap();
    let chosen: Vec<usize> = (0..12).filter(|index| selection.contains(*index)).collect();
    assert_eq!(chosen, [0, 2, 4, 6, 7, 8]);
}

#[test]
fn old_and_odd_spellings_are_read() {
    let base32 = parse("MAGNET:?xt=urn:btih:MZXW6YTBOJTG633CMFZGM33PMJQXEZTP").unwrap();
    assert_eq!(base32.info_hash, InfoHash::V1(InfoHashV1(*b"foobarfoobarfoobarfo")));
    for link in [
        format!("magnet:?dn=x&amp;xt.1=urn:btih:{V1}&amp;xt.2=urn:sha1:whatever"),
        format!(" magnet:?xt=URN:BTIH:{}&tr=nonsense&x.pe=nonsense&xl=-1\n", V1.to_uppercase()),
        format!("magnet:?xt=urn%3Abtih%3A{V1}&xt=urn:btih:{V1}"),
    ] {
        assert_eq!(
            parse(&link).map(|magnet| magnet.info_hash),
            Ok(InfoHash::V1(V1.parse().unwrap())),
            "{link}"
        );
    }
}

#[test]
fn a_plus_is_a_space_in_names_only() {
    let magnet = parse(&format!("magnet:?xt=urn:btih:{V1}&dn=a+b%2Bc&tr=http://t/a+b")).unwrap();
    assert_eq!(magnet.name.as_deref(), Some("a b+c"));
    assert_eq!(magnet.trackers, ["http://t/a+b"]);
}

#[test]
fn what_is_wrong_is_named() {
    let other = V1.replace('0', "1");
    for (link, error) in [
        ("http://example".to_owned(), MagnetError::NotAMagnet),
        ("magnet:?dn=x".to_owned(), MagnetError::NoTopic),
        ("magnet:?xt=urn:btih:".to_owned(), MagnetError::InvalidBtih),
        (format!("magnet:?xt=urn:btih:{}", &V1[1..]), MagnetError::InvalidBtih),
        ("magnet:?xt=urn:btih:0ZXW6YTBOJTG633CMFZGM33PMJQXEZTP".to_owned(), MagnetError::InvalidBtih),
        (format!("magnet:?xt=urn:btmh:{V2}"), MagnetError::InvalidBtmh),
        (format!("magnet:?xt=urn:btih:{V1}&xt=urn:btih:{other}"), MagnetError::ConflictingTopics),
        (format!("magnet:?xt=urn:btih:{V1}&so=3-1"), MagnetError::InvalidSelection),
        (format!("magnet:?xt=urn:btih:{V1}&so=4294967295"), MagnetError::InvalidSelection),
        (format!("magnet:?{}", "a=b&".repeat(10_001)), MagnetError::TooManyParameters),
        (format!("magnet:?{}", "a".repeat(MAX_MAGNET_BYTES)), MagnetError::TooLong(MAX_MAGNET_BYTES + 8)),
    ] {
        assert_eq!(parse(&link), Err(error), "{}", &link[..link.len().min(100)]);
    }
}

#[test]
fn a_torrent_gives_its_link() {
    let mut creation =
        Builder::file("a b", 5).tracker("http://t/announce?k=1&l").web_seed("http://w").create().unwrap();
    creation.set_piece_hash(0, [1; 20]).unwrap();
    let metainfo = Metainfo::parse(&creation.finish().unwrap()).unwrap();
    let link = Magnet::of(&metainfo).to_string();
    let hash = metainfo.info.info_hash();
    assert_eq!(
        link,
        format!(
            "magnet:?xt=urn:btih:{hash}&dn=a%20b&tr=http%3A%2F%2Ft%2Fannounce%3Fk%3D1%26l&ws=http%3A%2F%2Fw"
        )
    );
    assert_eq!(parse(&link).unwrap().trackers, ["http://t/announce?k=1&l"]);
}

prop_compose! {
    fn magnets()(
        v1 in any::<[u8; 20]>(), v2 in any::<[u8; 32]>(), kind in 0..3, name in prop::option::of("\\PC{1,20}"),
        length: Option<u64>,
        trackers in prop::collection::btree_set("(http|udp)://[ -~]{1,20}", 0..4),
        web_seeds in prop::collection::btree_set("https://\\PC{1,20}", 0..4),
        hosts in prop::collection::vec((prop_oneof!["[a-z0-9.-]{1,20}", Just("::1".to_owned())], 1u16..), 0..4),
        ranges in prop::option::of(prop::collection::vec((0u32..1000, 0u32..5), 1..6)),
    ) -> Magnet {
        let mut magnet = Magnet::new(match kind {
            0 => InfoHash::V1(InfoHashV1(v1)),
            1 => InfoHash::V2(InfoHashV2(v2)),
            _ => InfoHash::Hybrid(InfoHashV1(v1), InfoHashV2(v2)),
        });
        magnet.name = name;
        magnet.length = length;
        magnet.trackers = trackers.into_iter().collect();
        magnet.web_seeds = web_seeds.into_iter().collect();
        magnet.peers = hosts.iter().map(|(host, port)| HostPort::new(host, *port).unwrap()).collect();
        magnet.select_only = ranges.map(|r| FileSelection::new(r.into_iter().map(|(at, more)| at..=at + more)));
        magnet
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(magnet in magnets()) {
        let link = magnet.to_string();
        prop_assert!(link.is_ascii());
        prop_assert_eq!(parse(&link), Ok(magnet), "{}", link);
    }

    #[test]
    fn any_text_never_panics(text in "\\PC{0,200}", parameters in prop::collection::vec("[a-z.]{1,4}=[%0-9a-fA-F:,-]{0,50}", 0..9)) {
        let _ = parse(&text);
        if let Ok(magnet) = parse(&format!("magnet:?xt=urn:btih:{V1}&{}", parameters.join("&"))) {
            prop_assert_eq!(parse(&magnet.to_string()), Ok(magnet));
        }
    }

    #[test]
    fn a_selection_holds_what_its_naive_twin_holds(ranges in prop::collection::vec((0u32..40, 0u32..10), 1..8)) {
        let text: Vec<String> = ranges.iter().map(|(at, more)| format!("{at}-{}", at + more)).collect();
        let selection: FileSelection = text.join(",").parse().unwrap();
        for index in 0..60 {
            let naive = ranges.iter().any(|(at, more)| (*at as usize..=(at + more) as usize).contains(&index));
            prop_assert_eq!(selection.contains(index), naive, "{}", index);
        }
        prop_assert_eq!(selection.to_string().parse(), Ok(selection));
    }
}
