//! Real git repositories, and a web server in front of `git http-backend`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Largest request and answer.
const MAX_BODY: usize = 64 << 20;

/// A bare repository with its own folder of work.
#[derive(Debug)]
pub struct GitRepository {
    bare: PathBuf,
}

impl GitRepository {
    /// Makes an empty one called `name` in `folder`.
    pub async fn create(folder: &Path, name: &str) -> Result<Self> {
        let this = Self {
            bare: folder.join(name),
        };
        std::fs::create_dir_all(&this.bare)?;
        this.git(&["init", "--quiet", "--bare", "--initial-branch=main"])
            .await?;
        Ok(this)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.bare
    }

    /// Commits these files, and no others, on top of a branch; the hash of the commit.
    pub async fn commit(&self, branch: &str, files: &[(&str, &str)]) -> Result<String> {
        let mut entries = Vec::new();
        for (path, content) in files {
            let blob = self
                .git_with(&["hash-object", "-w", "--stdin"], content.as_bytes())
                .await?;
            entries.push(format!("100644 {blob}\t{path}"));
        }
        self.commit_entries(branch, &entries).await
    }

    /// The same for entries in the form of `git update-index --index-info`: `MODE HASH<TAB>PATH`.
    pub async fn commit_entries(&self, branch: &str, entries: &[String]) -> Result<String> {
        self.git(&["read-tree", "--empty"]).await?;
        let listing = entries.join("\n");
        self.git_with(&["update-index", "--index-info"], listing.as_bytes())
            .await?;
        let tree = self.git(&["write-tree", "--missing-ok"]).await?;
        let reference = format!("refs/heads/{branch}");
        let mut arguments = vec!["commit-tree", &tree, "-m", "content"];
        let parent = self.git(&["rev-parse", "--verify", "-q", &reference]).await;
        if let Ok(parent) = &parent {
            arguments.extend(["-p", parent]);
        }
        let commit = self.git(&arguments).await?;
        self.git(&["update-ref", &reference, &commit]).await?;
        Ok(commit)
    }

    /// Runs git on it; what it prints.
    pub async fn git(&self, arguments: &[&str]) -> Result<String> {
        self.git_with(arguments, b"").await
    }

    /// The same with an input.
    pub async fn git_with(&self, arguments: &[&str], input: &[u8]) -> Result<String> {
        let mut child = git()
            .args(arguments)
            .env("GIT_DIR", &self.bare)
            .env("GIT_INDEX_FILE", self.bare.join("index"))
            .current_dir(&self.bare)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run git")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input).await?;
        }
        let output = child.wait_with_output().await?;
        ensure!(
            output.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

/// git with no configuration but an author.
fn git() -> Command {
    let mut command = Command::new("git");
    for name in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{name}_NAME"), "olm-rs");
        command.env(format!("GIT_{name}_EMAIL"), "olm-rs@example.com");
        command.env(format!("GIT_{name}_DATE"), "2026-01-01T00:00:00Z");
    }
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    command
}

/// What a server is like; by default open and without TLS.
#[derive(Debug, Default)]
pub struct GitServerOptions {
    /// The only user and the password.
    pub user: Option<(String, String)>,
    /// Certificate and key, both as PEM, where it serves TLS.
    pub identity: Option<(String, String)>,
    /// Redirects for paths that begin so, to a URL that the rest of the path is appended to.
    pub redirects: Vec<(String, String)>,
}

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Path and query.
    pub uri: String,
    /// The header `Authorization`, if there was one.
    pub authorization: Option<String>,
}

/// A web server with every repository of a folder.
#[derive(Debug)]
pub struct GitServer {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    options: GitServerOptions,
    asked: Mutex<Vec<Asked>>,
}

impl GitServer {
    /// Serves `folder` on a free loopback port for as long as the runtime lives.
    pub async fn start(folder: &Path, options: GitServerOptions) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let identity = options.identity.clone();
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            options,
            asked: Mutex::default(),
        });
        let router = Router::new()
            .fallback(serve)
            .with_state(Arc::clone(&shared));
        let scheme = if let Some((certificate, key)) = identity {
            let tls = axum_server::tls_rustls::RustlsConfig::from_pem(
                certificate.into_bytes(),
                key.into_bytes(),
            )
            .await?;
            let server = axum_server::from_tcp_rustls(listener, tls)?;
            tokio::spawn(server.serve(router.into_make_service()));
            "https"
        } else {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::spawn(async move { axum::serve(listener, router).await });
            "http"
        };
        Ok(Self {
            address,
            scheme,
            shared,
        })
    }

    /// The URL of a repository, or of a plain file of the folder.
    pub fn url(&self, name: &str) -> String {
        format!("{}://localhost:{}/{name}", self.scheme, self.address.port())
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        let asked = &self.shared.asked;
        asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let authorization = request.headers().get(AUTHORIZATION);
    let authorization = authorization.and_then(|value| value.to_str().ok());
    let asked = Asked {
        uri: request.uri().to_string(),
        authorization: authorization.map(str::to_owned),
    };
    let log = &shared.asked;
    log.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(asked.clone());
    for (begin, target) in &shared.options.redirects {
        if let Some(rest) = asked.uri.strip_prefix(begin) {
            return (StatusCode::FOUND, [("location", format!("{target}{rest}"))]).into_response();
        }
    }
    if let Some((user, password)) = &shared.options.user {
        let wanted = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        if asked.authorization.as_deref() != Some(&wanted) {
            let challenge = [(WWW_AUTHENTICATE, "Basic realm=\"olm-test\"")];
            return (StatusCode::UNAUTHORIZED, challenge).into_response();
        }
    }
    let path = request.uri().path().trim_start_matches('/');
    let file = shared.folder.join(path);
    if !path.contains("..") && file.is_file() && !path.contains(".git/") {
        return match std::fs::read(file) {
            Ok(bytes) => bytes.into_response(),
            Err(_) => StatusCode::NOT_FOUND.into_response(),
        };
    }
    backend(&shared.folder, request)
        .await
        .unwrap_or_else(|error| {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response()
        })
}

/// Answers as `git http-backend` does, which is a CGI program (RFC 3875).
async fn backend(folder: &Path, request: Request) -> Result<Response> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await?;
    let header = |name: &str| {
        let value = head.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let mut child = git()
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REQUEST_METHOD", head.method.as_str())
        .env("PATH_INFO", head.uri.path())
        .env("QUERY_STRING", head.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header(CONTENT_TYPE.as_str()))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header(CONTENT_ENCODING.as_str()))
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("cannot run git")?;
    let stdin = child.stdin.take();
    let feeding = async move {
        if let Some(mut stdin) = stdin {
            // It may have seen enough.
            let _closed = stdin.write_all(&body).await;
        }
    };
    let ((), output) = tokio::join!(feeding, child.wait_with_output());
    let output = output?.stdout;
    let end = output
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .context("the program prints no head")?;
    let (text, content) = output.split_at(end);
    let mut status = StatusCode::OK;
    let mut headers = HeaderMap::new();
    for line in String::from_utf8_lossy(text).lines() {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        if name == "Status" {
            let code = value.split(' ').next().unwrap_or_default();
            status = StatusCode::from_bytes(code.as_bytes())?;
        } else {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            headers.insert(name, HeaderValue::from_str(value)?);
        }
    }
    let content = content.get(4..).unwrap_or_default().to_vec();
    Ok((status, headers, Body::from(content)).into_response())
}
