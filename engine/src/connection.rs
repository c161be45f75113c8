//! The task of one socket.

use std::future::poll_fn;
use std::io::{self, IoSliceMut, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use downpour_base::{BLOCK_SIZE, Block, Instant, PeerEndpoint};
use downpour_session::{Input as SessionInput, Link, LinkState};
use downpour_storage::{FileStorage, Storage, StorageError};
use downpour_swarm::Input;
use downpour_wire::{Config, Segment};
use smol::{Async, Timer};

use crate::alert::AlertKind;
use crate::buffers::{Buffer, READ_SIZES, WRITE_SIZE};
use crate::core::{Core, Todo};
use crate::payload::BlockBytes;
use crate::torrent::Torrent;

/// Reads of one turn, so that a fast peer does not keep the others waiting.
const READS_PER_TURN: usize = 4;

pub(crate) fn wire_config(core: &Core) -> Config {
    Config::new(core.peer_id)
}

/// How others reach a connection's task.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    waker: AtomicWaker,
    woken: AtomicBool,
    orders: Mutex<Orders>,
}

#[derive(Debug, Default)]
struct Orders {
    close: Option<String>,
    attach: Option<Arc<Torrent>>,
}

impl Shared {
    pub(crate) fn wake(&self) {
        self.woken.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) fn close(&self, reason: &str) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.close.get_or_insert_with(|| reason.to_owned());
        drop(orders);
        self.wake();
    }

    pub(crate) fn attach(&self, torrent: Arc<Torrent>) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).attach = Some(torrent);
        self.wake();
    }
}

/// Runs a connection to its end.
pub(crate) async fn run(
    core: Arc<Core>,
    socket: Async<TcpStream>,
    link: Link<BlockBytes>,
    endpoint: PeerEndpoint,
    torrent: Option<Arc<Torrent>>,
) {
    let id = link.id();
    let shared = Arc::new(Shared::default());
    core.connections().insert(id, Arc::clone(&shared));
    // Requests must not wait for the acknowledgement of earlier ones.
    let _ = socket.get_ref().set_nodelay(true);
    let mut task = Task {
        core: Arc::clone(&core),
        socket,
        link,
        shared,
        torrent,
        asked_session: false,
        class: 0,
        reading: None,
        writing: None,
        timer: None,
    };
    let reason = task.run().await;
    let Task { torrent, link, socket, asked_session, .. } = task;
    // No task wakes a connection that is not in the list.
    core.connections().remove(&id);
    let _ = socket.get_ref().shutdown(Shutdown::Both);
    drop(socket);
    let misbehaved = matches!(link.state(), LinkState::Closed(_));
    let Some(torrent) = torrent else {
        if !asked_session {
            core.tell_session(SessionInput::Closed { connection: id });
        }
        return;
    };
    if link.is_introduced() {
        core.alerts.push(Some(torrent.id), AlertKind::PeerDisconnected { connection: id, endpoint, reason });
        core.tell_swarm(torrent.id, Input::Disconnected { connection: id, misbehaved });
    } else {
        core.alerts.push(Some(torrent.id), AlertKind::PeerUnreachable { endpoint, reason });
        core.tell_swarm(torrent.id, Input::DialFailed { endpoint });
    }
}

struct Task {
    core: Arc<Core>,
    socket: Async<TcpStream>,
    link: Link<BlockBytes>,
    shared: Arc<Shared>,
    torrent: Option<Arc<Torrent>>,
    asked_session: bool,
    /// Which of [`READ_SIZES`] the last reads filled.
    class: usize,
    reading: Option<Buffer>,
    writing: Option<Writing>,
    timer: Option<(Instant, Timer)>,
}

/// Bytes on their way to the socket.
struct Writing {
    buffer: Buffer,
    start: usize,
    end: usize,
}

/// What a turn found out about the socket.
#[derive(Clone, Copy, Default)]
struct Turn {
    /// More may be there to read.
    readable: bool,
    /// The peer's end is closed.
    ended: bool,
    /// Reading waits for an allowance.
    throttled: bool,
}

