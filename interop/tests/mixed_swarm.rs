//! One foreign seed that is slow, and every client a leecher: they must trade, and with us too.

use std::net::IpAddr;
use std::time::Duration;

use downpour_interop::{
    ClientKind, Job, Lab, Network, Protocol, Tool, Tracker, TrackerKind, announce_url, full, isolated,
    make_file, start, sums, wait_for_all,
};

const LIMIT: Duration = Duration::from_secs(300);
/// What each foreign leecher must have had from us.
const SHARE: u64 = 1 << 20;

const LEECHERS: [ClientKind; 4] =
    [ClientKind::Downpour, ClientKind::Libtorrent, ClientKind::Aria2, ClientKind::Transmission];

#[test]
fn all_finish_and_each_has_a_share_from_us() {
    isolated(env!("CARGO_TARGET_TMPDIR"), LIMIT + Duration::from_secs(60), || {
        let tools = [Tool::Libtorrent, Tool::Aria2, Tool::Transmission, Tool::Opentracker];
        let Some(lab) = Lab::with(env!("CARGO_TARGET_TMPDIR"), &tools) else { return };
        let network = Network::new();
        let (content, torrent) = (lab.folder("seed").join("file.bin"), lab.path("file.torrent"));
        let (length, upload_limit) = if full() { (256_u64 << 20, 8 << 20) } else { (64 << 20, 3 << 20) };
        make_file(&content, length);
        let tracker_host = network.host();
        let url = announce_url(&tracker_host, Protocol::Http);
        let info_hash = lab.libtorrent_create(&content, &torrent, &[&url]);
        let tracker = Tracker::start(&lab, &tracker_host, TrackerKind::Opentracker, &info_hash);

        let seed_host = network.host();
        let folder = lab.folder("seed");
        let mut job = Job {
            host: &seed_host,
            torrent: &torrent,
            folder: &folder,
            seeds: true,
            upload_limit: Some(upload_limit),
        };
        let mut seed = [(ClientKind::Libtorrent, start(&lab, ClientKind::Libtorrent, &job))];
        wait_for_all(&mut seed, LIMIT);
        tracker.wait_for_peers(1);

        // One after the other, so that each later one is told of all earlier ones.
        let hosts: Vec<_> = LEECHERS.iter().map(|_| network.host()).collect();
        let mut leechers = Vec::new();
        for (number, (kind, host)) in LEECHERS.into_iter().zip(&hosts).enumerate() {
            let folder = lab.folder(&format!("{kind:?}"));
            job = Job { host, torrent: &torrent, folder: &folder, seeds: false, upload_limit: None };
            leechers.push((kind, start(&lab, kind, &job)));
            tracker.wait_for_peers(2 + number as u64);
        }
        let progress = wait_for_all(&mut leechers, LIMIT);
        let us = IpAddr::V4(hosts[0].address());
        for (kind, progress) in LEECHERS.into_iter().zip(&progress) {
            println!("FIGURES: {kind:?} received {:?}", progress.received);
        }
        for (kind, progress) in LEECHERS.into_iter().zip(&progress).skip(1) {
            // aria2 and Transmission tell rates, which lag behind: their sums are too large by the same factor for all.
            let sum = progress.received.values().sum::<u64>().max(length);
            let from_us = progress.received.get(&us).copied().unwrap_or(0);
            let share = (u128::from(from_us) * u128::from(length) / u128::from(sum)) as u64;
            assert!(share >= SHARE, "{kind:?} had {share} bytes from us");
        }
        for (_, client) in leechers.iter_mut().chain(&mut seed) {
            client.stop();
        }
        let expected = sums(&content);
        for kind in LEECHERS {
            assert_eq!(sums(&lab.path(&format!("{kind:?}")).join("file.bin")), expected, "{kind:?}");
        }
    });
}
