//! Files and flags of the control plane's servers.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::certificates::{Authority, token_key};
use crate::egress::Egress;
use crate::kubeconfig::{self, User};
use crate::ports::Port;
use crate::scratch;

/// Paths of what the servers are given.
pub(crate) struct Files {
    authority: PathBuf,
    serving: (PathBuf, PathBuf),
    token_keys: (PathBuf, PathBuf),
    egress: PathBuf,
    pub(crate) admin: PathBuf,
    controller_manager: PathBuf,
    scheduler: PathBuf,
}

impl Files {
    /// Makes everything for an API server on `port`, and the egress socket it will use.
    pub(crate) fn write(directory: &Path, port: &Port) -> Result<(Self, Egress)> {
        let file = |name: &str, content: &str| scratch::write(directory.join(name), content);
        let authority = Authority::new("olm-test-cluster")?;
        let certificate = authority.certificate();
        let serving = authority.server(&[
            "127.0.0.1",
            "localhost",
            "10.0.0.1",
            "kubernetes.default.svc",
        ])?;
        let (private, public) = token_key()?;
        let server = format!("https://{}", port.local());
        let config = |name: &str, user: &str, group| {
            let identity = authority.client(user, group)?;
            let path = directory.join(name);
            kubeconfig::write(path, &server, &certificate, &User::Certificate(&identity))
        };
        let admin = config("admin.kubeconfig", "admin", Some("system:masters"))?;
        let egress = Egress::start(directory, admin.clone())?;
        let files = Self {
            authority: file("ca.crt", &certificate)?,
            serving: (
                file("tls.crt", &serving.certificate)?,
                file("tls.key", &serving.key)?,
            ),
            token_keys: (file("tokens.key", &private)?, file("tokens.pub", &public)?),
            egress: egress.write_configuration(directory.join("egress.yaml"))?,
            admin,
            controller_manager: config(
                "controller-manager.kubeconfig",
                "system:kube-controller-manager",
                None,
            )?,
            scheduler: config("scheduler.kubeconfig", "system:kube-scheduler", None)?,
        };
        Ok((files, egress))
    }
}

pub(crate) fn etcd(directory: &Path, ports: &[Port; 3]) -> Vec<String> {
    let (client, peer) = (ports[0].local(), ports[1].local());
    vec![
        format!("--data-dir={}", directory.join("etcd").display()),
        format!("--listen-client-urls=http://{client}"),
        format!("--advertise-client-urls=http://{client}"),
        format!("--listen-peer-urls=http://{peer}"),
        format!("--initial-advertise-peer-urls=http://{peer}"),
        format!("--initial-cluster=default=http://{peer}"),
        // A killed process loses nothing that it wrote; only a killed machine does.
        "--unsafe-no-fsync".to_owned(),
    ]
}

pub(crate) fn api_server(directory: &Path, ports: &[Port; 3], files: &Files) -> Vec<String> {
    let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
    vec![
        format!("--etcd-servers=http://{}", ports[0].local()),
        format!("--secure-port={}", ports[2].number()),
        "--bind-address=127.0.0.1".to_owned(),
        flag("cert-dir", &directory.join("apiserver")),
        flag("tls-cert-file", &files.serving.0),
        flag("tls-private-key-file", &files.serving.1),
        flag("client-ca-file", &files.authority),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        flag("service-account-key-file", &files.token_keys.1),
        flag("service-account-signing-key-file", &files.token_keys.0),
        "--authorization-mode=RBAC".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--allow-privileged=true".to_owned(),
        flag("egress-selector-config-file", &files.egress),
    ]
}

pub(crate) fn controller_manager(directory: &Path, files: &Files) -> Vec<String> {
    let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
    vec![
        flag("kubeconfig", &files.controller_manager),
        flag("cert-dir", &directory.join("controller-manager")),
        // Nothing asks it, and its usual port is taken by the next control plane.
        "--secure-port=0".to_owned(),
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=2000".to_owned(),
        flag("service-account-private-key-file", &files.token_keys.0),
        flag("root-ca-file", &files.authority),
        "--use-service-account-credentials=true".to_owned(),
        "--leader-elect=false".to_owned(),
        "--controllers=*,-nodeipam,-cloud-node-lifecycle,-route,-service".to_owned(),
    ]
}

pub(crate) fn scheduler(files: &Files) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", files.scheduler.display()),
        "--secure-port=0".to_owned(),
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=2000".to_owned(),
        "--leader-elect=false".to_owned(),
    ]
}

pub(crate) fn kwok(files: &Files, stages: &[PathBuf]) -> Vec<String> {
    let mut flags = vec![
        format!("--kubeconfig={}", files.admin.display()),
        "--manage-all-nodes=true".to_owned(),
        "--node-ip=127.0.0.1".to_owned(),
        "--cidr=10.244.0.0/16".to_owned(),
        // Without a lease the node is NotReady for good after a minute.
        "--node-lease-duration-seconds=40".to_owned(),
    ];
    flags.extend(
        stages
            .iter()
            .map(|stage| format!("--config={}", stage.display())),
    );
    flags
}
