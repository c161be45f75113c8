//! Writing down all that happens to a swarm, and living through it again.
//!
//! A recording is text, one JSON object a line: first how the swarm was made, then each call with its time, and each
//! output as it was polled. Payload is left out. **It holds addresses, peer ids and the seed of the random choices:
//! treat it as a secret.**

use downpour_base::{ConnectionId, Instant, Machine};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Config, Geometry, Input, Output, Swarm, Transmit};

#[derive(Debug, Serialize, Deserialize)]
enum Entry {
    Start { config: Config, geometry: Option<Geometry> },
    Input { now: Instant, input: Input<()> },
    Timeout { now: Instant },
    Transmit { now: Instant, connection: ConnectionId, gives: serde_json::Value },
    ReserveRead { connection: ConnectionId, wanted: u32, gives: u32 },
    ReturnRead { unused: u32 },
    Output { output: serde_json::Value },
}

/// A swarm that may write down what happens to it. Without a recording it is the swarm and nothing more.
#[derive(Debug)]
pub struct Recorder<P> {
    swarm: Swarm<P>,
    lines: Option<Vec<u8>>,
}

impl<P> Recorder<P> {
    /// Makes the swarm; with `record`, every call from now on is written down.
    #[must_use]
    pub fn new(config: Config, geometry: Option<&Geometry>, record: bool) -> Self {
        let mut recorder = Self { swarm: Swarm::new(config.clone(), geometry), lines: record.then(Vec::new) };
        recorder.write(|| Entry::Start { config, geometry: geometry.cloned() });
        recorder
    }

    /// The swarm, to look at.
    #[must_use]
    pub fn swarm(&self) -> &Swarm<P> {
        &self.swarm
    }

    /// What was written down since the last call.
    pub fn take_lines(&mut self) -> Vec<u8> {
        self.lines.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn write(&mut self, entry: impl FnOnce() -> Entry) {
        if let Some(lines) = &mut self.lines
            && let Ok(line) = serde_json::to_vec(&entry())
        {
            lines.extend_from_slice(&line);
            lines.push(b'\n');
        }
    }

    /// [`Swarm::poll_transmit`].
    pub fn poll_transmit(&mut self, now: Instant, connection: ConnectionId) -> Option<Transmit> {
        let gives = self.swarm.poll_transmit(now, connection);
        self.write(|| Entry::Transmit { now, connection, gives: json(&gives) });
        gives
    }

    /// [`Swarm::reserve_read`].
    pub fn reserve_read(&mut self, connection: ConnectionId, wanted: u32) -> u32 {
        let gives = self.swarm.reserve_read(connection, wanted);
        self.write(|| Entry::ReserveRead { connection, wanted, gives });
        gives
    }

    /// [`Swarm::return_read`].
    pub fn return_read(&mut self, unused: u32) {
        self.swarm.return_read(unused);
        self.write(|| Entry::ReturnRead { unused });
    }
}

impl<P> Machine for Recorder<P> {
    type Input = Input<P>;
    type Output = Output<P>;

