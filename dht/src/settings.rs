//! What a host program may choose.

/// The settings of a node. All can be changed at run time with [`Input::Settings`](crate::Input::Settings).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Names and ports of nodes to begin with when no other is known. The driver resolves them.
    pub bootstrap: Vec<(String, u16)>,
    /// Answer nobody, and say so (BEP 43).
    pub read_only: bool,
    /// Prefer nodes whose id fits their address, store on no other, and take such an id ourselves (BEP 42).
    pub secure_ids: bool,
    /// Neither ask, keep nor tell addresses that cannot be reached over the internet.
    pub routable_only: bool,
    /// Keep no two nodes of one address in a routing table or a look-up.
    pub one_node_per_address: bool,
    /// Nodes of one network (IPv4 /24, IPv6 /64) in a bucket or a look-up; 0 is no limit.
    pub nodes_per_network: u8,
    /// Queries under way at once in a look-up (Kademlia's α), at least 1.
    pub alpha: u8,
    /// Queries that one source (IPv4 address, IPv6 /64) gets answered a second, on average; 0 is no limit.
    pub queries_per_second_per_source: u32,
    /// Queries that one source may send at once after a silence.
    pub burst_per_source: u32,
    /// Bytes a second to sources that never answered us, which may be the forged address of a victim; 0 is no limit.
    pub unverified_bytes_per_second: u32,
    /// Torrents that peers are stored for. When full, the peer that was announced longest ago goes.
    pub max_torrents: u32,
    /// Peers that are stored in all. When full, the peer that was announced longest ago goes.
    pub max_peers: u32,
    /// Peers that are stored for one torrent and family. A full torrent gives out no tokens (BEP 33).
    pub max_peers_per_torrent: u32,
    /// Torrents that one source is stored for; further announces are refused.
    pub max_torrents_per_source: u32,
    /// Items that are stored. When full, the item that was put longest ago goes.
    pub max_items: u32,
    /// Items that one source has stored; further ones are refused.
    pub max_items_per_source: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bootstrap: Vec::new(),
            read_only: false,
            secure_ids: true,
            routable_only: true,
            one_node_per_address: true,
            nodes_per_network: 2,
            alpha: 4,
            queries_per_second_per_source: 10,
            burst_per_source: 50,
            unverified_bytes_per_second: 64 * 1024,
            max_torrents: 20_000,
            max_peers: 100_000,
            max_peers_per_torrent: 2000,
            max_torrents_per_source: 250,
            max_items: 2000,
            max_items_per_source: 100,
        }
    }
}
