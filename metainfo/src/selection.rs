//! Which files are wanted (BEP 53).

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use thiserror::Error;

use crate::limits::MAX_FILES;

/// A choice of files by their index in the torrent: `0,2,4-6`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSelection {
    /// In order, with a gap between each two.
    ranges: Vec<RangeInclusive<u32>>,
}

/// The text is not a list of file indices and ranges of them, or one is past every torrent's last file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a list of numbers and ranges of files, such as 0,2,4-6")]
pub struct FileSelectionError;

impl FileSelection {
    /// The files in any of `ranges`.
    #[must_use]
    pub fn new(ranges: impl IntoIterator<Item = RangeInclusive<u32>>) -> Self {
        let mut sorted: Vec<_> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        sorted.sort_by_key(|range| *range.start());
        let mut ranges: Vec<RangeInclusive<u32>> = Vec::new();
        for range in sorted {
            match ranges.last_mut() {
                Some(last) if *range.start() <= last.end().saturating_add(1) => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ => ranges.push(range),
            }
        }
        Self { ranges }
    }

    /// Whether the file at `index` is wanted.
    #[must_use]
    pub fn contains(&self, index: usize) -> bool {
        let after = self.ranges.partition_point(|range| *range.start() as usize <= index);
        after
            .checked_sub(1)
            .and_then(|at| self.ranges.get(at))
            .is_some_and(|range| index <= *range.end() as usize)
    }

    /// The wanted files as ranges, in order, with a gap between each two.
    #[must_use]
    pub fn ranges(&self) -> &[RangeInclusive<u32>] {
        &self.ranges
    }
}

impl FromStr for FileSelection {
    type Err = FileSelectionError;
    fn from_str(text: &str) -> Result<Self, FileSelectionError> {
        let index = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let index: Option<u32> = if digits { text.parse().ok() } else { None };
            index.filter(|index| (*index as usize) < MAX_FILES).ok_or(FileSelectionError)
        };
        let range = |part: &str| match part.split_once('-') {
            Some((first, last)) => {
                let range = index(first)?..=index(last)?;
                if range.is_empty() { Err(FileSelectionError) } else { Ok(range) }
            }
            None => index(part).map(|index| index..=index),
        };
        let ranges: Vec<_> = text.split(',').map(range).collect::<Result<_, _>>()?;
        Ok(Self::new(ranges))
    }
}

impl fmt::Display for FileSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, range) in self.ranges.iter().enumerate() {
            f.write_str(if position > 0 { "," } else { "" })?;
            match range.start() == range.end() {
                true => write!(f, "{}", range.start())?,
                false => write!(f, "{}-{}", range.start(), range.end())?,
            }
        }
        Ok(())
    }
}
