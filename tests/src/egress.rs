//! The API server's way to Services: `CONNECT` over a Unix socket to local listeners.
//!
//! The API server asks for `CLUSTERIP:PORT`. Which Service that is, is looked up at that moment, so
//! a mapping may be made before the Service exists and outlives its re-creation. What is not mapped
//! is refused at once, so that nothing waits for a timeout.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Service;
use kube::api::ListParams;
use kube::{Api, Client};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::process::lock;
use crate::{kubeconfig, scratch};

/// A request head is one line and a few headers.
const MAX_HEAD: usize = 8 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Target {
    namespace: String,
    service: String,
    port: u16,
}

/// The socket, its mappings and its server.
#[derive(Debug)]
pub struct Egress {
    socket: PathBuf,
    state: Arc<State>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    mappings: Mutex<HashMap<Target, Vec<SocketAddr>>>,
    kubeconfig: PathBuf,
}

impl Egress {
    /// Serves `egress.sock` in `directory`; Services are looked up with the admin's `kubeconfig`.
    pub fn start(directory: &Path, kubeconfig: PathBuf) -> Result<Self> {
        let socket = directory.join("egress.sock");
        let runtime = crate::runtime()?;
        let _entered = runtime.enter();
        let listener = UnixListener::bind(&socket)
            .with_context(|| format!("cannot listen on `{}`", socket.display()))?;
        let state = Arc::new(State {
            mappings: Mutex::default(),
            kubeconfig,
        });
        let server = runtime.spawn(serve(listener, Arc::clone(&state)));
        Ok(Self {
            socket,
            state,
            server,
        })
    }

    /// Sends what goes to a Service's port to the first of `listeners` that accepts; none unmaps.
    pub fn map(&self, namespace: &str, service: &str, port: u16, listeners: Vec<SocketAddr>) {
        let target = Target {
            namespace: namespace.to_owned(),
            service: service.to_owned(),
            port,
        };
        let mut mappings = lock(&self.state.mappings);
        if listeners.is_empty() {
            mappings.remove(&target);
        } else {
            mappings.insert(target, listeners);
        }
    }

    /// Writes the API server's `EgressSelectorConfiguration`.
    pub(crate) fn write_configuration(&self, path: PathBuf) -> Result<PathBuf> {
        let configuration = serde_json::json!({
            "apiVersion": "apiserver.k8s.io/v1beta1",
            "kind": "EgressSelectorConfiguration",
            "egressSelections": [{
                "name": "cluster",
                "connection": {
                    "proxyProtocol": "HTTPConnect",
                    "transport": { "uds": { "udsName": self.socket } },
                },
            }],
        });
        scratch::write(path, serde_json::to_vec(&configuration)?)
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: UnixListener, state: Arc<State>) {
    // One for all connections, on this runtime, which outlives them.
    let client = tokio::sync::OnceCell::new();
    let client = Arc::new(client);
    while let Ok((stream, _)) = listener.accept().await {
        let (state, client) = (Arc::clone(&state), Arc::clone(&client));
        tokio::spawn(async move {
            // The API server reports a refused or broken connection where it matters.
            let _ = connect(stream, &state, &client).await;
        });
    }
}

async fn connect(
    mut stream: UnixStream,
    state: &State,
    client: &tokio::sync::OnceCell<Client>,
) -> Result<()> {
    let authority = timeout(Duration::from_secs(10), read_authority(&mut stream)).await??;
    let answer = async {
        let client = client
            .get_or_try_init(|| kubeconfig::client(&state.kubeconfig))
            .await?;
        let listeners = listeners(state, client, &authority).await?;
        dial(&listeners).await
    };
    match timeout(Duration::from_secs(10), answer)
        .await
        .map_err(anyhow::Error::from)
        .flatten()
    {
        Ok(mut upstream) => {
            stream
                .write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n")
                .await?;
            copy_bidirectional(&mut stream, &mut upstream).await?;
        }
        Err(error) => {
            let text = format!("{error:#}");
            let head = "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nConnection: close";
            let response = format!("{head}\r\nContent-Length: {}\r\n\r\n{text}", text.len());
            stream.write_all(response.as_bytes()).await?;
        }
    }
    Ok(())
}

/// Reads the request head and gives the `host:port` of its `CONNECT`.
async fn read_authority(stream: &mut UnixStream) -> Result<String> {
    let mut head = Vec::new();
    // Byte by byte, because what follows the head belongs to the tunnel.
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < MAX_HEAD, "the request head is too long");
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.split_whitespace();
    ensure!(words.next() == Some("CONNECT"), "not a CONNECT request");
    words
        .next()
        .map(str::to_owned)
        .context("CONNECT without a target")
}

async fn listeners(state: &State, client: &Client, authority: &str) -> Result<Vec<SocketAddr>> {
    let (host, port) = authority
        .rsplit_once(':')
        .context("the target has no port")?;
    let port: u16 = port.parse().context("the target's port is no number")?;
    let mapped: Vec<(Target, Vec<SocketAddr>)> = lock(&state.mappings)
        .iter()
        .filter(|(target, _)| target.port == port)
        .map(|(target, listeners)| (target.clone(), listeners.clone()))
        .collect();
    if !mapped.is_empty() {
        let services = Api::<Service>::all(client.clone())
            .list(&ListParams::default())
            .await?;
        for service in services {
            let spec = service.spec.unwrap_or_default();
            let host = host.trim_matches(['[', ']']);
            if spec.cluster_ip.as_deref() != Some(host) {
                continue;
            }
            let (namespace, name) = (service.metadata.namespace, service.metadata.name);
            let found = mapped.into_iter().find(|(target, _)| {
                Some(&target.namespace) == namespace.as_ref()
                    && Some(&target.service) == name.as_ref()
            });
            return found.map(|(_, listeners)| listeners).with_context(|| {
                format!(
                    "no local listener is mapped to port {port} of the service `{}/{}`",
                    namespace.unwrap_or_default(),
                    name.unwrap_or_default()
                )
            });
        }
    }
    anyhow::bail!("no local listener is mapped to {authority}")
}

async fn dial(listeners: &[SocketAddr]) -> Result<TcpStream> {
    let mut last = anyhow::anyhow!("no listener");
    for listener in listeners {
        match TcpStream::connect(listener).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = anyhow::anyhow!("cannot connect to {listener}: {error}"),
        }
    }
    Err(last)
}
