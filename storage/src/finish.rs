//! What a complete torrent gets besides its bytes (BEP 47): programs can be run, and symbolic links lead somewhere.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use rustix::fs::{Mode, fchmod, fstat, symlink};

use crate::create::{create_folder_in, folder_of};
use crate::{FileStorage, Operation, StorageError};

/// Who may read a file.
const READ: u32 = 0o444;

impl FileStorage {
    /// Lets the torrent's programs be run by whoever may read them, and makes its symbolic links. Call it when all that is
    /// wanted is had.
    ///
    /// Links are made at the very end, so that no byte of the torrent is ever written through one, and only where there is
    /// nothing of that name; they are relative, and lead to what is in the torrent, as its parser made sure.
    ///
    /// # Errors
    /// If a link or a permission cannot be set; the files are all right without.
    pub fn finish(&self) -> Result<(), StorageError> {
        let _fence = self.fence.read().unwrap_or_else(PoisonError::into_inner);
        self.check_open()?;
        for (index, file) in self.layout.files().iter().enumerate() {
            if !self.is_wanted(index) || file.is_pad() {
                continue;
            }
            if let Some(target) = &file.symlink_target {
                self.link(index, target)?;
            } else if file.attributes.executable {
                let path = self.path(index);
                make_executable(&path)
                    .map_err(|error| StorageError::new(Operation::SetPermissions, &path, error))?;
            }
        }
        Ok(())
    }

    fn link(&self, file: usize, target: &str) -> Result<(), StorageError> {
        let path = self.path(file);
        // What the target is called now.
        let renamed = self.layout.files().iter().position(|file| file.path == target);
        let (name, target, root) = {
            let state = self.state();
            let name = state.places.relative(&self.layout, file).to_owned();
            let target = renamed.map_or(target, |file| state.places.relative(&self.layout, file));
            (name, target.to_owned(), state.places.folder(file).to_owned())
        };
        if Self::exists(&path) {
            return Ok(());
        }
        create_folder_in(&root, folder_of(&path))?;
        let linked = symlink(relative(&name, &target), &path);
        linked.map_err(|error| StorageError::new(Operation::Create, &path, error))
    }
}

/// The way from the folder of `name` to `target`; both have components joined by `/` and begin in one folder.
fn relative(name: &str, target: &str) -> PathBuf {
    let from: Vec<&str> = name.split('/').collect();
    let to: Vec<&str> = target.split('/').collect();
    let folders = &from[..from.len() - 1];
    let shared = folders.iter().zip(&to).take_while(|(a, b)| a == b).count().min(to.len() - 1);
    let up = std::iter::repeat_n("..", folders.len() - shared);
    up.chain(to[shared..].iter().copied()).collect()
}

fn make_executable(path: &Path) -> std::io::Result<()> {
    // A file that the user took away needs nothing, and one that a link leads to is not the torrent's.
    if !fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(());
    }
    let file = File::open(path)?;
    let mode = u32::from(fstat(&file)?.st_mode as u16);
    let wanted = mode | (mode & READ) >> 2;
    if wanted != mode {
        fchmod(&file, Mode::from_raw_mode(wanted & 0o7777))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::relative;

    #[test]
    fn links_lead_from_their_folder_to_the_target() {
        let cases = [
            ("t/a", "t/b", "b"),
            ("t/x/a", "t/b", "../b"),
            ("t/a", "t/x/b", "x/b"),
            ("t/x/y/a", "t/x/z/b", "../z/b"),
            ("t/x/a", "t/x", "../x"),
        ];
        for (name, target, way) in cases {
            assert_eq!(relative(name, target).to_str(), Some(way), "{name} to {target}");
        }
    }
}
