//! How a peer became known.

/// Who told us of a peer. The names are libtorrent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum PeerSource {
    /// A tracker (BEP 3, BEP 15).
    Tracker,
    /// The distributed hash table (BEP 5).
    Dht,
    /// Another peer (BEP 11).
    Pex,
    /// The local network (BEP 14).
    Lsd,
    /// The resume data of an earlier run.
    Resume,
    /// The user, also by a magnet link's `x.pe` (BEP 9).
    User,
    /// It called us.
    Incoming,
}

impl PeerSource {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Tracker, Self::Dht, Self::Pex, Self::Lsd, Self::Resume, Self::User, Self::Incoming];

    /// Whether a private torrent may use it. BEP 27 leaves the choice of peers to the tracker; whom the user names, and
    /// who calls because a tracker named us, comes under that. Peers of an earlier run could have come from anywhere.
    #[must_use]
    pub fn is_allowed_in_private(self) -> bool {
        matches!(self, Self::Tracker | Self::User | Self::Incoming)
    }
}

/// All who told us of one peer.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PeerSources(u16);

impl PeerSources {
    /// Adds one.
    pub fn insert(&mut self, source: PeerSource) {
        self.0 |= 1 << source as u16;
    }

    /// Whether `source` is among them.
    #[must_use]
    pub fn contains(self, source: PeerSource) -> bool {
        self.0 & (1 << source as u16) != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = PeerSource> {
        PeerSource::ALL.into_iter().filter(move |source| self.contains(*source))
    }
}

impl From<PeerSource> for PeerSources {
    fn from(source: PeerSource) -> Self {
        let mut sources = Self::default();
        sources.insert(source);
        sources
    }
}

impl core::fmt::Debug for PeerSources {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
