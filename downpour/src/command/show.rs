//! `downpour show`.

use std::collections::BTreeMap;

use downpour_base::InfoHash;
use downpour_metainfo::{Adjustment, File, HostPort, Magnet, Metainfo};
use serde_json::{Value, json};

use super::read_torrent;
use crate::cli::Show;
use crate::failure::Failure;
use crate::text::{date, print_line, printable, size};

pub(crate) fn run(options: &Show) -> Result<(), Failure> {
    if let Some(link) = options.torrent.to_str().filter(|text| Magnet::is_magnet(text.trim())) {
        let magnet: Magnet =
            link.parse().map_err(|error| Failure::new(format!("not a usable magnet link: {error}")))?;
        match options.json {
            true => print_line(format_args!("{:#}", magnet_json(&magnet))),
            false => magnet_text(&magnet),
        }
        return Ok(());
    }
    let (_, metainfo) = read_torrent(&options.torrent)?;
    match options.json {
        true => print_line(format_args!("{:#}", torrent_json(&metainfo))),
        false => torrent_text(&metainfo),
    }
    Ok(())
}

/// The fields that torrents and magnet links share: `info_hash` is that of v1 where there is one.
fn hashes(info_hash: &InfoHash) -> [(&'static str, Value); 3] {
    let (v1, v2) = (info_hash.v1().map(|v1| v1.to_string()), info_hash.v2().map(|v2| v2.to_string()));
    [
        ("info_hash", json!(v1.as_ref().or(v2.as_ref()))),
        ("info_hash_v1", json!(v1)),
        ("info_hash_v2", json!(v2)),
    ]
}

fn torrent_json(metainfo: &Metainfo) -> Value {
    let layout = metainfo.info.layout();
    let file = |file: &File| {
        json!({
            "path": file.path,
            "length": file.length,
            "pad": file.is_pad(),
            "executable": file.attributes.executable,
            "hidden": file.attributes.hidden,
            "symlink_target": file.symlink_target,
            "pieces_root": file.pieces_root.map(|root| root.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        })
    };
    let adjustment = |change: &Adjustment| json!({ "file": change.file, "original": change.original, "reason": change.reason.to_string() });
    let mut shown = json!({
        "name": metainfo.info.name(),
        "total_length": layout.payload_length(),
        "piece_length": layout.piece_length(),
        "piece_count": layout.piece_count(),
        "private": metainfo.info.is_private(),
        "source": metainfo.info.source(),
        "trackers": metainfo.trackers,
        "web_seeds": metainfo.web_seeds,
        "http_seeds": metainfo.http_seeds,
        "nodes": metainfo.nodes.iter().map(HostPort::to_string).collect::<Vec<_>>(),
        "comment": metainfo.comment,
        "created_by": metainfo.created_by,
        "creation_date": metainfo.creation_date,
        "magnet": Magnet::of(metainfo).to_string(),
        "files": layout.files().iter().map(file).collect::<Vec<_>>(),
        "adjustments": metainfo.info.adjustments().iter().map(adjustment).collect::<Vec<_>>(),
    });
    hashes(&metainfo.info.info_hash()).into_iter().for_each(|(key, value)| shown[key] = value);
    shown
}

fn magnet_json(magnet: &Magnet) -> Value {
    let mut shown = json!({
        "name": magnet.name,
        "total_length": magnet.length,
        "trackers": magnet.trackers.iter().map(|url| [url]).collect::<Vec<_>>(),
        "web_seeds": magnet.web_seeds,
        "peers": magnet.peers.iter().map(HostPort::to_string).collect::<Vec<_>>(),
        "select_only": magnet.select_only.as_ref().map(ToString::to_string),
        "magnet": magnet.to_string(),
    });
    hashes(&magnet.info_hash).into_iter().for_each(|(key, value)| shown[key] = value);
    shown
}

fn line(label: &str, value: impl AsRef<str>) {
    print_line(format_args!("{label:<12} {}", printable(value.as_ref())));
}

fn hash_lines(info_hash: &InfoHash) {
    if let Some(v1) = info_hash.v1() {
        line("info-hash", v1.to_string());
    }
    if let Some(v2) = info_hash.v2() {
        line("info-hash v2", v2.to_string());
    }
}

fn torrent_text(metainfo: &Metainfo) {
    let layout = metainfo.info.layout();
    line("name", metainfo.info.name());
    hash_lines(&metainfo.info.info_hash());
    line("size", format!("{} ({} bytes)", size(layout.payload_length()), layout.payload_length()));
    line("pieces", format!("{} of {}", layout.piece_count(), size(u64::from(layout.piece_length()))));
    if metainfo.info.is_private() {
        line("private", "yes: peers come from its trackers only");
    }
    if let Some(source) = metainfo.info.source() {
        line("source", source);
    }
    if let Some(seconds) = metainfo.creation_date {
        line("created", date(seconds));
    }
    if let Some(program) = &metainfo.created_by {
        line("created by", program);
    }
    if let Some(comment) = &metainfo.comment {
        line("comment", comment);
    }
    for (tier, trackers) in (1..).zip(&metainfo.trackers) {
        trackers.iter().for_each(|url| line(&format!("tracker {tier}"), url));
    }
    metainfo.web_seeds.iter().for_each(|url| line("web seed", url));
    metainfo.http_seeds.iter().for_each(|url| line("HTTP seed", url));
    metainfo.nodes.iter().for_each(|node| line("DHT node", node.to_string()));

    let changes = metainfo.info.adjustments();
    for change in changes.iter().filter(|change| change.file.is_none()) {
        line("renamed", format!("the torrent's name is `{}`: {}", change.original, change.reason));
    }
    let changes: BTreeMap<_, _> = changes.iter().filter_map(|change| Some((change.file?, change))).collect();
    let shown = layout.files().iter().enumerate().filter(|(_, file)| !file.is_pad());
    line("files", shown.clone().count().to_string());
    for (index, file) in shown {
        let mut note = file.symlink_target.iter().map(|target| format!("  -> {target}")).collect::<String>();
        if let Some(change) = changes.get(&index) {
            note += &format!("  (was `{}`: {})", change.original, change.reason);
        }
        print_line(format_args!(
            "  {:>12}  {}{}",
            size(file.length),
            printable(&file.path),
            printable(&note)
        ));
    }
}

fn magnet_text(magnet: &Magnet) {
    if let Some(name) = &magnet.name {
        line("name", name);
    }
    hash_lines(&magnet.info_hash);
    if let Some(length) = magnet.length {
        line("size", format!("{} ({length} bytes)", size(length)));
    }
    magnet.trackers.iter().for_each(|url| line("tracker", url));
    magnet.web_seeds.iter().for_each(|url| line("web seed", url));
    magnet.peers.iter().for_each(|peer| line("peer", peer.to_string()));
    if let Some(selection) = &magnet.select_only {
        line("only files", selection.to_string());
    }
}
