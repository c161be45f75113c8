//! What is read of a message is what would be written, and everything in it can be walked; so with saved state.
#![no_main]

use downpour_dht::SavedState;
use downpour_dht::message::{Body, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(message) = Message::decode(input) {
        if let Body::Response(response) = &message.body {
            let nodes = [response.nodes, response.nodes6].into_iter().flatten();
            assert!(nodes.flat_map(|nodes| nodes.iter()).count() <= input.len() / 26);
            assert!(response.values.iter().flat_map(|values| values.iter()).count() <= input.len() / 8);
        }
        let mut out = Vec::new();
        message.encode(&mut out);
        // Values of items stand as they came, and need not be canonical.
        assert_eq!(Message::decode(&out).as_ref(), Ok(&message));
    }
    if let Ok(state) = SavedState::decode(input) {
        assert_eq!(SavedState::decode(&state.encode()), Ok(state));
    }
});
