//! What is read of resume state is what would be written.
#![no_main]

use downpour_storage::ResumeData;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(state) = ResumeData::decode(input) {
        assert_eq!(ResumeData::decode(&state.encode()), Ok(state));
    }
});
