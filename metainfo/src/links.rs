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

/// What is known of a link from earlier tries, so that many links through one cost its length once, not once each.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// What it stands for in the end, and how many hops that takes.
    end: Option<(Node, u32)>,
    /// With so many hops or fewer left, nothing was found.
    failed_with: Option<u32>,
}

/// Where a link goes.
struct Target {
    /// What it names, which may be another link.
    node: Node,
    /// What it stands for in the end.
    end: Node,
    /// How many hops are left.
    left: u32,
}

/// Finds where links go.
pub(crate) struct Resolver<'r, 'd, 'a> {
    names: &'r Names<'a>,
    /// Sorted by file.
    links: &'r [Link<'d, 'a>],
    /// For each link.
    known: Vec<Known>,
}

impl<'r, 'd, 'a> Resolver<'r, 'd, 'a> {
    /// For `links`, which are sorted by file.
    pub(crate) fn new(names: &'r Names<'a>, links: &'r [Link<'d, 'a>]) -> Self {
        Self { names, links, known: vec![Known::default(); links.len()] }
    }

    /// What a link stands for, if that is in the torrent and not the link itself.
    pub(crate) fn resolve(&mut self, link: &Link<'_, '_>) -> Option<Node> {
        let target = self.target(link, MAX_HOPS)?.node;
        Some(target).filter(|node| *node != Node::File(link.file))
    }

    /// From the root of the torrent, as BEP 47 has it, or from the link's folder, as old torrents do.
    fn target(&mut self, link: &Link<'_, '_>, hops: u32) -> Option<Target> {
        self.walk(ROOT, link.target, hops).or_else(|| self.walk(link.folder, link.target, hops))
    }

    fn walk(&mut self, folder: usize, path: List<'_, '_>, mut hops: u32) -> Option<Target> {
        let mut at = Node::Folder(folder);
        let mut moved = false;
        for component in path {
            let component = component.as_bytes()?;
            if component == b"." {
                continue;
            }
            let (end, left) = self.end_of(at, hops)?;
            at = match end {
                Node::Folder(folder) if component != b".." => self.names.find(folder, component)?,
                _ => return None,
            };
            (hops, moved) = (left, true);
        }
        let (end, left) = self.end_of(at, hops)?;
        moved.then_some(Target { node: at, end, left })
    }

    /// `node`, or what is at the end of the chain if it is a link; and how many hops are left.
    fn end_of(&mut self, node: Node, hops: u32) -> Option<(Node, u32)> {
        let Node::File(file) = node else { return Some((node, hops)) };
        let Ok(index) = self.links.binary_search_by_key(&file, |link| link.file) else {
            return Some((node, hops));
        };
        let known = *self.known.get(index)?;
        if let Some((end, left)) = known.end.and_then(|(end, cost)| Some((end, hops.checked_sub(cost)?))) {
            return Some((end, left));
        }
        if known.failed_with.is_some_and(|failed| hops <= failed) {
            return None;
        }
        let found = self.follow(index, hops);
        let known = self.known.get_mut(index)?;
        match found {
            Some((end, left)) => known.end = Some((end, hops - left)),
            None => known.failed_with = Some(hops),
        }
        found
    }

    fn follow(&mut self, index: usize, hops: u32) -> Option<(Node, u32)> {
        let left = hops.checked_sub(1)?;
        let link = *self.links.get(index)?;
        let Target { end, left, .. } = self.target(&link, left)?;
        Some((end, left))
    }
}
