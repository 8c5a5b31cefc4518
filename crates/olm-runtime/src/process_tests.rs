#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use clap::Parser;

use super::*;
use crate::scripted::{self, Objects};

#[derive(Debug, Parser)]
struct Example {
    #[command(flatten)]
    common: CommonArgs,
}

fn process(client: kube::Client, flags: &[&str]) -> Process {
    let quiet = ["example", "--metrics-bind-address=0"];
    let mut args = Example::parse_from(quiet.iter().chain(flags)).common;
    args.health_probe_bind_address = "127.0.0.1:0".to_owned();
    let clients = Clients {
        streaming: client.clone(),
        short: client,
    };
    Process::assemble("example", args, "olm-system".to_owned(), clients)
}

fn idle() -> kube::Client {
    scripted::client(|_asked| None)
}

#[tokio::test]
async fn ends_quietly_when_asked_to() {
    let mut process = process(idle(), &[]);
    let token = process.token().clone();
    process.background("waits", |token| async move {
        token.cancelled().await;
        Ok(())
    });
    process.while_leading("asks", move |_| async move {
        token.cancel();
        Ok(())
    });
    assert!(process.run().await.is_ok());
}

#[tokio::test]
async fn a_failing_task_ends_the_process_with_its_error() {
    let mut process = process(idle(), &[]);
    process.background("waits", |token| async move {
        token.cancelled().await;
        Ok(())
    });
    process.background("breaks", |_| async { Err("no disk".into()) });
    let failure = process.run().await.unwrap_err();
    assert_eq!(Chain(&failure).to_string(), "task `breaks` failed: no disk");
}

#[tokio::test]
async fn a_panicking_task_ends_the_process_with_its_text() {
    let mut process = process(idle(), &[]);
    process.while_leading("breaks", |_| async { panic!("ouch") });
    let failure = process.run().await.unwrap_err();
    assert_eq!(failure.to_string(), "task `breaks` panicked: ouch");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_end_is_left_behind_after_the_grace() {
    let mut process = process(idle(), &[]);
    process.background("hangs", |_| std::future::pending());
    process.token().cancel();
    assert!(matches!(process.run().await, Err(ProcessError::Grace)));
}

#[tokio::test(start_paused = true)]
async fn leading_tasks_wait_for_the_lease_and_give_it_back() {
    let path = "/apis/coordination.k8s.io/v1/namespaces/olm-system/leases/example";
    let objects = Objects::default();
    let mut process = process(objects.client(), &["--leader-elect"]);
    let token = process.token().clone();
    let seen = objects.clone();
    process.while_leading("leads", move |_| async move {
        let holder = seen.get(path).unwrap()["spec"]["holderIdentity"].clone();
        assert!(holder.as_str().unwrap().contains('_'));
        token.cancel();
        Ok(())
    });
    assert!(process.run().await.is_ok());
    assert_eq!(objects.get(path).unwrap()["spec"]["holderIdentity"], "");
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_ends_the_process_at_once() {
    let path = "/apis/coordination.k8s.io/v1/namespaces/olm-system/leases/example";
    let objects = Objects::default();
    let mut process = process(objects.client(), &["--leader-elect"]);
    let stolen = objects.clone();
    let (guard, mut dropped) = tokio::sync::oneshot::channel::<()>();
    process.while_leading("leads", move |_| async move {
        let _guard = guard;
        stolen.edit(path, |lease| {
            lease["spec"]["holderIdentity"] = "thief".into();
            lease["metadata"]["resourceVersion"] = "9".into();
        });
        std::future::pending().await
    });
    let failure = process.run().await.unwrap_err();
    assert_eq!(
        Chain(&failure).to_string(),
        "leader election ended: lost the lease `example`"
    );
    // What it did as the leader has ended when the process says so.
    assert_eq!(
        dropped.try_recv(),
        Err(tokio::sync::oneshot::error::TryRecvError::Closed)
    );
}

/// What `path` of the health server at `address` answers.
async fn probe(address: SocketAddr, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn probes_are_answered_before_the_process_runs() {
    let mut process = process(idle(), &[]);
    let address = process.answer_probes().await.unwrap().unwrap();
    assert!(
        probe(address, "/healthz")
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    let waiting = probe(address, "/readyz").await;
    assert!(waiting.starts_with("HTTP/1.1 500 "), "{waiting}");
    assert!(
        waiting.contains("[-]started failed: not ready yet"),
        "{waiting}"
    );
    let token = process.token().clone();
    let (sender, started) = tokio::sync::oneshot::channel();
    process.background("tells", |token| async move {
        let _ = sender.send(());
        token.cancelled().await;
        Ok(())
    });
    let running = tokio::spawn(process.run());
    started.await.unwrap();
    assert!(probe(address, "/readyz").await.starts_with("HTTP/1.1 200 "));
    token.cancel();
    assert!(running.await.unwrap().is_ok());
}

#[test]
fn exit_codes_tell_success_from_failure() {
    assert_eq!(
        format!("{:?}", exit_code::<ProcessError>(Ok(()))),
        format!("{:?}", ExitCode::SUCCESS)
    );
    let failed = exit_code(Err(ProcessError::Grace));
    assert_eq!(format!("{failed:?}"), format!("{:?}", ExitCode::FAILURE));
}
