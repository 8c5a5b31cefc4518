//! Fetching from real repositories behind `git http-backend`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[allow(unreachable_pub, dead_code, reason = "it is a module of the harness")]
#[path = "../../../tests/src/git.rs"]
mod git_server;

#[allow(unreachable_pub, dead_code, reason = "it is a module of the harness")]
#[path = "../../../tests/src/certificates.rs"]
mod certificates;

use certificates::Authority;
use git_server::{GitRepository, GitServer, GitServerOptions};
use olm_fs::Store;
use olm_fs::layers::Caps;
use olm_source::git::{self, Fetched, GitError, Request, Revision, SshAccess};
use olm_source::{BasicCredentials, Guard, WebAccess};
use olm_tree::{RelPath, Tree};
use tempfile::TempDir;

struct World {
    scratch: TempDir,
    repository: GitRepository,
    server: GitServer,
    store: Store,
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text).unwrap()
}

fn folders() -> Vec<RelPath> {
    vec![path("manifests"), path("metadata")]
}

impl World {
    async fn new() -> Self {
        Self::with(GitServerOptions::default()).await
    }

    async fn with(options: GitServerOptions) -> Self {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let scratch = tempfile::tempdir().unwrap();
        let repository = GitRepository::create(scratch.path(), "a/b.git")
            .await
            .unwrap();
        let server = GitServer::start(scratch.path(), options).await.unwrap();
        let store = Store::open(&scratch.path().join("store")).unwrap();
        Self {
            scratch,
            repository,
            server,
            store,
        }
    }

    fn request(&self, revision: Revision) -> Request {
        Request {
            repository: self.server.url("a/b.git"),
            revision,
            directory: String::new(),
            web: WebAccess::default(),
            ssh: SshAccess::default(),
        }
    }

    async fn fetch(&self, request: &Request) -> Result<Fetched, GitError> {
        let guard = Guard::new(true);
        git::fetch(request, &guard, &folders(), Caps::BUNDLE, &self.store).await
    }
}

fn branch(name: &str) -> Revision {
    Revision::Branch(name.to_owned())
}

fn text(error: &GitError) -> String {
    olm_error::Chain::new(error).to_string()
}

