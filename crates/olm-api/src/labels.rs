//! Label keys that the suite writes and selects by.

/// Kind of the owner of a generated Bundle or of an applied object: [`OWNER_KIND_BUNDLE_DEPLOYMENT`].
pub const OWNER_KIND: &str = "core.rukpak.io/owner-kind";

/// Name of the owner of a generated Bundle or of an applied object.
pub const OWNER_NAME: &str = "core.rukpak.io/owner-name";

/// Hash of the template that a generated Bundle was made from.
pub const BUNDLE_TEMPLATE_HASH: &str = "core.rukpak.io/bundle-template-hash";

/// The value of [`OWNER_KIND`] on everything that a BundleDeployment owns.
pub const OWNER_KIND_BUNDLE_DEPLOYMENT: &str = "BundleDeployment";

/// With the value `true` on a Secret of the type `Opaque`: sources of Bundles may use it. Whoever may
/// create a Bundle could otherwise have any Secret of the suite's namespace sent to a host of theirs.
pub const SOURCE_SECRET: &str = "core.rukpak.io/source-secret";

/// With the value `true` on an Operator: it was made because others require its package, and nobody
/// has changed its spec since. It may be removed once nobody requires it.
pub const DEPENDENCY: &str = "operators.operatorframework.io/dependency";

/// A label that every Catalog counts as having, with its name as the value, where catalogs are
/// selected.
pub const CATALOG_NAME: &str = "olm.operatorframework.io/metadata.name";
