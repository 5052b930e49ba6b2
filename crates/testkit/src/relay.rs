//! A line to a PostgreSQL server that a test can hold up at a commit.
//!
//! It passes on what both sides say. Once told to, it keeps back what the server answers to a commit:
//! then the work stands, and whoever asked for it does not know.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::Gate;

/// As much as is read at once.
const CHUNK: usize = 64 * 1024;
/// How a client ends a transaction, with the zero byte that ends its text.
const COMMIT: &[u8] = b"COMMIT\0";
const ROLLBACK: &[u8] = b"ROLLBACK\0";

/// A line to a server on this machine. It ends with the test's runtime.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    wanted: Arc<Mutex<Option<Held>>>,
}

/// A commit whose answer is kept back.
#[derive(Clone, Debug)]
pub struct Held {
    /// What one of its statements says.
    statement: &'static str,
    answered: Gate,
    cut: Gate,
}

impl Held {
    /// Waits until the server has answered: the commit stands.
    pub async fn stands(&self) {
        self.answered.pass().await;
    }

    /// Closes the connection: the answer is lost.
    pub fn cut(&self) {
        self.cut.open();
    }
}

impl Relay {
    /// A line to the server at this port.
    ///
    /// # Panics
    ///
    /// If no port is free.
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let wanted = Arc::default();
        drop(tokio::spawn(listen(listener, server, Arc::clone(&wanted))));
        Self { port, wanted }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Keeps back the answer to the next commit of a transaction with a statement that says this.
    pub fn hold_commit_of(&self, statement: &'static str) -> Held {
        let held = Held {
            statement,
            answered: Gate::closed(),
            cut: Gate::closed(),
        };
        *self.wanted.lock() = Some(held.clone());
        held
    }
}

async fn listen(listener: TcpListener, server: u16, wanted: Arc<Mutex<Option<Held>>>) {
    while let Ok((client, _)) = listener.accept().await {
        #[expect(
            clippy::disallowed_methods,
            reason = "a line to a test's own server, on this machine"
        )]
        let reached = TcpStream::connect(("127.0.0.1", server)).await;
        // A server that is away closes the line.
        if let Ok(server) = reached {
            drop(tokio::spawn(connect(client, server, Arc::clone(&wanted))));
        }
    }
}

/// Ends, and closes both sides, when one of them ends or the line is cut.
async fn connect(client: TcpStream, server: TcpStream, wanted: Arc<Mutex<Option<Held>>>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let held = Mutex::new(None);
    let ended = tokio::select! {
        ended = pass_requests(from_client, to_server, &wanted, &held) => ended,
        ended = pass_answers(from_server, to_client, &held) => ended,
    };
    // Whoever is on the line sees that it is closed.
    drop(ended);
}

async fn pass_requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    wanted: &Mutex<Option<Held>>,
    held: &Mutex<Option<Held>>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut transaction = Vec::new();
    loop {
        let length = from.read(&mut chunk).await?;
        if length == 0 {
            return Ok(());
        }
        transaction.extend_from_slice(&chunk[..length]);
        if transaction.ends_with(COMMIT) {
            let is_meant = |held: &mut Held| says(&transaction, held.statement);
            if let Some(meant) = wanted.lock().take_if(is_meant) {
                *held.lock() = Some(meant);
            }
            transaction.clear();
        } else if transaction.ends_with(ROLLBACK) {
            transaction.clear();
        }
        to.write_all(&chunk[..length]).await?;
    }
}

fn says(transaction: &[u8], statement: &str) -> bool {
    let statement = statement.as_bytes();
    transaction
        .windows(statement.len())
        .any(|window| window == statement)
}

async fn pass_answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    held: &Mutex<Option<Held>>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk).await?;
        if length == 0 {
            return Ok(());
        }
        let held = held.lock().take();
        if let Some(held) = held {
            held.answered.open();
            held.cut.pass().await;
            return Ok(());
        }
        to.write_all(&chunk[..length]).await?;
    }
}
