//! Symbolic links that stay in the torrent (BEP 47).

use downpour_bencode::List;

use crate::names::{Names, Node, ROOT};

/// How many other links the way to a link's target may lead through. It also ends circles.
const MAX_HOPS: u32 = 16;

/// A link as the torrent has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link<'d, 'a> {
    /// Index into the files.
    pub(crate) file: usize,
    /// The folder that it is in.
    pub(crate) folder: usize,
    pub(crate) target: List<'d, 'a>,
}

/// Finds where links go.
pub(crate) struct Resolver<'r, 'd, 'a> {
    pub(crate) names: &'r Names<'a>,
    /// Sorted by file.
    pub(crate) links: &'r [Link<'d, 'a>],
}

impl Resolver<'_, '_, '_> {
    /// What a link stands for, if that is in the torrent and not the link itself.
    pub(crate) fn resolve(&self, link: &Link<'_, '_>) -> Option<Node> {
        self.target(link, &mut MAX_HOPS.clone()).filter(|node| *node != Node::File(link.file))
    }

    /// From the root of the torrent, as BEP 47 has it, or from the link's folder, as old torrents do.
    fn target(&self, link: &Link<'_, '_>, hops: &mut u32) -> Option<Node> {
        self.walk(ROOT, link.target, hops).or_else(|| self.walk(link.folder, link.target, hops))
    }

    fn walk(&self, folder: usize, path: List<'_, '_>, hops: &mut u32) -> Option<Node> {
        let mut at = Node::Folder(folder);
        let mut moved = false;
        for component in path {
            let component = component.as_bytes()?;
            if component == b"." {
                continue;
            }
            at = match self.end_of(at, hops)? {
                Node::Folder(folder) if component != b".." => self.names.find(folder, component)?,
                _ => return None,
            };
            moved = true;
        }
        self.end_of(at, hops)?;
        moved.then_some(at)
    }

    /// `node`, or what is at the end of the chain if it is a link.
    fn end_of(&self, node: Node, hops: &mut u32) -> Option<Node> {
        let Node::File(file) = node else { return Some(node) };
        let Ok(index) = self.links.binary_search_by_key(&file, |link| link.file) else { return Some(node) };
        *hops = hops.checked_sub(1)?;
        let next = self.target(self.links.get(index)?, hops)?;
        self.end_of(next, hops)
    }
}
