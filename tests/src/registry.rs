//! A real OCI registry (`distribution`) on a loopback port.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::assets::{self, Tool};
use crate::certificates::{self, Authority};
use crate::ports::Port;
use crate::process::{Process, Program};
use crate::report::Logs;
use crate::scratch;
use crate::wait::Wait;

/// The files of its certificate and key.
const TLS_FILES: [&str; 2] = ["tls.crt", "tls.key"];

/// Who may use the registry.
#[derive(Clone, Debug, Default)]
pub enum RegistryAuth {
    /// Everybody.
    #[default]
    None,
    /// Basic authentication with one user.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: String,
    },
    /// Bearer tokens of a token server that the test runs.
    Token {
        /// URL of the token server, as sent in the challenge.
        realm: String,
        /// Name of this registry to the token server.
        service: String,
        /// `iss` of the tokens.
        issuer: String,
        /// PEM certificates whose keys sign tokens.
        certificates: String,
    },
}

/// What the registry is like; by default plain HTTP, open and empty.
#[derive(Clone, Debug, Default)]
pub struct RegistryOptions {
    /// Who may use it.
    pub auth: RegistryAuth,
    /// Whether it serves TLS, with a certificate of an authority of its own.
    pub tls: bool,
    /// A registry URL that it is a pull-through mirror of.
    pub mirror_of: Option<String>,
    /// More of the registry's configuration, merged over the rest as a JSON merge patch.
    pub configuration: Option<Value>,
}

impl RegistryOptions {
    /// Plain HTTP and empty, for one user with a password.
    pub fn password(user: &str, password: &str) -> Self {
        let (user, password) = (user.to_owned(), password.to_owned());
        Self {
            auth: RegistryAuth::Basic { user, password },
            ..Self::default()
        }
    }
}

/// A running registry; its data is kept over [`Registry::kill`] and [`Registry::start_again`].
#[derive(Debug)]
pub struct Registry {
    process: Process,
    port: Port,
    data: PathBuf,
    authority: Option<String>,
}

impl Registry {
    /// Starts a registry and waits until it answers.
    pub async fn start(options: RegistryOptions) -> Result<Self> {
        certificates::install_provider();
        let path = assets::find(Tool::Registry).await?;
        let directory = scratch::subdirectory("registry")?;
        let port = Port::reserve()?;
        let data = directory.join("data");
        let mut configuration = json!({
            "version": "0.1",
            "log": { "level": "info", "accesslog": { "disabled": false } },
            "storage": {
                "filesystem": { "rootdirectory": data },
                "delete": { "enabled": true },
            },
            "http": { "addr": port.local() },
        });
        let mut authority = None;
        if options.tls {
            authority = Some(certify(&directory)?);
            let [certificate, key] = TLS_FILES.map(|name| directory.join(name));
            configuration["http"]["tls"] = json!({ "certificate": certificate, "key": key });
        }
        match options.auth {
            RegistryAuth::None => {}
            RegistryAuth::Basic { user, password } => {
                let hash = bcrypt::hash(password, 4).context("cannot hash the password")?;
                let path = directory.join("htpasswd");
                let path = scratch::write(path, format!("{user}:{hash}\n"))?;
                configuration["auth"] =
                    json!({ "htpasswd": { "realm": "olm-test", "path": path } });
            }
            RegistryAuth::Token {
                realm,
                service,
                issuer,
                certificates,
            } => {
                let bundle = scratch::write(directory.join("token-certificates"), certificates)?;
                configuration["auth"] = json!({ "token": {
                    "realm": realm, "service": service, "issuer": issuer,
                    "rootcertbundle": bundle,
                } });
            }
        }
        if let Some(remote) = options.mirror_of {
            configuration["proxy"] = json!({ "remoteurl": remote });
        }
        if let Some(more) = &options.configuration {
            merge(&mut configuration, more);
        }
        // JSON is YAML.
        let configuration = scratch::write(
            directory.join("config.yml"),
            serde_json::to_vec(&configuration)?,
        )?;
        let program = Program {
            path,
            arguments: vec!["serve".to_owned(), configuration.display().to_string()],
            // An exporter that has nobody to export to only fills the log.
            environment: vec![("OTEL_TRACES_EXPORTER".to_owned(), "none".to_owned())],
            ..Program::default()
        };
        let process = Process::new("registry", program, &directory);
        let this = Self {
            process,
            port,
            data,
            authority,
        };
        this.start_again().await?;
        Ok(this)
    }

    /// `127.0.0.1:PORT`, as image references name it.
    pub fn host(&self) -> String {
        self.port.local()
    }

    /// `http://127.0.0.1:PORT`, or `https` with TLS.
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.host())
    }

    /// The PEM certificate that its own is verified with, when it serves TLS.
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// Starts it again with a certificate of another authority, which [`Self::authority`] then gives.
    pub async fn change_authority(&mut self) -> Result<()> {
        let directory = self.data.parent().context("the data have no folder")?;
        self.authority = Some(certify(directory)?);
        self.kill()?;
        self.start_again().await
    }

    /// The root of the registry's file storage (`docker/registry/v2/…` below it).
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Its process, for log and memory.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Ends it with SIGKILL; from then on connections are refused.
    pub fn kill(&self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it on the same port with the same data and waits until it answers.
    pub async fn start_again(&self) -> Result<()> {
        self.process.start()?;
        let address = self.host();
        Wait::new("the registry listens")
            .within(Duration::from_secs(30))
            .logs(&self.process)
            .value(async || {
                if let Err(error) = self.process.check() {
                    return Ok(Some(Err(error)));
                }
                Ok(tokio::net::TcpStream::connect(&address)
                    .await
                    .is_ok()
                    .then_some(Ok(())))
            })
            .await?
    }
}

impl Logs for Registry {
    fn tails(&self) -> Vec<(String, String)> {
        self.process.tails()
    }
}

/// Writes the files of a certificate of a new authority; the authority's own.
fn certify(directory: &Path) -> Result<String> {
    let issuer = Authority::new("olm-test-registry")?;
    let identity = issuer.server(&["localhost", "127.0.0.1"])?;
    let [certificate, key] = TLS_FILES.map(|name| directory.join(name));
    scratch::write(certificate, identity.certificate)?;
    scratch::write(key, identity.key)?;
    Ok(issuer.certificate())
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if let Some(object) = target.as_object_mut() {
            if value.is_null() {
                object.remove(name);
            } else {
                merge(object.entry(name).or_insert(Value::Null), value);
            }
        }
    }
}
