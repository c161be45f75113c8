//! What a peer says of all its pieces, more than once.

use bytes::Bytes;
use downpour_base::{
    BLOCK_SIZE, Bitfield, ConnectionId, InfoHashV1, Instant, Machine, PeerEndpoint, PeerId, Seed,
};
use downpour_swarm::{Budget, Config, Geometry, Input, Output, Swarm, Totals};
use downpour_wire::Message;

const NOW: Instant = Instant::ORIGIN;
const PEER: ConnectionId = ConnectionId(1);

#[test]
fn a_later_bitfield_replaces_what_was_known() {
    let config = Config {
        seed: Seed::from_u64(1),
        info_hash: InfoHashV1([1; 20]),
        peer_id: PeerId([0; 20]),
        client: "test".to_owned(),
        listen_port: None,
        private: false,
        before: Totals::default(),
    };
    let geometry = Geometry::new(u64::from(BLOCK_SIZE) * 8, BLOCK_SIZE, &Bitfield::new(8));
    let mut swarm: Swarm<()> = Swarm::new(config, Some(&geometry));
    let budget =
        Budget { upload_slots: 1, connections: 1, connections_per_address: 4, memory_bytes: 1 << 20 };
    swarm.handle_input(NOW, Input::Budget(budget));
    swarm.handle_input(
        NOW,
        Input::Connected {
            connection: PEER,
            endpoint: PeerEndpoint::Tcp(([10, 0, 0, 1], 6881).into()),
            outgoing: true,
            peer_id: PeerId([1; 20]),
            fast: true,
            extensions: false,
        },
    );
    let mut pieces_after = |message| {
        swarm.handle_input(NOW, Input::Message { connection: PEER, message });
        while let Some(output) = swarm.poll_output() {
            assert!(!matches!(output, Output::Close { .. }), "{output:?}");
        }
        let peer = swarm.peer_statuses(NOW).next().expect("the peer");
        (peer.pieces, swarm.status(NOW).seeds)
    };
    let bits = |byte: u8| Message::Bitfield(Bytes::copy_from_slice(&[byte]));
    assert_eq!(pieces_after(bits(0b1000_0000)), (1, 0));
    assert_eq!(pieces_after(Message::Have(1)), (2, 0));
    assert_eq!(pieces_after(bits(0b1110_0000)), (3, 0));
    assert_eq!(pieces_after(bits(0b0110_0000)), (2, 0), "pieces can be lost as well as won");
    assert_eq!(pieces_after(Message::HaveAll), (8, 1));
    assert_eq!(pieces_after(Message::HaveAll), (8, 1));
    assert_eq!(pieces_after(bits(0b1000_0000)), (1, 0));
}
