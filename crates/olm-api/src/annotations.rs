//! Annotation keys that the suite reads and writes.
//!
//! The facts of the bundle that a BundleDeployment asks for stand on the BundleDeployment itself, so
//! that upgrade edges and dependencies can be judged while the catalog that offered the bundle is
//! away or no longer lists it.

/// Package of the bundle that the BundleDeployment's template asks for.
pub const PACKAGE: &str = "operators.operatorframework.io/package";

/// Name of that bundle in its catalog, for example `etcdoperator.v0.9.4`.
pub const BUNDLE_NAME: &str = "operators.operatorframework.io/bundle-name";

/// Version of that bundle.
pub const BUNDLE_VERSION: &str = "operators.operatorframework.io/bundle-version";

/// Channel that the bundle was chosen from; absent when it lies in none.
pub const CHANNEL: &str = "operators.operatorframework.io/channel";

/// Catalog that offered the bundle.
pub const CATALOG: &str = "operators.operatorframework.io/catalog";

/// APIs that the bundle provides, as a JSON list of `{"group":…,"version":…,"kind":…}`.
pub const PROVIDED_APIS: &str = "operators.operatorframework.io/provided-apis";

/// What the bundle declares besides its APIs, as JSON: requirements, labels, further properties. What
/// runs is judged by what it declared when it was installed.
pub const DECLARED: &str = "operators.operatorframework.io/declared";

/// On a BundleDeployment: when the bundle that it asks for was asked for in this way first. The
/// Operator's progressDeadline counts from then.
pub const REQUESTED_AT: &str = "operators.operatorframework.io/requested-at";

/// Any change of this annotation on a Bundle lets its source be resolved again.
pub const REFRESH: &str = "core.rukpak.io/refresh";

/// Set to `true` on a BundleDeployment that is being removed, it lets the removal go on although
/// instances of its custom resource definitions remain.
pub const ABANDON_INSTANCES: &str = "core.rukpak.io/abandon-instances";

/// On a Secret: the hosts that what is in it may be sent to, with commas between them; `host`,
/// `host:port` or `*.domain`. Without it any host that a source names.
pub const ALLOWED_HOSTS: &str = "core.rukpak.io/allowed-hosts";

/// On an Operator with the label [`DEPENDENCY`](crate::labels::DEPENDENCY): the names of the
/// Operators that require its package, with commas between them; empty once none does.
pub const REQUIRED_BY: &str = "operators.operatorframework.io/required-by";

/// With the value `false` on a `CustomResourceDefinition` of a bundle: changes of it are not held
/// against the custom resources that exist.
pub const SAFE_CRD_UPGRADE_VALIDATION: &str = "core.rukpak.io/safe-crd-upgrade-validation";
