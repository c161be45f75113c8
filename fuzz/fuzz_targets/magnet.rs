//! What is read from any link is written so that it is read alike.
#![no_main]

use downpour_metainfo::Magnet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    for link in [input, &format!("magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&{input}")] {
        if let Ok(magnet) = link.parse::<Magnet>() {
            assert_eq!(magnet.to_string().parse::<Magnet>().as_ref(), Ok(&magnet));
        }
    }
});
