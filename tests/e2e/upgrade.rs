//! Nodes are upgraded one by one, across a change of the schema, under load.
//!
//! `WATCHFIRE_OLDER` names the binary of an earlier version; the nodes then begin with that one, and
//! the schema changes as it did between the two (`scripts/try-upgrade` builds one and runs this).
//! Without it both versions are this one, and the test changes the schema as the next version would:
//! that shows what this version has to promise, to go on and to start on a schema it does not know.

use watchfire_testkit::Postgres;

use crate::harness::{Application, Server, Setup, eventually, tell};
use crate::load::{Endpoint, PERSISTENT, Producers, Receipt, seed};
use crate::verdict::{Verdict, judge_history, judge_identity};

/// Requests that come in between two steps.
const REQUESTS: usize = 600;
/// Share of its requests that the flaky endpoint refuses.
const FLAKY_PERCENT: f64 = 10.0;
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// What the next version might do to a schema that this one goes on working on. Each table is
/// changed by itself: a change that held several at once could deadlock with running work.
const ADDITION: [&str; 5] = [
    "ALTER TABLE message ADD COLUMN added text",
    "ALTER TABLE owed ADD COLUMN added bigint NOT NULL DEFAULT 7",
    "ALTER TABLE endpoint ADD COLUMN added boolean NOT NULL DEFAULT true",
    "CREATE TABLE added (key bigint PRIMARY KEY)",
    "INSERT INTO migration (version, name, checksum, oldest) \
     SELECT max(version) + 1, 'added', '', max(version) FROM migration",
];

/// A node that runs the older version or this one.
fn node(url: &str, older: Option<&str>) -> Setup {
    let setup = Setup::new()
        .retrying_fast()
        .config(PERSISTENT)
        .env("WATCHFIRE_DATABASE_URL", url)
        .env("WATCHFIRE_MASTER_KEY", KEY);
    match older {
        Some(program) => setup.program(program),
        None => setup,
    }
}

struct World {
    database: Postgres,
    url: String,
    endpoints: [Endpoint; 2],
    producers: Producers,
}

impl World {
    /// Waits until more has come in.
    async fn work(&self) {
        let endpoint = &self.endpoints[0];
        endpoint.received(endpoint.count() + REQUESTS).await;
    }

    fn schema(&self) -> String {
        let name = self.url.rsplit('/').next().expect("a name");
        self.database
            .run(name, "SELECT max(version) FROM migration")
    }

    fn add_to_the_schema(&self) {
        let name = self.url.rsplit('/').next().expect("a name");
        for statement in ADDITION {
            self.database.run(name, statement);
        }
    }

    /// Stops a node as an operator does, and starts another in its place.
    async fn replace(&self, old: Server, with: &Setup, other: &Server) -> Server {
        self.producers.follow(other.api());
        assert_eq!(old.stop().await.code(), Some(0));
        let new = with.start().await;
        self.work().await;
        self.producers.follow(new.api());
        self.work().await;
        new
    }
}

async fn knows(app: &Application) {
    eventually("the node knows the application", async || {
        let answer = app.api.get(&app.path("")).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

/// No record out of order, and nothing twice: every node handed over what it had.
fn judge(receipts: &[Receipt]) {
    let verdict = Verdict::of(receipts);
    tell(&format!("{verdict:?}"));
    assert_eq!((verdict.out_of_order, verdict.unexcused), (0, 0));
    assert_eq!(verdict.late_repeats, 0);
    assert_eq!(verdict.repeats(), 0, "a node that stops repeats nothing");
}

#[tokio::test]
async fn nodes_are_upgraded_one_by_one_under_load() {
    let older = std::env::var("WATCHFIRE_OLDER").ok();
    let database = tokio::task::spawn_blocking(Postgres::shared).await;
    let database = database.expect("a server");
    let url = database.fresh_database();
    let olds = [node(&url, older.as_deref()), node(&url, older.as_deref())];
    let news = [node(&url, None), node(&url, None)];
    let (one, two) = (olds[0].start().await, olds[1].start().await);
    let app = Application::create(one.api()).await;
    let seed = seed();
    let endpoints = [
        Endpoint::start(seed ^ 1, 0.0).await,
        Endpoint::start(seed ^ 2, FLAKY_PERCENT).await,
    ];
    let mut ids = Vec::new();
    for endpoint in &endpoints {
        ids.push(app.endpoint(&endpoint.url()).await);
    }
    knows(&app.at(two.api())).await;
    let world = World {
        producers: Producers::start(&app),
        database,
        url,
        endpoints,
    };
    world.work().await;
    let before = world.schema();
    if older.is_none() {
        world.add_to_the_schema();
        world.work().await;
    }
    let one = world.replace(one, &news[0], &two).await;
    let after = world.schema();
    assert_ne!(before, after, "the schema has changed");
    let two = world.replace(two, &news[1], &one).await;
    let accepted = world.producers.finish().await;
    for endpoint in &world.endpoints {
        eventually("everything accepted arrives", async || {
            endpoint.has_all(&accepted).then_some(())
        })
        .await;
    }
    judge_identity(&world.endpoints);
    let app = app.at(two.api());
    for (endpoint, id) in world.endpoints.iter().zip(&ids) {
        judge(&endpoint.receipts());
        judge_history(&app, id, &accepted).await;
    }
    let events: u64 = accepted.values().sum();
    tell(&format!("{events} events, schema {before} to {after}"));
    assert_eq!(one.stop().await.code(), Some(0));
    assert_eq!(two.stop().await.code(), Some(0));
}
