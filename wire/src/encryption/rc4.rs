//! The RC4 stream cipher.
//!
//! Of our own, for it is twenty lines, and the `rc4` crate reaches three quarters of the speed.

use core::fmt;

/// How much of the key stream is thrown away, in bytes: its beginning gives the key away.
const DISCARDED: usize = 1024;

/// One direction of an encrypted connection. It hides the protocol from those who only look on; it is no protection
/// against anybody else.
#[derive(Clone)]
pub struct Rc4 {
    state: [u8; 256],
    i: u8,
    j: u8,
}

impl Rc4 {
    /// Sets the cipher up; the first 1,024 bytes of its stream are skipped.
    #[must_use]
    pub(crate) fn new(key: &[u8; 20]) -> Self {
        let mut state = [0; 256];
        for (at, place) in state.iter_mut().enumerate() {
            *place = at as u8;
        }
        let mut j = 0u8;
        for at in 0..256 {
            j = j.wrapping_add(state[at]).wrapping_add(key[at % key.len()]);
            state.swap(at, usize::from(j));
        }
        let mut cipher = Self { state, i: 0, j: 0 };
        cipher.apply(&mut [0; DISCARDED]);
        cipher
    }

    /// Encrypts or decrypts the next bytes of the stream in place.
    pub fn apply(&mut self, data: &mut [u8]) {
        // An index of eight bits is always inside: no checks remain in the loop.
        let (mut i, mut j, state) = (self.i, self.j, &mut self.state);
        for byte in data {
            i = i.wrapping_add(1);
            let a = state[usize::from(i)];
            j = j.wrapping_add(a);
            let b = state[usize::from(j)];
            state[usize::from(i)] = b;
            state[usize::from(j)] = a;
            *byte ^= state[usize::from(a.wrapping_add(b))];
        }
        (self.i, self.j) = (i, j);
    }
}

impl fmt::Debug for Rc4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rc4(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The schedule of a key that repeats is that of the short key; the vector begins at offset 1,024.
    #[test]
    fn the_stream_is_that_of_rfc_6229() {
        let key: Vec<u8> = [1, 2, 3, 4, 5].repeat(4);
        let mut cipher = Rc4::new(key.as_slice().try_into().expect("20 bytes"));
        let mut stream = [0; 16];
        cipher.apply(&mut stream);
        let expected =
            [0x30, 0xab, 0xbc, 0xc7, 0xc2, 0x0b, 0x01, 0x60, 0x9f, 0x23, 0xee, 0x2d, 0x5f, 0x6b, 0xb7, 0xdf];
        assert_eq!(stream, expected);
    }
}
