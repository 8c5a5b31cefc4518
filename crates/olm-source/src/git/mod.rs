//! Content from a git repository.
//!
//! git itself fetches, with no configuration but its caller's; nothing is ever checked out. The
//! commit's files come as an archive through the same limits as layers of images, so submodules are
//! empty, links are left out, and no attribute of the repository changes a byte.

mod command;
mod error;
mod repository;
mod ssh;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::TryStreamExt as _;
use olm_fs::layers::Caps;
use olm_fs::{ScratchDir, Store};
use olm_tree::RelPath;
use reqwest::Url;
use tokio_util::io::ReaderStream;

pub use self::error::GitError;
pub use self::repository::Revision;
pub use self::ssh::SshAccess;

use self::command::{Git, Running};
use self::repository::Repository;
use crate::content::{self, Broken, Stored};
use crate::guard::{Guard, Route};
use crate::inside::inside;
use crate::speed::MinimumSpeed;
use crate::web::{self, Endpoint, WebAccess};

/// What git servers answer with to the first question (gitprotocol-http, "Discovering references").
const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";

/// Where what is fetched goes.
const FETCHED: &str = "refs/olm/fetched";

/// What is wanted from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The URL of the repository: https, http, ssh, or `[USER@]HOST:PATH` for ssh.
    pub repository: String,
    /// What of it.
    pub revision: Revision,
    /// Where in it the content lies; empty for its root.
    pub directory: String,
    /// How its web server is accessed, if it is behind one. `tls_verify` is also whether the key of
    /// an ssh server is checked.
    pub web: WebAccess,
    /// How its ssh server is accessed, if it is behind one.
    pub ssh: SshAccess,
}

/// What a repository gave.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The full hash of the commit.
    pub commit: String,
    /// Its content.
    pub stored: Stored,
}

/// The server that a repository's URL names.
///
/// # Errors
/// [`GitError::Repository`], [`GitError::NoRepository`].
pub fn endpoint(repository: &str) -> Result<Endpoint, GitError> {
    Ok(match Repository::parse(repository)? {
        Repository::Web { url, .. } => web::endpoint(&url),
        Repository::Ssh(ssh) => Endpoint {
            host: ssh.host,
            port: ssh.port,
            is_ssh: true,
        },
    })
}

/// Fetches a commit and stores what `folders` keep of its directory. A web server that sends less than
/// 1 KiB/s over a minute is not waited for.
///
/// # Errors
/// [`GitError`].
pub async fn fetch(
    request: &Request,
    guard: &Guard,
    folders: &[RelPath],
    caps: Caps,
    into: &Store,
) -> Result<Fetched, GitError> {
    let speed = MinimumSpeed::REPOSITORY;
    fetch_at(speed, request, guard, folders, caps, into).await
}

/// The same from a server that is not slower than this.
pub(crate) async fn fetch_at(
    speed: MinimumSpeed,
    request: &Request,
    guard: &Guard,
    folders: &[RelPath],
    caps: Caps,
    into: &Store,
) -> Result<Fetched, GitError> {
    let repository = Repository::parse(&request.repository)?;
    request.revision.check()?;
    let shown = web::redacted_text(&request.repository);
    let directory = inside(&request.directory).ok_or_else(|| GitError::DirectoryOutside {
        directory: request.directory.clone(),
        repository: shown.clone(),
    })?;
    let home = ScratchDir::new()?;
    let (git, url) = connect(speed, &repository, request, guard, &home).await?;
    git.run("init", &["init", "--quiet", "--bare", "--template="])
        .await?;
    let commit = obtain(&git, &url, &request.revision).await?;
    let tree = match git
        .run(
            "rev-parse",
            &[
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                &format!("{commit}:{}", directory.as_str()),
            ],
        )
        .await
    {
        Ok(tree) if is_tree(&git, &tree).await => tree,
        Ok(_) | Err(GitError::Failed { .. }) => {
            return Err(GitError::NoDirectory {
                directory: request.directory.clone(),
                repository: shown,
                commit,
            });
        }
        Err(error) => return Err(error),
    };
    let stored = store(&git, &tree, folders, caps, into).await?;
    Ok(Fetched { commit, stored })
}

async fn is_tree(git: &Git<'_>, object: &str) -> bool {
    let kind = git.run("cat-file", &["cat-file", "-t", object]).await;
    kind.is_ok_and(|kind| kind == "tree")
}