impl Task {
    /// Returns why the connection ended.
    async fn run(&mut self) -> String {
        loop {
            let turn = match self.turn().await {
                Ok(turn) => turn,
                Err(reason) => return reason,
            };
            if turn.ended {
                return "the peer closed the connection".to_owned();
            }
            if turn.readable {
                // Others have their turn.
                smol::future::yield_now().await;
                continue;
            }
            // Idle connections hold no buffer.
            self.reading = None;
            self.arm_timer();
            poll_fn(|cx| self.poll_wait(cx, turn.throttled)).await;
        }
    }

    /// Ready when there is something to do.
    fn poll_wait(&mut self, cx: &mut Context<'_>, throttled: bool) -> Poll<()> {
        self.shared.waker.register(cx.waker());
        if self.shared.woken.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        if !throttled && self.socket.poll_readable(cx).is_ready() {
            return Poll::Ready(());
        }
        if self.writing.is_some() && self.socket.poll_writable(cx).is_ready() {
            return Poll::Ready(());
        }
        match &mut self.timer {
            Some((_, timer)) => Pin::new(timer).poll(cx).map(|_| self.timer = None),
            None => Poll::Pending,
        }
    }

    /// A timer that fires early is harmless, so it is moved only forwards in time when it has fired.
    fn arm_timer(&mut self) {
        let deadline = self.link.poll_timeout();
        let armed = self.timer.as_ref().map(|(at, _)| *at);
        if let Some(deadline) = deadline
            && armed.is_none_or(|armed| deadline < armed)
        {
            self.timer = Some((deadline, Timer::at(self.core.clock.at(deadline))));
        }
    }

    /// Reads, exchanges, writes: all that can be done without waiting, within measure.
    async fn turn(&mut self) -> Result<Turn, String> {
        self.shared.woken.store(false, Ordering::Release);
        self.follow_orders()?;
        self.link.handle_timeout(self.core.clock.now());
        self.exchange();
        self.write().await?;
        let mut turn = Turn::default();
        for _ in 0..READS_PER_TURN {
            turn = self.read().map_err(|error| error.to_string())?;
            if let LinkState::Closed(reason) = self.link.state() {
                // What came before it counts.
                self.exchange();
                return Err(reason.to_string());
            }
            self.route();
            self.exchange();
            self.write().await?;
            if !turn.readable || turn.ended {
                break;
            }
        }
        Ok(turn)
    }

