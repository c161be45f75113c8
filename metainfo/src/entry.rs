//! The files of a torrent as they are collected, whichever way they are written.

use downpour_bencode::{Dict, List, Value};

use crate::limits::{MAX_COMPONENTS, MAX_FILES, MAX_PATHS_BYTES};
use crate::links::{Link, Resolver};
use crate::names::{Names, Node};
use crate::{Adjustment, AdjustmentReason, File, FileAttributes, MetainfoError};

/// How much of an unsafe path is reported.
const MAX_ORIGINAL_BYTES: usize = 1024;

/// What BEP 47 adds to a file's dictionary, v1 and v2 alike.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extra<'d, 'a> {
    pub(crate) attributes: FileAttributes,
    is_link: bool,
    symlink: Option<List<'d, 'a>>,
}

impl<'d, 'a> Extra<'d, 'a> {
    pub(crate) fn with(attributes: FileAttributes) -> Self {
        Self { attributes, ..Self::default() }
    }

    /// Takes `value` if `key` is one of BEP 47's.
    pub(crate) fn take(&mut self, key: &[u8], value: Value<'d, 'a>) {
        match key {
            b"attr" => {
                for attribute in value.as_bytes().unwrap_or_default() {
                    match attribute {
                        b'p' => self.attributes.pad = true,
                        b'h' => self.attributes.hidden = true,
                        b'x' => self.attributes.executable = true,
                        b'l' => self.is_link = true,
                        _ => {}
                    }
                }
            }
            b"symlink path" => self.symlink = value.as_list(),
            _ => {}
        }
    }

    /// Those of a single file, which stand in the info dictionary itself.
    pub(crate) fn of(dict: Dict<'d, 'a>) -> Self {
        let mut extra = Self::default();
        dict.iter().for_each(|(key, value)| extra.take(key, value));
        extra
    }

    /// Where the link goes, if it is one: what is called a link and says no target is a file (as in libtorrent).
    pub(crate) fn link(&self) -> Option<List<'d, 'a>> {
        self.symlink.filter(|_| self.is_link)
    }
}

/// Collects files, gives them safe paths, and remembers what was changed.
pub(crate) struct Files<'d, 'a> {
    names: Names<'a>,
    files: Vec<File>,
    links: Vec<Link<'d, 'a>>,
    adjustments: Vec<Adjustment>,
    length: u64,
    paths_bytes: usize,
    /// The safe name of the torrent, for pad files.
    root: String,
}

impl<'d, 'a> Files<'d, 'a> {
    /// No files yet; their paths begin with the torrent's name, `root`, unless it is empty.
    pub(crate) fn new(root: &str, adjustments: Vec<Adjustment>) -> Self {
        Self {
            names: Names::new(root),
            files: Vec::new(),
            links: Vec::new(),
            adjustments,
            length: 0,
            paths_bytes: 0,
            root: root.to_owned(),
        }
    }

    /// The length of all files so far, in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Adds a file of the torrent.
    pub(crate) fn push(
        &mut self,
        components: impl Iterator<Item = &'a [u8]> + Clone,
        length: u64,
        extra: &Extra<'d, 'a>,
        pieces_root: Option<[u8; 32]>,
    ) -> Result<(), MetainfoError> {
        let index = self.files.len();
        if extra.attributes.pad {
            return self.push_pad(length);
        }
        match components.clone().take(MAX_COMPONENTS + 1).count() {
            0 => return Err(MetainfoError::EmptyPath(index)),
            1..=MAX_COMPONENTS => {}
            _ => return Err(MetainfoError::PathTooDeep(index)),
        }
        let placed = self.names.place(index, components.clone());
        let (path, changed) = placed.map_err(|_| MetainfoError::TooManyDuplicateNames(index))?;
        if let Some(reason) = changed {
            let original = original(components);
            self.count_path(&original)?;
            self.adjustments.push(Adjustment { file: Some(index), reason, original });
        }
        let mut length = length;
        if let Some(target) = extra.link() {
            // A link has no content, whatever it says.
            length = 0;
            self.links.push(Link { file: index, folder: self.names.folder(), target });
        }
        let attributes = extra.attributes;
        self.add(File { path, length, attributes, pieces_root, ..File::default() })
    }

    /// Adds zeros that no file holds. Where they would lie does not matter, so it may be said as BEP 47 recommends.
    pub(crate) fn push_pad(&mut self, length: u64) -> Result<(), MetainfoError> {
        let path = match self.root.is_empty() {
            true => format!(".pad/{length}"),
            false => format!("{}/.pad/{length}", self.root),
        };
        let attributes = FileAttributes { pad: true, ..FileAttributes::default() };
        self.add(File { path, length, attributes, ..File::default() })
    }

    fn add(&mut self, file: File) -> Result<(), MetainfoError> {
        if self.files.len() >= MAX_FILES {
            return Err(MetainfoError::TooManyFiles);
        }
        self.count_path(&file.path)?;
        let length = self.length.checked_add(file.length).filter(|length| i64::try_from(*length).is_ok());
        self.length = length.ok_or(MetainfoError::LengthOverflow)?;
        self.files.push(file);
        Ok(())
    }

    fn count_path(&mut self, path: &str) -> Result<(), MetainfoError> {
        self.paths_bytes += path.len();
        if self.paths_bytes > MAX_PATHS_BYTES { Err(MetainfoError::PathsTooLong) } else { Ok(()) }
    }

    /// All files, once their links are known to stay in the torrent, and what was changed.
    pub(crate) fn finish(mut self) -> Result<(Vec<File>, Vec<Adjustment>), MetainfoError> {
        let links = std::mem::take(&mut self.links);
        let targets: Vec<_> = {
            let mut resolver = Resolver::new(&self.names, &links);
            links.iter().map(|link| resolver.resolve(link)).collect()
        };
        for (link, node) in links.iter().zip(targets) {
            let target = match node {
                Some(Node::File(file)) => self.files.get(file).map(|file| file.path.clone()),
                Some(Node::Folder(folder)) => Some(self.names.folder_path(folder)),
                None => None,
            };
            match &target {
                Some(target) => self.count_path(target)?,
                None => {
                    let original = original(link.target.iter().filter_map(Value::as_bytes));
                    let reason = AdjustmentReason::BadLink;
                    self.adjustments.push(Adjustment { file: Some(link.file), reason, original });
                }
            }
            if let Some(file) = self.files.get_mut(link.file) {
                file.symlink_target = target;
            }
        }
        Ok((self.files, self.adjustments))
    }
}

/// A path as the torrent has it; as much of it as a person would read.
fn original<'a>(components: impl Iterator<Item = &'a [u8]>) -> String {
    let mut path = String::new();
    for (index, component) in components.enumerate() {
        if path.len() > MAX_ORIGINAL_BYTES {
            path.push('…');
            break;
        }
        if index > 0 {
            path.push('/');
        }
        path.push_str(&String::from_utf8_lossy(&component[..component.len().min(MAX_ORIGINAL_BYTES)]));
    }
    path
}