/// git as it may speak to this repository, and the URL that it is told.
async fn connect<'a>(
    speed: MinimumSpeed,
    repository: &Repository,
    request: &Request,
    guard: &Guard,
    home: &'a ScratchDir,
) -> Result<(Git<'a>, String), GitError> {
    match repository {
        Repository::Ssh(ssh) => {
            let verify = request.web.tls_verify;
            let command = ssh::prepare(ssh, &request.ssh, verify, guard, home).await?;
            let git = Git {
                home: home.path(),
                protocol: "ssh",
                configuration: vec![("protocol.ssh.allow".to_owned(), "always".to_owned())],
                ssh_configuration: Some(command),
                speed,
            };
            Ok((git, ssh.text.clone()))
        }
        Repository::Web { url, credentials } => {
            let access = WebAccess {
                credentials: request
                    .web
                    .credentials
                    .clone()
                    .or_else(|| credentials.clone()),
                ..request.web.clone()
            };
            connect_web(speed, url, &access, guard, home).await
        }
    }
}

/// Asks the web server as git would, which follows redirects under the guard's eyes and with
/// credentials for nobody but the server that was named; git itself then follows none.
async fn connect_web<'a>(
    speed: MinimumSpeed,
    url: &Url,
    access: &WebAccess,
    guard: &Guard,
    home: &'a ScratchDir,
) -> Result<(Git<'a>, String), GitError> {
    const QUESTION: &str = "/info/refs";
    let mut question = url.clone();
    let path = format!("{}{QUESTION}", url.path().trim_end_matches('/'));
    question.set_path(&path);
    question.set_query(Some("service=git-upload-pack"));
    let answer = web::get(&question, "*/*", access, guard)
        .await
        .map_err(GitError::Web)?;
    let not_git = || GitError::NotGit(web::redacted(&answer.url));
    let kind = answer.response.headers().get(reqwest::header::CONTENT_TYPE);
    if kind.is_none_or(|kind| kind != ADVERTISEMENT) {
        return Err(not_git());
    }
    let mut base = answer.url.clone();
    let path = base
        .path()
        .strip_suffix(QUESTION)
        .ok_or_else(not_git)?
        .to_owned();
    base.set_path(&path);
    base.set_query(None);
    let mut configuration = Vec::new();
    let mut set = |key: &str, value: String| configuration.push((key.to_owned(), value));
    let protocol = if base.scheme() == "https" {
        "https"
    } else {
        "http"
    };
    set(&format!("protocol.{protocol}.allow"), "always".to_owned());
    let seconds = speed.window.as_secs();
    set("http.lowSpeedLimit", speed.bytes_per_second.to_string());
    set("http.lowSpeedTime", seconds.to_string());
    set("http.sslVerify", access.tls_verify.to_string());
    if let Some(bundle) = &access.authorities {
        let file = home.write("ca.crt", bundle)?;
        set("http.sslCAInfo", file.display().to_string());
    }
    match &answer.route {
        Route::Proxy(proxy) => set("http.proxy", proxy.expose().to_owned()),
        Route::Direct(addresses) => {
            set("http.proxy", String::new());
            let host = base.host_str().unwrap_or_default();
            let port = base.port_or_known_default().unwrap_or(443);
            let addresses: Vec<_> = addresses
                .iter()
                .map(|at| match at.ip() {
                    std::net::IpAddr::V4(address) => address.to_string(),
                    std::net::IpAddr::V6(address) => format!("[{address}]"),
                })
                .collect();
            set(
                "http.curloptResolve",
                format!("{host}:{port}:{}", addresses.join(",")),
            );
        }
    }
    if let Some(basic) = access.credentials.as_ref().filter(|_| answer.is_origin) {
        let pair = STANDARD.encode(format!("{}:{}", basic.username, basic.password));
        set("http.extraHeader", format!("Authorization: Basic {pair}"));
    }
    let git = Git {
        home: home.path(),
        protocol,
        configuration,
        ssh_configuration: None,
        speed,
    };
    Ok((git, base.to_string()))
}

