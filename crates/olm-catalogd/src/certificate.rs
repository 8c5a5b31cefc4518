//! The certificate of the content server, also while the API server is away.
//!
//! The key pair is kept in a Secret, which all replicas share. Beside that each replica keeps its own
//! copy in the cache folder, readable for nobody else, so that after a restart it can serve what it
//! has at once, whether or not the Secret can be read.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use olm_runtime::Chain;
use olm_runtime::certificates::{KeyPair, inspect};
use olm_serve::tls::CertificateSource;
use tracing::{debug, info, warn};

/// Name of the copy in the cache folder.
const FILE: &str = "serving.pem";
/// Largest copy, in bytes.
const FILE_MAX: u64 = 64 << 10;

/// The copy of one process.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    path: PathBuf,
}

impl Copy {
    /// The copy below `cache`.
    pub(crate) fn below(cache: &Path) -> Self {
        Self {
            path: cache.join(FILE),
        }
    }

    /// Lets the server show the copy, if there is one that still holds.
    pub(crate) fn load(&self, source: &CertificateSource, now: Timestamp) {
        let bytes = match olm_fs::read_capped(&self.path, FILE_MAX) {
            Ok(bytes) => bytes,
            Err(error) => {
                debug!(error = %Chain(&error), "no copy of the serving certificate");
                return;
            }
        };
        let facts = std::str::from_utf8(&bytes).ok().map(inspect);
        let holds = matches!(facts, Some(Ok(facts)) if now < facts.not_after);
        if !holds {
            info!("the copy of the serving certificate does not hold any more");
            return;
        }
        // Certificate and key are in one file and told apart by their headings.
        match source.set_pem(&bytes, &bytes) {
            Ok(()) => info!("serving with the certificate of before"),
            Err(error) => info!(error = %Chain(&error), "cannot use the kept certificate"),
        }
    }

    /// Keeps a key pair for the next start.
    pub(crate) fn keep(&self, pair: &KeyPair) {
        let text = format!("{}\n{}\n", pair.certificate.trim(), pair.key.trim());
        if let Err(error) = olm_fs::write_atomic(&self.path, text.as_bytes()) {
            warn!(error = %Chain(&error), "the serving certificate is not kept across restarts");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use olm_runtime::certificates::{issue_ca, issue_leaf};

    use super::*;

    #[test]
    fn a_copy_is_private_and_shown_after_a_restart_until_it_expires() {
        let folder = tempfile::tempdir().unwrap();
        let copy = Copy::below(folder.path());
        let source = CertificateSource::new();
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        copy.load(&source, now);
        assert!(!source.is_loaded());

        let life = Duration::from_hours(24);
        let ca = issue_ca("test", now, life).unwrap();
        let leaf = issue_leaf(&ca, &["localhost".to_owned()], now, life).unwrap();
        copy.keep(&leaf);
        let metadata = olm_fs::metadata(&folder.path().join(FILE))
            .unwrap()
            .unwrap();
        assert_eq!(metadata.permissions().mode() & 0o077, 0);
        copy.load(&source, now + Duration::from_hours(25));
        assert!(!source.is_loaded());
        copy.load(&source, now + Duration::from_hours(23));
        assert!(source.is_loaded());
    }

    #[test]
    fn a_damaged_copy_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let copy = Copy::below(folder.path());
        olm_fs::write_atomic(&folder.path().join(FILE), b"no certificate").unwrap();
        let source = CertificateSource::new();
        copy.load(&source, Timestamp::UNIX_EPOCH);
        assert!(!source.is_loaded());
    }
}
