//! What trackers say to people.

use crate::limits::MAX_TEXT_LENGTH;

/// A tracker's words, fit for a terminal: no control characters nor such as turn the direction of writing, and no more
/// than [`MAX_TEXT_LENGTH`] characters.
pub(crate) fn clean(bytes: &[u8]) -> String {
    // A character takes four bytes at most, so what is cut off here would not be shown.
    let start = &bytes[..bytes.len().min(4 * MAX_TEXT_LENGTH)];
    let text = String::from_utf8_lossy(start);
    text.chars().filter(|c| !c.is_control() && !is_direction(*c)).take(MAX_TEXT_LENGTH).collect()
}

fn is_direction(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
