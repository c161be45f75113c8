//! The test vectors of the BEPs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use downpour_base::{InfoHashV1, NodeId};
use downpour_dht::{
    BloomFilter, ImmutableItem, ItemError, MutableItem, SecretKey, immutable_target, mutable_target,
    named_torrent, torrent_value,
};

fn hex<const N: usize>(text: &str) -> [u8; N] {
    let text: String = text.split_whitespace().collect();
    assert_eq!(text.len(), 2 * N);
    std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal"))
}

fn secret() -> SecretKey {
    SecretKey::from_expanded(&hex("e06d3183d14159228433ed599221b80bd0a5ce8352e4bdf0262f76786ef1c74d
         b7e7a9fea2c0eb269d61e3b38e450a22e754941ac78479d6c54e1faf6037881d"))
}

const KEY: &str = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";
const VALUE: &[u8] = b"12:Hello World!";

#[test]
fn bep_44_mutable_items() {
    assert_eq!(secret().public_key(), hex(KEY));
    let vectors = [
        (
            &b""[..],
            "4a533d47ec9c7d95b1ad75f576cffc641853b750",
            "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff
             1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01",
        ),
        (
            b"foobar",
            "411eba73b6f087ca51a3795d9c8c938d365e32c1",
            "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d
             df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08",
        ),
    ];
    for (salt, target, signature) in vectors {
        let item = MutableItem::sign(&secret(), salt, 1, VALUE).unwrap();
        assert_eq!(item.target(), target.parse().unwrap());
        assert_eq!(*item.signature(), hex(signature));
        assert_eq!(MutableItem::verify(&hex(KEY), salt, 1, VALUE, &hex(signature)), Ok(item));
        for (salt, seq, value) in [(&b"x"[..], 1, VALUE), (salt, 2, VALUE), (salt, 1, b"12:Hello world!")] {
            let forged = MutableItem::verify(&hex(KEY), salt, seq, value, &hex(signature));
            assert_eq!(forged, Err(ItemError::InvalidSignature));
        }
    }
}

#[test]
fn bep_44_immutable_items() {
    let target: NodeId = "e5f96f6f38320f0f33959cb4d3d656452117aadb".parse().unwrap();
    assert_eq!(immutable_target(VALUE), target);
    assert_eq!(ImmutableItem::new(VALUE).unwrap().target(), target);
    assert_eq!(ImmutableItem::new(b"i1ei2e"), Err(ItemError::NotBencode));
    assert_eq!(ImmutableItem::new(&[b'1'; 1001]), Err(ItemError::ValueTooBig(1001)));
}

#[test]
fn bep_46_targets_and_values() {
    let key = hex("8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e");
    let target = |text: &str| text.parse::<NodeId>().unwrap();
    assert_eq!(mutable_target(&key, b""), target("cc3f9d90b572172053626f9980ce261a850d050b"));
    assert_eq!(mutable_target(&key, &[0x6e]), target("59ee7c2cb9b4f7eb1986ee2d18fd2fdb8a56554f"));
    let info_hash = InfoHashV1([5; 20]);
    let value = torrent_value(&info_hash);
    assert_eq!(value, [&b"d2:ih20:"[..], &[5; 20], b"e"].concat());
    assert_eq!(named_torrent(&value), Some(info_hash));
    for other in [&b"d2:ih3:abce"[..], b"i1e", b"", b"d2:ix20:abcdefghij0123456789e"] {
        assert_eq!(named_torrent(other), None);
    }
}

#[test]
fn bep_33_bloom_filter() {
    let mut filter = BloomFilter::default();
    assert!(filter.estimate() < 0.001);
    for last in 0..=255 {
        filter.insert(&IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
    }
    for last in 0..=0x3e7 {
        filter.insert(&IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)));
    }
    let expected: [u8; 256] =
        hex("F6C3F5EA A07FFD91 BDE89F77 7F26FB2B FF37BDB8 FB2BBAA2 FD3DDDE7 BACFFF75 EE7CCBAE
         FE5EEDB1 FBFAFF67 F6ABFF5E 43DDBCA3 FD9B9FFD F4FFD3E9 DFF12D1B DF59DB53 DBE9FA5B
         7FF3B8FD FCDE1AFB 8BEDD7BE 2F3EE71E BBBFE93B CDEEFE14 8246C2BC 5DBFF7E7 EFDCF24F
         D8DC7ADF FD8FFFDF DDFFF7A4 BBEEDF5C B95CE81F C7FCFF1F F4FFFFDF E5F7FDCB B7FD79B3
         FA1FC77B FE07FFF9 05B7B7FF C7FEFEFF E0B8370B B0CD3F5B 7F2BD93F EB4386CF DD6F7FD5
         BFAF2E9E BFFFFEEC D67ADBF7 C67F17EF D5D75EBA 6FFEBA7F FF47A91E B1BFBB53 E8ABFB57
         62ABE8FF 237279BF EFBFEEF5 FFC5FEBF DFE5ADFF ADFEE1FB 737FFFFB FD9F6AEF FEEE76B6
         FD8F72EF");
    assert_eq!(*filter.as_bytes(), expected);
    assert!((filter.estimate() - 1224.9308).abs() < 0.0001);
    let mut united = BloomFilter::default();
    united.unite(&filter);
    assert_eq!(united, filter);
}
