//! Which connection a packet belongs to.

use core::net::SocketAddr;

use downpour_base::{Map, MapKey};

use crate::StreamId;
use crate::connection::Connection;

/// A peer's address and the connection id in its packets.
type Route = (SocketAddr, u16);

/// All connections, by slot and by route. Everything is O(1).
#[derive(Debug)]
pub(crate) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    routes: Map<Route, u32>,
    /// The route that was asked for last: datagrams come in runs.
    last: Option<(Route, u32)>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    connection: Option<Box<Connection>>,
}

impl Table {
    pub(crate) fn new(key: MapKey) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), routes: key.map(), last: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.routes.len()
    }

    /// The slot of the connection that `address` calls `id`.
    pub(crate) fn route(&mut self, address: SocketAddr, id: u16) -> Option<u32> {
        let route = (address, id);
        match self.last {
            Some((last, slot)) if last == route => Some(slot),
            _ => {
                let slot = *self.routes.get(&route)?;
                self.last = Some((route, slot));
                Some(slot)
            }
        }
    }

    pub(crate) fn get(&mut self, slot: u32) -> Option<&mut Connection> {
        self.slots.get_mut(slot as usize)?.connection.as_deref_mut()
    }

    /// The slot that `id` names, unless the connection is gone.
    pub(crate) fn find(&self, id: StreamId) -> Option<u32> {
        let slot = self.slots.get(id.slot as usize)?;
        (slot.generation == id.generation && slot.connection.is_some()).then_some(id.slot)
    }

    pub(crate) fn id(&self, slot: u32) -> StreamId {
        let generation = self.slots.get(slot as usize).map_or(0, |slot| slot.generation);
        StreamId { generation, slot }
    }

    pub(crate) fn insert(&mut self, connection: Connection) -> u32 {
        let route = (connection.remote, connection.receive_id);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, connection: None });
            self.slots.len() as u32 - 1
        });
        self.routes.insert(route, slot);
        if let Some(slot) = self.slots.get_mut(slot as usize) {
            slot.connection = Some(Box::new(connection));
        }
        slot
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<Box<Connection>> {
        let place = self.slots.get_mut(slot as usize)?;
        let connection = place.connection.take()?;
        self.routes.remove(&(connection.remote, connection.receive_id));
        self.last = None;
        // A slot whose numbers are used up is not used again.
        if let Some(generation) = place.generation.checked_add(1) {
            place.generation = generation;
            self.free.push(slot);
        }
        Some(connection)
    }
}
