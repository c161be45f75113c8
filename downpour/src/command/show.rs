//! `downpour show`.

use downpour_metainfo::Metainfo;
use serde_json::json;

use super::read_torrent;
use crate::cli::Show;
use crate::failure::Failure;
use crate::text::{date, print_line, printable, size};

pub(crate) fn run(options: &Show) -> Result<(), Failure> {
    let (_, metainfo) = read_torrent(&options.torrent)?;
    if options.json {
        as_json(&metainfo)
    } else {
        as_text(&metainfo)
    }
    Ok(())
}

fn as_json(metainfo: &Metainfo) {
    let layout = metainfo.info.layout();
    let files: Vec<_> =
        layout.files().iter().map(|file| json!({ "path": file.path, "length": file.length })).collect();
    let shown = json!({
        "name": metainfo.info.name(),
        "info_hash": metainfo.info.info_hash().to_string(),
        "total_length": layout.total_length(),
        "piece_length": layout.piece_length(),
        "piece_count": layout.piece_count(),
        "private": metainfo.info.is_private(),
        "trackers": metainfo.trackers,
        "web_seeds": metainfo.web_seeds,
        "comment": metainfo.comment,
        "created_by": metainfo.created_by,
        "creation_date": metainfo.creation_date,
        "files": files,
    });
    print_line(format_args!("{shown:#}"));
}

fn as_text(metainfo: &Metainfo) {
    let layout = metainfo.info.layout();
    let line = |label: &str, value: String| print_line(format_args!("{label:<12} {}", printable(&value)));
    line("name", metainfo.info.name().to_owned());
    line("info-hash", metainfo.info.info_hash().to_string());
    line("size", format!("{} ({} bytes)", size(layout.total_length()), layout.total_length()));
    line("pieces", format!("{} of {}", layout.piece_count(), size(u64::from(layout.piece_length()))));
    if metainfo.info.is_private() {
        line("private", "yes: peers come from its trackers only".to_owned());
    }
    if let Some(seconds) = metainfo.creation_date {
        line("created", date(seconds));
    }
    if let Some(program) = &metainfo.created_by {
        line("created by", program.clone());
    }
    if let Some(comment) = &metainfo.comment {
        line("comment", comment.clone());
    }
    for (tier, trackers) in (1..).zip(&metainfo.trackers) {
        trackers.iter().for_each(|url| line(&format!("tracker {tier}"), url.clone()));
    }
    metainfo.web_seeds.iter().for_each(|url| line("web seed", url.clone()));
    line("files", layout.files().len().to_string());
    for (index, file) in layout.files().iter().enumerate() {
        let note = if metainfo.info.renamed_files().contains(&index) { "  (renamed to be safe)" } else { "" };
        print_line(format_args!("  {:>12}  {}{note}", size(file.length), printable(&file.path)));
    }
}
