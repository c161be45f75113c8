//! Where the files of a torrent are: under which folder, by which name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use downpour_base::InfoHash;
use downpour_metainfo::Layout;

/// Where a torrent's files are to be found. What a move or a rename that was interrupted may have left elsewhere is
/// found too: at each place and name, the first at which there is something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The folder that the torrent's file or folder is in; after it, those in which files may still be.
    pub save_paths: Vec<PathBuf>,
    /// The paths of renamed files below the folder, components joined by `/`, by index; after each, those that the file
    /// may still have.
    pub names: BTreeMap<usize, Vec<String>>,
    /// What the part file is called, in the folder.
    pub part_file: String,
}

impl Placement {
    /// A torrent's files as the torrent names them, under `save_path`.
    #[must_use]
    pub fn new(save_path: impl Into<PathBuf>, info_hash: InfoHash) -> Self {
        let part_file = match (info_hash.v1(), info_hash.v2()) {
            (Some(v1), _) => format!(".{v1}.parts"),
            (None, Some(v2)) => format!(".{v2}.parts"),
            (None, None) => ".parts".to_owned(),
        };
        Self { save_paths: vec![save_path.into()], names: BTreeMap::new(), part_file }
    }

    /// All paths at which `file` may be.
    pub fn paths<'p>(&'p self, layout: &'p Layout, file: usize) -> impl Iterator<Item = PathBuf> + 'p {
        let own = layout.files().get(file).filter(|_| !self.names.contains_key(&file));
        let names = self.names.get(&file).into_iter().flatten().map(String::as_str);
        let names: Vec<&str> = names.chain(own.map(|file| &file.path[..])).collect();
        self.save_paths.iter().flat_map(move |folder| names.clone().into_iter().map(|name| folder.join(name)))
    }
}

/// Whether a path of components joined by `/` stays below the folder that it begins in.
pub(crate) fn is_safe(name: &str) -> bool {
    let safe = |component: &str| !matches!(component, "" | "." | "..") && !component.contains(['\0', '\\']);
    name.split('/').all(safe)
}

/// Whether there is something at `path` that can be a torrent's file. Its name may be that of a folder elsewhere.
pub(crate) fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_dir())
}

/// A [`Placement`] of which the disk has told what is where.
#[derive(Debug)]
pub(crate) struct Places {
    /// Where files belong.
    root: Arc<Path>,
    /// Folders of those that are elsewhere.
    strays: BTreeMap<usize, Arc<Path>>,
    names: BTreeMap<usize, String>,
    /// Names that files are about to get.
    new_names: BTreeMap<usize, String>,
    part_file: String,
    /// The index under which the part file is handled like a file of the torrent.
    pub(crate) parts: usize,
}

impl Places {
    /// Takes the first folder and the first names.
    pub(crate) fn new(placement: Placement, layout: &Layout) -> Self {
        let names =
            placement.names.into_iter().filter_map(|(file, names)| Some((file, names.into_iter().next()?)));
        Self {
            root: placement.save_paths.into_iter().next().unwrap_or_default().into(),
            strays: BTreeMap::new(),
            names: names.collect(),
            new_names: BTreeMap::new(),
            part_file: placement.part_file,
            parts: layout.files().len(),
        }
    }

    /// Looks for files of which there is more than one possibility.
    pub(crate) fn find(placement: Placement, layout: &Layout) -> Self {
        let (folders, names) = (placement.save_paths.clone(), placement.names.clone());
        let mut places = Self::new(placement, layout);
        let folders: Vec<Arc<Path>> = folders.into_iter().map(Arc::from).collect();
        let renamed: Vec<usize> =
            names.iter().filter(|(_, names)| names.len() > 1).map(|(file, _)| *file).collect();
        let candidates = if folders.len() > 1 { (0..=places.parts).collect() } else { renamed };
        for file in candidates {
            let default = [places.relative(layout, file).to_owned()];
            let names = names.get(&file).map_or(&default[..], Vec::as_slice);
            let all = folders.iter().flat_map(|folder| names.iter().map(move |name| (folder, name)));
            let found = all.into_iter().find(|(folder, name)| is_file(&folder.join(name)));
            let Some((folder, name)) = found else { continue };
            if *folder != places.root {
                places.strays.insert(file, Arc::clone(folder));
            }
            if file < places.parts && *name != places.relative(layout, file) {
                places.names.insert(file, name.clone());
            }
        }
        places
    }

    /// As it is to be remembered: nothing is lost if the program ends now.
    pub(crate) fn placement(&self) -> Placement {
        let mut save_paths = vec![self.root.to_path_buf()];
        for folder in self.strays.values() {
            if save_paths.iter().all(|known| **known != **folder) {
                save_paths.push(folder.to_path_buf());
            }
        }
        Placement { save_paths, names: self.all_names(), part_file: self.part_file.clone() }
    }

    fn all_names(&self) -> BTreeMap<usize, Vec<String>> {
        let mut names: BTreeMap<usize, Vec<String>> =
            self.names.iter().map(|(file, name)| (*file, vec![name.clone()])).collect();
        for (file, name) in &self.new_names {
            names.entry(*file).or_default().insert(0, name.clone());
        }
        names
    }

    pub(crate) fn root(&self) -> &Arc<Path> {
        &self.root
    }

    /// The path of `file` below its folder.
    pub(crate) fn relative<'p>(&'p self, layout: &'p Layout, file: usize) -> &'p str {
        match self.names.get(&file) {
            Some(name) => name,
            None => layout.files().get(file).map_or(&self.part_file, |file| &file.path),
        }
    }

    pub(crate) fn path(&self, layout: &Layout, file: usize) -> PathBuf {
        self.folder(file).join(self.relative(layout, file))
    }

    /// The folder that the path of `file` begins in.
    pub(crate) fn folder(&self, file: usize) -> &Path {
        self.strays.get(&file).unwrap_or(&self.root)
    }

    /// Where `file` belongs.
    pub(crate) fn destination(&self, layout: &Layout, file: usize) -> PathBuf {
        self.root.join(self.relative(layout, file))
    }

    /// The files that are elsewhere.
    pub(crate) fn strays(&self) -> Vec<usize> {
        self.strays.keys().copied().collect()
    }

    /// From now on files belong under `root`; those in `existing` are where they were.
    pub(crate) fn set_root(&mut self, root: &Path, existing: impl Iterator<Item = usize>) {
        let old = std::mem::replace(&mut self.root, root.into());
        for file in existing {
            self.strays.entry(file).or_insert_with(|| Arc::clone(&old));
        }
        let root = Arc::clone(&self.root);
        self.strays.retain(|_, folder| *folder != root);
    }

    /// `file` is where it belongs.
    pub(crate) fn arrived(&mut self, file: usize) {
        self.strays.remove(&file);
    }

    /// `file` is about to get a name; `None`: it is not.
    pub(crate) fn announce_name(&mut self, layout: &Layout, file: usize, name: Option<String>) {
        match name {
            Some(name) => {
                // So that the old name is remembered beside the new one.
                let old = self.relative(layout, file).to_owned();
                self.names.insert(file, old);
                self.new_names.insert(file, name);
            }
            None => drop(self.new_names.remove(&file)),
        }
    }

    /// The announced name of `file` is its name.
    pub(crate) fn take_name(&mut self, file: usize) {
        if let Some(name) = self.new_names.remove(&file) {
            self.names.insert(file, name);
        }
    }

    pub(crate) fn announced_name(&self, file: usize) -> Option<&String> {
        self.new_names.get(&file)
    }
}
