//! What there is to move.
//!
//! Left out are what the target makes by itself (its migrations, its partitions, its counters) and
//! the log of changes: it tells running servers what to forget, and none runs during a move.

use super::{Column, Kind, Table};

macro_rules! table {
    ($name:ident: $($key:ident $key_kind:ident),+; $($column:ident $kind:ident),+ $(,)?) => {
        Table {
            name: stringify!($name),
            columns: &[
                $(Column { name: stringify!($key), kind: Kind::$key_kind },)+
                $(Column { name: stringify!($column), kind: Kind::$kind },)+
            ],
            key: [$(stringify!($key)),+].len(),
        }
    };
}

/// A table with the counts of `domain::lag` and of what happened.
macro_rules! activity {
    ($name:ident: $($key:ident $kind:ident),+) => {
        table!($name: $($key $kind),+;
            accepted Integer, delivered Integer, exhausted Integer, skipped Integer,
            cancelled Integer, attempts_failed Integer, lag00 Integer, lag01 Integer,
            lag02 Integer, lag03 Integer, lag04 Integer, lag05 Integer, lag06 Integer,
            lag07 Integer, lag08 Integer, lag09 Integer, lag10 Integer, lag11 Integer,
            lag12 Integer, lag13 Integer, lag14 Integer, lag15 Integer, lag16 Integer,
            lag17 Integer, lag18 Integer)
    };
}

/// Every table that is moved, in an order in which each row finds what it refers to. Messages come
/// before what names their places.
pub const TABLES: &[Table] = &[
    table!(application: key Integer;
        org Text, id Bytes, uid Text, revision Integer, created_at Integer, updated_at Integer,
        settings Text, deleted_at Integer),
    table!(endpoint: key Integer;
        app Integer, id Bytes, uid Text, revision Integer, created_at Integer,
        updated_at Integer, settings Text, sealed Bytes, health Text, unwell Flag,
        health_revision Integer, deleted_at Integer),
    table!(recipe: endpoint Integer, number Integer;
        digest Bytes, text Text, used_at Integer, look_at Integer),
    table!(event_type: org Text, name Text;
        created_at Integer, updated_at Integer, archived Flag, settings Text),
    table!(api_key: id Bytes;
        org Text, app Integer, name FreeText, scopes Text, created_at Integer,
        expires_at Integer, hash Bytes, last_used_at Integer),
    table!(token_void: org Text, name Text, issued_until Integer, void_from Integer;
        forget_at Integer),
    table!(message: seq Place;
        app Integer, id Bytes, node Integer, accepted_at Integer, event_type Text,
        event_id Text, record_key FreeText, urgency Code, expire_payload_at Integer,
        matched Bytes, details Text, payload Bytes),
    table!(attempt: seq Place, id Bytes;
        endpoint Integer, message Bytes, attempted_at Integer, number Integer, trigger Code,
        outcome Code, status Status, detail Code, retry_after_ns Integer, settlement Code,
        next_due_at Integer, url Text, address Text, timing Bytes, response_headers Text,
        response_truncated Flag, response_body Bytes, recipe Integer, signature Text),
    table!(owed: seq Place, endpoint Integer;
        message Bytes, due_at Integer, reason Code, trigger Code, attempts Integer, stale Flag,
        once Flag, urgency Code, record Integer, lease_node Integer, lease_until Integer,
        lease_token Integer, again_at Integer),
    table!(endpoint_owed: endpoint Integer; owed Integer),
    table!(node: key Integer;
        name Text, epoch Integer, checkpoint Place, undertaker Integer, version Text,
        joined_at Integer, beaten_at Integer, lease_until Integer, clock_ahead Integer,
        in_flight Integer, queued Integer, lag Integer),
    table!(shard: shard Code; node Integer),
    table!(arrival: endpoint Integer; shard Code, app Integer),
    table!(task: id Bytes;
        org Text, app Integer, endpoint Integer, kind Code, arguments Text, cursor Bytes,
        looked Integer, done Integer, state Code, failure Code, created_at Integer,
        updated_at Integer, paused_us Integer),
    table!(task_report: task Bytes, part Integer; text Text),
    table!(endpoint_hour: endpoint Integer, hour Integer;
        delivered Integer, failed Integer, cancelled Integer),
    table!(event_type_hour: app Integer, hour Integer, event_type Text; accepted Integer),
    activity!(activity_minute: minute Integer, owner Text),
    activity!(activity_hour: owner Text, hour Integer),
    table!(idempotency: key Bytes; request Bytes, answer Bytes, expires_at Integer),
    table!(untold: key Integer; id Bytes, org Text, at Integer, kind Code, data Text),
    table!(notice: key Integer;
        id Bytes, org Text, kind Code, application Bytes, endpoint Integer, endpoint_id Bytes,
        count Integer, first_at Integer, last_at Integer, data Text, read_at Integer),
    table!(mail: endpoint Integer, kind Code;
        id Bytes, org Text, application Bytes, endpoint_id Bytes, count Integer,
        first_at Integer, last_at Integer, data Text, due_at Integer, token Integer,
        tries Integer, left_to Text, left_count Integer, lease_node Integer),
    table!(audit: id Bytes;
        org Text, at Integer, actor Text, action Text, application Bytes, object Text,
        before Text, after Text),
];
