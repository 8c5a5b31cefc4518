//! The command line.

use std::path::PathBuf;

use clap::{Args as Arguments, Parser, Subcommand, ValueEnum};

/// Look into catalogs of Operators and into bundles, and ask what would be installed
///
/// Exit codes: 0 all is well, 1 something was found or failed, 2 the command line is wrong.
#[derive(Debug, Parser)]
#[command(name = "olmctl", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check, list and show File-Based Catalogs
    Catalog(Catalog),
    /// Say what would be installed for Operators, and why, or why not
    Resolve(Resolve),
    /// Show the Operators of a cluster, with what each requires, and the upgrades there are
    Operators(Operators),
    /// Say why an Operator is there, what is decided for it, and why it is not newer
    Why(Named),
    /// Let an upgrade go on that waits for approval
    Approve(Named),
    /// Remove what was installed because others required it, once none does
    Autoremove(Autoremove),
    /// Look into versions and their ranges
    Version(VersionOf),
    /// Check bundles, and print what they turn into
    Bundle(Bundle),
}

#[derive(Debug, Arguments)]
pub(crate) struct Resolve {
    /// File of Operators, as they would be applied; `-` for the standard input
    #[arg(
        long,
        short,
        value_name = "FILE",
        required_unless_present_any = ["json_lines", "kubeconfig"]
    )]
    pub(crate) filename: Option<PathBuf>,

    /// Take the Operators of the cluster of this file, with what is installed for them; those of `-f`
    /// are applied to them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json_lines", "installed"])]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Context of that file; by default its current one
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    pub(crate) context: Option<String>,

    /// A catalog: a folder, an image, or the URL that it is served at. Its name is the last part of
    /// that, unless it is given
    #[arg(long = "catalog", value_name = "[NAME=]SOURCE", required = true)]
    pub(crate) catalogs: Vec<String>,

    /// File of what is installed: documents with `package`, `name`, `version`, and where known
    /// `image`
    #[arg(long, value_name = "FILE", conflicts_with = "json_lines")]
    pub(crate) installed: Option<PathBuf>,

    /// Leave aside what bundles require
    #[arg(long)]
    pub(crate) no_dependencies: bool,

    /// Version of Kubernetes of the cluster: what needs a newer one is not chosen
    #[arg(long, value_name = "VERSION")]
    pub(crate) kubernetes: Option<String>,

    /// Updates go by versions, not by what catalogs say
    #[arg(long)]
    pub(crate) semver_upgrades: bool,

    /// Answer each line of the standard input by itself: `{"package": …, "channel": …, "version": …,
    /// "installed": {"name": …, "version": …}, "ignore": …}`, all but the package optional
    #[arg(long, conflicts_with = "filename")]
    pub(crate) json_lines: bool,

    /// Form of the output
    #[arg(long, short, value_enum, default_value_t = Form::Table, conflicts_with = "json_lines")]
    pub(crate) output: Form,

    #[command(flatten)]
    pub(crate) access: Access,
}

/// A cluster, and who asks it.
#[derive(Debug, Clone, Arguments)]
pub(crate) struct ClusterAccess {
    /// File that says how the cluster is reached; by default `KUBECONFIG`, then `~/.kube/config`,
    /// then the cluster that this runs in
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Context of that file; by default its current one
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
}

#[derive(Debug, Arguments)]
pub(crate) struct Operators {
    #[command(flatten)]
    pub(crate) access: ClusterAccess,

    /// Form of the output
    #[arg(long, short, value_enum, default_value_t = Form::Table)]
    pub(crate) output: Form,
}

#[derive(Debug, Arguments)]
pub(crate) struct Named {
    /// The Operator, or the package that one asks for
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) access: ClusterAccess,
}

#[derive(Debug, Arguments)]
pub(crate) struct Autoremove {
    /// Only say what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) access: ClusterAccess,
}

#[derive(Debug, Arguments)]
pub(crate) struct VersionOf {
    #[command(subcommand)]
    pub(crate) command: VersionCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VersionCommand {
    /// Say of each version whether a range holds it
    Match(Match),
}

#[derive(Debug, Arguments)]
pub(crate) struct Match {
    /// Language of the range: that of `spec.version` of Operators, or that of `skipRange` and of
    /// required packages
    #[arg(long, value_enum)]
    pub(crate) language: Language,

    /// The range
    #[arg(
        value_name = "RANGE",
        required_unless_present = "json_lines",
        allow_hyphen_values = true
    )]
    pub(crate) range: Option<String>,

    /// The versions
    #[arg(value_name = "VERSION", required_unless_present = "json_lines")]
    pub(crate) versions: Vec<String>,

    /// Answer each line of the standard input: `{"range": …, "version": …}`
    #[arg(long, conflicts_with_all = ["range", "versions"])]
    pub(crate) json_lines: bool,
}

/// A language of ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// `spec.version` of an Operator
    Masterminds,
    /// `skipRange` and `olm.package.required` in catalogs
    Blang,
}

#[derive(Debug, Arguments)]
pub(crate) struct Bundle {
    #[command(subcommand)]
    pub(crate) command: BundleCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    /// Print the objects that would be applied
    ///
    /// Without the labels of the owner, the install namespace itself and key material: what rukpak
    /// makes for each installation is said on stderr.
    Render(BundleRender),
    /// Say everything that is wrong with a bundle, by file and line
    Validate(BundleValidate),
}

#[derive(Debug, Arguments)]
pub(crate) struct BundleRender {
    /// A folder with `manifests` and `metadata`, or an image
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,

    #[command(flatten)]
    pub(crate) access: Access,

