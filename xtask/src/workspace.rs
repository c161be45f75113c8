//! What `cargo metadata` says about this workspace.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// This workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    /// Examples as (package, example).
    pub(crate) examples: Vec<(String, String)>,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask is not in a workspace")?;
        let output = Command::new("cargo")
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .current_dir(root)
            .output()
            .map_err(|error| format!("cannot run cargo metadata: {error}"))?;
        if !output.status.success() {
            return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let metadata: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("cannot read cargo metadata: {error}"))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut examples = Vec::new();
        for package in metadata["packages"].as_array().into_iter().flatten() {
            for target in package["targets"].as_array().into_iter().flatten() {
                if target["kind"] == serde_json::json!(["example"]) {
                    examples.push((text(&package["name"]), text(&target["name"])));
                }
            }
        }
        let target = PathBuf::from(text(&metadata["target_directory"]));
        Ok(Self { root: root.to_owned(), target, examples })
    }
}
