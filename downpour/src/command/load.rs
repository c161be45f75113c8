//! Torrents from where the user has them: a file, or a web server.

use std::path::Path;

use downpour_engine::http::{Config, HttpClient, HttpError, Limits};
use downpour_metainfo::Metainfo;

use crate::failure::Failure;

/// Reads and checks a .torrent file, or what is behind an `http://` or `https://` URL. `roots` are certificates in PEM
/// form to trust beside the usual ones.
pub(crate) fn torrent(source: &Path, roots: &[u8]) -> Result<(Vec<u8>, Metainfo), Failure> {
    let bytes = match url(source) {
        Some(url) => fetch(url, roots).map_err(|error| Failure::of(source, error))?,
        None => std::fs::read(source)
            .map_err(|error| Failure::of(source, format!("cannot read the torrent file: {error}")))?,
    };
    match Metainfo::parse(&bytes) {
        Ok(metainfo) => Ok((bytes, metainfo)),
        Err(error) => Err(Failure::of(source, format!("not a usable torrent: {error}"))),
    }
}

/// The URL that the user gave in place of a path.
fn url(source: &Path) -> Option<&str> {
    let text = source.to_str()?;
    let (scheme, _) = text.split_once("://")?;
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")).then_some(text)
}

fn fetch(url: &str, roots: &[u8]) -> Result<Vec<u8>, HttpError> {
    let client = HttpClient::new(&Config { extra_root_certificates: roots.to_vec(), ..Config::default() })?;
    Ok(client.get_blocking(url, &Limits::TORRENT)?.success()?.body)
}
