//! Condition types and reasons, spelled once for the whole suite.

/// Operator: a bundle was chosen.
pub const RESOLVED: &str = "Resolved";

/// Operator, BundleDeployment: a bundle is installed.
pub const INSTALLED: &str = "Installed";

/// Catalog, Bundle: the content was fetched, checked and stored.
pub const UNPACKED: &str = "Unpacked";

/// BundleDeployment: the bundle that the template asks for is unpacked and fit to be installed.
pub const HAS_VALID_BUNDLE: &str = "HasValidBundle";

/// BundleDeployment: what is installed works.
pub const HEALTHY: &str = "Healthy";

/// Every kind: what is asked for is what is there. kstatus, `kubectl wait`, Flux and Argo CD read it.
pub const READY: &str = "Ready";

/// Every kind: nothing but a change of the object itself can help. There only while that is so;
/// kstatus reads it as failed.
pub const STALLED: &str = "Stalled";

/// Operator: something is under way, or why nothing is. BundleDeployment: an installation is under
/// way; there only while that is so, with the phase and the objects that are waited for.
pub const PROGRESSING: &str = "Progressing";

/// Operator: one of the three below.
pub const DEPRECATED: &str = "Deprecated";

/// Operator: a catalog says that the package should no longer be used.
pub const PACKAGE_DEPRECATED: &str = "PackageDeprecated";

/// Operator: a catalog says that the channel should no longer be used.
pub const CHANNEL_DEPRECATED: &str = "ChannelDeprecated";

/// Operator: a catalog says that the installed bundle should no longer be used.
pub const BUNDLE_DEPRECATED: &str = "BundleDeprecated";

/// Catalog: the clean-up that deletion waits for failed.
pub const DELETE: &str = "Delete";

/// BundleDeployment: what was installed is being removed; the message says what is waited for.
pub const UNINSTALLING: &str = "Uninstalling";

/// BundleDeployment and Operator: definitions stay that are not those of the bundle that runs, for the
/// sake of custom resources: they left the bundle while there are some of their kinds, or an upgrade
/// that was taken back brought them and going back could break some. The message names them. There
/// only while that is so.
pub const DEFINITIONS_KEPT: &str = "DefinitionsKept";

/// Reasons of the conditions of an Operator.
pub mod operator {
    /// It worked.
    pub const SUCCESS: &str = "Success";
    /// No bundle can be chosen; the message says why.
    pub const RESOLUTION_FAILED: &str = "ResolutionFailed";
    /// Choosing was not attempted.
    pub const RESOLUTION_UNKNOWN: &str = "ResolutionUnknown";
    /// The chosen bundle is not installed; the message says why.
    pub const INSTALLATION_FAILED: &str = "InstallationFailed";
    /// Nothing is known about the installation.
    pub const INSTALLATION_STATUS_UNKNOWN: &str = "InstallationStatusUnknown";
    /// Progressing: what was chosen runs.
    pub const SUCCEEDED: &str = "Succeeded";
    /// Progressing: what was chosen is being installed.
    pub const ROLLING_OUT: &str = "RollingOut";
    /// Progressing: something is in the way, and will be tried again.
    pub const RETRYING: &str = "Retrying";
    /// Progressing: nothing can be chosen, or the bundle that was chosen cannot be loaded, until a
    /// spec or a catalog changes.
    pub const BLOCKED: &str = "Blocked";
    /// Progressing: the spec cannot be followed.
    pub const INVALID_CONFIGURATION: &str = "InvalidConfiguration";
    /// Progressing: the spec says that nothing is to be decided.
    pub const SUSPENDED: &str = "Suspended";
    /// Progressing: the upgrade waits until its version is approved.
    pub const APPROVAL_REQUIRED: &str = "ApprovalRequired";
    /// Progressing: what is required is being installed first.
    pub const WAITING_FOR_DEPENDENCIES: &str = "WaitingForDependencies";
    /// Progressing: what was chosen was not installed and healthy in time.
    pub const PROGRESS_DEADLINE_EXCEEDED: &str = "ProgressDeadlineExceeded";
    /// Progressing: an upgrade failed and the bundle before it is being installed again.
    pub const ROLLING_BACK: &str = "RollingBack";
    /// Progressing: an upgrade failed and the bundle before it is installed again.
    pub const ROLLED_BACK: &str = "RolledBack";
    /// A catalog deprecates it.
    pub const DEPRECATED: &str = "Deprecated";
    /// No catalog deprecates it.
    pub const NOT_DEPRECATED: &str = "NotDeprecated";
    /// Which catalogs deprecate it is not known.
    pub const DEPRECATION_STATUS_UNKNOWN: &str = "DeprecationStatusUnknown";
    /// Nothing is installed.
    pub const ABSENT: &str = "Absent";
}

