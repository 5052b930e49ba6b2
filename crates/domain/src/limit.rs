//! Every limit of the system: a named constant with its unit and its reason.
//!
//! What happens beyond a limit is a typed error of whoever holds it. The reference table
//! `docs/reference/limits.md` is generated from [`TABLE`].

use std::time::Duration;

/// One row of the reference table.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub name: &'static str,
    pub value: Value,
    pub reason: &'static str,
}

/// The value of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    Bytes(usize),
    Characters(usize),
    Count(usize),
    Time(Duration),
}

/// Declares the limits, and the table the reference is generated from.
macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $unit:ident = $value:expr;)+) => {
        $($(#[doc = $doc])+ pub const $name: limits!(@type $unit) = $value;)+

        /// All limits, in the order of this module.
        pub const TABLE: &[Limit] = &[$(Limit {
            name: stringify!($name),
            value: Value::$unit($name),
            reason: concat!($($doc),+),
        }),+];
    };
    (@type Time) => { Duration };
    (@type $unit:ident) => { usize };
}

const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3_600)
}

limits! {
    /// A name, uid, event id or event type: what the Svix API allows.
    NAME_CHARS_MAX: Characters = 256;
    /// A payload as posted. Larger events belong behind a link.
    PAYLOAD_BYTES_MAX: Bytes = 1024 * 1024;
    /// A request with one message: a payload of the largest size, and the names around it.
    MESSAGE_BODY_BYTES_MAX: Bytes = PAYLOAD_BYTES_MAX + 64 * 1024;
    /// What is read and thrown away of a request that was refused, so that its sender can read the
    /// answer: closing a connection with unread bytes takes the answer back.
    LINGER_BYTES_MAX: Bytes = 8 * 1024 * 1024;
    /// The same, in time.
    LINGER: Time = Duration::from_secs(2);
    /// Messages in one request; more gain nothing, since a commit takes as many.
    BATCH_MESSAGES_MAX: Count = 1_000;
    /// Messages whose payloads one request removes.
    EXPUNGED_MESSAGES_MAX: Count = 1_000;
    /// Event types of one import, with all that their schemas refer to.
    IMPORT_BYTES_MAX: Bytes = 8 * 1024 * 1024;
    /// A request with many messages.
    BATCH_BYTES_MAX: Bytes = 4 * 1024 * 1024;
    /// A request body to any other route of the API.
    REQUEST_BODY_BYTES_MAX: Bytes = 1024 * 1024;
    /// Depth of nested JSON in a request; the parser's own bound.
    JSON_DEPTH_MAX: Count = 128;
    /// Endpoints of one application: bounds the fan-out of a message.
    ENDPOINTS_PER_APPLICATION_MAX: Count = 1_000;
    /// Channels of an endpoint: what the Svix API allows.
    CHANNELS_PER_ENDPOINT_MAX: Count = 10;
    /// Channels of a message: what the Svix API allows.
    CHANNELS_PER_MESSAGE_MAX: Count = 5;
    /// Users a message can name one by one: the members of a large team.
    RECIPIENTS_PER_MESSAGE_MAX: Count = 100;
    /// A channel's name: what the Svix API allows.
    CHANNEL_CHARS_MAX: Characters = 128;
    /// Event types an endpoint may list one by one; a prefix filter replaces longer lists.
    EVENT_TYPES_PER_ENDPOINT_MAX: Count = 1_000;
    /// Entries of the metadata of an object.
    METADATA_ENTRIES_MAX: Count = 50;
    /// A value of the metadata of an object.
    METADATA_VALUE_CHARS_MAX: Characters = 4_096;
    /// Custom headers of an endpoint.
    HEADERS_PER_ENDPOINT_MAX: Count = 32;
    /// All custom headers of an endpoint together; proxies refuse heads beyond 8 to 16 KiB.
    HEADERS_BYTES_MAX: Bytes = 8 * 1024;
    /// The value of a custom header: what the Svix API allows.
    HEADER_VALUE_CHARS_MAX: Characters = 4_096;
    /// An endpoint's URL.
    URL_CHARS_MAX: Characters = 2_048;
    /// A description.
    DESCRIPTION_CHARS_MAX: Characters = 4_096;
    /// A remark on an endpoint's health: what DefectDojo keeps.
    HEALTH_NOTE_CHARS_MAX: Characters = 1_000;
    /// A record key.
    RECORD_KEY_CHARS_MAX: Characters = 256;
    /// A JSON Schema.
    SCHEMA_BYTES_MAX: Bytes = 64 * 1024;
    /// Subschemas of a JSON Schema, each counted wherever it is referred to: bounds the time one
    /// value takes, which references could otherwise make exponential.
    SCHEMA_PARTS_MAX: Count = 1_000;
    /// Depth of a JSON Schema, references followed: bounds the stack that compiling takes.
    SCHEMA_DEPTH_MAX: Count = 64;
    /// Regular expressions in a JSON Schema.
    SCHEMA_PATTERNS_MAX: Count = 32;
    /// One compiled regular expression of a JSON Schema.
    SCHEMA_PATTERN_BYTES_MAX: Bytes = 256 * 1024;
    /// Faults reported about one payload; more help nobody.
    SCHEMA_FAULTS_MAX: Count = 20;
    /// A symmetric signing secret, at least: the Standard Webhooks specification.
    SECRET_BYTES_MIN: Bytes = 24;
    /// A symmetric signing secret, at most: what the Svix API allows.
    SECRET_BYTES_MAX: Bytes = 75;
    /// Replaced secrets that still sign: what the Svix API allows.
    OLD_SECRETS_MAX: Count = 10;
    /// How long a replaced secret may go on signing.
    SECRET_OVERLAP_MAX: Time = hours(7 * 24);
    /// A page of a list: what the Svix API allows.
    PAGE_ITEMS_MAX: Count = 250;
    /// Rows a filtered list looks at for one page, so that a filter nothing meets ends; the page
    /// then ends early.
    LIST_SCAN_ROWS_MAX: Count = 100_000;
    /// Deliveries a search looks at for one page; the page then ends early and says how far it
    /// came.
    SEARCH_DELIVERIES_MAX: Count = 20_000;
    /// Payload bytes a search for a text reads for one page: about a tenth of a second.
    SEARCH_BYTES_MAX: Bytes = 64 * 1024 * 1024;
    /// A text to search payloads for.
    SEARCH_TEXT_CHARS_MAX: Characters = 256;
    /// Endpoints that are looked at to say what is owed now; with more in trouble at once, the
    /// answer says that it is not whole.
    OWING_ENDPOINTS_MAX: Count = 10_000;
    /// Deliveries of a record that wait behind its head are counted up to here.
    RECORD_WAITING_MAX: Count = 1_000;
    /// Deliveries in one export; the file says so where there are more.
    EXPORT_ROWS_MAX: Count = 5_000;
    /// Deliveries looked at for one export.
    EXPORT_LOOKS_MAX: Count = 200_000;
    /// Bytes of a payload, a request or an answer that a page shows as text; the rest is to be
    /// downloaded. Keeps a page below 100 kB.
    PAYLOAD_SHOWN_BYTES: Bytes = 12 * 1024;
    /// Activity is kept by the minute this long, and by the hour after that.
    ACTIVITY_MINUTES: Time = hours(4);
    /// Event types of an application, each hour for itself, whose messages are counted at once.
    EVENT_TYPE_HOURS_MAX: Count = 5_000;
    /// Endpoints of all organizations that are looked at to find those of one that need a person.
    UNWELL_LOOKS_MAX: Count = 1_000;
    /// The file of the portal's logo. Keeps a page below 100 kB.
    PORTAL_LOGO_BYTES_MAX: Bytes = 16 * 1024;
    /// Points of one chart of activity.
    ACTIVITY_POINTS_MAX: Count = 2_400;
    /// Refused sign-ins a minute from one address: far more than somebody mistypes.
    SIGN_INS_REFUSED_PER_ADDRESS: Count = 12;
    /// Refused sign-ins a minute from all addresses that nobody has signed in from.
    SIGN_INS_REFUSED: Count = 300;
    /// The audit log is kept this long where `audit_retention` does not say otherwise: a year and a
    /// month, for yearly reviews.
    AUDIT_RETENTION: Time = hours(400 * 24);
    /// What one line of the audit log says about the state before, or after; larger values are
    /// named by their size.
    AUDIT_STATE_BYTES_MAX: Bytes = 16 * 1024;
    /// Delays in a retry schedule.
    RETRY_DELAYS_MAX: Count = 30;
    /// One delay of a retry schedule.
    RETRY_DELAY_MAX: Time = hours(30 * 24);
    /// How far a receiver's Retry-After can postpone an attempt.
    RETRY_AFTER_MAX: Time = hours(24);
    /// Deadline over a whole attempt, unless the contract or the configuration says otherwise.
    ATTEMPT_TIMEOUT: Time = Duration::from_secs(15);
    /// The longest deadline that can be configured; a lease outlasts it.
    ATTEMPT_TIMEOUT_MAX: Time = Duration::from_mins(2);
    /// Part of a receiver's answer that is kept; the rest is dropped with the connection.
    RESPONSE_BODY_BYTES: Bytes = 64 * 1024;
    /// Header fields of an answer.
    RESPONSE_HEADERS_MAX: Count = 64;
    /// The head of an answer.
    RESPONSE_HEAD_BYTES_MAX: Bytes = 16 * 1024;
    /// Resolving a name, as part of the attempt.
    RESOLVE_TIMEOUT: Time = Duration::from_secs(5);
    /// A kept-alive connection without traffic; receivers commonly close after 30 s or more.
    CONNECTION_IDLE_MAX: Time = Duration::from_secs(20);
    /// A connection is a pinned address: it must not outlive a change of DNS for long.
    CONNECTION_AGE_MAX: Time = Duration::from_mins(5);
    /// Kept-alive connections to one origin.
    IDLE_CONNECTIONS_PER_ORIGIN_MAX: Count = 1_024;
    /// Kept-alive connections in all; each holds a file descriptor and about 10 KiB.
    IDLE_CONNECTIONS_MAX: Count = 4_096;
    /// Addresses of a name that are tried in one attempt; they share its deadline.
    CONNECT_ADDRESSES_MAX: Count = 4;
    /// Requests to one endpoint at a time, when it answers fast.
    CONCURRENCY_PER_ENDPOINT_MAX: Count = 64;
    /// Requests to one endpoint at a time, before it has shown that it answers.
    CONCURRENCY_PER_ENDPOINT_START: Count = 4;
    /// Attempts in flight or waiting to be recorded, in all.
    ATTEMPTS_IN_FLIGHT_MAX: Count = 4_096;
    /// Fresh deliveries of one endpoint in memory; more are spilled to the store.
    FRESH_PER_ENDPOINT_MAX: Count = 1_024;
    /// Payload bytes of fresh deliveries in memory; more are spilled to the store.
    FRESH_BYTES_MAX: Bytes = 64 * 1024 * 1024;
    /// Messages waiting for the next commit; more are refused with 503.
    ACCEPT_QUEUE_MAX: Count = 4_096;
    /// A commit that takes longer has hung: new messages are refused with 503 at once until it has
    /// ended.
    COMMIT_STALL: Time = Duration::from_secs(2);
    /// How long a message waits for its commit before its producer is told to try again; clients
    /// commonly give up after ten seconds.
    ACCEPT_WAIT: Time = Duration::from_secs(5);
    /// Rows written in one transaction.
    COMMIT_ROWS_MAX: Count = 2_048;
    /// Owed deliveries claimed at once for one endpoint.
    CLAIM_PER_ENDPOINT_MAX: Count = 128;
    /// Endpoints claimed for in one transaction.
    CLAIM_ENDPOINTS_MAX: Count = 256;
    /// Payload bytes of one claim: bounds what a claim reads into memory at once.
    CLAIM_BYTES_MAX: Bytes = 16 * 1024 * 1024;
    /// How long a claim holds: at least ten times the clock skew that is tolerated, and longer
    /// than the longest attempt.
    LEASE: Time = Duration::from_mins(5);
    /// Parts the endpoints are divided into among nodes, and so the most nodes that are of use.
    SHARDS: Count = 256;
    /// How often a node says that it is alive.
    NODE_BEAT: Time = Duration::from_secs(3);
    /// How long a node that says nothing is taken to be alive: several beats, so that a short
    /// fault of the network or the database costs nobody their place.
    NODE_LEASE: Time = Duration::from_secs(15);
    /// The shortest beat that can be set: each is a write to the database.
    NODE_BEAT_MIN: Time = Duration::from_millis(100);
    /// Beats in the shortest lease that can be set: one or two may be lost.
    NODE_LEASE_BEATS_MIN: Count = 3;
    /// The longest lease that can be set: so long the deliveries of a lost node wait.
    NODE_LEASE_MAX: Time = Duration::from_mins(5);
    /// Between two hints of a node to others: each is a commit that waits for those of other
    /// nodes, and whoever gets none looks by itself soon.
    HINT_REST: Time = Duration::from_millis(100);
    /// Outcomes that wait so long to be recorded make a server not ready.
    STALLED_AFTER: Time = Duration::from_secs(30);
    /// How long other nodes can look up what was changed; one that is away for longer has lost its
    /// lease and begins anew.
    CHANGE_LOG_AGE: Time = hours(1);
    /// Connections of one node to a shared database: half for the ledger, half for people. More
    /// gain nothing, since each call is one batch.
    DATABASE_CONNECTIONS: Count = 10;
    /// Reaching a shared database and logging in.
    DATABASE_CONNECT_TIMEOUT: Time = Duration::from_secs(5);
    /// One statement of ours on a shared database; the longest take tens of milliseconds.
    DATABASE_STATEMENT_TIMEOUT: Time = Duration::from_secs(8);
    /// A transaction on a shared database whose next statement does not come: its node hangs or
    /// has lost its network, and others wait for its locks. Ours come within a millisecond.
    DATABASE_IDLE_TIMEOUT: Time = Duration::from_secs(2);
    /// One call to a shared database with all its statements; then it is given up, and the
    /// connection with it.
    DATABASE_TIMEOUT: Time = Duration::from_secs(10);
    /// One look at a shared database, as a request to the API needs it: no longer than a message
    /// waits for its commit.
    DATABASE_READ_TIMEOUT: Time = Duration::from_secs(5);
    /// Payload bytes sent to a shared database in one statement; a larger batch takes several.
    DATABASE_STATEMENT_BYTES_MAX: Bytes = 8 * 1024 * 1024;
    /// Rows that a move to a shared database writes in one transaction.
    MOVE_ROWS_MAX: Count = 2_000;
    /// Bytes of rows that it writes in one transaction, but for one row that is larger.
    MOVE_BYTES_MAX: Bytes = 8 * 1024 * 1024;
    /// Messages between the checkpoint and the newest one before laggards are spilled: bounds
    /// what a restart reads.
    CHECKPOINT_LAG_MAX: Count = 50_000;
    /// Organizations with retention of their own: each of their applications is walked by itself.
    OWN_RETENTIONS_MAX: Count = 1_000;
    /// Rows removed by retention in one transaction.
    PRUNE_ROWS_MAX: Count = 1_000;
    /// Payloads are kept this long unless the message says less.
    PAYLOAD_RETENTION: Time = hours(90 * 24);
    /// Answers to requests with an idempotency key are replayed this long.
    IDEMPOTENCY_RETENTION: Time = hours(24);
    /// An idempotency key.
    IDEMPOTENCY_KEY_CHARS_MAX: Characters = 256;
    /// How far back failed deliveries can be recovered: what the Svix API allows.
    RECOVER_SPAN: Time = hours(14 * 24);
    /// Running background tasks of one application.
    TASKS_PER_APPLICATION_MAX: Count = 32;
    /// Deliveries a background task makes or cancels in one transaction.
    TASK_STEP_DELIVERIES_MAX: Count = 100;
    /// Messages a background task looks at in one step, so that a filter nothing meets holds
    /// nobody up.
    TASK_STEP_SCAN_ROWS_MAX: Count = 2_000;
    /// Stretches of [`TASK_STEP_SCAN_ROWS_MAX`] messages that a preview of a task looks at; it
    /// says where there are more.
    TASK_PREVIEW_STEPS_MAX: Count = 5;
    /// Applications a background task reports on in one step.
    TASK_STEP_APPLICATIONS_MAX: Count = 100;
    /// Applications a report can be asked for by name.
    TASK_APPLICATIONS_NAMED_MAX: Count = 1_000;
    /// A report of a background task, which is answered in one piece.
    TASK_REPORT_BYTES_MAX: Bytes = 4 * 1024 * 1024;
    /// Deliveries a background task makes each second: a share of what one endpoint can take.
    TASK_DELIVERIES_PER_SECOND: Count = 200;
    /// Due deliveries of an endpoint beyond which background tasks wait for it to catch up, so
    /// that fresh deliveries never queue behind a whole replay.
    TASK_BACKLOG_MAX: Count = 128;
    /// Unfinished requests are given this long when the server stops.
    SHUTDOWN_GRACE: Time = Duration::from_secs(20);
    /// Reading the head of a request to our API.
    REQUEST_HEAD_TIMEOUT: Time = Duration::from_secs(10);
    /// Header fields of a request to our API.
    REQUEST_HEADERS_MAX: Count = 64;
    /// Read buffer of a connection to our API; the head of a request must fit into it.
    REQUEST_BUFFER_BYTES: Bytes = 64 * 1024;
    /// Reading the whole of a request to our API.
    REQUEST_TIMEOUT: Time = Duration::from_secs(30);
    /// Waiting for the answer to a ping that decides about an activation: longer than most
    /// contracts let an attempt take, shorter than clients wait.
    PING_WAIT: Time = Duration::from_secs(20);
    /// Applications whose endpoints are kept ready in memory.
    CACHED_APPLICATIONS_MAX: Count = 2_000;
    /// Endpoints whose recipe of requests is known to be stored; of others it is stored again.
    KNOWN_RECIPES_MAX: Count = 200_000;
    /// The store is told at least so often that a recipe is in use.
    RECIPE_TOLD: Time = hours(6);
    /// A recipe stays while an attempt is left that was made up to so long after its last use was
    /// told: well above the time between two tellings, a request and its recording.
    RECIPE_GRACE: Time = hours(24);
    /// Retention looks so often whether a recipe that is not used any more can go.
    RECIPE_LOOKED_AT: Time = hours(7 * 24);
    /// Recipes that one run of retention looks at: each look may go through the days of the history.
    RECIPES_PER_RUN_MAX: Count = 100;
    /// API keys of one owner: the organization itself, or one of its applications.
    API_KEYS_PER_OWNER_MAX: Count = 100;
    /// Credentials, organizations or addresses whose requests are counted at the same time; beyond
    /// that those that asked longest ago begin anew.
    THROTTLED_NAMES_MAX: Count = 20_000;
    /// API keys that are kept ready in memory.
    CACHED_API_KEYS_MAX: Count = 10_000;
    /// After this long an API key is read again: what another node changed counts then. A change
    /// on the same node counts at once.
    CACHED_API_KEY_AGE_MAX: Time = Duration::from_secs(5);
    /// Sets of tokens that are void, remembered for one organization: single tokens that signed
    /// out, sessions and applications whose tokens were ended. Ending all of an organization's
    /// tokens makes room.
    TOKEN_VOIDS_PER_ORGANIZATION_MAX: Count = 20_000;
    /// Sessions whose tokens are ended in one request: what the Svix API allows.
    TOKEN_SESSIONS_MAX: Count = 1_000;
    /// The name of a session: what the Svix API allows.
    TOKEN_SESSION_CHARS_MAX: Characters = 64;
    /// How long tokens that were told to end may go on: what the Svix API allows.
    TOKEN_GRACE_MAX: Time = hours(72);
    /// Tokens that are kept in memory as valid or void. What another node changed counts after a
    /// look at the log of changes, and at the latest after the time an API key is kept.
    CACHED_TOKENS_MAX: Count = 4_000;
    /// Time between two notes of an API key's last use: reading must not become writing.
    API_KEY_USE_INTERVAL: Time = Duration::from_mins(1);
    /// An e-mail address: what fits into an SMTP path.
    MAIL_ADDRESS_CHARS_MAX: Characters = 254;
    /// Administrators of one application.
    ADMINISTRATORS_MAX: Count = 20;
    /// Addresses that are told about all applications.
    MAIL_RECIPIENTS_MAX: Count = 20;
    /// How long notices are gathered before the first mail about them goes out.
    MAIL_GATHER: Time = Duration::from_secs(10);
    /// Time between two mails about one kind of notice at one endpoint: a storm sends one.
    MAIL_INTERVAL: Time = Duration::from_mins(15);
    /// First wait after a mail could not be sent; it doubles each time.
    MAIL_RETRY: Time = Duration::from_secs(30);
    /// The longest of these waits.
    MAIL_RETRY_MAX: Time = Duration::from_mins(15);
    /// A mail that could not be sent for so long is given up; its notices stay in the inbox.
    MAIL_GIVE_UP: Time = hours(3 * 24);
    /// Kinds of notice at endpoints that are claimed at once, and told in one mail at most.
    MAIL_SUBJECTS_MAX: Count = 50;
    /// Deadline over connecting to the mail server, and over each mail.
    MAIL_TIMEOUT: Time = Duration::from_secs(30);
    /// The longest deadline that can be configured: a claim of mails outlasts them all.
    MAIL_TIMEOUT_MAX: Time = Duration::from_mins(2);
    /// A line of a mail server's reply.
    MAIL_REPLY_LINE_BYTES_MAX: Bytes = 4 * 1024;
    /// Lines of one reply of a mail server.
    MAIL_REPLY_LINES_MAX: Count = 100;
    /// A link that signs in to the dashboard once.
    SIGN_IN_TICKET_LIFE: Time = hours(1);
    /// Requests the built-in receiver remembers, of all applications together.
    ECHO_REQUESTS_MAX: Count = 50;
    /// Part of a request's body the built-in receiver remembers.
    ECHO_BODY_BYTES_MAX: Bytes = 64 * 1024;
    /// A session of the dashboard or the portal, however busy.
    SESSION_LIFE: Time = hours(12);
    /// A session nobody uses.
    SESSION_IDLE_MAX: Time = hours(2);
    /// A form sent to the dashboard; an event to try is the largest.
    FORM_BYTES_MAX: Bytes = 1024 * 1024 + 64 * 1024;
    /// Fields of a form: an event type each, and some more.
    FORM_FIELDS_MAX: Count = 2_048;
    /// Rows of a list in the dashboard.
    DASHBOARD_PAGE_ITEMS: Count = 50;
    /// Cells of a table with a column for each endpoint; keeps its page under 100 kB.
    DASHBOARD_PAGE_CELLS: Count = 90;
    /// Live views open at a time; each is a connection that stays.
    LIVE_VIEWS_MAX: Count = 512;
    /// A live view; browsers open it anew.
    LIVE_VIEW_LIFE: Time = Duration::from_mins(10);
    /// Connections to our API.
    API_CONNECTIONS_MAX: Count = 8_192;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_outlasts_every_attempt() {
        assert!(LEASE > ATTEMPT_TIMEOUT_MAX + SHUTDOWN_GRACE);
    }

    #[test]
    fn every_limit_gives_its_reason() {
        for limit in TABLE {
            assert!(limit.reason.trim().len() > 10, "{}", limit.name);
        }
    }
}
