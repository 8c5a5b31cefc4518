//! Catalogs and bundles from images.

use std::path::{Path, PathBuf};

use olm_fs::layers::Caps;
use olm_fs::{DirTree, Store};
use olm_registry::auth::AuthFile;
use olm_registry::{Access, Client, ClientConfig, Credentials, Reference, RegistryError};
use olm_source::image::{self, CATALOG_LABEL, Filter};
use olm_tree::RelPath;
use tempfile::TempDir;

use crate::args;
use crate::failure::Failure;

/// The label of catalogs of the old kind.
const SQLITE_LABEL: &str = "operators.operatorframework.io.index.database.v1";
/// Largest file of certificates or credentials, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// What was pulled; it goes when this does.
#[derive(Debug)]
pub(crate) struct Pulled {
    /// Its tree.
    pub(crate) tree: DirTree,
    /// Where it lies.
    _folder: TempDir,
}

/// An image of a registry, by digest, and how it is reached.
struct Remote {
    client: Client,
    access: Access,
    /// The image as it was named.
    name: String,
    resolved: Reference,
}

/// Pulls the catalog of an image into a temporary folder.
pub(crate) async fn pull(reference: &Reference, args: &args::Access) -> Result<Pulled, Failure> {
    let remote = Remote::resolve(reference, args).await?;
    let labels = remote
        .client
        .image(&remote.resolved, &remote.access)
        .await
        .map_err(|source| remote.refused(source))?
        .config
        .labels;
    if !labels.contains_key(CATALOG_LABEL) {
        let image = remote.name;
        return Err(if labels.contains_key(SQLITE_LABEL) {
            Failure::Sqlite { image }
        } else {
            Failure::NoCatalog {
                image,
                label: CATALOG_LABEL.to_owned(),
            }
        });
    }
    remote.fetch(&Filter::catalog(), Caps::CATALOG).await
}

/// Pulls what of an image is a bundle into a temporary folder.
pub(crate) async fn pull_bundle(
    reference: &Reference,
    args: &args::Access,
) -> Result<Pulled, Failure> {
    let remote = Remote::resolve(reference, args).await?;
    let folders = ["manifests", "metadata"].map(RelPath::parse);
    let filter = Filter::Folders(folders.into_iter().flatten().collect());
    remote.fetch(&filter, Caps::BUNDLE).await
}

impl Remote {
    async fn resolve(reference: &Reference, args: &args::Access) -> Result<Self, Failure> {
        let name = reference.to_string();
        let mut config = ClientConfig::default();
        if args.plain_http {
            config.plain_http.push(reference.registry().to_owned());
        }
        if let Some(file) = &args.ca_file {
            let bundle = olm_fs::read_capped(file, MAX_FILE)?;
            config.extra_root_certificates.push(bundle);
        }
        let client = Client::new(config).map_err(|error| Failure::Client(Box::new(error)))?;
        let access = Access {
            credentials: credentials(reference, args)?,
            tls_verify: !args.insecure_skip_tls_verify,
            ..Access::default()
        };
        let digest =
            client
                .resolve(reference, &access)
                .await
                .map_err(|source| Failure::Registry {
                    image: name.clone(),
                    source: Box::new(source),
                })?;
        Ok(Self {
            client,
            access,
            name,
            resolved: reference.with_digest(digest),
        })
    }

    fn refused(&self, source: RegistryError) -> Failure {
        Failure::Registry {
            image: self.name.clone(),
            source: Box::new(source),
        }
    }

    async fn fetch(self, filter: &Filter, caps: Caps) -> Result<Pulled, Failure> {
        let folder = TempDir::with_prefix("olmctl-").map_err(Failure::Temporary)?;
        let store = Store::open(folder.path())?;
        let fetched = image::fetch(
            &self.client,
            &self.resolved,
            &self.access,
            filter,
            caps,
            &store,
        )
        .await
        .map_err(|source| Failure::Image {
            image: self.name,
            source: Box::new(source),
        })?;
        Ok(Pulled {
            tree: fetched.tree,
            _folder: folder,
        })
    }
}

/// The credentials of the file that was named, or else of the first of those of the tools.
fn credentials(reference: &Reference, args: &args::Access) -> Result<Credentials, Failure> {
    let read = |file: &Path| -> Result<Credentials, Failure> {
        let bytes = olm_fs::read_capped(file, MAX_FILE)?;
        let parsed =
            AuthFile::from_docker_config_json(&bytes).map_err(|source| Failure::AuthFile {
                file: file.display().to_string(),
                source,
            })?;
        Ok(parsed.credentials(reference))
    };
    if let Some(file) = &args.authfile {
        return read(file);
    }
    let below =
        |folder: &Option<PathBuf>, path: &str| folder.as_ref().map(|folder| folder.join(path));
    let places = [
        below(&args.runtime_dir, "containers/auth.json"),
        below(&args.docker_config, "config.json"),
        below(&args.home, ".docker/config.json"),
    ];
    for file in places.into_iter().flatten() {
        if matches!(olm_fs::metadata(&file), Ok(Some(_))) {
            let credentials = read(&file)?;
            if !credentials.is_anonymous() {
                return Ok(credentials);
            }
        }
    }
    Ok(Credentials::Anonymous)
}
