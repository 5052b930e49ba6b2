//! What new messages owe from the start.

use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::Tally;
use watchfire_store::{
    DeliveryRef, Elsewhere, EndpointKey, InTurn, NewMessage, NewOwed, OwedReason, Seq, Series,
};

use crate::fault::FaultResult;
use crate::owed::{Book, Put, Wanted};
use crate::session::Tx;
use crate::shards::Arrivals;

/// Deliveries of a batch that another node is to make, or that must not overtake.
#[derive(Debug, Default)]
pub(super) struct Owing {
    book: Book,
    arrivals: Arrivals,
}

impl Owing {
    pub(super) async fn open(tx: &Tx, batch: &[(Seq, &NewMessage)]) -> FaultResult<Self> {
        let mut wanted = Wanted::default();
        for (_, new) in batch {
            for Elsewhere {
                endpoint, record, ..
            } in &new.elsewhere
            {
                wanted.new_delivery(*endpoint, *record);
            }
            for InTurn { endpoint, record } in &new.in_turn {
                wanted.new_delivery(*endpoint, Some(*record));
            }
        }
        Ok(Self {
            book: Book::open(tx, &wanted).await?,
            arrivals: Arrivals::default(),
        })
    }

    /// Writes what a message owes from the start, and returns which of the life's own were parked.
    pub(super) fn owe(
        &mut self,
        seq: Seq,
        new: &NewMessage,
        tally: &mut Tally,
    ) -> Vec<EndpointKey> {
        for Elsewhere {
            endpoint,
            record,
            due_at,
            reason,
        } in &new.elsewhere
        {
            let owed = owed((new, seq), (*endpoint, *record), Some(*due_at), *reason);
            self.put(&owed, new, tally);
            self.arrivals.note(owed.delivery);
        }
        let mut parked = Vec::new();
        for InTurn { endpoint, record } in &new.in_turn {
            if self.book.is_blocked(*endpoint, *record, seq) {
                let place = (*endpoint, Some(*record));
                self.put(&owed((new, seq), place, None, OwedReason::Turn), new, tally);
                parked.push(*endpoint);
            }
        }
        parked
    }

    fn put(&mut self, owed: &NewOwed, new: &NewMessage, tally: &mut Tally) {
        let id = Some(new.message.id);
        if self.book.put(owed, new.message.accepted_at, id) == Put::Inserted {
            tally.owed(owed.delivery.endpoint, 1);
        }
    }

    pub(super) async fn close(self, tx: &Tx, node: i64) -> FaultResult<()> {
        self.book.close(tx).await?;
        self.arrivals.tell_holders(tx, node).await
    }
}

fn owed(
    (new, seq): (&NewMessage, Seq),
    (endpoint, record): (EndpointKey, Option<i64>),
    due_at: Option<Timestamp>,
    reason: OwedReason,
) -> NewOwed {
    NewOwed {
        delivery: DeliveryRef {
            app: new.app,
            endpoint,
            seq,
        },
        due_at,
        reason,
        series: Series::START,
        urgency: new.message.urgency,
        record,
    }
}
