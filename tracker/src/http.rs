//! Announce and scrape over HTTP (BEP 3, 7, 23, 24, 31, 48): queries and answers, both sides.

mod answer;
mod query;

pub use answer::{AnnounceAnswer, RetryIn, encode_announce, encode_failure, encode_scrape};
pub use answer::{decode_announce, decode_scrape};
pub use query::{HttpRequest, QueryError, announce_url, decode_request, scrape_url};

/// What a tracker refused, and what was asked for otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// The tracker did what it was asked to.
    Done(T),
    /// The tracker refuses (`failure reason`).
    Refused {
        /// Its words, for the user; control characters are taken out.
        reason: String,
        /// When to come again, if it says so (BEP 31).
        retry: Option<RetryIn>,
    },
}
