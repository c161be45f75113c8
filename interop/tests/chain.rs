//! A chain in which each client knows only the one before it, all at once: libtorrent, us, us, libtorrent.

use downpour_interop::{Lab, make_file, sums};

#[test]
fn pieces_flow_down_a_chain_while_they_arrive() {
    let Some(lab) = Lab::open(env!("CARGO_TARGET_TMPDIR")) else { return };
    let (content, torrent) = (lab.folder("first").join("file.bin"), lab.path("file.torrent"));
    make_file(&content, (96 << 20) + 777);
    lab.libtorrent_create(&content, &torrent, &[]);

    // Slow enough that the last of the chain starts long before the second has everything.
    let limit = (16 << 20).to_string();
    let mut first = lab.libtorrent(&torrent, &lab.folder("first"), &["--upload-limit", &limit]);
    let mut second = lab.get("second", &torrent, &lab.folder("second"), first.port(), &[]);
    let port = second.port();
    second.wait_for_event("checked");
    let mut third = lab.get("third", &torrent, &lab.folder("third"), port, &[]);
    let port = third.port();
    third.wait_for_event("checked");
    let mut fourth = lab.libtorrent(&torrent, &lab.folder("fourth"), &["--peer", &port.to_string()]);

    let some =
        fourth.wait_for("first piece", |line| line["pieces_have"].as_u64().is_some_and(|have| have > 0));
    assert_ne!(some["event"], "finished", "pieces must come one by one");
    let done = fourth.wait_for_event("finished");
    assert_eq!(done["failed_bytes"], 0, "we sent bad data");
    for client in [&mut second, &mut third] {
        client.wait_for_event("finished");
    }
    let expected = sums(&content);
    for client in ["second", "third", "fourth"] {
        assert_eq!(sums(&lab.path(client).join("file.bin")), expected, "{client}");
    }
}