/// Fetches what is wanted; the full hash of its commit.
async fn obtain(git: &Git<'_>, url: &str, revision: &Revision) -> Result<String, GitError> {
    match revision {
        Revision::Branch(name) => one(git, url, &format!("refs/heads/{name}")).await,
        Revision::Tag(name) => one(git, url, &format!("refs/tags/{name}")).await,
        Revision::Commit(hash) => {
            fetch_into(git, url, &["+refs/heads/*:refs/olm/heads/*"]).await?;
            commit(git, hash)
                .await?
                .ok_or_else(|| GitError::NoCommit(hash.clone()))
        }
        Revision::Pinned(hash) => {
            let wanted = format!("+{hash}:{FETCHED}");
            match fetch_into(git, url, &["--depth=1", &wanted]).await {
                Ok(()) => {}
                // Not every server gives what no branch or tag names.
                Err(GitError::Failed { .. }) => {
                    let all = [
                        "+refs/heads/*:refs/olm/heads/*",
                        "+refs/tags/*:refs/olm/tags/*",
                    ];
                    fetch_into(git, url, &all).await?;
                }
                Err(error) => return Err(error),
            }
            commit(git, hash)
                .await?
                .ok_or_else(|| GitError::NoCommit(hash.clone()))
        }
    }
}

/// Fetches one branch or tag.
async fn one(git: &Git<'_>, url: &str, reference: &str) -> Result<String, GitError> {
    let wanted = format!("+{reference}:{FETCHED}");
    fetch_into(git, url, &["--depth=1", &wanted])
        .await
        .map_err(|error| match error {
            GitError::Failed { text, .. } if text.contains("couldn't find remote ref") => {
                GitError::NoReference(reference.to_owned())
            }
            error => error,
        })?;
    let found = commit(git, FETCHED).await?;
    found.ok_or_else(|| GitError::NoReference(reference.to_owned()))
}

/// `what` are options, then what is wanted.
async fn fetch_into(git: &Git<'_>, url: &str, what: &[&str]) -> Result<(), GitError> {
    let (options, wanted): (Vec<&str>, Vec<&str>) =
        what.iter().partition(|text| text.starts_with("--"));
    let mut arguments = vec![
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-recurse-submodules",
        "--no-write-fetch-head",
        "--no-auto-maintenance",
    ];
    arguments.extend(options);
    arguments.extend(["--", url]);
    arguments.extend(wanted);
    git.run("clone", &arguments).await.map(|_| ())
}

/// The full hash of the commit that a name leads to, if there is one.
async fn commit(git: &Git<'_>, name: &str) -> Result<Option<String>, GitError> {
    let name = format!("{name}^{{commit}}");
    let arguments = [
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &name,
    ];
    match git.run("rev-parse", &arguments).await {
        Ok(hash) if repository::is_hash(&hash) => Ok(Some(hash)),
        Ok(_) | Err(GitError::Failed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Stores the files of a tree, byte for byte as they were committed.
async fn store(
    git: &Git<'_>,
    tree: &str,
    folders: &[RelPath],
    caps: Caps,
    into: &Store,
) -> Result<Stored, GitError> {
    // These win over what the repository says of itself: nothing is left out, filled in or converted.
    let own = git.home.join("repository").join("info");
    olm_fs::create_dir_all(&own)?;
    let attributes = "* -export-ignore -export-subst -text -eol -ident -filter \
                      -working-tree-encoding\n";
    olm_fs::write_atomic(&own.join("attributes"), attributes.as_bytes())?;
    let mut arguments = vec!["archive", "--format=tar", tree, "--"];
    let mut listing = vec!["ls-tree", "--name-only", tree, "--"];
    listing.extend(folders.iter().map(RelPath::as_str));
    let there = git.run("ls-tree", &listing).await?;
    arguments.extend(there.lines());
    let pending = if there.is_empty() {
        // Without a path the archive would be the whole repository, and nothing of it is kept.
        let nothing = futures::stream::empty::<Result<Bytes, std::convert::Infallible>>();
        content::unpack(nothing, folders, caps, into)
            .await
            .map_err(|broken| match broken {
                Broken::Stream(never) => match never {},
                Broken::Content(error) => error,
            })?
    } else {
        let (running, output) = git.start("archive", &arguments)?;
        let archive = ReaderStream::new(output);
        unpack(running, archive.map_err(GitError::Run), folders, caps, into).await?
    };
    Ok(content::commit(pending).await?)
}

async fn unpack(
    running: Running,
    archive: impl futures::Stream<Item = Result<Bytes, GitError>>,
    folders: &[RelPath],
    caps: Caps,
    into: &Store,
) -> Result<olm_fs::Pending, GitError> {
    let pending = match content::unpack(archive, folders, caps, into).await {
        Ok(pending) => pending,
        Err(Broken::Stream(error)) => return Err(error),
        // An archive that git itself broke off is its fault.
        Err(Broken::Content(error)) if !error.is_content() => return Err(error.into()),
        Err(Broken::Content(error)) => {
            drop(running);
            return Err(error.into());
        }
    };
    running.end().await?;
    Ok(pending)
}
