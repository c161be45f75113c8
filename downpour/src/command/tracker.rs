//! `downpour tracker`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use downpour_engine::{Error, SwarmHash, TrackerConfig, TrackerServer, TrackerSettings, TrackerStatistics};
use serde_json::{Value, json};

use crate::cli::Tracker;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::report::status_line;
use crate::text::print_line;

/// How often Ctrl-C is looked for.
const TURN: Duration = Duration::from_millis(100);
/// How often, in turns, figures are shown and the whitelist's file is looked at.
const TURNS_PER_LOOK: u32 = 10;
const PORT: u16 = 6969;

pub(crate) fn run(options: &Tracker) -> Result<(), Failure> {
    let mut whitelist = options.whitelist.as_deref().map(Whitelist::read).transpose()?;
    let interrupt = Interrupt::install()?;
    let tracker = start(options, whitelist.as_ref().map(|whitelist| &whitelist.swarms))?;
    let line = status_line(options.json);
    let say = |event: Value, text: String| {
        if options.json {
            print_line(event);
        } else if !line.is_hidden() {
            line.suspend(|| eprintln!("{text}"));
        }
    };
    for address in tracker.addresses() {
        let text = format!("http://{address}/announce  udp://{address}/announce  http://{address}/stats");
        say(json!({ "event": "listening", "address": address.to_string() }), text);
    }
    if let Some(whitelist) = &whitelist {
        whitelist.tell(&say);
    }
    let (mut turn, mut shown) = (0, None);
    while !interrupt.is_set() {
        if turn % TURNS_PER_LOOK == 0 {
            let figures = tracker.statistics();
            if shown != Some(figures) {
                shown = Some(figures);
                line.set_message(sentence(&figures));
                if options.json {
                    print_line(event(&figures));
                }
            }
            if let Some(whitelist) = &mut whitelist {
                match whitelist.read_again() {
                    Ok(false) => {}
                    Ok(true) => {
                        tracker.set_whitelist(Some(whitelist.swarms.clone()));
                        whitelist.tell(&say);
                    }
                    Err(failure) => {
                        let reason = failure.to_string();
                        // An error is for everybody, as in the other commands.
                        match options.json {
                            true => print_line(json!({ "event": "whitelist_kept", "reason": reason })),
                            false => line.suspend(|| eprintln!("downpour: {reason}; the old list stays")),
                        }
                    }
                }
            }
        }
        turn += 1;
        line.tick();
        std::thread::sleep(TURN);
    }
    line.finish_and_clear();
    tracker.shutdown_blocking();
    Ok(())
}

fn start(options: &Tracker, whitelist: Option<&BTreeSet<SwarmHash>>) -> Result<TrackerServer, Failure> {
    let interval = Duration::from_secs(options.interval.into());
    let usual = TrackerSettings::default();
    let settings = TrackerSettings { interval, min_interval: usual.min_interval.min(interval), ..usual };
    let with = |listen| {
        let config = TrackerConfig { listen, settings: settings.clone(), whitelist: whitelist.cloned() };
        TrackerServer::start(config)
    };
    if !options.listen.is_empty() {
        return Ok(with(options.listen.clone())?);
    }
    let v4 = ([0, 0, 0, 0], PORT).into();
    match with(vec![v4, ([0u16; 8], PORT).into()]) {
        // A machine without IPv6 can still do IPv4.
        Err(Error::Listen { address, source })
            if address.is_ipv6() && source.kind() != std::io::ErrorKind::AddrInUse =>
        {
            Ok(with(vec![v4])?)
        }
        other => Ok(other?),
    }
}

fn event(figures: &TrackerStatistics) -> Value {
    json!({
        "event": "statistics",
        "swarms": figures.swarms,
        "peers": figures.peers,
        "seeds": figures.seeds,
        "http_announces": figures.http_announces,
        "http_scrapes": figures.http_scrapes,
        "udp_connects": figures.udp_connects,
        "udp_announces": figures.udp_announces,
        "udp_scrapes": figures.udp_scrapes,
        "refused": figures.refused,
        "expired": figures.expired,
        "evicted": figures.evicted,
    })
}

fn sentence(figures: &TrackerStatistics) -> String {
    format!(
        "{} swarms, {} peers, {} of them seeds; {} announces over HTTP, {} over UDP; {} refused",
        figures.swarms,
        figures.peers,
        figures.seeds,
        figures.http_announces,
        figures.udp_announces,
        figures.refused
    )
}

