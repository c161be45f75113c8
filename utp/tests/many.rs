//! Many connections on one endpoint.

mod network;

use downpour_utp::{ConnectError, Settings};
use network::{Link, World, content, ms};

#[test]
fn a_thousand_connections_share_an_endpoint() {
    let link = Link { loss: 10, reorder: 20, jitter: ms(5), ..Link::default() };
    let mut world = World::new(1, 21, link, Settings::default());
    // Fifty from each of twenty nodes, all to node 0.
    for from in 1..21 {
        for n in 0..50 {
            world.connect(from, 0, content(20_000 + n, from as u64 * 100 + n as u64));
        }
    }
    let done = world.run(ms(300_000), |world| world.nodes[0].ended.len() == 1000);
    assert!(done, "{} ended, {:?}", world.nodes[0].ended.len(), world.nodes[0].endpoint.statistics());
    let mut received: Vec<&Vec<u8>> = world.nodes[0].incoming.values().collect();
    received.sort();
    let mut sent: Vec<Vec<u8>> = (1..21u64)
        .flat_map(|from| (0..50).map(move |n| content(20_000 + n, from * 100 + n as u64).to_vec()))
        .collect();
    sent.sort();
    assert!(received.iter().zip(&sent).all(|(received, sent)| *received == sent));
}

#[test]
fn idle_connections_only_keep_the_way_open() {
    let mut world = World::new(2, 2, Link::default(), Settings::default());
    let now = world.clock(0);
    let to = world.nodes[1].address;
    for _ in 0..100 {
        world.nodes[0].endpoint.connect(now, to).expect("room");
    }
    world.run(ms(1000), |_| false);
    assert_eq!(world.nodes[1].accepted.len(), 100, "who says nothing is connected too");
    let sent = world.nodes[0].datagrams_sent;
    world.run(ms(290_000), |_| false);
    assert_eq!(world.nodes[0].datagrams_sent - sent, 1000, "one in 29 seconds each");
    assert_eq!(world.nodes[0].endpoint.connections(), 100);
}

#[test]
fn there_are_no_more_connections_than_the_settings_allow() {
    let settings = Settings { max_connections: 3, ..Settings::default() };
    let mut world = World::new(3, 3, Link::default(), settings);
    for _ in 0..3 {
        world.connect(0, 1, content(10, 1));
    }
    let (now, to) = (world.clock(0), world.nodes[2].address);
    assert_eq!(world.nodes[0].endpoint.connect(now, to), Err(ConnectError::TooMany(3)));
    world.connect(2, 1, content(10, 1));
    world.run(ms(500), |_| false);
    assert_eq!(world.nodes[1].accepted.len(), 3);
    assert!(world.nodes[1].endpoint.statistics().refused > 0, "a SYN without an answer");
    let nowhere = (std::net::Ipv4Addr::UNSPECIFIED, 5).into();
    let error = world.nodes[1].endpoint.connect(now, nowhere).expect_err("no address");
    assert_eq!(error.to_string(), "0.0.0.0:5 is no address to connect to");
}
