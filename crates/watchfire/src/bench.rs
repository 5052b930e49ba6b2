//! `watchfire bench`: figures of this machine, in one run.
//!
//! The server is a process of its own; the receiver and the producers share this one. All three
//! share the machine, as in production on a small one, so every figure is also given as a ratio to
//! C, what a bare client that stores nothing reaches against the same receiver in the same run.

mod ceiling;
mod cluster;
mod figures;
mod load;
mod process;
mod receiver;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::time::Instant;

use self::cluster::Cluster;
use self::figures::{FanOut, Figures, percentile};
use self::load::{Connection, Plan, Posted};
use self::process::ServerProcess;
use self::receiver::{Arrivals, Receiver};
use crate::cli::BenchArgs;
use crate::terminal;

/// Messages one run can hold; more are not posted.
const MESSAGES_MAX: usize = 4_000_000;
/// How long deliveries may take to end after the last message was posted.
const DRAIN: Duration = Duration::from_mins(1);
/// How long other nodes may take to learn of an application.
const KNOWN_WITHIN: Duration = Duration::from_secs(2);
/// A secret for this run only.
const JWT_SECRET: &str = "a secret for one run of the bench";

pub(crate) async fn run(args: BenchArgs) -> Result<()> {
    let folder = match &args.data {
        Some(folder) => folder.clone(),
        None => std::env::temp_dir().join(format!("watchfire-bench-{}", std::process::id())),
    };
    ensure!(
        args.database.is_none() || args.fan_out.len() == 1,
        "a database is measured with one fan-out, such as --fan-out 5"
    );
    let measured = measure(&args, &folder).await;
    if args.data.is_none() {
        drop(std::fs::remove_dir_all(&folder));
    }
    let figures = measured?;
    terminal::line(figures.table());
    if args.json {
        terminal::line(figures.json());
    }
    Ok(())
}

async fn measure(args: &BenchArgs, folder: &Path) -> Result<Figures> {
    let receiver = Receiver::start().await?;
    let duration = Duration::from_secs(args.seconds);
    terminal::line("Measuring what a bare client reaches against the same receiver …");
    let ceiling =
        ceiling::measure(receiver.address, args.producers, args.payload, duration).await?;
    let mut figures = Figures {
        ceiling,
        idle_bytes: 0,
        fan_outs: Vec::new(),
    };
    for &fan_out in &args.fan_out {
        terminal::line(format!("Measuring fan-out {fan_out} …"));
        let data = folder.join(format!("fan-out-{fan_out}"));
        let run = Run {
            args,
            receiver: &receiver,
            fan_out,
            duration,
        };
        let (figure, idle_bytes) = run.measure(&data).await?;
        figures.idle_bytes = figures.idle_bytes.max(idle_bytes);
        figures.fan_outs.push(figure);
    }
    Ok(figures)
}

/// One fan-out's measurement.
struct Run<'a> {
    args: &'a BenchArgs,
    receiver: &'a Receiver,
    fan_out: usize,
    duration: Duration,
}

