//! Gives every path of a torrent to one file only, also where case is ignored, and lets no file stand where another
//! needs a folder.
//!
//! A tree of folders, so that memory and time stay linear however deep and alike the paths are. Files mostly come
//! folder by folder, so it remembers in which folder the last one went.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry::Vacant;

use crate::AdjustmentReason;
use crate::limits::MAX_DUPLICATE_NAMES;
use crate::path::{fold, numbered, safe_component};

/// The folder that the torrent's paths begin in.
pub(crate) const ROOT: usize = 0;

/// A name occurs more often than [`MAX_DUPLICATE_NAMES`].
#[derive(Debug)]
pub(crate) struct TooManyDuplicates;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// Index into the files.
    File(usize),
    /// Index into the folders.
    Folder(usize),
}

#[derive(Debug)]
struct Entry {
    node: Node,
    /// The number that the next file or folder of this name gets, so that many of them take no many tries each.
    next_number: u32,
    /// The folder that stands in for this file where a path needs a folder of its name.
    stand_in: Option<usize>,
}

#[derive(Debug, Default)]
struct Folder {
    parent: usize,
    name: String,
    children: BTreeMap<String, Entry>,
}

/// A folder on the way to the last file.
#[derive(Debug)]
struct Step<'a> {
    raw: &'a [u8],
    folder: usize,
    /// The length of `prefix` before this folder.
    above: usize,
    /// Why the path down to here is not what the torrent says.
    changed: Option<AdjustmentReason>,
}

impl Step<'_> {
    /// Whether this is the folder `raw`. The files of a `file tree` share the bytes of their folders' names, which may be
    /// long: those need no second look.
    fn is(&self, raw: &[u8]) -> bool {
        std::ptr::eq(self.raw, raw) || self.raw == raw
    }
}

/// The names that are taken.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    folders: Vec<Folder>,
    way: Vec<Step<'a>>,
    prefix: String,
}

impl<'a> Names<'a> {
    /// No names yet; all paths begin with `root`, which is safe, or with nothing if it is empty.
    pub(crate) fn new(root: &str) -> Self {
        let prefix = if root.is_empty() { String::new() } else { format!("{root}/") };
        let top = Folder { name: root.to_owned(), ..Folder::default() };
        Self { folders: vec![top], way: Vec::new(), prefix }
    }