/// `path=content` of every file.
fn files(fetched: &Fetched) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![RelPath::root()];
    while let Some(folder) = folders.pop() {
        for entry in fetched.stored.tree.list(&folder).unwrap() {
            let at = folder.join(&entry.name).unwrap();
            match entry.kind {
                olm_tree::NodeKind::Directory => folders.push(at),
                olm_tree::NodeKind::File => {
                    let bytes = fetched.stored.tree.read(&at, 1 << 20).unwrap();
                    found.push(format!("{at}={}", String::from_utf8_lossy(&bytes)));
                }
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn branches_tags_and_commits_give_their_files_and_their_commit() {
    let world = World::new().await;
    let old = world
        .repository
        .commit("main", &[("manifests/a.yaml", "1"), ("README.md", "x")])
        .await
        .unwrap();
    let tag = ["tag", "-a", "-m", "release", "v1", &old];
    world.repository.git(&tag).await.unwrap();
    let new = world
        .repository
        .commit("main", &[("manifests/a.yaml", "2"), ("metadata/b", "")])
        .await
        .unwrap();
    let before = [String::from("manifests/a.yaml=1")];
    let after = ["manifests/a.yaml=2", "metadata/b="].map(str::to_owned);
    for (revision, commit, content) in [
        (branch("main"), &new, &after[..]),
        (Revision::Tag("v1".into()), &old, &before),
        (Revision::Commit(old.clone()), &old, &before),
        (Revision::Commit(new.clone()), &new, &after),
        (Revision::Pinned(old.clone()), &old, &before),
    ] {
        let fetched = world.fetch(&world.request(revision)).await.unwrap();
        assert_eq!(&fetched.commit, commit);
        assert_eq!(files(&fetched), content);
    }
    // The same files are stored once.
    assert_eq!(world.store.list().unwrap().len(), 2);
}

#[tokio::test]
async fn a_pinned_commit_is_found_although_no_branch_leads_to_it_any_more() {
    let world = World::new().await;
    let files_of = [("manifests/a.yaml", "1")];
    let pinned = world.repository.commit("main", &files_of).await.unwrap();
    let delete = ["update-ref", "-d", "refs/heads/main"];
    world.repository.git(&delete).await.unwrap();
    let other = [("manifests/a.yaml", "2")];
    world.repository.commit("main", &other).await.unwrap();
    let request = world.request(Revision::Pinned(pinned.clone()));
    let fetched = world.fetch(&request).await.unwrap();
    assert_eq!(files(&fetched), ["manifests/a.yaml=1"]);
    // Somebody who names a commit is told that it is on no branch.
    let request = world.request(Revision::Commit(pinned.clone()));
    let error = world.fetch(&request).await.unwrap_err();
    let expected = format!("checkout commit {pinned:?}: object not found");
    assert_eq!(text(&error), expected);
}

#[tokio::test]
async fn a_directory_is_the_root_of_the_content() {
    let world = World::new().await;
    let content = [
        ("manifests/root.yaml", "root"),
        ("dev/deploy/manifests/a.yaml", "deep"),
        ("a/manifests/b.yaml", "short"),
    ];
    world.repository.commit("main", &content).await.unwrap();
    for (directory, expected) in [
        ("", "manifests/root.yaml=root"),
        (".", "manifests/root.yaml=root"),
        ("./dev/deploy", "manifests/a.yaml=deep"),
        ("a/../dev/deploy/", "manifests/a.yaml=deep"),
        ("a", "manifests/b.yaml=short"),
    ] {
        let request = Request {
            directory: directory.to_owned(),
            ..world.request(branch("main"))
        };
        let fetched = world.fetch(&request).await.unwrap();
        assert_eq!(files(&fetched), [expected], "{directory}");
    }
    for (directory, reason) in [
        ("..", "directory can not start with '../' or '/'"),
        ("../x", "directory can not start with '../' or '/'"),
        ("/dev", "directory can not start with '../' or '/'"),
        ("nowhere", "not found in"),
        ("manifests/root.yaml", "not found in"),
    ] {
        let request = Request {
            directory: directory.to_owned(),
            ..world.request(branch("main"))
        };
        let error = text(&world.fetch(&request).await.unwrap_err());
        let begin = format!("get subdirectory \"{directory}\" for repository ");
        assert!(
            error.starts_with(&begin) && error.contains(reason),
            "{error}"
        );
    }
}

#[tokio::test]
async fn no_part_of_a_repository_decides_what_happens() {
    let world = World::new().await;
    let repository = &world.repository;
    let trap = world.scratch.path().join("sprung");
    let filter = format!("[filter \"trap\"]\n\tsmudge = touch {}\n", trap.display());
    let modules = format!(
        "[submodule \"sub\"]\n\tpath = manifests/sub\n\turl = {}\n",
        world.server.url("other.git")
    );
    let attributes = "* filter=trap text eol=crlf ident\n\
                      manifests/left-out.yaml export-ignore\n\
                      manifests/filled-in.yaml export-subst\n";
    let mut entries = Vec::new();
    for (path, mode, content) in [
        (".gitattributes", "100644", attributes),
        (".gitconfig", "100644", filter.as_str()),
        (".gitmodules", "100644", modules.as_str()),
        ("manifests/filled-in.yaml", "100644", "$Format:%H$ $Id$\n"),
        ("manifests/left-out.yaml", "100755", "kept\n"),
        ("manifests/.wh.left-out.yaml", "100644", "no whiteout"),
        ("manifests/link", "120000", "/etc/passwd"),
        ("metadata", "120000", "/etc"),
    ] {
        let hash = repository
            .git_with(&["hash-object", "-w", "--stdin"], content.as_bytes())
            .await
            .unwrap();
        entries.push(format!("{mode} {hash}\t{path}"));
    }
    entries.push(format!("160000 {}\tmanifests/sub", "1".repeat(40)));
    repository.commit_entries("main", &entries).await.unwrap();
    let hook = format!("#!/bin/sh\ntouch {}\n", trap.display());
    for name in ["post-checkout", "pre-fetch", "reference-transaction"] {
        let hooks = repository.path().join("hooks");
        std::fs::create_dir_all(&hooks).unwrap();
        std::fs::write(hooks.join(name), &hook).unwrap();
    }
    let fetched = world.fetch(&world.request(branch("main"))).await.unwrap();
    let expected = [
        "manifests/.wh.left-out.yaml=no whiteout",
        "manifests/filled-in.yaml=$Format:%H$ $Id$\n",
        "manifests/left-out.yaml=kept\n",
    ];
    assert_eq!(files(&fetched), expected);
    let asked = world.server.asked();
    assert!(asked.iter().all(|asked| !asked.uri.contains("other")));
    assert!(!trap.exists());
}

#[tokio::test]
async fn credentials_go_to_the_server_that_was_named_and_to_no_other() {
    let elsewhere = World::new().await;
    let content = [("manifests/a.yaml", "1")];
    elsewhere.repository.commit("main", &content).await.unwrap();
    let user = Some(("ann".to_owned(), "se:cret".to_owned()));
    let world = World::with(GitServerOptions {
        user: user.clone(),
        redirects: vec![("/moved/".to_owned(), elsewhere.server.url(""))],
        ..GitServerOptions::default()
    })
    .await;
    world.repository.commit("main", &content).await.unwrap();
    let basic = BasicCredentials {
        username: "ann".to_owned(),
        password: "se:cret".to_owned(),
    };
    let mut request = world.request(branch("main"));
    let error = text(&world.fetch(&request).await.unwrap_err());
    assert!(
        error.ends_with("unexpected status \"401 Unauthorized\""),
        "{error}"
    );
    request.web.credentials = Some(basic.clone());
    let fetched = world.fetch(&request).await.unwrap();
    assert_eq!(files(&fetched), ["manifests/a.yaml=1"]);

    request.repository = world.server.url("moved/a/b.git");
    let fetched = world.fetch(&request).await.unwrap();
    assert_eq!(files(&fetched), ["manifests/a.yaml=1"]);
    let asked = elsewhere.server.asked();
    assert!(!asked.is_empty());
    for asked in asked {
        assert_eq!(asked.authorization, None, "{}", asked.uri);
    }

    // In the URL itself they are credentials as well.
    request.web.credentials = None;
    request.repository = world
        .server
        .url("a/b.git")
        .replace("://", "://ann:se%3Acret@");
    world.fetch(&request).await.unwrap();
    request.repository = world.server.url("a/b.git").replace("://", "://ann:geheim@");
    let error = text(&world.fetch(&request).await.unwrap_err());
    assert!(!error.contains("geheim"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let world = World::new().await;
    let content = [("README.md", "no manifests")];
    world.repository.commit("main", &content).await.unwrap();
    let fetched = world.fetch(&world.request(branch("main"))).await.unwrap();
    assert!(files(&fetched).is_empty());

    let missing = Revision::Tag("v9".to_owned());
    let error = world.fetch(&world.request(missing)).await.unwrap_err();
    assert!(!error.is_terminal());
    assert_eq!(
        text(&error),
        "bundle unpack git clone error: couldn't find remote ref \"refs/tags/v9\""
    );
    let mut request = world.request(branch("main"));
    request.repository = world.server.url("none.git");
    let error = text(&world.fetch(&request).await.unwrap_err());
    assert!(
        error.ends_with("/none.git/info/refs: unexpected status \"404 Not Found\""),
        "{error}"
    );
    std::fs::write(world.scratch.path().join("page"), "<html>").unwrap();
    std::fs::create_dir_all(world.scratch.path().join("web/info")).unwrap();
    std::fs::write(world.scratch.path().join("web/info/refs"), "<html>").unwrap();
    request.repository = world.server.url("web");
    let error = text(&world.fetch(&request).await.unwrap_err());
    assert!(
        error.ends_with("the answer is not that of a git repository"),
        "{error}"
    );
    // Nothing half done is left.
    assert_eq!(world.store.sweep().unwrap(), 0);
}

#[tokio::test]
async fn a_host_on_this_machine_is_refused_by_default() {
    let world = World::new().await;
    let guard = Guard::new(false);
    let mut request = world.request(branch("main"));
    for repository in [
        request.repository.clone(),
        "ssh://git@localhost/a".to_owned(),
    ] {
        request.repository = repository;
        request.ssh = SshAccess {
            private_key: Some(b"key".to_vec()),
            known_hosts: Some(b"localhost".to_vec()),
        };
        let fetched = git::fetch(&request, &guard, &folders(), Caps::BUNDLE, &world.store).await;
        let error = text(&fetched.unwrap_err());
        assert!(error.contains("the host `localhost` is at "), "{error}");
    }
    assert!(world.server.asked().is_empty());
}

#[tokio::test]
async fn a_certificate_is_checked_unless_it_is_not_to_be() {
    let authority = Authority::new("tests").unwrap();
    let identity = authority.server(&["localhost"]).unwrap();
    let world = World::with(GitServerOptions {
        identity: Some((identity.certificate, identity.key)),
        ..GitServerOptions::default()
    })
    .await;
    let content = [("manifests/a.yaml", "1")];
    world.repository.commit("main", &content).await.unwrap();
    let mut request = world.request(branch("main"));
    let error = text(&world.fetch(&request).await.unwrap_err());
    assert!(error.contains("certificate"), "{error}");
    request.web.authorities = Some(authority.certificate().into_bytes());
    world.fetch(&request).await.unwrap();
    request.web.authorities = None;
    request.web.tls_verify = false;
    world.fetch(&request).await.unwrap();
}
