//! Merkle trees of SHA-256 over blocks of 16 KiB (BEP 52).
//!
//! Leaves past the end of a file are zero, so that each layer is complete; the hash over a part of a tree that holds
//! nothing but such leaves depends on its height only.

use sha2::{Digest, Sha256};

/// The length of the bytes under a leaf, but the last of a file: 16 KiB.
pub const BLOCK_LENGTH: u32 = 16 << 10;

/// A SHA-256: a leaf, an inner node or a root.
pub type Hash = [u8; 32];

/// The leaf over the bytes of a block.
#[must_use]
pub fn leaf(block: &[u8]) -> Hash {
    Sha256::digest(block).into()
}

/// The node above two others.
#[must_use]
pub fn parent(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update(left).chain_update(right).finalize().into()
}

/// The node `height` layers above leaves that are all past the end of the file.
#[must_use]
pub fn padding(height: u32) -> Hash {
    (0..height).fold([0; 32], |hash, _| parent(&hash, &hash))
}

/// The node `height` layers above `nodes`, which themselves are `nodes_height` layers above the leaves; where there are
/// fewer than 2^`height`, padding stands for the others. Those past 2^`height` are left out.
#[must_use]
pub fn ancestor(mut nodes: Vec<Hash>, nodes_height: u32, height: u32) -> Hash {
    let mut pad = padding(nodes_height);
    for _ in 0..height {
        let above = nodes.len().div_ceil(2);
        for index in 0..above {
            let right = nodes.get(2 * index + 1).unwrap_or(&pad);
            nodes[index] = parent(&nodes[2 * index], right);
        }
        nodes.truncate(above);
        pad = parent(&pad, &pad);
    }
    nodes.first().copied().unwrap_or(pad)
}

/// The root above a file's hashes that are `nodes_height` layers above the leaves, such as its piece layer.
#[must_use]
pub fn root(nodes: Vec<Hash>, nodes_height: u32) -> Hash {
    let height = nodes.len().next_power_of_two().trailing_zeros();
    ancestor(nodes, nodes_height, height)
}

/// How many layers a piece's node is above the leaves.
#[must_use]
pub fn piece_height(piece_length: u32) -> u32 {
    (piece_length / BLOCK_LENGTH).max(1).ilog2()
}
