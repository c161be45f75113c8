#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod backend;
mod check;
mod create;
mod error;
mod files;
mod finish;
mod handles;
mod hash;
mod memory;
mod parts;
mod placement;
mod relocate;
mod remove;
mod resume;
mod resume_file;
mod scan;
mod select;
mod selection;
mod vectored;

pub use backend::Storage;
pub use check::{CheckPlan, FileStamp, OnDisk, plan_check};
pub use error::{Operation, StorageError};
pub use files::{Allocation, FileStorage};
pub use handles::{HandlePool, descriptor_limit};
pub use hash::{HashQueue, hash_piece, sha1};
pub use memory::MemoryStorage;
pub use placement::Placement;
pub use resume::{ResumeData, ResumeError, Stamps};
pub use resume_file::{load_resume, remove_resume, save_resume};
pub use scan::{ScanError, ScannedTree, scan};
pub use selection::{DEFAULT_PRIORITY, file_progress, piece_priority};
