//! `downpour create`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use downpour_metainfo::{Builder, Creation, FileAttributes, Magnet, Metainfo, TorrentVersion};
use downpour_storage::{ScannedTree, scan};

use crate::cli::Create;
use crate::failure::Failure;
use crate::hashing;
use crate::text::{print_line, size};

pub(crate) fn run(options: &Create) -> Result<(), Failure> {
    let scanned = scan(&options.path).map_err(|error| Failure::new(error.to_string()))?;
    let output = options.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.torrent", scanned.name)));
    // Before the work as well as after it: hashing may take hours.
    if output.exists() {
        return Err(taken(&output));
    }
    let version = options.version();
    let mut builder = builder(&scanned).version(version).private(options.private);
    for url in &options.trackers {
        builder = builder.tracker(url);
    }
    for url in &options.web_seeds {
        builder = builder.web_seed(url);
    }
    if let Some(source) = &options.source {
        builder = builder.source(source);
    }
    if let Some(comment) = &options.comment {
        builder = builder.comment(comment);
    }
    if let Some(bytes) = options.piece_size {
        builder = builder.piece_length(bytes);
    }
    let creation = builder.create().map_err(|error| Failure::of(&options.path, error))?;
    let creation = hashing::hash(creation, scanned.root, version)?;
    let torrent = creation.finish().map_err(|error| Failure::of(&options.path, error))?;
    write(&output, &torrent)?;

    let metainfo = Metainfo::parse(&torrent).map_err(|error| Failure::of(&output, error))?;
    let layout = metainfo.info.layout();
    print_line(format_args!(
        "{}: {} in {} file(s), {} pieces of {}",
        output.display(),
        size(layout.payload_length()),
        layout.files().iter().filter(|file| !file.is_pad()).count(),
        layout.piece_count(),
        size(u64::from(layout.piece_length()))
    ));
    print_line(Magnet::of(&metainfo));
    Ok(())
}

fn taken(output: &Path) -> Failure {
    Failure::of(output, "exists already: remove it, or choose another name with --output")
}

fn write(output: &Path, torrent: &[u8]) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).open(output);
    let written = file.and_then(|mut file| file.write_all(torrent));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => taken(output),
        _ => Failure::io(output, "cannot write", &error),
    })
}

/// What a scanned path is to become, by us and now.
fn builder(scanned: &ScannedTree) -> Builder {
    let top = scanned.root.join(&scanned.name);
    let mut builder = match &scanned.tree {
        None => Builder::file(&scanned.name, scanned.length).attributes(0, attributes(&top)),
        Some(files) => Builder::tree(&scanned.name, files.clone()),
    };
    for (index, (components, _)) in scanned.tree.iter().flatten().enumerate() {
        builder = builder.attributes(index, attributes(&top.join(components.iter().collect::<PathBuf>())));
    }
    builder = builder.created_by(concat!("Downpour ", env!("CARGO_PKG_VERSION")));
    match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
        Ok(since) => builder.creation_date(since.as_secs() as i64),
        Err(_) => builder,
    }
}

/// Whether a file is a program, where the system says so (BEP 47).
fn attributes(path: &Path) -> FileAttributes {
    #[cfg(unix)]
    let executable = {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o100 != 0)
    };
    #[cfg(not(unix))]
    let executable = false;
    FileAttributes { executable, ..FileAttributes::default() }
}

/// A v1 torrent of what was scanned, as it comes.
pub(crate) fn simple(scanned: &ScannedTree) -> Result<Creation, Failure> {
    let creation = builder(scanned).create().map_err(|error| Failure::new(error.to_string()))?;
    hashing::hash(creation, scanned.root.clone(), TorrentVersion::V1)
}
