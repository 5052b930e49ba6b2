//! What is committed for another node wakes it, seldom enough to cost nothing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_postgres::{AsyncMessage, NoTls};
use watchfire_domain::health::Health;
use watchfire_domain::limit;
use watchfire_store::conformance::world::{World, at, live};
use watchfire_store::{Change, Hint, Store};
use watchfire_store_postgres::{Options, Postgres};
use watchfire_testkit::Postgres as Server;

/// How long a hint may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// Two nodes, each with a store of its own, of which the first holds all shards.
async fn two_nodes(url: &str) -> (World, World) {
    let open = async || {
        let address = url.parse().expect("an address");
        let store = Postgres::open(&address, Options { connections: 4 }).await;
        Arc::new(store.expect("open it"))
    };
    let holder = World::with_endpoints(open().await, 1).await;
    let store: Arc<dyn Store> = open().await;
    let other = World {
        life: live(&store, "two", PATIENCE).await,
        store,
        ..holder.clone()
    };
    (holder, other)
}

/// Has a node tell others, which it does only while it also listens, as every server does.
fn listens(world: &World) {
    let (store, life) = (Arc::clone(&world.store), world.life.clone());
    drop(tokio::spawn(async move {
        loop {
            store.next_hint(&life).await;
        }
    }));
}

async fn url() -> String {
    let server = tokio::task::spawn_blocking(|| Server::shared().fresh_schema());
    server.await.expect("a schema")
}

/// Does it again and again until this hint has come: the connection for hints is made meanwhile.
async fn until_hinted(holder: &World, wanted: Hint, cause: impl AsyncFn()) {
    let (store, life) = (Arc::clone(&holder.store), holder.life.clone());
    let mut hinted = tokio::spawn(async move { while store.next_hint(&life).await != wanted {} });
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        cause().await;
        let ended = tokio::time::timeout(limit::HINT_REST, &mut hinted).await;
        if let Ok(ended) = ended {
            return ended.expect("it waits");
        }
    }
    panic!("no hint came");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_for_another_nodes_endpoint_wakes_that_node() {
    let (holder, other) = two_nodes(&url().await).await;
    listens(&other);
    let seq = holder.accept(holder.message()).await;
    let cause = async || {
        let owed = other.owed(other.endpoints[0], seq, Some(at(0)));
        other.spill(at(0), owed).await;
    };
    until_hinted(&holder, Hint::Arrivals, cause).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_wakes_every_node() {
    let (holder, other) = two_nodes(&url().await).await;
    listens(&other);
    let cause = async || {
        let change = Change::SetHealth {
            key: other.endpoints[0],
            health: Health::default(),
            revision: None,
        };
        other.store.apply(vec![change]).await.expect("set it");
    };
    until_hinted(&holder, Hint::Configuration, cause).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_are_gathered() {
    let url = url().await;
    let (holder, other) = two_nodes(&url).await;
    listens(&other);
    let (heard, mut hints) = mpsc::unbounded_channel();
    let (client, mut connection) = tokio_postgres::connect(&url, NoTls).await.expect("connect");
    drop(tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(hint) = message {
                drop(heard.send(hint.payload().to_owned()));
            }
        }
    }));
    let channel = "SELECT 'watchfire_' || hashtext(current_schema())";
    let row = client.query_one(channel, &[]).await.expect("a channel");
    let listen = format!("LISTEN \"{}\"", row.get::<_, String>(0));
    client.batch_execute(&listen).await.expect("listen");

    let seq = holder.accept(holder.message()).await;
    let begun = Instant::now();
    let (mut count, mut commits) = (0_u32, 0_u32);
    while count < 5 {
        assert!(begun.elapsed() < PATIENCE, "{count} of {commits}");
        let owed = other.owed(other.endpoints[0], seq, Some(at(0)));
        other.spill(at(0), owed).await;
        commits += 1;
        while hints.try_recv().is_ok() {
            count += 1;
        }
    }
    let most = begun.elapsed().div_duration_f64(limit::HINT_REST);
    assert!(
        f64::from(count) <= most + 2.0,
        "{count} hints of {commits} commits"
    );
}
