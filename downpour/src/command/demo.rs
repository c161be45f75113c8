//! `downpour demo`: a seeder and a leecher on loopback, in one process.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use downpour_base::{Rng, Seed};
use downpour_engine::{AddTorrent, Config, Session, State};
use downpour_storage::scan;
use sha2::{Digest, Sha256};

use super::create::simple;
use crate::cli::Demo;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::report::bar;
use crate::text::{print_line, size};

const NAME: &str = "downpour-demo.bin";
/// How long nothing may happen before the demo is called a failure.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn run(options: &Demo) -> Result<(), Failure> {
    let interrupt = Interrupt::install()?;
    let folder =
        tempfile::tempdir().map_err(|error| Failure::new(format!("cannot make a folder: {error}")))?;
    let (there, here) = (folder.path().join("seeder"), folder.path().join("leecher"));
    for path in [&there, &here] {
        std::fs::create_dir(path).map_err(|error| Failure::of(path, error))?;
    }
    let original = there.join(NAME);
    write_random(&original, options.size.max(1)).map_err(|error| Failure::of(&original, error))?;
    let scanned = scan(&original).map_err(|error| Failure::new(error.to_string()))?;
    let torrent = simple(&scanned)?.finish().map_err(|error| Failure::new(error.to_string()))?;

    let loopback: Vec<SocketAddr> = vec![([127, 0, 0, 1], 0).into()];
    let seeder = Session::start(Config { listen: loopback.clone(), ..Config::default() })?;
    let leecher = Session::start(Config { listen: loopback, ..Config::default() })?;
    seeder.add_torrent(AddTorrent::new(torrent.clone(), &there))?;
    let add = AddTorrent::new(torrent, &here).peers(seeder.listen_addresses().iter().copied());
    let started = Instant::now();
    let handle = leecher.add_torrent(add)?;

    let progress = bar(options.size.max(1), "downloading");
    let (mut last, mut moved) = (0, Instant::now());
    loop {
        let status = handle.status();
        if status.state == State::Seeding || interrupt.is_set() {
            break;
        }
        progress.set_position(status.downloaded_bytes.min(options.size));
        if status.downloaded_bytes > last {
            (last, moved) = (status.downloaded_bytes, Instant::now());
        } else if moved.elapsed() > PATIENCE {
            return Err(Failure::new(format!(
                "nothing moved for {} s at {}",
                PATIENCE.as_secs(),
                size(last)
            )));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let elapsed = started.elapsed();
    progress.finish_and_clear();
    leecher.shutdown_blocking();
    seeder.shutdown_blocking();
    if interrupt.is_set() {
        return Err(Failure::interrupted("stopped before everything was transferred"));
    }
    let copy = here.join(NAME);
    let (sent, received) = (sha256(&original)?, sha256(&copy)?);
    let per_second = (options.size as f64 / elapsed.as_secs_f64()) as u64;
    print_line(format_args!(
        "transferred {} in {:.2} s ({}/s)",
        size(options.size),
        elapsed.as_secs_f64(),
        size(per_second)
    ));
    print_line(format_args!("SHA-256 of the original  {sent}"));
    print_line(format_args!("SHA-256 of the copy      {received}"));
    if sent == received { Ok(()) } else { Err(Failure::new("the copy differs from the original")) }
}

fn write_random(path: &Path, length: u64) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    let mut rng = Rng::new(Seed::from_u64(length));
    let mut buffer = vec![0; 1 << 20];
    let mut left = length;
    while left > 0 {
        let part = (buffer.len() as u64).min(left) as usize;
        rng.fill(&mut buffer[..part]);
        file.write_all(&buffer[..part])?;
        left -= part as u64;
    }
    Ok(())
}

fn sha256(path: &Path) -> Result<String, Failure> {
    let mut file = std::fs::File::open(path).map_err(|error| Failure::of(path, error))?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 18]);
    loop {
        match file.read(&mut buffer).map_err(|error| Failure::of(path, error))? {
            0 => break,
            length => hasher.update(&buffer[..length]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
