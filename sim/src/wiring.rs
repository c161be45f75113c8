//! Carrying outputs to where they belong: what `downpour_session` says follows from them.

use downpour_base::{Bitfield, Machine, PeerEndpoint, TorrentId};
use downpour_session::{Effect, Input as SessionInput, Next};
use downpour_swarm::{Config, Event as SwarmEvent, Geometry, Input, PeerSource, Recorder, Totals};

use crate::Token;
use crate::disk::Store;
use crate::event::{Context, Event, Socket};
use crate::node::{Active, CONNECT_TIMEOUT, Node, PORT};

impl Node {
    pub(crate) fn carry(&mut self, cx: &mut Context<'_>, next: Next<Token>) {
        cx.trace.record(cx.now, self.number, &next);
        match next {
            Next::Session(input) => self.with_session(cx, |session, now| session.handle_input(now, input)),
            Next::Swarm(torrent, input) => {
                if let Input::Budget(budget) = &input
                    && let Some(active) = self.active.get_mut(&torrent)
                {
                    active.budget = Some(*budget);
                }
                self.with_swarm(cx, torrent, |swarm, now| swarm.handle_input(now, input));
            }
            Next::Effect(effect) => self.carry_out(cx, effect),
        }
    }

    fn carry_out(&mut self, cx: &mut Context<'_>, effect: Effect<Token>) {
        match effect {
            Effect::Dial { torrent, endpoint } => self.dial(cx, torrent, endpoint),
            Effect::Wake(connection) => self.wake(connection),
            Effect::Close(connection, _) | Effect::Refuse(connection, _) => self.disconnect(cx, connection),
            Effect::Attach(id, torrent) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.link.accept(cx.torrents[&torrent].info_hash);
                    connection.torrent = Some(torrent);
                    self.wake(id);
                }
            }
            Effect::Store { torrent, job, piece, blocks, digests } => {
                let rate = self.config.disk_bytes_per_second;
                let facts = &cx.torrents[&torrent];
                let store = Store { job, piece, blocks, digests };
                let (answer, at) = self.disk.store(cx.now, rate, (torrent, facts), store);
                let done = Event::DiskDone { torrent, piece, answer };
                cx.events.schedule(at, self.number, done);
            }
            // A disk in memory has nothing to sync.
            Effect::Checkpoint(_) => {}
            Effect::Activate(torrent) => self.activate(cx, torrent),
            Effect::Deactivate(torrent) => self.deactivate(torrent),
            Effect::Event(torrent, SwarmEvent::Finished) => {
                self.finished.entry(torrent).or_insert(cx.now);
            }
            Effect::Event(_, SwarmEvent::PeerBanned { endpoint, .. }) => self.banned.push(endpoint),
            // There are no trackers here.
            Effect::Event(..)
            | Effect::SessionEvent(_)
            | Effect::Http { .. }
            | Effect::Resolve { .. }
            | Effect::Cancel(_)
            | Effect::Datagram { .. }
            | Effect::Totals(_)
            | Effect::Tracker(_)
            | Effect::ShutDown => {}
        }
    }

    fn dial(&mut self, cx: &mut Context<'_>, torrent: TorrentId, endpoint: PeerEndpoint) {
        let Some(&callee) = cx.addresses.get(&endpoint) else {
            let unanswered = Event::Unanswered { torrent, endpoint };
            return cx.events.schedule(cx.now + CONNECT_TIMEOUT, self.number, unanswered);
        };
        let connection = self.new_connection();
        let caller = self.calling_endpoint(connection);
        let by = Socket { node: self.number, connection };
        let at = cx.now + cx.delay(self.number, callee);
        cx.events.schedule(at, callee, Event::Called { by, torrent, caller, endpoint });
    }

    fn activate(&mut self, cx: &mut Context<'_>, id: TorrentId) {
        let torrent = &cx.torrents[&id];
        self.disk.prepare(id, torrent, false);
        let none = Bitfield::new(torrent.piece_count());
        let have = self.disk.pieces(id).unwrap_or(&none);
        let geometry = Geometry::new(torrent.total_length, torrent.piece_length, have);
        let config = Config {
            seed: self.rng.fork(),
            info_hash: torrent.info_hash,
            peer_id: self.peer_id,
            client: "Downpour sim".to_owned(),
            listen_port: Some(PORT),
            private: false,
            before: Totals::default(),
        };
        let swarm = Recorder::new(config, Some(&geometry), self.config.record);
        self.active.insert(id, Active { swarm, budget: None, armed: None });
        self.todo.push_back(Next::Session(SessionInput::Activated { torrent: id }));
        let endpoints = self.introduced.get(&id).cloned().unwrap_or_default();
        self.todo.push_back(Next::Swarm(id, Input::Peers { endpoints, source: PeerSource::Tracker }));
    }

    fn deactivate(&mut self, torrent: TorrentId) {
        if let Some(mut active) = self.active.remove(&torrent) {
            self.recordings.entry(torrent).or_default().extend(active.swarm.take_lines());
        }
        self.todo.push_back(Next::Session(SessionInput::Deactivated { torrent }));
    }
}