    fn handle_input(&mut self, now: Instant, input: Input<P>) {
        if self.lines.is_some() {
            let (bare, input) = without_payload(input);
            self.write(|| Entry::Input { now, input: bare });
            self.swarm.handle_input(now, input);
        } else {
            self.swarm.handle_input(now, input);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.swarm.handle_timeout(now);
        self.write(|| Entry::Timeout { now });
    }

    fn poll_output(&mut self) -> Option<Output<P>> {
        let output = self.swarm.poll_output()?;
        self.write(|| Entry::Output { output: output_json(&output) });
        Some(output)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.swarm.poll_timeout()
    }
}

fn json(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or(serde_json::Value::Null)
}

/// A store job is compared by its piece and the number of its blocks.
fn output_json<P>(output: &Output<P>) -> serde_json::Value {
    let bare: Output<()> = match output {
        Output::Dial { endpoint } => Output::Dial { endpoint: *endpoint },
        Output::Wake { connection } => Output::Wake { connection: *connection },
        Output::Close { connection, reason } => Output::Close { connection: *connection, reason: *reason },
        Output::Store { job, piece, blocks, digests } => {
            Output::Store { job: *job, piece: *piece, blocks: vec![(); blocks.len()], digests: *digests }
        }
        Output::Checkpoint => Output::Checkpoint,
        Output::Starved { direction } => Output::Starved { direction: *direction },
        Output::SeedRatioReached => Output::SeedRatioReached,
        Output::Demand(demand) => Output::Demand(*demand),
        Output::Event(event) => Output::Event(event.clone()),
    };
    json(&bare)
}

/// The input to write down, and the same input to use.
fn without_payload<P>(input: Input<P>) -> (Input<()>, Input<P>) {
    macro_rules! both {
        ($($variant:ident { $($field:ident),* }),* ; $($tuple:ident),*) => {
            match input {
                Input::Block { connection, block, payload } => (
                    Input::Block { connection, block, payload: () },
                    Input::Block { connection, block, payload },
                ),
                Input::NotStored { job, failure, blocks } => (
                    Input::NotStored { job, failure: failure.clone(), blocks: vec![(); blocks.len()] },
                    Input::NotStored { job, failure, blocks },
                ),
                $(Input::$variant { $($field),* } => (
                    Input::$variant { $($field: $field.clone()),* },
                    Input::$variant { $($field),* },
                ),)*
                $(Input::$tuple(inner) => (Input::$tuple(inner.clone()), Input::$tuple(inner)),)*
            }
        };
    }
    both!(
        Connected { connection, endpoint, outgoing, peer_id, fast, extensions },
        Message { connection, message },
        Disconnected { connection, misbehaved },
        DialFailed { endpoint },
        Peers { endpoints, source },
        Stored { job, result, digests },
        ReadFailed { connection, block },
        Allowance { direction, allowance };
        Metadata, Budget, ExternalAddress, SeedRatio, Command
    )
}

/// What a replay went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayReport {
    /// Calls made.
    pub calls: u64,
    /// Outputs and results compared.
    pub compared: u64,
}

/// A recording is damaged, or the machine did something else this time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Divergence {
    /// A line that is no entry.
    #[error("line {line} is not an entry of a recording: {error}")]
    Damaged {
        /// Counted from 1.
        line: usize,
        /// What the parser said.
        error: String,
    },
    /// A recording that does not begin with how the swarm was made.
    #[error("line {0} comes before the start of a swarm")]
    NotStarted(usize),
    /// Another output than the recorded one.
    #[error("line {line}: recorded {recorded}, replayed {replayed}")]
    Different {
        /// Counted from 1.
        line: usize,
        /// What happened then.
        recorded: String,
        /// What happens now.
        replayed: String,
    },
}

/// Feeds the recorded calls of a swarm to a fresh one and compares everything that comes out.
///
/// # Errors
/// At the first line that is damaged or comes out differently.
pub fn replay<L: AsRef<str>>(lines: impl IntoIterator<Item = L>) -> Result<ReplayReport, Divergence> {
    let (mut swarm, mut report): (Option<Swarm<()>>, _) = (None, ReplayReport::default());
    for (line, text) in (1..).zip(lines) {
        let entry: Entry = serde_json::from_str(text.as_ref())
            .map_err(|error| Divergence::Damaged { line, error: error.to_string() })?;
        if let Entry::Start { config, geometry } = entry {
            swarm = Some(Swarm::new(config, geometry.as_ref()));
            continue;
        }
        let swarm = swarm.as_mut().ok_or(Divergence::NotStarted(line))?;
        let (recorded, replayed) = match entry {
            Entry::Output { output } => {
                (output, swarm.poll_output().map_or(serde_json::Value::Null, |output| output_json(&output)))
            }
            Entry::Transmit { now, connection, gives } => {
                report.calls += 1;
                (gives, json(&swarm.poll_transmit(now, connection)))
            }
            Entry::ReserveRead { connection, wanted, gives } => {
                report.calls += 1;
                (json(&gives), json(&swarm.reserve_read(connection, wanted)))
            }
            call => {
                report.calls += 1;
                match call {
                    Entry::Input { now, input } => swarm.handle_input(now, input),
                    Entry::Timeout { now } => swarm.handle_timeout(now),
                    Entry::ReturnRead { unused } => swarm.return_read(unused),
                    _ => {}
                }
                continue;
            }
        };
        report.compared += 1;
        if recorded != replayed {
            let (recorded, replayed) = (recorded.to_string(), replayed.to_string());
            return Err(Divergence::Different { line, recorded, replayed });
        }
    }
    Ok(report)
}
