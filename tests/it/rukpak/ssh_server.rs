//! An ssh server that gives the repositories of a folder to one key.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, Command};

/// The server; it runs for as long as the runtime lives.
pub(super) struct SshServer {
    port: u16,
    host_key: PublicKey,
    client_key: PrivateKey,
}

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

impl SshServer {
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        let (host, client) = (key(1), key(2));
        let this_host = host.public_key().clone();
        let config = Arc::new(Config {
            keys: vec![host],
            auth_rejection_time: Duration::ZERO,
            ..Config::default()
        });
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (folder, allowed) = (folder.to_owned(), client.public_key().clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = Connection {
                    folder: folder.clone(),
                    allowed: allowed.clone(),
                    input: None,
                };
                let config = Arc::clone(&config);
                tokio::spawn(async move {
                    if let Ok(session) = russh::server::run_stream(config, stream, connection).await
                    {
                        let _broken_off = session.await;
                    }
                });
            }
        });
        Ok(Self {
            port,
            host_key: this_host,
            client_key: client,
        })
    }

    pub(super) fn url(&self, name: &str) -> String {
        format!("ssh://git@localhost:{}/{name}", self.port)
    }

    /// The key that is let in.
    pub(super) fn private_key(&self) -> Result<String> {
        Ok(self.client_key.to_openssh(LineEnding::LF)?.to_string())
    }

    /// The server's line of a `known_hosts` file.
    pub(super) fn known_hosts(&self) -> Result<String> {
        let key = self.host_key.to_openssh()?;
        Ok(format!("[localhost]:{} {key}\n", self.port))
    }
}

/// A line as it would be for another server.
pub(super) fn wrong_host(known_hosts: &str) -> Result<String> {
    let (host, _) = known_hosts.split_once(' ').unwrap_or_default();
    Ok(format!("{host} {}\n", key(3).public_key().to_openssh()?))
}

struct Connection {
    folder: PathBuf,
    allowed: PublicKey,
    input: Option<ChildStdin>,
}

impl Handler for Connection {
    type Error = anyhow::Error;

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth> {
        let is_allowed = user == "git" && key.public_key.key_data() == self.allowed.key_data();
        Ok(if is_allowed {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<()> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<()> {
        let text = String::from_utf8_lossy(data).into_owned();
        let name = text.strip_prefix("git-upload-pack '/");
        let Some(name) = name.and_then(|rest| rest.strip_suffix('\'')) else {
            session.channel_failure(channel)?;
            return Ok(());
        };
        let mut child = Command::new("git")
            .arg("upload-pack")
            .arg(self.folder.join(name))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        self.input = child.stdin.take();
        let mut output = child
            .stdout
            .take()
            .ok_or_else(|| anyhow::anyhow!("no output"))?;
        let handle = session.handle();
        session.channel_success(channel)?;
        tokio::spawn(async move {
            let mut buffer = vec![0; 32 << 10];
            while let Ok(read @ 1..) = output.read(&mut buffer).await {
                if handle.data(channel, buffer[..read].to_vec()).await.is_err() {
                    return;
                }
            }
            let status = child.wait().await.ok().and_then(|status| status.code());
            let status = u32::try_from(status.unwrap_or(1)).unwrap_or(1);
            let _gone = handle.exit_status_request(channel, status).await;
            let _gone = handle.eof(channel).await;
            let _gone = handle.close(channel).await;
        });
        Ok(())
    }

    async fn data(&mut self, _: ChannelId, data: &[u8], _: &mut Session) -> Result<()> {
        if let Some(input) = &mut self.input {
            input.write_all(data).await?;
            input.flush().await?;
        }
        Ok(())
    }

    async fn channel_eof(&mut self, _: ChannelId, _: &mut Session) -> Result<()> {
        self.input = None;
        Ok(())
    }
}
