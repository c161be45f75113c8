//! Positioned reads and writes of many buffers, to the last byte.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};

use rustix::io::{Errno, preadv, pwritev};

/// How many buffers the system takes in one call (`IOV_MAX` on Linux and macOS).
pub(crate) const MAX_BUFFERS: usize = 1024;
/// How much is written in one call. The kernel takes pages for a call in blocks as large as the call; those of up to
/// eight pages come from what was freed a moment ago, larger ones from memory that has long been idle, which a virtual
/// machine must first get back from its host. (2 GiB: 0.5 s in calls of 16 to 64 KiB, 3 s in calls of 1 MiB.)
const WRITE_BYTES: u64 = 32 << 10;

/// Writes the next `length` bytes of `left` to `file` from `offset` on, and takes them out of `left`.
pub(crate) fn write_at(
    file: &File,
    left: &mut &mut [IoSlice<'_>],
    offset: u64,
    length: u64,
) -> io::Result<()> {
    let (mut offset, end) = (offset, offset + length);
    while offset < end {
        // A file that ends inside a buffer takes a part of it.
        let limit = (end - offset).min(WRITE_BYTES) as usize;
        let (whole, cut) = fitting(left.iter().map(|slice| slice.len()), limit);
        let result = match whole {
            0 => match left.first() {
                Some(first) => pwritev(file, &[IoSlice::new(&first[..cut])], offset),
                None => return Err(io::ErrorKind::InvalidInput.into()),
            },
            whole => pwritev(file, &left[..whole], offset),
        };
        match result {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(left, written);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Fills the next `length` bytes of `left` from `file`, from `offset` on, and takes them out of `left`.
pub(crate) fn read_at(
    file: &File,
    left: &mut &mut [IoSliceMut<'_>],
    offset: u64,
    length: u64,
) -> io::Result<()> {
    let (mut offset, end) = (offset, offset + length);
    while offset < end {
        let (whole, cut) = fitting(left.iter().map(|slice| slice.len()), (end - offset) as usize);
        let result = match whole {
            0 => match left.first_mut() {
                Some(first) => preadv(file, &mut [IoSliceMut::new(&mut first[..cut])], offset),
                None => return Err(io::ErrorKind::InvalidInput.into()),
            },
            whole => preadv(file, &mut left[..whole], offset),
        };
        match result {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                offset += read as u64;
                advance(left, read);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Fills the next `length` bytes of `left` with zeros, and takes them out of `left`.
pub(crate) fn zero(left: &mut &mut [IoSliceMut<'_>], length: u64) {
    let mut length = length as usize;
    while let Some(first) = left.first_mut().filter(|_| length > 0) {
        let now = first.len().min(length);
        first[..now].fill(0);
        length -= now;
        advance(left, now);
    }
}

/// How many of the buffers of these lengths fit into `limit` bytes whole; if not even the first does, how much
/// of it.
fn fitting(lengths: impl Iterator<Item = usize>, limit: usize) -> (usize, usize) {
    let (mut whole, mut left) = (0, limit);
    for length in lengths {
        if length > left || whole == MAX_BUFFERS {
            break;
        }
        left -= length;
        whole += 1;
    }
    (whole, left)
}

/// As `IoSliceMut::advance_slices`, for slices that are borrowed twice over.
fn advance(slices: &mut &mut [IoSliceMut<'_>], mut count: usize) {
    while let Some(first) = slices.first_mut() {
        if count < first.len() {
            return first.advance(count);
        }
        count -= first.len();
        *slices = &mut std::mem::take(slices)[1..];
    }
}
