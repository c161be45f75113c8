//! Writing a .torrent file.

use downpour_bencode::{DictEncoder, Encoder};

use crate::Metainfo;

impl Metainfo {
    /// The .torrent file: canonical bencode around the info dictionary as it came. What [`parse`](Self::parse) does not
    /// know outside of the info dictionary is not kept.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let layers: usize = self.piece_layers.iter().map(|(root, layer)| root.len() + layer.len() + 16).sum();
        let mut out = Vec::with_capacity(self.info.raw().len() + layers + 1024);
        Encoder::new(&mut out).dict(|dict| self.fill(dict));
        out
    }

    fn fill(&self, dict: &mut DictEncoder<'_>) {
        if let Some(first) = self.trackers.iter().flatten().next() {
            dict.entry(b"announce").bytes(first);
        }
        if self.trackers.iter().flatten().nth(1).is_some() {
            dict.entry(b"announce-list").list(|tiers| {
                for tier in &self.trackers {
                    tiers.item().list(|list| tier.iter().for_each(|url| list.item().bytes(url)));
                }
            });
        }
        let mut text = |key: &[u8], value: &Option<String>| {
            if let Some(value) = value {
                dict.entry(key).bytes(value);
            }
        };
        text(b"comment", &self.comment);
        text(b"created by", &self.created_by);
        if let Some(date) = self.creation_date {
            dict.entry(b"creation date").int(date);
        }
        strings(dict, b"httpseeds", &self.http_seeds);
        dict.entry(b"info").raw(self.info.raw());
        if !self.nodes.is_empty() {
            dict.entry(b"nodes").list(|list| {
                for node in &self.nodes {
                    list.item().list(|pair| {
                        pair.item().bytes(node.host());
                        pair.item().int(node.port());
                    });
                }
            });
        }
        if self.info.info_hash().v2().is_some() {
            dict.entry(b"piece layers").dict(|layers| {
                for (root, layer) in self.piece_layers.iter() {
                    layers.entry(root).bytes(layer);
                }
            });
        }
        match &self.web_seeds[..] {
            // As most clients write it.
            [only] => dict.entry(b"url-list").bytes(only),
            seeds => strings(dict, b"url-list", seeds),
        }
    }
}

fn strings(dict: &mut DictEncoder<'_>, key: &[u8], values: &[String]) {
    if !values.is_empty() {
        dict.entry(key).list(|list| values.iter().for_each(|value| list.item().bytes(value)));
    }
}