    /// Namespace that the bundle is installed in; by default the one that it asks for (a plain bundle
    /// asks for none)
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) install_namespace: Option<String>,

    /// Namespace that the operator watches, or several separated by commas; by default all
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) watch_namespace: Option<String>,

    /// File with the configuration, as in `spec.config` of a BundleDeployment
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Who makes the certificates of webhooks
    #[arg(long, value_enum, value_name = "PROVIDER", default_value_t = Provider::Own)]
    pub(crate) certificate_provider: Provider,

    /// Form of the output
    #[arg(long, short, value_enum, default_value_t = DocumentForm::Yaml)]
    pub(crate) output: DocumentForm,
}

/// Who makes the certificates of webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Provider {
    /// cert-manager
    CertManager,
    /// The service CA of OpenShift
    ServiceCa,
    /// rukpak itself
    Own,
}

#[derive(Debug, Arguments)]
pub(crate) struct BundleValidate {
    /// A folder with `manifests` and `metadata`
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: String,

    /// Form of the output
    #[arg(long, short, value_enum, default_value_t = Form::Table, hide_possible_values = true,
        value_name = "json|yaml")]
    pub(crate) output: Form,
}

#[derive(Debug, Arguments)]
pub(crate) struct Catalog {
    #[command(subcommand)]
    pub(crate) command: CatalogCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Say everything that is wrong with a catalog
    Validate(Validate),
    /// List packages, channels or bundles
    List(List),
    /// Print all documents of a package
    Show(Show),
    /// Draw the upgrade graph of a package's channels
    Graph(Graph),
}

/// Where a catalog is and how it is reached.
#[derive(Debug, Clone, Arguments)]
pub(crate) struct Access {
    /// File of PEM certificates that servers and registries may be verified with, besides the
    /// system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Do not verify the certificate of the server or registry
    #[arg(long)]
    pub(crate) insecure_skip_tls_verify: bool,

    /// Speak plain HTTP with the registry
    #[arg(long)]
    pub(crate) plain_http: bool,

    /// File with the credentials of registries; by default that of the container tools, then that
    /// of Docker, where they exist
    #[arg(long, value_name = "FILE", env = "REGISTRY_AUTH_FILE")]
    pub(crate) authfile: Option<PathBuf>,

    /// Folder with `containers/auth.json`
    #[arg(long, hide = true, env = "XDG_RUNTIME_DIR")]
    pub(crate) runtime_dir: Option<PathBuf>,

    /// Folder with `config.json`
    #[arg(long, hide = true, env = "DOCKER_CONFIG")]
    pub(crate) docker_config: Option<PathBuf>,

    /// Folder with `.docker/config.json`
    #[arg(long, hide = true, env = "HOME")]
    pub(crate) home: Option<PathBuf>,
}

/// A catalog.
#[derive(Debug, Clone, Arguments)]
pub(crate) struct From {
    /// A folder, an image, or the URL that a catalog is served at
    /// (`https://HOST/catalogs/NAME/all.json`)
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,

    #[command(flatten)]
    pub(crate) access: Access,
}

#[derive(Debug, Arguments)]
pub(crate) struct Validate {
    #[command(flatten)]
    pub(crate) from: From,

    /// How strict to be
    #[arg(long, value_enum, default_value_t = LevelName::Current)]
    pub(crate) level: LevelName,

    /// Form of the output
    #[arg(long, short, value_enum, default_value_t = Form::Table, hide_possible_values = true,
        value_name = "json|yaml")]
    pub(crate) output: Form,
}

/// How strictly a catalog is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LevelName {
    /// All checks
    Current,
    /// Those of operator-registry v1.34
    R34,
}

#[derive(Debug, Arguments)]
pub(crate) struct List {
    #[command(subcommand)]
    pub(crate) what: ListWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ListWhat {
    /// List packages with their default channels
    Packages(ListArgs),
    /// List channels with their heads
    Channels(ListArgs),
    /// List the bundles of each channel with what they replace and skip
    Bundles(ListArgs),
}

#[derive(Debug, Arguments)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) from: From,

    /// Only this package
    #[arg(value_name = "PACKAGE")]
    pub(crate) package: Option<String>,

    /// Form of the output
    #[arg(long, short, value_enum, default_value_t = Form::Table)]
    pub(crate) output: Form,
}

#[derive(Debug, Arguments)]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) from: From,

    /// The package
    #[arg(value_name = "PACKAGE")]
    pub(crate) package: String,

    /// Form of the output
    #[arg(long, short, value_enum, default_value_t = DocumentForm::Yaml)]
    pub(crate) output: DocumentForm,
}

#[derive(Debug, Arguments)]
pub(crate) struct Graph {
    #[command(flatten)]
    pub(crate) from: From,

    /// The package
    #[arg(value_name = "PACKAGE")]
    pub(crate) package: String,

    /// Form of the output
    #[arg(long, short, value_enum, default_value_t = GraphForm::Mermaid)]
    pub(crate) output: GraphForm,

    /// Leave out everything older than this bundle
    #[arg(long, value_name = "BUNDLE")]
    pub(crate) minimum_edge: Option<String>,

    /// Mark what clients of OLM 0.x skip
    #[arg(long)]
    pub(crate) draw_v0_semantics: bool,
}

/// Form of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Columns for people
    Table,
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// Form of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentForm {
    /// A stream of JSON objects
    Json,
    /// A stream of YAML documents
    Yaml,
}

/// Form of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphForm {
    /// The language of Mermaid
    Mermaid,
    /// Lines for people
    Text,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }
}
