//! What the roll-ups cost.

use std::sync::Arc;

use watchfire_store::conformance::world::World;
use watchfire_store::{Seq, Write};

use crate::fault::Fault;
use crate::open::Sqlite;
use crate::writer::{Rows, Tx};

/// Rows that the database has changed in all, a batch's among them.
async fn changes(store: &Sqlite) -> u64 {
    let work = |tx: &mut Tx<'_>| Ok::<_, Fault>(tx.connection().total_changes());
    store.writer.run(Rows(0), work).await.expect("ask it")
}

#[tokio::test]
async fn a_batch_adds_the_same_rows_whatever_its_size() {
    let store = Sqlite::in_memory().expect("open it");
    let world = World::with_endpoints(Arc::new(store.clone()), 1).await;
    for size in [1_u64, 100] {
        let count = usize::try_from(size).expect("small");
        let before = changes(&store).await;
        let seqs: Vec<Seq> = world.accept_many(count).await;
        let accepted = changes(&store).await - before;
        assert_eq!(
            accepted - size,
            3,
            "the application's minute, its organization's, and the event type's hour"
        );
        let endpoint = world.endpoints[0];
        let attempt = |seq| Write::Attempt(Arc::new(world.fresh(endpoint, seq, world.delivered())));
        let batch: Vec<_> = seqs.into_iter().map(attempt).collect();
        let before = changes(&store).await;
        world
            .record(watchfire_store::conformance::world::at(0), batch)
            .await;
        let recorded = changes(&store).await - before;
        assert_eq!(recorded - size, 3, "both minutes, and the endpoint's hour");
    }
}
