//! Torrents made by us and by libtorrent from the same content with the same settings.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::Lab;

impl Lab {
    /// Makes a torrent with our program and more options.
    ///
    /// # Panics
    /// If that fails.
    pub fn create_as(&self, content: &Path, torrent: &Path, options: &[&str]) {
        let mut command = self.downpour("creator", "create");
        command.arg(content).arg("--output").arg(torrent).args(options).stdout(Stdio::null());
        assert!(command.status().is_ok_and(|status| status.success()), "downpour create failed");
    }

    /// Makes a torrent with libtorrent, for `version` `v1`, `v2` or `hybrid`. Says `good` if libtorrent takes it, else
    /// why not.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn libtorrent_create_as(
        &self,
        content: &Path,
        torrent: &Path,
        version: &str,
        piece_size: u32,
    ) -> String {
        let mut script = self.script("creation.py");
        said(script.arg(content).arg(torrent).args([version, &piece_size.to_string()]))
    }

    /// Says `good` if libtorrent takes `torrent`, else why not.
    ///
    /// # Panics
    /// If it cannot be asked.
    #[must_use]
    pub fn libtorrent_takes(&self, torrent: &Path) -> String {
        said(self.script("takes.py").arg(torrent))
    }
}

fn said(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().expect("a script that starts");
    assert!(output.status.success(), "{command:?} failed");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
