//! Hints between nodes: what one has committed for another wakes that one before it looks by itself.
//!
//! # Problem
//!
//! Nodes look for what others left them a few times a second. A notification is faster, but the
//! server lets transactions that notify commit one after the other, and behind a pooler in
//! transaction mode nobody hears any.
//!
//! # Idea
//!
//! A transaction only notes whom it concerns ([`Told`]). Once it has committed, the notes of all
//! gather on a [`Board`], and one connection of the node's own sends them on, after a rest each time
//! ([`limit::HINT_REST`]). The same connection listens.
//!
//! # Limits
//!
//! Hints may get lost, come late or come for nothing: whoever waits for one looks by itself from
//! time to time, and that is the truth. Without the connection there are none.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client};
use tracing::debug;
use watchfire_domain::limit;
use watchfire_store::{Hint, Life, Shard, ShardSet};

use crate::address::Address;
use crate::fault::{Fault, FaultResult};
use crate::shards::numbers;
use crate::tls::MakeTls;

/// Whom a transaction concerns once it has committed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// Holders of these shards have arrivals.
    shards: ShardSet,
    /// Everybody has changes to read.
    configuration: bool,
}

impl Told {
    pub(crate) const NOBODY: Self = Self {
        shards: ShardSet::NONE,
        configuration: false,
    };

    pub(crate) fn arrived_at(&mut self, shard: Shard) {
        self.shards.insert(shard);
    }

    pub(crate) fn configured(&mut self) {
        self.configuration = true;
    }

    fn with(self, other: Self) -> Self {
        Self {
            shards: self.shards.with(other.shards),
            configuration: self.configuration || other.configuration,
        }
    }

    fn is_nobody(self) -> bool {
        self.shards.is_empty() && !self.configuration
    }
}

/// What this process has to say, and what it has heard.
#[derive(Debug)]
pub(crate) struct Board {
    to_tell: Mutex<Told>,
    something_to_tell: Notify,
    heard: Mutex<Heard>,
    something_heard: Notify,
}

#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    /// The epoch of the life that has arrivals.
    arrivals: Option<i64>,
    configuration: bool,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            to_tell: Mutex::new(Told::NOBODY),
            something_to_tell: Notify::new(),
            heard: Mutex::default(),
            something_heard: Notify::new(),
        }
    }
}

impl Board {
    /// A transaction that concerns others has committed.
    pub(crate) fn tell(&self, told: Told) {
        if told.is_nobody() {
            return;
        }
        let mut to_tell = self.to_tell.lock();
        *to_tell = to_tell.with(told);
        self.something_to_tell.notify_one();
    }

    fn hear(&self, said: &str) {
        let mut heard = self.heard.lock();
        match said.strip_prefix(ARRIVALS) {
            Some(epoch) => heard.arrivals = epoch.parse().ok(),
            None => heard.configuration |= said == CONFIGURATION,
        }
        self.something_heard.notify_waiters();
    }

    /// Waits for a hint to this life.
    async fn next(&self, life: &Life) -> Hint {
        loop {
            let more = self.something_heard.notified();
            {
                let mut heard = self.heard.lock();
                if heard.arrivals.take() == Some(life.epoch.0) {
                    return Hint::Arrivals;
                }
                if std::mem::take(&mut heard.configuration) {
                    return Hint::Configuration;
                }
            }
            more.await;
        }
    }
}

const ARRIVALS: &str = "arrivals ";
const CONFIGURATION: &str = "configuration";

/// One for all nodes of a schema.
const CHANNEL: &str = "SELECT 'watchfire_' || hashtext(current_schema())";
const TELL_HOLDERS: &str = "SELECT pg_notify($1, 'arrivals ' || epoch) FROM node \
     WHERE key IN (SELECT node FROM shard WHERE shard = ANY($2))";
const TELL_ALL: &str = "SELECT pg_notify($1, 'configuration')";

/// After the connection was lost.
const REST_MIN: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(30);

/// The connection for hints, made when somebody waits for the first.
pub(crate) struct Hints {
    pub(crate) board: Arc<Board>,
    address: Address,
    tls: MakeTls,
    running: Mutex<Option<AbortHandle>>,
}

impl Hints {
    pub(crate) fn new(address: Address, tls: MakeTls) -> Self {
        Self {
            board: Arc::default(),
            address,
            tls,
            running: Mutex::new(None),
        }
    }

    /// Waits for a hint to this life. Dropping the future loses none.
    pub(crate) async fn next(&self, life: &Life) -> Hint {
        {
            let mut running = self.running.lock();
            if running.is_none() {
                let (address, tls) = (self.address.clone(), self.tls.clone());
                let keeping = keep_up(Arc::clone(&self.board), address, tls);
                *running = Some(tokio::spawn(keeping).abort_handle());
            }
        }
        self.board.next(life).await
    }

    pub(crate) fn close(&self) {
        if let Some(running) = &*self.running.lock() {
            running.abort();
        }
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        self.close();
    }
}

async fn keep_up(board: Arc<Board>, address: Address, tls: MakeTls) {
    let mut rest = REST_MIN;
    loop {
        let begun = tokio::time::Instant::now();
        if let Err(fault) = exchange(&board, &address, &tls).await {
            let error = &fault as &dyn std::error::Error;
            debug!(error, "no hints are told or heard");
        }
        // One that lasted is made again at once.
        rest = if begun.elapsed() > REST_MAX {
            REST_MIN
        } else {
            (rest * 2).min(REST_MAX)
        };
        sleep(rest).await;
    }
}

/// Tells and hears until the connection ends.
async fn exchange(board: &Board, address: &Address, tls: &MakeTls) -> FaultResult<()> {
    let (client, mut connection) = address.config().connect(tls.clone()).await?;
    let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
    let hearing = async {
        while let Some(message) = messages.next().await {
            if let AsyncMessage::Notification(notification) = message? {
                board.hear(notification.payload());
            }
        }
        Ok(())
    };
    tokio::select! {
        ended = hearing => ended,
        ended = tell(board, &client) => ended,
    }
}

async fn tell(board: &Board, client: &Client) -> FaultResult<()> {
    let rows = in_time(client.query_typed(CHANNEL, &[])).await?;
    let channel: String = rows
        .first()
        .map_or(Ok(String::new()), |row| row.try_get(0))?;
    in_time(client.batch_execute(&format!("LISTEN \"{channel}\""))).await?;
    loop {
        board.something_to_tell.notified().await;
        let told = std::mem::replace(&mut *board.to_tell.lock(), Told::NOBODY);
        if !told.shards.is_empty() {
            let shards = numbers(told.shards);
            let holders = [
                (&channel as &_, Type::TEXT),
                (&shards as &_, Type::INT2_ARRAY),
            ];
            in_time(client.query_typed(TELL_HOLDERS, &holders)).await?;
        }
        if told.configuration {
            let all = [(&channel as &_, Type::TEXT)];
            in_time(client.query_typed(TELL_ALL, &all)).await?;
        }
        sleep(limit::HINT_REST).await;
    }
}

async fn in_time<T>(
    call: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> FaultResult<T> {
    match timeout(limit::DATABASE_TIMEOUT, call).await {
        Ok(result) => Ok(result?),
        Err(_elapsed) => Err(Fault::Late),
    }
}
