//! Torrents from where the user has them: a file, or a web server.

use std::io::{ErrorKind, Read};
use std::path::Path;

use downpour_engine::http::{Config, HttpClient, HttpError, Limits};
use downpour_metainfo::limits::MAX_TORRENT_BYTES;
use downpour_metainfo::{Magnet, Metainfo};

use crate::failure::Failure;

/// Reads and checks a .torrent file, or what is behind an `http://` or `https://` URL. `roots` are certificates in PEM
/// form to trust beside the usual ones.
pub(crate) fn torrent(source: &Path, roots: &[u8]) -> Result<(Vec<u8>, Metainfo), Failure> {
    if source.to_str().is_some_and(|text| Magnet::is_magnet(text.trim())) {
        return Err(Failure::new(
            "a magnet link has no metadata, and a later version will fetch it from peers: give a .torrent file or its URL",
        ));
    }
    let bytes = match url(source) {
        Some(url) => fetch(url, roots).map_err(|error| Failure::of(source, error))?,
        None => read(source).map_err(|error| unreadable(source, &error))?,
    };
    match Metainfo::parse(&bytes) {
        Ok(metainfo) => Ok((bytes, metainfo)),
        Err(error) => Err(Failure::of(source, format!("not a usable torrent: {error} (get another copy)"))),
    }
}

/// No more than a torrent may have, in case it is something endless.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_TORRENT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(source: &Path, error: &std::io::Error) -> Failure {
    let scheme = source.to_str().and_then(|text| text.split_once("://"));
    match scheme.filter(|_| error.kind() == ErrorKind::NotFound) {
        Some((scheme, _)) => Failure::of(
            source,
            format!("cannot fetch over {scheme}: give an http:// or https:// URL, or a file"),
        ),
        None => Failure::io(source, "cannot read the torrent file", error),
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
