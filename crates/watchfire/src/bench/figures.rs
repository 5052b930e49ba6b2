//! The figures of a run, and how they are shown.

/// Everything one run measured.
pub(super) struct Figures {
    /// Requests a second of a bare client.
    pub(super) ceiling: f64,
    pub(super) idle_bytes: u64,
    pub(super) fan_outs: Vec<FanOut>,
}

/// What was measured at one fan-out.
#[derive(Debug, serde::Serialize)]
pub(super) struct FanOut {
    pub(super) endpoints: usize,
    pub(super) messages: usize,
    pub(super) refused: usize,
    pub(super) duplicates: u64,
    pub(super) deliveries_per_second: f64,
    pub(super) accept_p50_ms: f64,
    pub(super) accept_p99_ms: f64,
    pub(super) quarter_accept_p99_ms: f64,
    pub(super) lag_p50_ms: f64,
    pub(super) lag_p99_ms: f64,
    pub(super) cpu_us_per_delivery: f64,
    pub(super) written_bytes_per_message: f64,
    pub(super) stored_bytes_per_message: f64,
    pub(super) peak_bytes: u64,
}

/// The value below which `percent` of the sorted microseconds lie, in milliseconds.
pub(super) fn percentile(sorted: &[u64], percent: f64) -> f64 {
    let last = u32::try_from(sorted.len().saturating_sub(1)).map_or(0.0, f64::from);
    let place = (last * percent / 100.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place within the list: not negative, and below 2^32"
    )]
    let micros = sorted.get(place as usize).copied().unwrap_or(0);
    std::time::Duration::from_micros(micros).as_secs_f64() * 1_000.0
}

type Row = (&'static str, fn(&Figures, &FanOut) -> String);

const ROWS: &[Row] = &[
    ("deliveries/s", |_, run| {
        format!("{:.0}", run.deliveries_per_second)
    }),
    ("  as a ratio to C", |all, run| {
        format!("{:.3}", run.deliveries_per_second / all.ceiling)
    }),
    ("accept p50, at the maximum", |_, run| {
        format!("{:.2} ms", run.accept_p50_ms)
    }),
    ("accept p99, at the maximum", |_, run| {
        format!("{:.2} ms", run.accept_p99_ms)
    }),
    ("accept p99, at a quarter", |_, run| {
        format!("{:.2} ms", run.quarter_accept_p99_ms)
    }),
    ("lag p50, at a quarter", |_, run| {
        format!("{:.2} ms", run.lag_p50_ms)
    }),
    ("lag p99, at a quarter", |_, run| {
        format!("{:.2} ms", run.lag_p99_ms)
    }),
    ("server CPU per delivery", |_, run| {
        format!("{:.1} µs", run.cpu_us_per_delivery)
    }),
    ("  per 1,000 deliveries", |_, run| {
        format!("{:.3} s", run.cpu_us_per_delivery / 1_000.0)
    }),
    ("stored per message", |_, run| {
        format!("{:.0} bytes", run.stored_bytes_per_message)
    }),
    ("written per message", |_, run| {
        format!("{:.0} bytes", run.written_bytes_per_message)
    }),
    ("memory, highest", |_, run| {
        format!("{:.1} MB", megabytes(run.peak_bytes))
    }),
    ("messages", |_, run| run.messages.to_string()),
    ("refused (503)", |_, run| run.refused.to_string()),
    ("duplicates", |_, run| run.duplicates.to_string()),
];

impl Figures {
    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "\nC, a bare client that stores nothing: {:.0} requests/s\nIdle memory: {:.1} MB\n\n",
            self.ceiling,
            megabytes(self.idle_bytes)
        );
        let mut line = |name: &str, cells: Vec<String>| {
            let cells: Vec<_> = cells.iter().map(|cell| format!("{cell:>16}")).collect();
            text.extend([format!("{name:<28}"), cells.concat(), "\n".to_owned()]);
        };
        line(
            "",
            self.fan_outs
                .iter()
                .map(|run| format!("fan-out {}", run.endpoints))
                .collect(),
        );
        for (name, cell) in ROWS {
            line(
                name,
                self.fan_outs.iter().map(|run| cell(self, run)).collect(),
            );
        }
        text
    }

    pub(super) fn json(&self) -> String {
        serde_json::json!({
            "ceiling_per_second": self.ceiling,
            "idle_bytes": self.idle_bytes,
            "fan_outs": self.fan_outs,
        })
        .to_string()
    }
}

fn megabytes(bytes: u64) -> f64 {
    u32::try_from(bytes / 1_000).map_or(f64::MAX, f64::from) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_pick_from_the_sorted_list() {
        let micros: Vec<u64> = (0..=100).map(|n| n * 1_000).collect();
        assert!((percentile(&micros, 50.0) - 50.0).abs() < 1e-9);
        assert!((percentile(&micros, 99.0) - 99.0).abs() < 1e-9);
        assert!(percentile(&[], 99.0).abs() < 1e-9);
    }
}
