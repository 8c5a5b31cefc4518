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
    let quiet = [
        "example",
        "--metrics-bind-address=0",
        "--health-probe-bind-address=",
    ];
    let args = Example::parse_from(quiet.iter().chain(flags)).common;
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
    process.while_leading("leads", move |_| async move {
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
