//! A swarm, its clock, and what came out of it.

use downpour_base::{
    BLOCK_SIZE, Bitfield, Block, ConnectionId, InfoHashV1, Instant, Machine, PeerEndpoint, PeerId, Seed,
};
use downpour_swarm::{
    BlockDigest, Budget, CloseReason, Config, Event, Geometry, Input, JobId, Output, StoreResult, Swarm,
    Totals, Transmit,
};
use downpour_wire::Message;
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) const PIECE: u32 = 2 * BLOCK_SIZE;
pub(crate) const BUDGET: Budget =
    Budget { upload_slots: 2, connections: 10, connections_per_address: 4, memory_bytes: 1 << 20 };

/// A swarm, its clock, and what came out of it.
pub(crate) struct World {
    pub(crate) swarm: Swarm<u32>,
    pub(crate) now: Instant,
    pub(crate) out: Vec<Output<u32>>,
}

pub(crate) fn config() -> Config {
    Config {
        seed: Seed::from_u64(1),
        info_hash: InfoHashV1([7; 20]),
        peer_id: PeerId([5; 20]),
        client: "test".into(),
        listen_port: Some(6881),
        private: false,
        before: Totals::default(),
    }
}

pub(crate) fn bits(len: u32, pieces: &[u32]) -> Bitfield {
    let mut bits = Bitfield::new(len);
    pieces.iter().for_each(|piece| assert!(bits.insert(*piece)));
    bits
}

pub(crate) fn endpoint(number: u64) -> PeerEndpoint {
    PeerEndpoint::Tcp(SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 6881)))
}

pub(crate) fn block(piece: u32, index: u32) -> Block {
    Block { piece, begin: index * BLOCK_SIZE, length: BLOCK_SIZE }
}

impl World {
    /// A torrent of `pieces` pieces of two blocks, of which those in `have` are had.
    pub(crate) fn new(pieces: u32, have: &[u32]) -> Self {
        let geometry = Geometry::new(u64::from(pieces) * u64::from(PIECE), PIECE, &bits(pieces, have));
        Self::with(Some(&geometry))
    }

    pub(crate) fn with(geometry: Option<&Geometry>) -> Self {
        let mut world = Self { swarm: Swarm::new(config(), geometry), now: Instant::ORIGIN, out: Vec::new() };
        world.input(Input::Budget(BUDGET));
        world
    }

    pub(crate) fn input(&mut self, input: Input<u32>) {
        self.swarm.handle_input(self.now, input);
        self.out.extend(std::iter::from_fn(|| self.swarm.poll_output()));
    }

    /// Lets time pass, with every deadline kept.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.swarm.poll_timeout().filter(|deadline| *deadline <= end) {
            assert!(deadline >= self.now, "a deadline in the past");
            self.now = deadline;
            self.swarm.handle_timeout(self.now);
            self.out.extend(std::iter::from_fn(|| self.swarm.poll_output()));
        }
        self.now = end;
    }

    pub(crate) fn connect_as(&mut self, number: u64, fast: bool, outgoing: bool) -> ConnectionId {
        let connection = ConnectionId(number);
        let (endpoint, peer_id) = (endpoint(number), PeerId([number as u8 ^ 0x80; 20]));
        self.input(Input::Connected { connection, endpoint, outgoing, peer_id, fast, extensions: true });
        connection
    }

    pub(crate) fn connect(&mut self, number: u64) -> ConnectionId {
        self.connect_as(number, true, false)
    }

    pub(crate) fn say(&mut self, connection: ConnectionId, message: Message) {
        self.input(Input::Message { connection, message });
    }

    /// A connected seed that unchokes us, with our requests to it.
    pub(crate) fn seed(&mut self, number: u64) -> (ConnectionId, Vec<Block>) {
        let seed = self.connect(number);
        self.say(seed, Message::HaveAll);
        self.say(seed, Message::Unchoke);
        let requests = requests(&self.told(seed));
        (seed, requests)
    }

    pub(crate) fn deliver(&mut self, connection: ConnectionId, block: Block) {
        self.input(Input::Block { connection, block, payload: block.begin });
    }

    /// Answers store jobs: with digests, block `n` of which is `digests[n]`.
    pub(crate) fn answer(&mut self, job: JobId, result: StoreResult, digests: &[u8]) {
        let digests = digests.iter().map(|digest| BlockDigest([*digest; 20])).collect();
        self.input(Input::Stored { job, result, digests });
    }

    /// All that the swarm wants to tell `connection` now.
    pub(crate) fn told(&mut self, connection: ConnectionId) -> Vec<Transmit> {
        let told = std::iter::from_fn(|| self.swarm.poll_transmit(self.now, connection)).collect();
        self.out.extend(std::iter::from_fn(|| self.swarm.poll_output()));
        told
    }

    pub(crate) fn messages(&mut self, connection: ConnectionId) -> Vec<Message> {
        let message = |transmit| if let Transmit::Message(message) = transmit { Some(message) } else { None };
        self.told(connection).into_iter().filter_map(message).collect()
    }

    pub(crate) fn closed(&self) -> Vec<(ConnectionId, CloseReason)> {
        let close = |output: &Output<u32>| match output {
            Output::Close { connection, reason } => Some((*connection, *reason)),
            _ => None,
        };
        self.out.iter().filter_map(close).collect()
    }

    pub(crate) fn dialled(&mut self) -> Vec<PeerEndpoint> {
        let dial =
            |output: Output<u32>| if let Output::Dial { endpoint } = output { Some(endpoint) } else { None };
        std::mem::take(&mut self.out).into_iter().filter_map(dial).collect()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        let event =
            |output: &Output<u32>| if let Output::Event(event) = output { Some(event.clone()) } else { None };
        self.out.iter().filter_map(event).collect()
    }

    pub(crate) fn jobs(&mut self) -> Vec<(JobId, u32, Vec<u32>)> {
        let job = |output: Output<u32>| match output {
            Output::Store { job, piece, blocks, .. } => Some((job, piece, blocks)),
            _ => None,
        };
        std::mem::take(&mut self.out).into_iter().filter_map(job).collect()
    }

    /// Delivers and stores everything that `seed` is asked for, until nothing more is.
    pub(crate) fn complete_from(&mut self, seed: ConnectionId, mut wanted: Vec<Block>) {
        while !wanted.is_empty() {
            wanted.into_iter().for_each(|block| self.deliver(seed, block));
            for (job, _, _) in self.jobs() {
                self.input(Input::Stored { job, result: StoreResult::Stored, digests: vec![] });
            }
            wanted = requests(&self.told(seed));
        }
    }
}

pub(crate) fn requests(told: &[Transmit]) -> Vec<Block> {
    let request = |transmit: &Transmit| match transmit {
        Transmit::Message(Message::Request(block)) => Some(*block),
        _ => None,
    };
    told.iter().filter_map(request).collect()
}

pub(crate) fn uploads(told: &[Transmit]) -> Vec<Block> {
    told.iter()
        .filter_map(|told| if let Transmit::Block(block) = told { Some(*block) } else { None })
        .collect()
}
