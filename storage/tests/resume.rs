//! Resume state survives being written and read, and damage is noticed or harmless.

use std::collections::{BTreeMap, BTreeSet};

use downpour_base::{Bitfield, InfoHash, InfoHashV1};
use downpour_storage::{FileStamp, ResumeData, Stamps};
use proptest::prelude::*;

fn any_stamp() -> impl Strategy<Value = FileStamp> {
    (0u64..1 << 62, 0u64..1 << 62).prop_map(|(length, modified_nanos)| FileStamp { length, modified_nanos })
}

fn any_data() -> impl Strategy<Value = ResumeData> {
    let stamps = (prop::collection::vec(prop::option::of(any_stamp()), 0..5), prop::option::of(any_stamp()));
    let names = prop::collection::btree_map(0usize..99, prop::collection::vec("[a-z/é]{0,9}", 0..3), 0..4);
    let base = (any::<[u8; 20]>(), prop::collection::vec(any::<bool>(), 0..50), 0u64..1 << 62, 0u64..1 << 62);
    let wishes = (
        prop::collection::btree_map(0usize..1000, 0u8..8, 0..5),
        prop::collection::btree_map(0u32..1000, 0u8..8, 0..5),
    );
    let places = (prop::collection::vec("[a-z/ ]{1,9}", 0..3), names);
    let in_parts = prop::collection::btree_set((0usize..1000, 0u32..1000), 0..6);
    (base, prop::option::of(stamps), wishes, places, in_parts).prop_map(
        |((hash, have, downloaded, uploaded), stamps, wishes, (save_paths, names), in_parts)| {
            let mut bits = Bitfield::new(have.len() as u32);
            (0..).zip(&have).filter(|(_, have)| **have).for_each(|(piece, _)| {
                bits.insert(piece);
            });
            ResumeData {
                stamps: stamps.map(|(files, parts)| Stamps { files, parts }),
                downloaded,
                uploaded,
                in_parts,
                save_paths,
                names,
                file_priorities: wishes.0,
                piece_priorities: wishes.1,
                ..ResumeData::new(InfoHash::V1(InfoHashV1(hash)), bits)
            }
        },
    )
}

proptest! {
    #[test]
    fn resume_state_round_trips(data in any_data(), at: u16, bit in 0..8) {
        let mut bytes = data.encode();
        prop_assert_eq!(ResumeData::decode(&bytes).unwrap(), data);
        let at = usize::from(at) % bytes.len();
        bytes[at] ^= 1u8 << bit;
        if let Ok(other) = ResumeData::decode(&bytes) {
            prop_assert_eq!(ResumeData::decode(&other.encode()).unwrap(), other);
        }
    }
}

#[test]
fn the_state_of_an_earlier_version_is_read() {
    let bytes = b"d10:downloadedi7e5:fileslli5ei6eelee4:have1:\x809:info-hash20:aaaaaaaaaaaaaaaaaaaa6:piecesi1e8:uploadedi8e7:versioni1ee";
    let data = ResumeData::decode(bytes).unwrap();
    let stamp = FileStamp { length: 5, modified_nanos: 6 };
    assert_eq!(data.stamps, Some(Stamps { files: vec![Some(stamp), None], parts: None }));
    assert_eq!((data.downloaded, data.uploaded, data.have.count()), (7, 8, 1));
    assert_eq!((data.in_parts, data.save_paths, data.names), (BTreeSet::new(), vec![], BTreeMap::new()));
}
