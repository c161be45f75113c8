//! The file that `Config::record` names.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use downpour_base::TorrentId;

use crate::Error;

/// Where recordings go: the first torrent's machine writes into the file itself, those after it into files with
/// their number behind the name.
#[derive(Debug)]
pub(crate) struct Recording {
    path: std::path::PathBuf,
    files: Mutex<std::collections::BTreeMap<TorrentId, BufWriter<File>>>,
}

impl Recording {
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        // Made at once, so that a wrong path is known at the start.
        File::create(path).map_err(Error::Start)?;
        Ok(Self { path: path.to_owned(), files: Mutex::default() })
    }

    pub(crate) fn append(&self, torrent: TorrentId, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if !files.contains_key(&torrent) {
            let path = match files.len() {
                0 => self.path.clone(),
                n => self.path.with_added_extension(n.to_string()),
            };
            let Ok(file) = File::create(path) else { return };
            files.insert(torrent, BufWriter::new(file));
        }
        if let Some(file) = files.get_mut(&torrent) {
            // A recording that cannot be written is cut short, and replays up to there.
            let _ = file.write_all(lines);
        }
    }

    pub(crate) fn flush(&self) {
        for file in self.files.lock().unwrap_or_else(PoisonError::into_inner).values_mut() {
            let _ = file.flush();
        }
    }
}
