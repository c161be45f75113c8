//! How much a piece is wanted.

/// One of eight levels, as in libtorrent: 0 is "don't download", 4 is the default, 7 the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// Not to be downloaded.
    pub const SKIP: Self = Self(0);
    /// The lowest that is downloaded.
    pub const LOW: Self = Self(1);
    /// What a piece has from the start.
    pub const DEFAULT: Self = Self(4);
    /// The highest.
    pub const TOP: Self = Self(7);

    /// A level; above 7 is 7.
    #[must_use]
    pub const fn new(level: u8) -> Self {
        Self(if level > 7 { 7 } else { level })
    }

    /// The level, 0 to 7.
    #[must_use]
    pub const fn level(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::DEFAULT
    }
}
