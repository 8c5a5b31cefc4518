//! The authorities that registries are verified with besides the system's.
//!
//! Who rotates the authority of a private registry publishes the new one in a file that is mounted
//! into the process, often by a ConfigMap. The file is followed without watching it: whoever is about
//! to ask a registry looks whether it is still the one that was read.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use reqwest::Certificate;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::config::ClientConfig;
use crate::error::RegistryError;

/// Largest file of authorities, in bytes: twenty times what a whole system trusts.
const MAX_FILE: u64 = 4 << 20;

/// The authorities as they are now.
pub(crate) struct Roots {
    given: Vec<Bundle>,
    file: Option<Followed>,
}

/// A PEM bundle and the certificates in it.
struct Bundle {
    pem: Vec<u8>,
    certificates: Vec<Certificate>,
}

struct Followed {
    path: PathBuf,
    /// Of the file as it was looked at last, `None` when it was not there.
    stamp: Option<Stamp>,
    /// What was good of it last.
    bundle: Bundle,
}

/// What tells a file from the one that was at its path before.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds of the last change of content, and of anything.
    changed: [(i64, i64); 2],
}

impl fmt::Debug for Roots {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Roots").finish_non_exhaustive()
    }
}

impl Roots {
    /// Those of a configuration.
    ///
    /// # Errors
    /// [`RegistryError::Setup`] for a bundle without certificates or with what is none, and for a
    /// file that cannot be read or is larger than 4 MiB.
    pub(crate) fn open(config: &ClientConfig) -> Result<Self, RegistryError> {
        let given = config.extra_root_certificates.iter().cloned();
        let file = match &config.root_certificate_file {
            Some(path) => {
                let (stamp, pem) = read(path)?;
                Some(Followed {
                    path: path.clone(),
                    stamp: Some(stamp),
                    bundle: Bundle::parse(pem)?,
                })
            }
            None => None,
        };
        Ok(Self {
            given: given.map(Bundle::parse).collect::<Result<_, _>>()?,
            file,
        })
    }

    /// Looks whether the file has changed; whether there are other authorities now.
    pub(crate) fn follow(&mut self) -> bool {
        self.file.as_mut().is_some_and(Followed::follow)
    }

    pub(crate) fn certificates(&self) -> Vec<Certificate> {
        let bundles = self.all();
        bundles
            .flat_map(|bundle| bundle.certificates.iter().cloned())
            .collect()
    }

    /// The same as PEM.
    pub(crate) fn bundles(&self) -> Vec<Vec<u8>> {
        self.all().map(|bundle| bundle.pem.clone()).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Bundle> {
        let file = self.file.iter().map(|file| &file.bundle);
        self.given.iter().chain(file)
    }
}

impl Followed {
    fn follow(&mut self) -> bool {
        let now = olm_fs::open(&self.path).ok();
        let now = now.and_then(|file| Stamp::of(&file).ok());
        if now == self.stamp {
            return false;
        }
        // Whatever is wrong with it is said once.
        self.stamp = now;
        let bundle = read(&self.path).and_then(|(stamp, pem)| {
            self.stamp = Some(stamp);
            Bundle::parse(pem)
        });
        match bundle {
            Ok(bundle) if bundle.pem == self.bundle.pem => false,
            Ok(bundle) => {
                tracing::info!(file = %self.path.display(), "authorities of registries loaded");
                self.bundle = bundle;
                true
            }
            Err(error) => {
                tracing::warn!(
                    file = %self.path.display(),
                    error = %olm_error::Chain::new(&error),
                    "the authorities of registries have changed and cannot be used; those before \
                     stay in use"
                );
                false
            }
        }
    }
}

impl Bundle {
    fn parse(pem: Vec<u8>) -> Result<Self, RegistryError> {
        let mut certificates = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate
                .map_err(|e| setup("a root certificate is not valid PEM", Some(Box::new(e))))?;
            // What TLS would refuse is refused here, where it can be said of what.
            let mut store = RootCertStore::empty();
            store
                .add(certificate.clone())
                .map_err(|e| setup("a root certificate is none", Some(Box::new(e))))?;
            let certificate = Certificate::from_der(&certificate)
                .map_err(|e| setup("a root certificate is none", Some(Box::new(e))))?;
            certificates.push(certificate);
        }
        if certificates.is_empty() {
            return Err(setup("a file of root certificates holds none", None));
        }
        Ok(Self { pem, certificates })
    }
}