    fn follow_orders(&mut self) -> Result<(), String> {
        let orders = std::mem::take(&mut *self.shared.orders.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(reason) = orders.close {
            return Err(reason);
        }
        if let Some(torrent) = orders.attach {
            self.link.accept(torrent.info_hash);
            self.torrent = Some(torrent);
        }
        match self.core.closing.load(Ordering::Acquire) {
            true => Err("the session closes".to_owned()),
            false => Ok(()),
        }
    }

    /// Asks the session whose an incoming connection is.
    fn route(&mut self) {
        if let LinkState::Routing(info_hash) = self.link.state()
            && !self.asked_session
        {
            self.asked_session = true;
            self.core.tell_session(SessionInput::Incoming { connection: self.link.id(), info_hash });
        }
    }

    /// Tells the swarm what was said, pulls what it wants to say, and carries out what follows.
    fn exchange(&mut self) {
        let Some(torrent) = &self.torrent else { return };
        if matches!(self.link.state(), LinkState::Handshaking | LinkState::Routing(_)) {
            return;
        }
        let (link, room) = (&mut self.link, if self.writing.is_some() { 0 } else { WRITE_SIZE - (16 << 10) });
        let mut todo = Todo::new();
        let known = self.core.with_swarm(torrent, &mut todo, |active, now| {
            link.exchange(now, &mut active.swarm, room);
        });
        if known.is_none() {
            self.shared.close("the torrent is not active");
        }
        self.core.run(todo);
    }

    /// One read, as large as the buffer and the allowance.
    fn read(&mut self) -> io::Result<Turn> {
        let class = self.class;
        let buffer = self.reading.get_or_insert_with(|| self.core.buffers.for_reading(class));
        let wanted = buffer.as_ref().len();
        let granted = match &self.torrent {
            Some(torrent) => {
                let id = self.link.id();
                let mut todo = Todo::new();
                let reserve =
                    |active: &mut crate::torrent::Active, _| active.swarm.reserve_read(id, wanted as u32);
                let granted =
                    self.core.with_swarm(torrent, &mut todo, reserve).unwrap_or(wanted as u32) as usize;
                self.core.run(todo);
                granted
            }
            None => wanted,
        };
        if granted == 0 {
            return Ok(Turn { throttled: true, ..Turn::default() });
        }
        let result = self.socket.get_ref().read(&mut buffer.as_mut()[..granted]);
        let received = match &result {
            Ok(received) => *received,
            Err(_) => 0,
        };
        if received < granted
            && let Some(torrent) = &self.torrent
        {
            let unused = (granted - received) as u32;
            self.core.with_swarm(torrent, &mut Todo::new(), |active, _| active.swarm.return_read(unused));
        }
        match result {
            Ok(0) => Ok(Turn { ended: true, ..Turn::default() }),
            Ok(received) => {
                self.take_received(received);
                Ok(Turn { readable: received == granted, ..Turn::default() })
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Turn::default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                Ok(Turn { readable: true, ..Turn::default() })
            }
            Err(error) => Err(error),
        }
    }

    /// Passes on what was read: the buffer itself if it is well filled, else a copy, so that little data never pins a
    /// large buffer. The next buffer is as large as reads have been.
    fn take_received(&mut self, received: usize) {
        let Some(buffer) = self.reading.take() else { return };
        let size = buffer.as_ref().len();
        let now = self.core.clock.now();
        if received * 2 >= size {
            if received == size {
                self.class = (self.class + 1).min(READ_SIZES.len() - 1);
            }
            self.link.receive(now, buffer.freeze(received));
        } else {
            self.class = READ_SIZES.iter().position(|size| *size >= received).unwrap_or(0);
            self.link.receive(now, Bytes::copy_from_slice(&buffer.as_ref()[..received]));
            if self.class < READ_SIZES.len() && READ_SIZES[self.class] == size {
                self.reading = Some(buffer);
            }
        }
    }

    /// Writes until the socket takes no more or there is nothing left.
    async fn write(&mut self) -> Result<(), String> {
        let mut asked_again = false;
        loop {
            if self.writing.is_none() {
                self.fill().await?;
            }
            let Some(writing) = &mut self.writing else {
                if asked_again || !self.link.was_cut_short() {
                    return Ok(());
                }
                asked_again = true;
                self.exchange();
                continue;
            };
            match self.socket.get_ref().write(&writing.buffer.as_ref()[writing.start..writing.end]) {
                Ok(written) => writing.start += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
            if writing.start == writing.end {
                self.writing = None;
                asked_again = false;
            }
        }
    }

    /// Fills a write buffer with what the link has: messages, and blocks read into the gaps between their headers.
    async fn fill(&mut self) -> Result<(), String> {
        let now = self.core.clock.now();
        let Some(first) = self.link.poll_segment(now) else { return Ok(()) };
        let mut buffer = self.core.buffers.for_writing();
        let (mut end, mut blocks) = (0, Vec::new());
        let mut segment = Some(first);
        while let Some(next) = segment {
            match next {
                Segment::Bytes(bytes) => {
                    if bytes.len() > buffer.as_ref().len() - end {
                        // Larger than any buffer of ours: a bitfield of a giant torrent.
                        return self.write_large(buffer, end, &blocks, bytes).await;
                    }
                    buffer.as_mut()[end..end + bytes.len()].copy_from_slice(&bytes);
                    end += bytes.len();
                }
                Segment::Block { header, block } => {
                    buffer.as_mut()[end..end + header.len()].copy_from_slice(&header);
                    end += header.len();
                    blocks.push((end, block));
                    end += block.length as usize;
                }
            }
            // Room for the longest segment but one: a block with its header.
            let room = buffer.as_ref().len() - end > BLOCK_SIZE as usize + 1024;
            segment = if room { self.link.poll_segment(now) } else { None };
        }
        let buffer = self.read_blocks(buffer, blocks).await?;
        self.writing = Some(Writing { buffer, start: 0, end });
        Ok(())
    }

    /// Writes what is in `buffer`, then `bytes`, waiting for the socket.
    async fn write_large(
        &mut self,
        buffer: Buffer,
        end: usize,
        blocks: &[(usize, Block)],
        bytes: Bytes,
    ) -> Result<(), String> {
        use smol::io::AsyncWriteExt;
        let buffer = self.read_blocks(buffer, blocks.to_vec()).await?;
        let mut socket = &self.socket;
        let whole = async {
            socket.write_all(&buffer.as_ref()[..end]).await?;
            socket.write_all(&bytes).await
        };
        whole.await.map_err(|error: io::Error| error.to_string())
    }

    /// Reads `blocks` to their places in the buffer: at once from the page cache, else on the pool.
    async fn read_blocks(&self, mut buffer: Buffer, blocks: Vec<(usize, Block)>) -> Result<Buffer, String> {
        let Some(torrent) = self.torrent.as_ref().filter(|_| !blocks.is_empty()) else { return Ok(buffer) };
        let storage = torrent.active().as_ref().map(|active| Arc::clone(&active.storage));
        let storage = storage.ok_or("the torrent is not active")?;
        let cached = |run: &[(usize, Block)], gaps: &mut [IoSliceMut<'_>]| {
            storage.read_if_cached(run[0].1.piece, run[0].1.begin, gaps).then_some(()).ok_or(run[0].1)
        };
        if each_run(buffer.as_mut(), &blocks, cached).is_ok() {
            return Ok(buffer);
        }
        let reader = Arc::clone(&storage);
        let read = move || {
            let read = each_run(buffer.as_mut(), &blocks, |run, gaps| read_run(&reader, run, gaps));
            (buffer, read)
        };
        let (buffer, read) = self.core.pool.call(read).await.ok_or("the session closes")?;
        if let Err((block, error)) = read {
            let message = error.to_string();
            if error.is_content_lost() {
                self.core.tell_swarm(torrent.id, Input::ReadFailed { connection: self.link.id(), block });
                let failure = downpour_swarm::DiskFailure { message: message.clone(), disk_full: false };
                self.core.alerts.push(Some(torrent.id), AlertKind::DiskError(failure));
            }
            return Err(message);
        }
        Ok(buffer)
    }
}

fn read_run(
    storage: &FileStorage,
    run: &[(usize, Block)],
    gaps: &mut [IoSliceMut<'_>],
) -> Result<(), (Block, StorageError)> {
    storage.read(run[0].1.piece, run[0].1.begin, gaps).map_err(|error| (run[0].1, error))
}

/// Calls `read` for each run of blocks that lie one after another in the torrent, with their places in `buffer`.
fn each_run<E>(
    buffer: &mut [u8],
    blocks: &[(usize, Block)],
    mut read: impl FnMut(&[(usize, Block)], &mut [IoSliceMut<'_>]) -> Result<(), E>,
) -> Result<(), E> {
    let follows = |a: &(usize, Block), b: &(usize, Block)| {
        a.1.piece == b.1.piece && a.1.begin + a.1.length == b.1.begin
    };
    let (mut rest, mut at) = (buffer, 0);
    for run in blocks.chunk_by(follows) {
        let mut gaps = Vec::with_capacity(run.len());
        for (start, block) in run {
            let (_, after) = std::mem::take(&mut rest).split_at_mut(start - at);
            let (gap, after) = after.split_at_mut(block.length as usize);
            gaps.push(IoSliceMut::new(gap));
            (rest, at) = (after, start + block.length as usize);
        }
        read(run, &mut gaps)?;
    }
    Ok(())
}
