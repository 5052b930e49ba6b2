//! Holds answers back until a test lets them go.

use tokio::sync::watch;

/// Closed at first. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    pub fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets everyone pass who waits, and everyone who comes later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until the gate is open.
    pub async fn pass(&self) {
        let mut opened = self.0.subscribe();
        opened
            .wait_for(|is_open| *is_open)
            .await
            .expect("the gate itself keeps the channel open");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_open_gate_lets_late_comers_pass() {
        let gate = Gate::closed();
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.pass().await }
        });
        gate.open();
        waiting.await.expect("the waiting task ends");
        gate.pass().await;
    }
}
