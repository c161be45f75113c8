//! What is transferred: content that is the same each time, and its sums.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

/// Bytes that look random and follow from the seed (xorshift64*).
struct Noise(u64);

impl Noise {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            let word = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

/// Writes a file of `length` bytes.
///
/// # Panics
/// If it cannot be written.
pub fn make_file(path: &Path, length: u64) {
    let (mut noise, mut left) = (Noise(length | 1), length);
    let mut file = File::create(path).expect("a file");
    let mut buffer = vec![0; left.min(1 << 20) as usize];
    while left > 0 {
        let part = left.min(buffer.len() as u64) as usize;
        noise.fill(&mut buffer[..part]);
        file.write_all(&buffer[..part]).expect("room on the disk");
        left -= part as u64;
    }
}

/// Makes a folder with `files` small files in nested folders: some empty, some with names beyond ASCII.
///
/// # Panics
/// If they cannot be written.
pub fn make_tree(root: &Path, files: u64) {
    let folders = ["", "plain", "größe/日本語", "emoji 🌧/deep/deeper", "Ελληνικά"];
    for folder in folders {
        fs::create_dir_all(root.join(folder)).expect("a folder");
    }
    for number in 0..files {
        let folder = root.join(folders[number as usize % folders.len()]);
        let name = match number % 3 {
            0 => format!("file {number}.bin"),
            1 => format!("naïve-ж-{number}.txt"),
            _ => format!("{number}.雨"),
        };
        // Every seventh is empty; the others have up to 40 KB.
        let length = if number % 7 == 0 { 0 } else { number * 7919 % 40_000 + 1 };
        make_file(&folder.join(name), length);
    }
}

/// The SHA-256 of a file, or of each file in a folder, by its path in it.
///
/// # Panics
/// If something cannot be read.
#[must_use]
pub fn sums(path: &Path) -> BTreeMap<String, String> {
    let mut sums = BTreeMap::new();
    collect(path, String::new(), &mut sums);
    sums
}

fn collect(path: &Path, name: String, sums: &mut BTreeMap<String, String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a readable folder") {
            let entry = entry.expect("a readable folder");
            let inner = format!("{name}/{}", entry.file_name().to_string_lossy());
            collect(&entry.path(), inner, sums);
        }
        return;
    }
    let mut file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 18]);
    loop {
        match file.read(&mut buffer).expect("a readable file") {
            0 => break,
            length => hasher.update(&buffer[..length]),
        }
    }
    sums.insert(name, hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
}
