//! Why a repository gave no content.

use std::time::Duration;

use olm_fs::FileError;

use crate::content::ContentError;
use crate::guard::GuardError;
use crate::web::WebError;

/// Content of a repository that could not be had. Texts begin as those that users of the upstream
/// API know, and hold no credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// No repository is named.
    #[error("missing git source information: repository must be provided")]
    NoRepository,
    /// What is named is no repository that may be asked.
    #[error("the repository `{repository}` cannot be used: {reason}")]
    Repository {
        /// Its URL, without credentials.
        repository: String,
        /// Why not.
        reason: String,
    },
    /// Neither branch nor tag nor commit is named.
    #[error("missing git source information: exactly one of branch, tag and commit must be set")]
    NoRevision,
    /// The branch, tag or commit is not the name of one.
    #[error("{0} is not a valid name; a commit is given by its full hash")]
    Revision(String),
    /// The directory leads out of the repository.
    #[error(
        "get subdirectory \"{directory}\" for repository \"{repository}\": directory can not start \
         with '../' or '/'"
    )]
    DirectoryOutside {
        /// The directory.
        directory: String,
        /// The repository, without credentials.
        repository: String,
    },
    /// The directory is not there.
    #[error(
        "get subdirectory \"{directory}\" for repository \"{repository}\": not found in {commit}"
    )]
    NoDirectory {
        /// The directory.
        directory: String,
        /// The repository, without credentials.
        repository: String,
        /// The commit.
        commit: String,
    },
    /// The host is refused or unknown.
    #[error("bundle unpack git clone error")]
    Guard(#[source] GuardError),
    /// The web server does not give it.
    #[error("bundle unpack git clone error")]
    Web(#[source] WebError),
    /// The web server has something else there.
    #[error("bundle unpack git clone error: GET {0}: the answer is not that of a git repository")]
    NotGit(String),
    /// An ssh server is to be asked without a key.
    #[error("configuring Auth error: a repository behind ssh needs a Secret with `ssh-privatekey`")]
    NoKey,
    /// An ssh server cannot be told from another.
    #[error(
        "configuring Auth error: the Secret has no `ssh-knownhosts` to verify the server's key \
         with (insecureSkipVerify goes without)"
    )]
    NoKnownHosts,
    /// An ssh server is another than the one that is known, or was not known at all.
    #[error(
        "bundle unpack git clone error: Host key verification failed: the server's key is not in \
         `ssh-knownhosts`"
    )]
    HostKey,
    /// The branch or tag is not there.
    #[error("bundle unpack git clone error: couldn't find remote ref {0:?}")]
    NoReference(String),
    /// The commit is not there.
    #[error("checkout commit {0:?}: object not found")]
    NoCommit(String),
    /// The repository is larger than allowed.
    #[error("bundle unpack git clone error: the repository has more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// What the server sends comes so slowly that it is not waited for.
    #[error(
        "bundle unpack git clone error: the server is too slow: less than {bytes_per_second} bytes \
         per second came over {window:?}"
    )]
    TooSlow {
        /// The least that must come.
        bytes_per_second: u32,
        /// How long that is measured.
        window: Duration,
    },
    /// git failed.
    #[error("bundle unpack git {operation} error: {text}")]
    Failed {
        /// Which of its commands.
        operation: &'static str,
        /// What it says, shortened.
        text: String,
    },
    /// There is no git, or it cannot be run.
    #[error("cannot run git")]
    Run(#[source] std::io::Error),
    /// Files for git cannot be written.
    #[error("cannot prepare for git")]
    Prepare(#[from] FileError),
    /// The content cannot be taken in.
    #[error("bundle unpack error")]
    Content(#[from] ContentError),
}

impl GitError {
    /// Whether nothing but another source can help.
    pub const fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::NoRepository
                | Self::Repository { .. }
                | Self::NoRevision
                | Self::Revision(_)
                | Self::DirectoryOutside { .. }
        )
    }
}
