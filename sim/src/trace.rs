//! A fingerprint of everything that happened.

use core::fmt::{self, Debug, Write};
use core::hash::Hasher;

use downpour_base::Instant;
use siphasher::sip::SipHasher13;

use crate::NodeNumber;

/// SipHash-1-3 under a fixed key over (time, node, what happened) of each entry, in order.
///
/// There is an entry for each event of the world (a packet that arrives, with its bytes or its block; a timer; a disk
/// job's end; a connection's start and end), and for each input of a session or swarm and each effect that follows
/// from an output: for all that goes into a machine or comes out of it. "What happened" is the `Debug` form.
#[derive(Debug)]
pub(crate) struct Trace {
    hasher: SipHasher13,
    entries: u64,
}

struct Sink<'a>(&'a mut SipHasher13);

impl Write for Sink<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self { hasher: SipHasher13::new(), entries: 0 }
    }

    pub(crate) fn record(&mut self, now: Instant, node: NodeNumber, what: &impl Debug) {
        self.hasher.write(&now.as_nanos().to_le_bytes());
        self.hasher.write(&node.0.to_le_bytes());
        // The sink takes everything.
        let _ = write!(Sink(&mut self.hasher), "{what:?}");
        self.hasher.write(&[0xff]);
        self.entries += 1;
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }
}
