#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod backend;
mod check;
mod error;
mod files;
mod handles;
mod hash;
mod memory;
mod resume;
mod resume_file;
mod scan;

pub use backend::Storage;
pub use check::{CheckPlan, FileStamp, plan_check};
pub use error::{Operation, StorageError};
pub use files::{Allocation, FileStorage};
pub use handles::HandlePool;
pub use hash::{hash_piece, sha1};
pub use memory::MemoryStorage;
pub use resume::{ResumeData, ResumeError};
pub use resume_file::{load_resume, remove_resume, save_resume};
pub use scan::{ScanError, ScannedTree, scan};
