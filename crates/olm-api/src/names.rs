//! Names that parts of the suite must agree on: finalizers, field managers, provisioner classes,
//! the objects of the suite's own namespace.

/// Namespace of the suite where no other is configured.
pub const DEFAULT_SYSTEM_NAMESPACE: &str = "olm-system";

/// Provisioner class of `plain+v0` bundles, and of every BundleDeployment.
pub const PROVISIONER_PLAIN: &str = "core-rukpak-io-plain";

/// Provisioner class of `registry+v1` bundles.
pub const PROVISIONER_REGISTRY: &str = "core-rukpak-io-registry";

/// Finalizer of a Catalog: its stored content is removed before the object goes.
pub const FINALIZER_CATALOG: &str = "catalogd.operatorframework.io/delete-server-cache";

/// Finalizer of a Bundle: its stored content is removed before the object goes.
pub const FINALIZER_BUNDLE: &str = "core.rukpak.io/delete-cached-bundle";

/// Finalizer of a BundleDeployment: what it installed is removed, in reverse order, before it goes.
pub const FINALIZER_BUNDLE_DEPLOYMENT: &str = "core.rukpak.io/uninstall";

/// Field manager of operator-controller.
pub const MANAGER_OPERATOR_CONTROLLER: &str = "operator-controller";

/// Field manager of catalogd.
pub const MANAGER_CATALOGD: &str = "catalogd";

/// Field manager of rukpak on its own kinds.
pub const MANAGER_RUKPAK: &str = "rukpak-core";

/// Field manager of rukpak on the objects of bundles.
pub const MANAGER_APPLY: &str = "rukpak-apply";

/// Field manager of rukpak-webhooks.
pub const MANAGER_WEBHOOKS: &str = "rukpak-webhooks";

/// The ConfigMap in the suite's namespace under whose keys each server publishes its authority.
pub const TRUST_CONFIG_MAP: &str = "olm-trust";

/// Component name of catalogd: Deployment, ServiceAccount, lease and trust key.
pub const COMPONENT_CATALOGD: &str = "catalogd";

/// Component name of operator-controller.
pub const COMPONENT_OPERATOR_CONTROLLER: &str = "operator-controller";

/// Component name of rukpak.
pub const COMPONENT_RUKPAK: &str = "rukpak";

/// Component name of the admission webhooks of rukpak.
pub const COMPONENT_RUKPAK_WEBHOOKS: &str = "rukpak-webhooks";

/// Service in front of catalogd's content.
pub const SERVICE_CATALOGD: &str = "catalogd-service";

/// Service in front of the content of Bundles and of uploads.
pub const SERVICE_RUKPAK: &str = "rukpak-service";

/// Service in front of the admission webhooks.
pub const SERVICE_RUKPAK_WEBHOOKS: &str = "rukpak-webhook-service";

/// The role with which rukpak-webhooks may list the custom resources of installed bundles; rukpak
/// writes its rules.
pub const ROLE_OF_KINDS: &str = "olm-rs-kinds-of-bundles";

/// The webhook configuration that guards Bundles and the definitions of bundles.
pub const WEBHOOK_CONFIGURATION: &str = "rukpak-validating-webhook-configuration";

/// Longest name of an Operator or BundleDeployment, so that names of generated Bundles fit.
pub const BUNDLE_DEPLOYMENT_NAME_MAX: usize = 45;

/// Longest name of a Bundle.
pub const BUNDLE_NAME_MAX: usize = 52;
