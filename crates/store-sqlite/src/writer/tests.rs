use std::sync::mpsc::{Sender, channel};

use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::migration::migrate;
use crate::open::{Options, Role, configure};

/// A writer on a file, and another connection that sees what is committed.
struct Scene {
    writer: Writer,
    other: Connection,
    _folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("db");
        let mut connection = Connection::open(&file).expect("open it");
        configure(&connection, Role::Writer(Options::default())).expect("set it up");
        assert!(migrate(&mut connection).is_ok());
        let thread = WriterThread::new(connection, 1, Checkpointer::none());
        Self {
            writer: Writer::start(thread, ()).expect("start it"),
            other: Connection::open(&file).expect("open it"),
            _folder: folder,
        }
    }

    /// Holds the writer up until the sender is dropped, so that what follows becomes one group.
    async fn hold_up(&self) -> Sender<()> {
        let (release, released) = channel::<()>();
        let (begin, started) = oneshot::channel();
        let writer = self.writer.clone();
        tokio::spawn(async move {
            let wait = move |_: &mut Tx<'_>| {
                begin.send(()).expect("the test waits");
                Ok::<_, Fault>(released.recv().is_err())
            };
            writer.run(Rows(1), wait).await
        });
        started.await.expect("it begins");
        release
    }

    /// Queues a job while the writer is held up; it is in the queue when this returns.
    async fn queue<F>(&self, work: F) -> JoinHandle<FaultResult<i64>>
    where
        F: FnOnce(&mut Tx<'_>) -> FaultResult<i64> + Send + 'static,
    {
        let free = self.writer.queue.capacity();
        let writer = self.writer.clone();
        let task = tokio::spawn(async move { writer.run(Rows(1), work).await });
        while self.writer.queue.capacity() == free {
            task::yield_now().await;
        }
        task
    }

    fn committed(&self) -> i64 {
        counted(&self.other)
    }
}

fn counted(connection: &Connection) -> i64 {
    let sql = "SELECT count(*) FROM counter";
    connection
        .query_row(sql, [], |row| row.get(0))
        .expect("count them")
}

/// Stores one row and returns how many there are within the transaction.
fn store(name: &'static str) -> impl FnOnce(&mut Tx<'_>) -> FaultResult<i64> {
    move |tx| {
        tx.execute("INSERT INTO counter (name, value) VALUES (?1, 0)", [name])?;
        Ok(counted(tx.connection()))
    }
}

#[tokio::test]
async fn jobs_that_wait_share_a_commit() {
    let scene = Scene::new();
    let release = scene.hold_up().await;
    let first = scene.queue(store("a")).await;
    let second = scene.queue(store("b")).await;
    let file = scene.other.path().expect("it has a file").to_owned();
    let third = scene.queue(move |tx| {
        let outside = Connection::open(file)?;
        assert_eq!(counted(&outside), 0, "nothing is committed yet");
        Ok(counted(tx.connection()))
    });
    let third = third.await;
    drop(release);
    assert_eq!(first.await.expect("it ends").expect("it works"), 1);
    assert_eq!(second.await.expect("it ends").expect("it works"), 2);
    assert_eq!(third.await.expect("it ends").expect("it works"), 2);
    assert_eq!(scene.committed(), 2);
}

#[tokio::test]
async fn a_job_that_fails_takes_nothing_with_it() {
    let scene = Scene::new();
    let release = scene.hold_up().await;
    let first = scene.queue(store("a")).await;
    let failing = scene.queue(|tx| {
        store("b")(tx)?;
        Err(StoreError::Fenced.into())
    });
    let failing = failing.await;
    let last = scene.queue(store("c")).await;
    drop(release);
    assert_eq!(first.await.expect("it ends").expect("it works"), 1);
    let fault = failing.await.expect("it ends");
    assert!(
        matches!(fault, Err(Fault::Store(StoreError::Fenced))),
        "{fault:?}"
    );
    assert_eq!(last.await.expect("it ends").expect("it works"), 2);
    assert_eq!(scene.committed(), 2);
}

#[tokio::test]
async fn a_job_that_panics_is_answered_and_takes_nothing_with_it() {
    let scene = Scene::new();
    let bug = |_: &mut Tx<'_>| -> FaultResult<i64> { panic!("a bug") };
    let alone = scene.writer.run(Rows(1), bug).await;
    assert!(
        matches!(alone, Err(Fault::Store(StoreError::Unavailable(_)))),
        "{alone:?}"
    );
    let release = scene.hold_up().await;
    let first = scene.queue(store("a")).await;
    let panicking = scene.queue(|tx| {
        store("b")(tx)?;
        panic!("a bug")
    });
    let panicking = panicking.await;
    drop(release);
    assert_eq!(first.await.expect("it ends").expect("it works"), 1);
    let fault = panicking.await.expect("it ends");
    assert!(
        matches!(fault, Err(Fault::Store(StoreError::Unavailable(_)))),
        "{fault:?}"
    );
    assert_eq!(scene.committed(), 1);
    let next = scene.writer.run(Rows(1), store("c")).await;
    assert_eq!(next.expect("the thread lives on"), 2);
}

#[tokio::test]
async fn a_failed_commit_is_told_to_everybody() {
    let scene = Scene::new();
    let release = scene.hold_up().await;
    let first = scene.queue(store("a")).await;
    // An endpoint without an application, which is only noticed at the end.
    let orphan = scene.queue(|tx| {
        tx.connection().execute_batch(
            "PRAGMA defer_foreign_keys = ON;
             INSERT INTO endpoint (app, id, created_at, updated_at, settings, sealed, health,
               unwell) VALUES (99, zeroblob(20), 0, 0, '', x'', '', 0);",
        )?;
        Ok(0)
    });
    let orphan = orphan.await;
    drop(release);
    for job in [first, orphan] {
        let fault = job.await.expect("it ends");
        assert!(matches!(fault, Err(Fault::Sql(_))), "{fault:?}");
    }
    assert_eq!(scene.committed(), 0);
    let next = scene.writer.run(Rows(1), store("a")).await;
    assert_eq!(next.expect("the next commit works"), 1);
}

#[tokio::test]
async fn closing_carries_out_what_is_queued() {
    let scene = Scene::new();
    let release = scene.hold_up().await;
    let queued = scene.queue(store("a")).await;
    let writer = scene.writer.clone();
    let closing = tokio::spawn(async move { writer.close().await });
    let late = scene.queue(store("b")).await;
    drop(release);
    closing.await.expect("it closes");
    assert_eq!(queued.await.expect("it ends").expect("it works"), 1);
    // Queued before or after the order to close: carried out or refused, but answered.
    let late = late.await.expect("it ends");
    assert!(
        matches!(late, Ok(2) | Err(Fault::Store(StoreError::Closed))),
        "{late:?}"
    );
    let refused = scene.writer.run(Rows(1), store("c")).await;
    assert!(
        matches!(refused, Err(Fault::Store(StoreError::Closed))),
        "{refused:?}"
    );
}