/// The swarms that may be tracked, one info-hash a line, and when their file was changed.
struct Whitelist<'a> {
    path: &'a Path,
    swarms: BTreeSet<SwarmHash>,
    /// Time and length when it was looked at last, `None` inside if it was not there.
    state: Option<Option<(SystemTime, u64)>>,
}

impl<'a> Whitelist<'a> {
    fn read(path: &'a Path) -> Result<Self, Failure> {
        let mut whitelist = Self { path, swarms: BTreeSet::new(), state: None };
        whitelist.read_again()?;
        Ok(whitelist)
    }

    /// Reads the file if it was changed; says whether it was. A bad file changes nothing and is told of once.
    fn read_again(&mut self) -> Result<bool, Failure> {
        let state =
            std::fs::metadata(self.path).and_then(|metadata| Ok((metadata.modified()?, metadata.len()))).ok();
        if self.state == Some(state) {
            return Ok(false);
        }
        self.state = Some(state);
        let text = std::fs::read_to_string(self.path)
            .map_err(|error| Failure::of(self.path, format!("cannot read the whitelist: {error}")))?;
        self.swarms = parse(&text).map_err(|error| Failure::of(self.path, error))?;
        Ok(true)
    }

    fn tell(&self, say: &impl Fn(Value, String)) {
        let swarms = self.swarms.len();
        say(
            json!({ "event": "whitelist", "swarms": swarms }),
            format!("{}: {swarms} info-hashes", self.path.display()),
        );
    }
}

/// An info-hash of either version a line, nothing, or a remark after `#`.
fn parse(text: &str) -> Result<BTreeSet<SwarmHash>, String> {
    let mut swarms = BTreeSet::new();
    for (number, line) in (1..).zip(text.lines()) {
        let hash = line.split('#').next().unwrap_or_default().trim();
        if hash.is_empty() {
            continue;
        }
        let is_hash = matches!(hash.len(), 40 | 64) && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        // Trackers know a v2 torrent by the start of its hash (BEP 52).
        let swarm = hash.get(..40).filter(|_| is_hash).and_then(|start| start.parse().ok());
        swarms.insert(
            swarm.ok_or_else(|| {
                format!("line {number}: expected an info-hash, 40 or 64 hexadecimal digits")
            })?,
        );
    }
    Ok(swarms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whitelist_has_an_info_hash_a_line() {
        let (v1, v2) = ("0123456789abcdef0123456789ABCDEF01234567", "a".repeat(64));
        let text = format!("# ours\n\n{v1}\n  {v1}  # again\r\n{v2}\n");
        let swarms: Vec<String> = parse(&text).unwrap().iter().map(SwarmHash::to_string).collect();
        assert_eq!(swarms, [v1.to_lowercase(), "a".repeat(40)]);
        for bad in ["0", &v1[1..], &format!("{v1}0"), &"é".repeat(20), &"g".repeat(40)] {
            let error = parse(&format!("{v1}\n{bad}")).unwrap_err();
            assert!(error.starts_with("line 2: "), "{bad}: {error}");
        }
    }

    #[test]
    fn a_whitelist_is_read_again_when_its_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        assert!(Whitelist::read(&path).is_err());
        std::fs::write(&path, "a".repeat(40)).unwrap();
        let mut whitelist = Whitelist::read(&path).unwrap();
        assert_eq!((whitelist.swarms.len(), whitelist.read_again().unwrap()), (1, false));
        std::fs::write(&path, format!("{}\n{}", "a".repeat(40), "b".repeat(40))).unwrap();
        assert_eq!((whitelist.read_again().unwrap(), whitelist.swarms.len()), (true, 2));
        std::fs::write(&path, "junk").unwrap();
        assert!(whitelist.read_again().is_err());
        assert_eq!((whitelist.read_again().unwrap(), whitelist.swarms.len()), (false, 2));
        std::fs::remove_file(&path).unwrap();
        assert!(whitelist.read_again().is_err());
        assert_eq!((whitelist.read_again().unwrap(), whitelist.swarms.len()), (false, 2));
        std::fs::write(&path, "").unwrap();
        assert_eq!((whitelist.read_again().unwrap(), whitelist.swarms.len()), (true, 0));
    }
}
