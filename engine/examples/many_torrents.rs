//! Many torrents in one session: added, listed, announced to a tracker over UDP, and removed; prints what that takes.
//! Everything stays on this machine. An argument says how many; announces are paced, so ten thousand take minutes.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use downpour_engine::{AddTorrent, Config, RemoveFiles, Session};

/// How long the announces may take.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() -> Result<(), Box<dyn Error>> {
    let count: usize = std::env::args().nth(1).map_or(Ok(500), |text| text.parse())?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let url = format!("udp://{}/announce", socket.local_addr()?);
    let tracker = Arc::new(Mutex::new(Tracker::default()));
    let seen = Arc::clone(&tracker);
    thread::spawn(move || serve(&socket, &seen));
    let seen = || tracker.lock().map(|tracker| (tracker.started.len(), tracker.stopped.len()));

    let listen = vec![(Ipv4Addr::LOCALHOST, 0).into()];
    let session = Session::start(Config { listen, ..Config::default() })?;
    let mut meter = Meter::start();
    println!("{count} torrents, a session with {:.1} MiB so far", memory());
    let folder = tempfile::tempdir()?;
    for number in 0..count {
        session.add_torrent(AddTorrent::new(torrent(number, &url), folder.path()))?;
    }
    meter.tell("added", count);

    let listed = session.torrents();
    let pieces: u64 = listed.iter().map(|handle| u64::from(handle.status().pieces_total)).sum();
    println!("listed: {} torrents with {pieces} pieces", listed.len());
    meter.tell("listed", count);

    let deadline = Instant::now() + PATIENCE;
    while seen().is_ok_and(|(started, _)| started < count) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
    let (started, _) = seen().map_err(|_| "the tracker failed")?;
    println!("the tracker knows {started} torrents");
    meter.tell("announced", count);
    meter.idle();

    for handle in &listed {
        session.remove_torrent_blocking(handle, RemoveFiles::Keep)?;
    }
    meter.tell("removed", count);
    session.shutdown_blocking();
    meter.tell("shut down", count);
    let (_, stopped) = seen().map_err(|_| "the tracker failed")?;
    println!("the tracker was told of {stopped} that stopped");
    if started < count || listed.len() < count {
        return Err("not all were announced".into());
    }
    Ok(())
}

/// A torrent of one piece, different for each number.
fn torrent(number: usize, tracker: &str) -> Vec<u8> {
    let name = format!("torrent {number}");
    let mut bytes = format!("d8:announce{}:{tracker}4:infod6:lengthi16384e", tracker.len()).into_bytes();
    bytes.extend(format!("4:name{}:{name}12:piece lengthi16384e6:pieces20:", name.len()).bytes());
    bytes.extend([number as u8; 20]);
    bytes.extend(b"ee");
    bytes
}

/// Who announced.
#[derive(Default)]
struct Tracker {
    started: BTreeSet<[u8; 20]>,
    stopped: BTreeSet<[u8; 20]>,
}

/// A tracker (BEP 15) that knows no peers.
fn serve(socket: &UdpSocket, tracker: &Mutex<Tracker>) {
    let mut buffer = [0; 2048];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let (Some(&[_, _, _, action]), Some(transaction)) = (buffer.get(8..12), buffer.get(12..16)) else {
            continue;
        };
        let mut answer = vec![0, 0, 0, action];
        answer.extend(transaction);
        match action {
            0 => answer.extend([7; 8]),
            1 if length >= 98 => {
                let mut info_hash = [0; 20];
                info_hash.copy_from_slice(&buffer[16..36]);
                let Ok(mut tracker) = tracker.lock() else { return };
                // The event: 2 is started, 3 is stopped.
                match buffer[83] {
                    3 => tracker.stopped.insert(info_hash),
                    _ => tracker.started.insert(info_hash),
                };
                // Interval, leechers, seeders.
                answer.extend([0, 0, 7, 8, 0, 0, 0, 1, 0, 0, 0, 0]);
            }
            _ => continue,
        }
        // Who does not get it asks again.
        let _ = socket.send_to(&answer, from);
    }
}

/// Time, and processor time of all threads, the tracker's among them.
struct Meter {
    since: Instant,
    busy: f64,
}

impl Meter {
    fn start() -> Self {
        Self { since: Instant::now(), busy: busy() }
    }

    fn tell(&mut self, what: &str, count: usize) {
        let (time, now) = (self.since.elapsed().as_secs_f64(), busy());
        let each = (now - self.busy) * 1e6 / count as f64;
        println!(
            "{what:>10}: {time:>6.2} s, {:>5.2} s of processors, {each:>5.0} µs each; {:.1} MiB in all",
            now - self.busy,
            memory()
        );
        *self = Self::start();
    }

    /// What it costs to have them and do nothing.
    fn idle(&mut self) {
        *self = Self::start();
        thread::sleep(Duration::from_secs(2));
        println!(
            "{:>10}: {:>5.2} % of a processor",
            "idle",
            (busy() - self.busy) / self.since.elapsed().as_secs_f64() * 100.0
        );
        *self = Self::start();
    }
}

/// Resident memory in MiB, where the system tells (Linux).
fn memory() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// Seconds of processor time, where the system tells (Linux: in hundredths).
fn busy() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
