//! Web servers that have a torrent's content (BEP 17, 19).

use std::sync::PoisonError;

use super::TorrentHandle;
use crate::error::Error;
use crate::http::Url;

impl TorrentHandle {
    /// The web seeds of the .torrent file and those that were added. They are known and told; a later version downloads
    /// from them.
    #[must_use]
    pub fn web_seeds(&self) -> Vec<String> {
        self.torrent.web_seeds.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds a web seed (BEP 19), for as long as the session runs. One that is there already changes nothing.
    ///
    /// # Errors
    /// If the torrent is gone, or that is no `http` or `https` URL.
    pub fn add_web_seed(&self, url: &str) -> Result<(), Error> {
        self.check_alive()?;
        Url::parse(url)?;
        let mut seeds = self.torrent.web_seeds.lock().unwrap_or_else(PoisonError::into_inner);
        if !seeds.iter().any(|known| known == url) {
            seeds.push(url.to_owned());
        }
        Ok(())
    }

    /// Takes a web seed away.
    ///
    /// # Errors
    /// If the torrent is gone.
    pub fn remove_web_seed(&self, url: &str) -> Result<(), Error> {
        self.check_alive()?;
        self.torrent.web_seeds.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| known != url);
        Ok(())
    }
}
