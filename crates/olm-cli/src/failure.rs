//! How a command ends.

use std::io;

use olm_apply::ApplyError;
use olm_bundle::plain_v0::PlainError;
use olm_bundle::registry_v1::{ConfigError, LoadError, RenderError};
use olm_error::Chain;
use olm_fbc::FbcError;
use olm_fbc::load::StreamError;
use olm_fbc::mermaid::MermaidError;
use olm_fbc::write::WriteError;
use olm_fs::{FileError, StoreError};
use olm_registry::RegistryError;
use olm_registry::auth::AuthError;
use olm_source::SourceError;

/// How a command that did its work ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is well.
    Fine,
    /// Something is wrong with what was looked at; it has been said.
    Found,
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// The command line asks for what there is not.
    #[error("{message}")]
    Usage { message: String },
    /// A folder is none.
    #[error("{path:?} is not a directory")]
    NotADirectory { path: String },
    /// The source names nothing.
    #[error("`{text}` is neither a folder nor an image nor a URL: {problem}")]
    NoSource { text: String, problem: String },
    /// There is no package of that name.
    #[error("package {package:?} not found")]
    NoPackage { package: String },
    /// The image is an index of the old kind.
    #[error(
        "image `{image}` holds a catalog as SQLite database, which olmctl does not read; convert it \
         with `opm migrate {image} DIR` and use DIR"
    )]
    Sqlite { image: String },
    /// The image is no catalog.
    #[error("image `{image}` is no catalog: it has no label `{label}`")]
    NoCatalog { image: String, label: String },
    /// A file or folder on this machine.
    #[error("cannot open the source")]
    File(#[from] FileError),
    /// A file with credentials.
    #[error("cannot read the credentials of `{file}`")]
    AuthFile { file: String, source: AuthError },
    /// The registry.
    #[error("cannot pull `{image}`")]
    Registry {
        image: String,
        source: Box<RegistryError>,
    },
    /// The image.
    #[error("cannot pull `{image}`")]
    Image {
        image: String,
        source: Box<SourceError>,
    },
    /// The registry client.
    #[error("cannot set up the registry client")]
    Client(#[source] Box<RegistryError>),
    /// The temporary folder.
    #[error("cannot make a temporary folder")]
    Temporary(#[source] io::Error),
    /// The store in it.
    #[error("cannot make a temporary folder")]
    Store(#[from] StoreError),
    /// The server of the catalog.
    #[error("cannot get `{url}`")]
    Get { url: String, source: reqwest::Error },
    /// The server of the catalog answers something else.
    #[error("cannot get `{url}`: the server answered {status}")]
    Status {
        url: String,
        status: reqwest::StatusCode,
    },
    /// The certificates.
    #[error("cannot use the certificates of `{file}`")]
    Certificates {
        file: String,
        source: reqwest::Error,
    },
    /// The catalog.
    #[error("cannot load the catalog")]
    Catalog(#[from] FbcError),
    /// The catalog.
    #[error("cannot load the catalog")]
    Stream(#[from] StreamError),
    /// The catalog.
    #[error("cannot load the catalog")]
    Line(#[from] olm_fbc::LineError),
    /// A file of documents.
    #[error("cannot read `{file}`")]
    Documents {
        file: String,
        source: olm_yaml::YamlError,
    },
    /// A document that is not what it should be.
    #[error("cannot read `{file}`: document {number} is not what it should be")]
    Document {
        file: String,
        number: usize,
        source: serde_json::Error,
    },
    /// A range of versions.
    #[error("Operator `{operator}` asks for no range of versions")]
    Range {
        operator: String,
        source: olm_semver::masterminds::ConstraintError,
    },
    /// A version.
    #[error("`{text}` is no version")]
    Version {
        text: String,
        source: olm_semver::VersionError,
    },
    /// A selector of catalogs.
    #[error("Operator `{operator}` selects catalogs in a way that there is not")]
    Selector { operator: String },
    /// The file that says how a cluster is reached.
    #[error("cannot read how the cluster is reached")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// The surroundings that say how a cluster is reached.
    #[error("cannot find out how the cluster is reached: name a file with --kubeconfig")]
    NoCluster(#[source] Box<kube::config::InferConfigError>),
    /// The cluster.
    #[error("cannot {what}")]
    Cluster {
        what: String,
        source: Box<kube::Error>,
    },
    /// There is no such Operator.
    #[error("there is no Operator {name:?}, and none asks for a package of that name")]
    NoOperator { name: String },
    /// There is nothing to approve.
    #[error("Operator {name:?} has no upgrade that waits for approval: {why}")]
    NothingToApprove { name: String, why: String },
    /// The file with the configuration.
    #[error("invalid configuration: cannot read `{file}`")]
    ConfigFile {
        file: String,
        source: olm_yaml::YamlError,
    },
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The bundle.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The bundle.
    #[error(transparent)]
    Plain(#[from] PlainError),
    /// The bundle.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// Objects of the bundle that rukpak would not apply.
    #[error(transparent)]
    Refused(#[from] Box<ApplyError>),
    /// The graph.
    #[error("cannot draw the channels")]
    Mermaid(#[from] MermaidError),
    /// The output.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
    /// The output.
    #[error("cannot write the output")]
    Write(#[source] WriteError),
    /// A value that cannot be written.
    #[error("cannot write the output")]
    Encode(#[from] serde_json::Error),
    /// A value that cannot be written.
    #[error("cannot write the output")]
    Yaml(#[from] olm_yaml::YamlError),
    /// A thread died.
    #[error("the command was interrupted")]
    Interrupted,
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Io { source } => Self::Output(source),
            other => Self::Write(other),
        }
    }
}

impl Failure {
    /// The failure and its causes on one line.
    pub(crate) fn text(&self) -> String {
        Chain::new(self).to_string()
    }

    /// Whether the reader of the output went away.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
