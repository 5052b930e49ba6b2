//! What a search finds, to take along: as a table for spreadsheets, or a JSON object a line.
//!
//! At most [`limit::EXPORT_ROWS_MAX`] rows; the last line says so where there is more.

use std::fmt::Write as _;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use watchfire_domain::limit;
use watchfire_engine::service::deliveries::{self, Delivery};
use watchfire_store::DeliveryStatus;

use super::filter;
use crate::access::InApp;
use crate::failure::{Answer, Failure};
use crate::params::Fields;
use crate::ui::status::delivery_look;

/// Found rows, and whether there are more than may be taken along.
struct Exported {
    rows: Vec<Delivery>,
    more: bool,
}

async fn collect(at: &InApp, fields: &Fields) -> Result<Exported, Failure> {
    let query = filter::read(fields, at.view.now);
    let (mut rows, mut from, mut looked) = (Vec::new(), None, 0);
    loop {
        let left = limit::EXPORT_ROWS_MAX - rows.len();
        let page = (from, left.min(limit::PAGE_ITEMS_MAX));
        let found = deliveries::find(at.engine(), &at.app, query.clone(), page).await?;
        rows.extend(found.found);
        looked += found.looked;
        from = found.next;
        let full = rows.len() >= limit::EXPORT_ROWS_MAX;
        if from.is_none() || full || looked >= limit::EXPORT_LOOKS_MAX {
            let more = from.is_some();
            return Ok(Exported { rows, more });
        }
    }
}

pub(crate) async fn csv(at: InApp, fields: Fields) -> Answer {
    let exported = collect(&at, &fields).await?;
    let mut text = String::from(
        "message,event_type,event_id,record_key,accepted_at,endpoint,status,attempt,\
         attempted_at,outcome,took_ms\r\n",
    );
    for row in &exported.rows {
        let cells = cells(row);
        let line: Vec<_> = cells.iter().map(|(_, cell)| quoted(cell)).collect();
        text += &line.join(",");
        text += "\r\n";
    }
    if exported.more {
        let rows = exported.rows.len();
        // Writing to a text can't fail.
        let _ignored = write!(text, "{}\r\n", cut(rows));
    }
    Ok(file("text/csv; charset=utf-8", "deliveries.csv", text))
}

pub(crate) async fn json_lines(at: InApp, fields: Fields) -> Answer {
    let exported = collect(&at, &fields).await?;
    let mut text = String::new();
    for row in &exported.rows {
        let members: serde_json::Map<_, _> = cells(row)
            .into_iter()
            .map(|(name, cell)| (name.to_owned(), json!(cell)))
            .collect();
        text += &serde_json::Value::Object(members).to_string();
        text.push('\n');
    }
    if exported.more {
        text += &json!({ "note": cut(exported.rows.len()) }).to_string();
        text.push('\n');
    }
    Ok(file("application/jsonl", "deliveries.jsonl", text))
}

fn cut(rows: usize) -> String {
    format!("There is more: these are the newest {rows}. Narrow the search down for the rest.")
}

fn cells(row: &Delivery) -> [(&'static str, String); 11] {
    let message = &*row.delivery.stored.message;
    let last = row.delivery.last_attempt.as_ref();
    let of_last = |cell: Option<String>| cell.unwrap_or_default();
    let event_id = message.event_id.as_ref().map(ToString::to_string);
    [
        ("message", message.id.to_string()),
        ("event_type", message.event_type.to_string()),
        ("event_id", event_id.unwrap_or_default()),
        ("record_key", message.record_key.clone().unwrap_or_default()),
        ("accepted_at", message.accepted_at.to_string()),
        ("endpoint", row.endpoint.to_string()),
        ("status", word(row.delivery.view.status)),
        ("attempt", of_last(last.map(|last| last.number.to_string()))),
        (
            "attempted_at",
            of_last(last.map(|last| last.attempted_at.to_string())),
        ),
        (
            "outcome",
            of_last(last.map(|last| last.outcome.to_string())),
        ),
        (
            "took_ms",
            of_last(last.map(|last| format!("{:.1}", last.timing.total.as_secs_f64() * 1_000.0))),
        ),
    ]
}

fn word(status: DeliveryStatus) -> String {
    let (_, _, word) = delivery_look(status);
    word.to_lowercase()
}

/// A cell of a table. What spreadsheets would take for a formula is made a text.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if formula {
        format!("'{cell}")
    } else {
        cell.to_owned()
    };
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}

fn file(kind: &'static str, name: &'static str, text: String) -> Response {
    let attachment = format!("attachment; filename=\"{name}\"");
    let attachment = HeaderValue::from_str(&attachment);
    let head = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (
            header::CONTENT_DISPOSITION,
            attachment.unwrap_or(HeaderValue::from_static("attachment")),
        ),
    ];
    (head, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn cells_stay_cells() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"x\""), "\"say \"\"x\"\"\"");
        assert_eq!(quoted("=1+1"), "'=1+1");
        assert_eq!(quoted("@SUM(A1)"), "'@SUM(A1)");
    }
}
