//! What rukpak has stored, on disk.

use std::path::{Path, PathBuf};

use anyhow::Result;

/// Removes the stored contents below a folder; how many there were.
pub(super) fn remove_all(below: &Path) -> Result<usize> {
    let found = all(below)?;
    for content in &found {
        std::fs::remove_dir_all(content)?;
    }
    Ok(found.len())
}

pub(super) fn count(below: &Path) -> Result<usize> {
    Ok(all(below)?.len())
}

/// Whether a digest is stored below a folder.
pub(super) fn holds(below: &Path, digest: &str) -> Result<bool> {
    Ok(all(below)?.iter().any(|path| path.ends_with(digest)))
}

fn all(below: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![below.to_owned()];
    while let Some(folder) = folders.pop() {
        // What is being removed goes while it is looked at.
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if !path.is_dir() {
                continue;
            }
            if name.starts_with("sha256:") {
                found.push(path);
            } else {
                folders.push(path);
            }
        }
    }
    Ok(found)
}
