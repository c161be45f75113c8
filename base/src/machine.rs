//! The contract between a protocol and whoever drives it.

use crate::Instant;

/// A protocol without I/O. The driver owns sockets, files and the clock.
///
/// After every call of [`handle_input`](Self::handle_input) or [`handle_timeout`](Self::handle_timeout)
/// the driver drains [`poll_output`](Self::poll_output) until it returns `None`, carries the outputs out,
/// and sees to it that `handle_timeout` is called at or after [`poll_timeout`](Self::poll_timeout).
///
/// Time never runs backwards between calls. What a remote does wrong comes out as an *output* with a typed
/// reason; it is never a panic and never an `Err`.
pub trait Machine {
    /// What happens to the machine: bytes, answers, commands.
    type Input;
    /// What the machine wants done or known.
    type Output;

    /// Takes one input.
    fn handle_input(&mut self, now: Instant, input: Self::Input);

    /// Does what is due at `now`. A call before the deadline, or a repeated one, changes nothing.
    fn handle_timeout(&mut self, now: Instant);

    /// The next output, `None` when there is nothing left to do for now.
    fn poll_output(&mut self) -> Option<Self::Output>;

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next, in O(1).
    fn poll_timeout(&self) -> Option<Instant>;
}
