//! What the user wants of a torrent.

use std::collections::BTreeMap;

use downpour_metainfo::Layout;
use downpour_storage::{DEFAULT_PRIORITY, ResumeData, piece_priority};
use downpour_swarm::Command;

/// What the user wants of a torrent: a swarm is told when it is made, and at each change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) paused: bool,
    pub(crate) sequential: bool,
    /// Of files and of pieces for which one was chosen, 0 to 7. That of a piece goes before those of its files.
    files: BTreeMap<usize, u8>,
    pieces: BTreeMap<u32, u8>,
    /// Whether earlier wishes were taken from the resume state.
    restored: bool,
}

impl Wishes {
    /// What is wanted of a torrent that is added.
    pub(crate) fn new(paused: bool, file_priorities: &[u8]) -> Self {
        let files = (0..).zip(file_priorities).map(|(file, priority)| (file, (*priority).min(7)));
        Self { paused, files: files.collect(), ..Self::default() }
    }

    /// Remembers what `command` changes for good.
    pub(crate) fn note(&mut self, command: &Command) {
        match *command {
            Command::Pause => self.paused = true,
            Command::Resume => self.paused = false,
            Command::SetSequential(on) => self.sequential = on,
            Command::SetPiecePriority { piece, priority } => {
                self.pieces.insert(piece, priority.min(7));
            }
            Command::SetPiecePriorities(ref priorities) => {
                self.pieces = (0..).zip(priorities.iter().map(|priority| (*priority).min(7))).collect();
            }
            _ => {}
        }
    }

    /// Sets the priority of a file; what was chosen for its pieces is forgotten.
    pub(crate) fn set_file(&mut self, layout: &Layout, file: usize, priority: u8) {
        self.files.insert(file, priority.min(7));
        for piece in layout.pieces_of(file) {
            self.pieces.remove(&piece);
        }
    }

    /// Takes the priorities of `other`, and nothing else.
    pub(crate) fn take_files(&mut self, other: Self) {
        (self.files, self.pieces) = (other.files, other.pieces);
    }

    /// How much a file is wanted.
    pub(crate) fn file(&self, file: usize) -> u8 {
        self.files.get(&file).copied().unwrap_or(DEFAULT_PRIORITY)
    }

    /// How much a piece is wanted.
    fn piece(&self, layout: &Layout, piece: u32) -> u8 {
        let chosen = self.pieces.get(&piece).copied();
        chosen.unwrap_or_else(|| piece_priority(layout, |file| self.file(file), piece))
    }

    /// Tells a swarm how much its pieces are wanted.
    pub(crate) fn priorities(&self, layout: &Layout) -> Command {
        let pieces = 0..layout.piece_count();
        Command::SetPiecePriorities(pieces.map(|piece| self.piece(layout, piece)).collect())
    }

    /// What a new swarm is to be told.
    pub(crate) fn commands(&self, layout: &Layout) -> Vec<Command> {
        let mut commands = Vec::new();
        if !self.files.is_empty() || !self.pieces.is_empty() {
            commands.push(self.priorities(layout));
        }
        if self.sequential {
            commands.push(Command::SetSequential(true));
        }
        if self.paused {
            commands.push(Command::Pause);
        }
        commands
    }

    /// Puts what is to be remembered into `data`.
    pub(crate) fn save(&self, data: &mut ResumeData) {
        data.file_priorities = self.files.clone();
        data.piece_priorities = self.pieces.clone();
    }

    /// Takes over what was wanted in an earlier run, where nothing was said in this one.
    pub(crate) fn restore(&mut self, data: &ResumeData) {
        if !std::mem::replace(&mut self.restored, true) {
            for (file, priority) in &data.file_priorities {
                self.files.entry(*file).or_insert(*priority);
            }
            for (piece, priority) in &data.piece_priorities {
                self.pieces.entry(*piece).or_insert(*priority);
            }
        }
    }
}