impl Stamp {
    fn of(file: &File) -> std::io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: [
                (metadata.mtime(), metadata.mtime_nsec()),
                (metadata.ctime(), metadata.ctime_nsec()),
            ],
        })
    }
}

/// A file as it is now. The stamp is older than the content, so that what is written meanwhile is
/// noticed the next time.
fn read(path: &Path) -> Result<(Stamp, Vec<u8>), RegistryError> {
    let unreadable = |source| setup("cannot read the authorities of registries", Some(source));
    let file = olm_fs::open(path).map_err(|e| unreadable(Box::new(e)))?;
    let stamp = Stamp::of(&file).map_err(|e| unreadable(Box::new(e)))?;
    let pem = olm_fs::read_capped(path, MAX_FILE).map_err(|e| unreadable(Box::new(e)))?;
    Ok((stamp, pem))
}

fn setup(
    reason: &'static str,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
) -> RegistryError {
    RegistryError::Setup { reason, source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

    use std::os::unix::fs::symlink;

    use super::*;

    /// An authority, self-signed, as PEM.
    fn authority(name: &str) -> String {
        let mut params = rcgen::CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    fn open(path: &Path) -> Result<Roots, RegistryError> {
        Roots::open(&ClientConfig {
            root_certificate_file: Some(path.to_owned()),
            ..ClientConfig::default()
        })
    }

    #[test]
    fn good_files_are_followed_and_the_last_one_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.crt");
        let (first, second) = (authority("first"), authority("second"));
        std::fs::write(&path, &first).unwrap();
        let mut roots = open(&path).unwrap();
        assert!(!roots.follow());
        std::fs::write(&path, format!("{first}{second}")).unwrap();
        assert!(roots.follow());
        assert_eq!(roots.certificates().len(), 2);
        assert!(!roots.follow());
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for damaged in [
            "",
            "damaged",
            no_certificate,
            &first[..first.len() / 2],
            &format!("{first}{no_certificate}"),
        ] {
            std::fs::write(&path, damaged).unwrap();
            assert!(!roots.follow(), "{damaged}");
            assert_eq!(roots.bundles(), [format!("{first}{second}").into_bytes()]);
        }
        std::fs::remove_file(&path).unwrap();
        assert!(!roots.follow());
        assert_eq!(roots.certificates().len(), 2);
        std::fs::write(&path, &second).unwrap();
        assert!(roots.follow());
        assert_eq!(roots.bundles(), [second.into_bytes()]);
    }

    #[test]
    fn the_same_content_in_another_file_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        // As ConfigMaps are mounted: what changes is where a link leads.
        for (name, target) in [("ca.crt", "..data/ca.crt"), ("..data", "1")] {
            symlink(target, folder.path().join(name)).unwrap();
        }
        let (first, second) = (authority("first"), authority("second"));
        for (name, pem) in [("1", &first), ("2", &first), ("3", &second)] {
            let folder = folder.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("ca.crt"), pem).unwrap();
        }
        let mut roots = open(&folder.path().join("ca.crt")).unwrap();
        for (name, is_new) in [("2", false), ("3", true), ("1", true)] {
            symlink(name, folder.path().join("..next")).unwrap();
            std::fs::rename(folder.path().join("..next"), folder.path().join("..data")).unwrap();
            assert_eq!(roots.follow(), is_new, "{name}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_used_is_refused_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.crt");
        assert!(open(&path).is_err());
        std::fs::write(&path, "damaged").unwrap();
        assert!(open(&path).is_err());
    }
}
