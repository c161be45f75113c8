//! The graph of normal dependencies, as cargo resolved it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::rules;

#[derive(Debug, Default)]
struct Package {
    name: String,
    /// Whether it may be published.
    published: bool,
    /// Identities of what it depends on, but for tests and build scripts.
    uses: Vec<String>,
}

/// All packages by their identity; two versions of one are two packages.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    packages: BTreeMap<String, Package>,
    members: BTreeSet<String>,
}

impl Graph {
    pub(crate) fn from_metadata(metadata: &Value) -> Self {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().expect("a string of cargo metadata").to_owned();
        let mut graph = Self::default();
        for package in list(&metadata["packages"]) {
            let published = package["publish"] != serde_json::json!([]);
            let new = Package { name: text(&package["name"]), published, uses: Vec::new() };
            graph.packages.insert(text(&package["id"]), new);
        }
        for node in list(&metadata["resolve"]["nodes"]) {
            let normal =
                |dependency: &Value| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
            let uses = list(&node["deps"]).iter().filter(|d| normal(d)).map(|d| text(&d["pkg"])).collect();
            graph.packages.get_mut(&text(&node["id"])).expect("a package of the graph").uses = uses;
        }
        graph.members = list(&metadata["workspace_members"]).iter().map(text).collect();
        graph
    }

    pub(crate) fn has_member(&self, name: &str) -> bool {
        self.members.iter().any(|id| self.packages[id].name == name)
    }

    /// Arrows between crates of the workspace that the table does not have.
    pub(crate) fn forbidden_arrows(&self) -> Vec<String> {
        let mut breaches = Vec::new();
        for id in &self.members {
            let package = &self.packages[id];
            let allowed = rules::arrows(&package.name);
            if allowed.is_none() && package.published {
                breaches.push(format!("{} has no floor: add it to rules.rs", package.name));
            }
            for used in package.uses.iter().filter(|used| self.members.contains(*used)) {
                let used = &self.packages[used].name;
                let fine = match allowed {
                    Some(allowed) => allowed.contains(&rules::short(used)),
                    None => rules::arrows(used).is_some(),
                };
                if !fine {
                    breaches.push(format!("{} may not use {used}", package.name));
                }
            }
        }
        breaches
    }

    /// Ways from pure crates to crates that are not.
    pub(crate) fn forbidden_reach(&self) -> Vec<String> {
        let mut breaches = Vec::new();
        for id in &self.members {
            let name = &self.packages[id].name;
            if !rules::PURE.contains(&name.as_str()) {
                continue;
            }
            let (mut seen, mut ways) = (BTreeSet::new(), vec![(id, name.clone())]);
            while let Some((id, way)) = ways.pop() {
                for used in &self.packages[id].uses {
                    let used_name = &self.packages[used].name;
                    let way = format!("{way} -> {used_name}");
                    if rules::is_forbidden(name, used_name) {
                        breaches.push(way);
                    } else if seen.insert(used) {
                        ways.push((used, way));
                    }
                }
            }
        }
        breaches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A graph of members (`downpour…`, and with a `!` tools) and foreign crates; `a > b` is a normal dependency.
    fn graph(arrows: &[&str]) -> Graph {
        let mut graph = Graph::default();
        for arrow in arrows {
            let ends: Vec<&str> = arrow.split(" > ").collect();
            for end in &ends {
                let (name, published) = (end.trim_end_matches('!'), !end.ends_with('!'));
                let package = graph.packages.entry(name.to_owned()).or_default();
                (package.name, package.published) = (name.to_owned(), published);
                if name.starts_with("downpour") || !published {
                    graph.members.insert(name.to_owned());
                }
            }
            if let [from, to] = ends[..] {
                let to = to.trim_end_matches('!').to_owned();
                graph.packages.get_mut(from.trim_end_matches('!')).expect("it is in").uses.push(to);
            }
        }
        graph
    }

    #[test]
    fn arrows_down_are_fine() {
        let graph = graph(&["downpour-swarm > downpour-wire", "bench! > downpour-swarm", "downpour > serde"]);
        assert_eq!(graph.forbidden_arrows(), Vec::<String>::new());
    }

    #[test]
    fn arrows_up_sideways_and_to_tools_are_found() {
        for arrow in [
            "downpour-base > downpour-engine",
            "downpour-wire > downpour-metainfo",
            "downpour-session > downpour-storage",
            "downpour-engine > downpour",
            "downpour-engine > bench!",
            "bench! > xtask!",
        ] {
            assert_eq!(graph(&[arrow]).forbidden_arrows().len(), 1, "{arrow}");
        }
        assert_eq!(
            graph(&["downpour-new"]).forbidden_arrows(),
            ["downpour-new has no floor: add it to rules.rs"]
        );
    }

    #[test]
    fn impure_crates_are_found_at_any_depth() {
        let deep = ["downpour-wire > nom", "nom > helper", "helper > fastrand"];
        assert_eq!(graph(&deep).forbidden_reach(), ["downpour-wire -> nom -> helper -> fastrand"]);
        for arrow in ["downpour-base > async-io", "downpour-swarm > rustix", "downpour-storage > tokio"] {
            assert_eq!(graph(&[arrow]).forbidden_reach(), [arrow.replace('>', "->")]);
        }
        let fine = ["downpour-storage > rustix", "downpour-engine > smol", "downpour-wire > bytes"];
        assert_eq!(graph(&fine).forbidden_reach(), Vec::<String>::new());
    }

    #[test]
    fn only_normal_dependencies_count() {
        let metadata = serde_json::json!({
            "packages": [
                { "id": "b", "name": "downpour-base", "publish": null },
                { "id": "r", "name": "rand", "publish": null },
            ],
            "workspace_members": ["b"],
            "resolve": { "nodes": [
                { "id": "b", "deps": [{ "pkg": "r", "dep_kinds": [{ "kind": "dev" }] }] },
                { "id": "r", "deps": [] },
            ] },
        });
        assert_eq!(Graph::from_metadata(&metadata).forbidden_reach(), Vec::<String>::new());
        let text = metadata.to_string().replace("\"dev\"", "null");
        let metadata = serde_json::from_str(&text).expect("it was JSON");
        assert_eq!(Graph::from_metadata(&metadata).forbidden_reach(), ["downpour-base -> rand"]);
    }
}