    /// The path that `file` gets, and why it is not what `components` say, if it is not.
    pub(crate) fn place(
        &mut self,
        file: usize,
        components: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(String, Option<AdjustmentReason>), TooManyDuplicates> {
        let mut components = components.peekable();
        let (mut depth, mut name) = (0, &b""[..]);
        while let Some(component) = components.next() {
            if components.peek().is_none() {
                name = component;
                break;
            }
            if self.way.get(depth).is_none_or(|step| !step.is(component)) {
                self.leave(depth);
                self.enter(component)?;
            }
            depth += 1;
        }
        self.leave(depth);
        let safe = safe_component(name);
        let changed = self.changed().or((safe.as_bytes() != name).then_some(AdjustmentReason::UnsafeName));
        let other = self.claim(self.folder(), &safe, Node::File(file))?;
        let changed = changed.or(other.as_ref().map(|_| AdjustmentReason::NameTaken));
        let name = other.as_deref().unwrap_or(&safe);
        let mut path = String::with_capacity(self.prefix.len() + name.len());
        path.push_str(&self.prefix);
        path.push_str(name);
        Ok((path, changed))
    }

    /// What `name` stands for in `folder`, as the torrent says it.
    pub(crate) fn find(&self, folder: usize, name: &[u8]) -> Option<Node> {
        let entry = self.folders.get(folder)?.children.get(&fold(&safe_component(name)))?;
        Some(entry.node)
    }

    /// The path of a folder, with the root's name.
    pub(crate) fn folder_path(&self, mut folder: usize) -> String {
        let mut names = Vec::new();
        while let Some(here) = self.folders.get(folder).filter(|_| folder != ROOT) {
            names.push(here.name.as_str());
            folder = here.parent;
        }
        names.extend(self.folders.first().map(|root| root.name.as_str()).filter(|name| !name.is_empty()));
        names.reverse();
        names.join("/")
    }

    /// The folder of the last placed file.
    pub(crate) fn folder(&self) -> usize {
        self.way.last().map_or(ROOT, |step| step.folder)
    }

    fn changed(&self) -> Option<AdjustmentReason> {
        self.way.last().and_then(|step| step.changed)
    }

    /// Goes up until `depth` folders are left.
    fn leave(&mut self, depth: usize) {
        if let Some(step) = self.way.get(depth) {
            self.prefix.truncate(step.above);
            self.way.truncate(depth);
        }
    }

    /// Goes down into a folder.
    fn enter(&mut self, raw: &'a [u8]) -> Result<(), TooManyDuplicates> {
        let (parent, above) = (self.folder(), self.prefix.len());
        let safe = safe_component(raw);
        let mut changed = self.changed().or((safe.as_bytes() != raw).then_some(AdjustmentReason::UnsafeName));
        let key = fold(&safe);
        let entry = self.folders[parent].children.get(&key).map(|entry| (entry.node, entry.stand_in));
        let folder = match entry {
            None => {
                let folder = self.add(parent, &safe);
                self.folders[parent].children.insert(key, Entry::of(Node::Folder(folder)));
                self.prefix.push_str(&safe);
                folder
            }
            Some((Node::Folder(folder), _)) => {
                self.prefix.push_str(&safe);
                folder
            }
            Some((Node::File(_), stand_in)) => {
                changed = changed.or(Some(AdjustmentReason::NameTaken));
                let folder = match stand_in {
                    Some(folder) => folder,
                    None => self.stand_in(parent, &safe, &key)?,
                };
                self.prefix.push_str(&self.folders[folder].name);
                folder
            }
        };
        self.prefix.push('/');
        self.way.push(Step { raw, folder, above, changed });
        Ok(())
    }

    fn add(&mut self, parent: usize, name: &str) -> usize {
        self.folders.push(Folder { parent, name: name.to_owned(), children: BTreeMap::new() });
        self.folders.len() - 1
    }

    /// Makes the folder that stands in for the file `name`.
    fn stand_in(&mut self, parent: usize, name: &str, key: &str) -> Result<usize, TooManyDuplicates> {
        let folder = self.folders.len();
        let name = self.claim(parent, name, Node::Folder(folder))?.unwrap_or_default();
        self.add(parent, &name);
        if let Some(entry) = self.folders[parent].children.get_mut(key) {
            entry.stand_in = Some(folder);
        }
        Ok(folder)
    }

    /// Takes `name` in `folder`, or says which one it took instead.
    fn claim(&mut self, folder: usize, name: &str, node: Node) -> Result<Option<String>, TooManyDuplicates> {
        let children = &mut self.folders[folder].children;
        let key = fold(name);
        let Some(entry) = children.get(&key) else {
            children.insert(key, Entry::of(node));
            return Ok(None);
        };
        for number in entry.next_number..=MAX_DUPLICATE_NAMES {
            let candidate = numbered(name, number);
            if let Vacant(free) = children.entry(fold(&candidate)) {
                free.insert(Entry::of(node));
                if let Some(entry) = children.get_mut(&key) {
                    entry.next_number = number + 1;
                }
                return Ok(Some(candidate));
            }
        }
        Err(TooManyDuplicates)
    }
}

impl Entry {
    fn of(node: Node) -> Self {
        Self { node, next_number: 1, stand_in: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(names: &mut Names<'static>, path: &'static str) -> String {
        names.place(0, path.split('/').map(str::as_bytes)).unwrap().0
    }

    #[test]
    fn collisions_get_numbers() {
        let mut names = Names::new("t");
        for (path, given) in [
            ("d/a.txt", "t/d/a.txt"),
            ("d/A.TXT", "t/d/A.1.TXT"),
            ("d/a.txt", "t/d/a.2.txt"),
            ("d", "t/d.1"),
            ("d/a.txt/b", "t/d/a.3.txt/b"),
            ("x", "t/x"),
            ("d/a.txt/c", "t/d/a.3.txt/c"),
            ("e/a.txt", "t/e/a.txt"),
            ("../a", "t/_/a"),
            ("..", "t/_.1"),
        ] {
            assert_eq!(place(&mut names, path), given);
        }
    }

    #[test]
    fn copies_of_one_name_have_a_limit() {
        let mut names = Names::new("");
        for _ in 0..=MAX_DUPLICATE_NAMES {
            place(&mut names, "a");
        }
        assert!(names.place(0, [b"A".as_slice()].into_iter()).is_err());
        assert_eq!(place(&mut names, "b"), "b");
    }

    #[test]
    fn folders_know_their_path() {
        let mut names = Names::new("t");
        place(&mut names, "a/b/c");
        assert_eq!(names.folder_path(names.folder()), "t/a/b");
        assert_eq!(names.folder_path(ROOT), "t");
        assert_eq!(Names::new("").folder_path(ROOT), "");
    }
}
