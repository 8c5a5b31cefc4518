#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Mutex;

use olm_fbc::{Reading, read_lines};
use olm_runtime::{Watch, trust};
use serde_json::{Value, json};

use super::*;
use crate::scripted;

fn catalog(name: &str, priority: i32) -> Value {
    json!({
        "metadata": {"name": name, "uid": name, "resourceVersion": "1"},
        "spec": {"source": {"type": "image", "image": {"ref": "r/c"}}, "priority": priority},
        "status": {"contentURL": "https://c", "contentDigest": format!("sha256:{name}")},
    })
}

/// A client that lists `items`, and whose watches end at once so that it lists again.
fn listing(items: &Arc<Mutex<Vec<Value>>>) -> kube::Client {
    let items = Arc::clone(items);
    scripted::client(move |asked| {
        if asked.query.contains("watch=") {
            let (_, gone) = scripted::refusal(410, "too old");
            return (200, json!({"type": "ERROR", "object": gone}));
        }
        let items = items.lock().unwrap().clone();
        let list = json!({"apiVersion": "catalogd.operatorframework.io/v1alpha1",
            "kind": "CatalogList", "metadata": {"resourceVersion": "1"}, "items": items});
        (200, list)
    })
}

fn content(name: &str) -> Content {
    let lines = json!({"schema": "olm.package", "name": name}).to_string();
    let lines = read_lines(lines.as_bytes(), Reading::default());
    Content {
        digest: format!("sha256:{name}"),
        model: olm_resolver::Catalog::read(name, 0, lines).unwrap(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_changes_while_the_watch_is_broken_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    for name in ["a", "b", "c"] {
        cache.write(name, &content(name));
    }
    let items = Arc::new(Mutex::new(vec![catalog("a", 5), catalog("b", 0)]));
    let client = listing(&items);
    let (trust, _) = trust::watch(client.clone(), "olm-system", "catalogd");
    let (catalogs, changes) = Watch::<Catalog>::all(client).cached();
    let loader = Loader::new(catalogs, changes, Fetcher::new(trust), cache);
    let mut snapshot = loader.snapshot();
    let token = CancellationToken::new();
    let running = tokio::spawn(loader.run(token.clone()));
    let mut become_known = async |wanted: &[(&str, i32)]| {
        let is_wanted = |snapshot: &Arc<Snapshot>| {
            let known = snapshot.models().into_iter();
            let known: Vec<_> = known.map(|m| (m.name.as_str(), m.priority)).collect();
            snapshot.listed && known == wanted
        };
        let waiting = snapshot.wait_for(is_wanted);
        let known = tokio::time::timeout(Duration::from_mins(10), waiting).await;
        assert!(known.is_ok(), "{wanted:?}");
    };
    become_known(&[("a", 5), ("b", 0)]).await;
    *items.lock().unwrap() = vec![catalog("a", -1), catalog("c", 2)];
    become_known(&[("a", -1), ("c", 2)]).await;
    items.lock().unwrap().clear();
    become_known(&[]).await;
    token.cancel();
    running.await.unwrap();
}