/// Reasons of the condition [`UNPACKED`] of Catalogs and Bundles, and of [`DELETE`].
pub mod unpack {
    /// The content is stored.
    pub const SUCCESSFUL: &str = "UnpackSuccessful";
    /// The content could not be fetched or is not fit.
    pub const FAILED: &str = "UnpackFailed";
    /// The content was not asked for yet.
    pub const PENDING: &str = "UnpackPending";
    /// The content is being fetched.
    pub const UNPACKING: &str = "Unpacking";
    /// The content was fetched and could not be stored.
    pub const FAILED_TO_STORE: &str = "FailedToStore";
    /// Catalog: its spec takes it out of use.
    pub const USER_SPECIFIED_UNAVAILABLE: &str = "UserSpecifiedUnavailable";
    /// Stored content could not be removed.
    pub const FAILED_TO_DELETE: &str = "FailedToDelete";
    /// The clean-up of a Bundle failed.
    pub const PROCESSING_FINALIZER_FAILED: &str = "ProcessingFinalizerFailed";
}

/// Reasons of the conditions of a BundleDeployment.
pub mod deployment {
    /// The bundle is being unpacked.
    pub const UNPACK_PENDING: &str = "UnpackPending";
    /// Progressing: objects are applied and waited for.
    pub const ROLLING_OUT: &str = "RollingOut";
    /// The bundle is unpacked.
    pub const UNPACK_SUCCESSFUL: &str = "UnpackSuccessful";
    /// The bundle cannot be unpacked.
    pub const UNPACK_FAILED: &str = "UnpackFailed";
    /// The bundle is unpacked and cannot be turned into objects.
    pub const BUNDLE_LOAD_FAILED: &str = "BundleLoadFailed";
    /// The generated Bundle could not be listed, created or cleaned up, or drift not be repaired.
    pub const RECONCILE_FAILED: &str = "ReconcileFailed";
    /// The bundle's objects are applied.
    pub const INSTALLATION_SUCCEEDED: &str = "InstallationSucceeded";
    /// The first bundle could not be applied.
    pub const INSTALL_FAILED: &str = "InstallFailed";
    /// A later bundle could not be applied; the one before is still the active one.
    pub const UPGRADE_FAILED: &str = "UpgradeFailed";
    /// What is installed could not be read.
    pub const OBJECT_LOOKUP_FAILURE: &str = "ObjectLookupFailure";
    /// Everything that is installed works.
    pub const HEALTHY: &str = "Healthy";
    /// Something that is installed does not work; the message says what.
    pub const UNHEALTHY: &str = "Unhealthy";
    /// Nothing is installed whose health could be judged.
    pub const INSTALLATION_STATUS_FALSE: &str = "InstallationStatusFalse";
    /// The bundle's objects are being applied and are not all there yet.
    pub const INSTALLATION_STATUS_UNKNOWN: &str = "InstallationStatusUnknown";
    /// Custom resources of the kinds exist.
    pub const INSTANCES_EXIST: &str = "InstancesExist";
    /// Going back to the definitions of what runs could break custom resources.
    pub const UNSAFE_ROLLBACK: &str = "UnsafeRollback";
    /// Removal waits for what the message names.
    pub const UNINSTALLING: &str = "Uninstalling";
}

/// Phases of a Catalog and of a Bundle: one word for people; programs read the conditions.
pub mod phase {
    /// Nothing was done yet, or something is waited for.
    pub const PENDING: &str = "Pending";
    /// The content is being fetched.
    pub const UNPACKING: &str = "Unpacking";
    /// The content is stored.
    pub const UNPACKED: &str = "Unpacked";
    /// The last attempt failed.
    pub const FAILING: &str = "Failing";
}
