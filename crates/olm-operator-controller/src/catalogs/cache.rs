//! What was read of each catalog, on disk.

use std::path::{Path, PathBuf};

use tracing::warn;

use super::Content;

/// Largest file that is read back.
const MAX_FILE: u64 = 1 << 30;

/// A folder with one file per catalog. Writing replaces a file as a whole; a file that cannot be
/// read back is as good as none, because the content can be fetched again.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Uses the folder `catalogs` below `path`, which is made when absent.
    pub(crate) fn open(path: &Path) -> Result<Self, olm_fs::FileError> {
        let folder = path.join("catalogs");
        olm_fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// The kept content of the catalog `name`, if it has this digest.
    pub(crate) fn read(&self, name: &str, digest: &str) -> Option<Content> {
        let bytes = olm_fs::read_capped(&self.path(name), MAX_FILE).ok()?;
        let content: Content = serde_json::from_slice(&bytes).ok()?;
        (content.digest == digest).then_some(content)
    }

    /// Keeps the content of the catalog `name`.
    pub(crate) fn write(&self, name: &str, content: &Content) {
        let written = serde_json::to_vec(content)
            .map_err(|error| error.to_string())
            .and_then(|bytes| {
                olm_fs::write_atomic(&self.path(name), &bytes)
                    .map_err(|error| olm_runtime::Chain(&error).to_string())
            });
        if let Err(error) = written {
            warn!(catalog = name, error, "catalog is not kept across restarts");
        }
    }

    /// Forgets the catalog `name`.
    pub(crate) fn remove(&self, name: &str) {
        if let Err(error) = olm_fs::remove_file(&self.path(name)) {
            warn!(catalog = name, error = %olm_runtime::Chain(&error), "cannot forget a catalog");
        }
    }

    // Names of Catalogs are DNS names: no separators, no leading dot.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }
}