impl Run<'_> {
    async fn measure(&self, data: &Path) -> Result<(FanOut, u64)> {
        let database = self.args.database.as_deref();
        let server = Cluster::start(data, JWT_SECRET, database, self.args.nodes).await?;
        let (idle_bytes, _) = server.memory_bytes()?;
        let plan = self.set_up(&server).await?;
        let (cpu_before, written_before) = (server.cpu_seconds()?, server.written_bytes()?);
        let (posted, arrivals, whole) = self.load(plan.clone()).await?;
        let cpu = server.cpu_seconds()? - cpu_before;
        let written = server.written_bytes()?.saturating_sub(written_before);
        let (_, peak_bytes) = server.memory_bytes()?;
        let stored_bytes = folder_bytes(data)?;
        let messages = posted.messages.len();
        let message_rate = as_f64(messages) / whole.as_secs_f64();
        let quarter = Plan {
            rate: Some(message_rate / 4.0),
            ..plan
        };
        let (paced, paced_arrivals, _) = self.load(quarter).await?;
        server.stop().await?;
        let deliveries = as_f64(messages * self.fan_out);
        let (accept, lag) = (accept_times(&posted), lags(&paced, &paced_arrivals));
        debug_assert!(
            arrivals.count() >= u64::try_from(messages).unwrap_or(0),
            "everything arrived"
        );
        let figure = FanOut {
            endpoints: self.fan_out,
            messages,
            refused: posted.refused,
            duplicates: arrivals
                .count()
                .saturating_sub(u64::try_from(messages * self.fan_out)?),
            deliveries_per_second: deliveries / whole.as_secs_f64(),
            accept_p50_ms: percentile(&accept, 50.0),
            accept_p99_ms: percentile(&accept, 99.0),
            quarter_accept_p99_ms: percentile(&accept_times(&paced), 99.0),
            lag_p50_ms: percentile(&lag, 50.0),
            lag_p99_ms: percentile(&lag, 99.0),
            cpu_us_per_delivery: cpu * 1_000_000.0 / deliveries,
            written_bytes_per_message: as_f64(usize::try_from(written)?) / as_f64(messages),
            stored_bytes_per_message: as_f64(usize::try_from(stored_bytes)?) / as_f64(messages),
            peak_bytes,
        };
        Ok((figure, idle_bytes))
    }

    /// An application with as many endpoints as the fan-out.
    async fn set_up(&self, servers: &Cluster) -> Result<Plan> {
        let server = servers.first();
        let secret = watchfire_domain::secret::SecretText::new(JWT_SECRET.to_owned());
        let token = crate::token::for_organization(&secret, None)?;
        let application = post(
            server,
            &token,
            "/api/v1/app",
            r#"{"name":"bench","uid":"bench"}"#,
        )
        .await;
        application.context("create the application")?;
        for number in 0..self.fan_out {
            let body = format!(
                r#"{{"url":"http://{}/hook/{number}"}}"#,
                self.receiver.address
            );
            post(server, &token, "/api/v1/app/bench/endpoint", &body)
                .await
                .context("create an endpoint")?;
        }
        // The other nodes learn of it within a second.
        tokio::time::sleep(KNOWN_WITHIN).await;
        Ok(Plan {
            servers: servers.addresses(),
            application: "bench".to_owned(),
            token,
            producers: self.args.producers,
            payload_bytes: self.args.payload,
            duration: self.duration,
            rate: None,
            messages_max: MESSAGES_MAX,
        })
    }

    /// Posts and waits until everything has arrived; how long both took together.
    async fn load(&self, plan: Plan) -> Result<(Posted, std::sync::Arc<Arrivals>, Duration)> {
        let start = Instant::now();
        let arrivals = Arrivals::new(start, plan.messages_max);
        self.receiver.count_into(&arrivals);
        let posted = load::post(plan, start).await?;
        let expected = u64::try_from(posted.messages.len() * self.fan_out)?;
        while arrivals.count() < expected {
            if start.elapsed() > posted.elapsed + DRAIN {
                bail!("only {} of {expected} deliveries arrived", arrivals.count());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok((posted, arrivals, start.elapsed()))
    }
}

async fn post(server: &ServerProcess, token: &str, path: &str, body: &str) -> Result<()> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    match Connection::open(server.address)
        .await?
        .exchange(request.as_bytes())
        .await?
    {
        200..=299 => Ok(()),
        status => bail!("the server answered {status} to {path}"),
    }
}

fn accept_times(posted: &Posted) -> Vec<u64> {
    let mut times: Vec<_> = posted
        .messages
        .iter()
        .map(|(_, sent, answered)| answered - sent)
        .collect();
    times.sort_unstable();
    times
}

/// From the moment the producer began to post to the last arrival.
fn lags(posted: &Posted, arrivals: &Arrivals) -> Vec<u64> {
    let lag = |(number, sent, _): &(usize, u64, u64)| {
        arrivals.last_at(*number).map(|at| at.saturating_sub(*sent))
    };
    let mut lags: Vec<_> = posted.messages.iter().filter_map(lag).collect();
    lags.sort_unstable();
    lags
}

fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?.metadata()?;
        if entry.is_file() {
            bytes += entry.len();
        }
    }
    Ok(bytes)
}

fn as_f64(count: usize) -> f64 {
    // Counts of a run stay far below 2^53.
    u32::try_from(count).map_or(f64::MAX, f64::from)
}
