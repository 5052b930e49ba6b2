//! What a receiver was sent, and what it answers next.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::script::{Reply, Request, Script};

/// The state a receiver shares with its connections.
pub(crate) struct Log {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    script: Script,
    requests: Vec<Request>,
    unexpected: Vec<Request>,
    here: usize,
    most_at_once: usize,
}

/// A request that is being answered; dropped when it was.
pub(crate) struct Here(Arc<Log>);

impl Drop for Here {
    fn drop(&mut self) {
        self.0.state.lock().here -= 1;
    }
}

impl Log {
    pub(crate) fn new(script: Script) -> Self {
        Self {
            state: Mutex::new(State {
                script,
                requests: Vec::new(),
                unexpected: Vec::new(),
                here: 0,
                most_at_once: 0,
            }),
            changed: Notify::new(),
        }
    }

    pub(crate) fn follow(&self, script: Script) {
        self.state.lock().script = script;
    }

    /// Keeps a request and picks its reply.
    pub(crate) fn record(self: &Arc<Self>, request: Request) -> (Reply, Here) {
        let mut state = self.state.lock();
        let reply = state.script.reply_to(&request).unwrap_or_else(|| {
            state.unexpected.push(request.clone());
            Reply::status(500)
        });
        state.requests.push(request);
        state.here += 1;
        state.most_at_once = state.most_at_once.max(state.here);
        drop(state);
        self.changed.notify_waiters();
        (reply, Here(Arc::clone(self)))
    }

    pub(crate) async fn wait_for(
        &self,
        mut is_met: impl FnMut(&[Request]) -> bool,
    ) -> Vec<Request> {
        loop {
            // Asked for before looking, so that no change between the two is missed.
            let changed = self.changed.notified();
            let requests = self.requests();
            if is_met(&requests) {
                return requests;
            }
            changed.await;
        }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.lock().requests.clone()
    }

    pub(crate) fn unexpected(&self) -> Vec<Request> {
        self.state.lock().unexpected.clone()
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.state.lock().most_at_once
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = self.requests();
        f.debug_struct("Log")
            .field("requests", &requests)
            .finish_non_exhaustive()
    }
}
