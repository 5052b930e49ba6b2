//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Gets security events to every webhook endpoint that subscribed: signed, retried, in order per
/// record, with the proof kept.
#[derive(Debug, Parser)]
#[command(name = "watchfire", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server.
    #[command(after_long_help = crate::settings::help())]
    Serve(ServeArgs),
    /// Print an API token for an organization.
    Token(TokenArgs),
    /// Print a link that signs in to the dashboard, once and within an hour.
    Login(LoginArgs),
    /// Make, list or revoke API keys of the server running on this machine.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Copy the data folder as it is at this instant, while the server runs.
    Backup(BackupArgs),
    /// Make a data folder from a backup.
    Restore(RestoreArgs),
    /// Erase all that an organization has: applications, messages, event types, keys.
    Erase(EraseArgs),
    /// Move the store of a data folder into a PostgreSQL database; goes on where it was interrupted.
    Migrate(MigrateArgs),
    /// Show what Watchfire does: a server, receivers that behave and misbehave, and real events.
    Demo(DemoArgs),
    /// Measure this machine: a server, a receiver and a load generator in one run.
    Bench(BenchArgs),
    /// Check that a webhook request was signed by Watchfire.
    Verify(VerifyArgs),
    /// Try the mail settings.
    #[command(subcommand)]
    Mail(MailCommand),
    /// List, show or check contracts.
    #[command(subcommand)]
    Contract(ContractCommand),
    /// Take over what a product's own configuration says about its webhooks.
    #[command(subcommand)]
    Import(ImportCommand),
}

#[derive(Debug, Args)]
pub(crate) struct SettingArgs {
    /// Configuration file (TOML). Flags and `WATCHFIRE_*` variables win over it.
    #[arg(
        long,
        value_name = "FILE",
        env = "WATCHFIRE_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config: Option<PathBuf>,
    /// Folder of the embedded database and of the generated secrets [default: ./watchfire-data].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
    /// Address and port of the API and the dashboard; port 0 takes a free one [default:
    /// 127.0.0.1:8071].
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<String>,
    /// A private network that endpoints may be in; repeatable. Cloud metadata stays refused.
    #[arg(long = "allow-cidr", value_name = "CIDR")]
    pub(crate) allow_cidr: Vec<String>,
    /// Delays between the attempts of a delivery, such as 5s,5m,30m; empty means no retries.
    #[arg(long, value_name = "DELAYS")]
    pub(crate) retry_schedule: Option<String>,
    /// Deadline over a whole attempt, 1ms to 2m [default: 15s].
    #[arg(long, value_name = "DURATION")]
    pub(crate) attempt_timeout: Option<String>,
    /// PEM file of additional certificate authorities trusted for endpoints.
    #[arg(long, value_name = "FILE")]
    pub(crate) extra_ca_file: Option<String>,
    /// Folder of further contracts, one folder each.
    #[arg(long, value_name = "DIR")]
    pub(crate) contracts: Option<String>,
    /// What is logged: error, warn, info, debug or trace [default: info].
    #[arg(long, value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
    /// Organization the token is for; it appears when the token is first used.
    #[arg(long, value_name = "ORG")]
    pub(crate) org: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
    /// Organization the link opens.
    #[arg(long, value_name = "ORG")]
    pub(crate) org: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
    /// Folder to make for the backup.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
    /// Leave out the keys that endpoints' secrets are sealed with and tokens are signed with. The
    /// backup is of no use without them: keep them elsewhere.
    #[arg(long)]
    pub(crate) without_keys: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
    /// Folder of the backup.
    #[arg(long, value_name = "DIR")]
    pub(crate) from: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
    /// Data folder to move. Its server must be stopped; nothing in it is changed.
    #[arg(long, value_name = "DIR")]
    pub(crate) from: PathBuf,
    /// Database to move it into, such as <postgres://user@host/database>; it must be empty. The
    /// configured one if absent, which keeps a password out of the list of processes.
    #[arg(long, value_name = "URL")]
    pub(crate) to: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Folder for the demo's data; kept when it ends.
    #[arg(long, value_name = "DIR", default_value = "./watchfire-demo-data")]
    pub(crate) data: PathBuf,
    /// Address and port of the API.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8071")]
    pub(crate) listen: std::net::SocketAddr,
    /// End after this many seconds instead of at Ctrl-C.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) seconds: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Fan-outs to measure.
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_value = "1,5,20"
    )]
    pub(crate) fan_out: Vec<usize>,
    /// Seconds of load for each figure.
    #[arg(long, value_name = "SECONDS", default_value_t = 8)]
    pub(crate) seconds: u64,
    /// Producers that post at the same time.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) producers: usize,
    /// Bytes of each payload, about.
    #[arg(long, value_name = "BYTES", default_value_t = 500)]
    pub(crate) payload: usize,
    /// Folder to put the database in; a temporary one if absent.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Empty PostgreSQL database to measure with instead, with one fan-out.
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// Nodes that share the database.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "database")]
    pub(crate) nodes: usize,
    /// Print the figures as JSON too.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The endpoint's secret (whsec_… or whpk_…); read from `WATCHFIRE_SECRET` if absent.
    #[arg(
        long,
        value_name = "SECRET",
        env = "WATCHFIRE_SECRET",
        hide_env_values = true
    )]
    pub(crate) secret: String,
    /// Value of the header webhook-id.
    #[arg(long)]
    pub(crate) id: String,
    /// Value of the header webhook-timestamp.
    #[arg(long)]
    pub(crate) timestamp: String,
    /// Value of the header webhook-signature.
    #[arg(long)]
    pub(crate) signature: String,
    /// File with the body's exact bytes; `-` reads standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) body: PathBuf,
    /// Accept any timestamp instead of 5 minutes around now.
    #[arg(long)]
    pub(crate) any_time: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MailCommand {
    /// Send one mail through the server of `[smtp]` and say what came of it.
    Test {
        #[command(flatten)]
        settings: SettingArgs,
        /// Who gets it; all of `smtp.to` if absent.
        #[arg(long, value_name = "ADDRESS")]
        to: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ContractCommand {
    /// List the contracts.
    List {
        /// Folder of further contracts, one folder each.
        #[arg(long, value_name = "DIR")]
        contracts: Option<PathBuf>,
    },
    /// Show one contract.
    Show {
        /// The contract's name, as `contract list` shows it.
        name: String,
        /// Folder of further contracts, one folder each.
        #[arg(long, value_name = "DIR")]
        contracts: Option<PathBuf>,
    },
    /// Check a folder that holds a contract.
    Check {
        /// The contract's own folder, whose name is the contract's; or a folder of such.
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// Where the server listens on this machine.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8071")]
    pub(crate) server: String,
    /// Token or API key with the scope admin, such as `watchfire token` prints; read from
    /// `WATCHFIRE_TOKEN` if absent.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "WATCHFIRE_TOKEN",
        hide_env_values = true
    )]
    pub(crate) token: String,
}

#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Erase; without it, say what there is.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key and print it, this once.
    Create {
        #[command(flatten)]
        server: ServerArgs,
        /// What it is for.
        #[arg(long)]
        name: String,
        /// What it may do: events:write, endpoints:read, endpoints:write, secrets:read, replay,
        /// admin; several with commas.
        #[arg(
            long,
            value_name = "SCOPE,SCOPE",
            value_delimiter = ',',
            required = true
        )]
        scopes: Vec<String>,
        /// Id or uid of the one application it reaches; all of the organization if absent.
        #[arg(long, value_name = "APP")]
        app: Option<String>,
        /// When it ends, such as 2027-01-01T00:00:00Z; valid until revoked if absent.
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
    },
    /// List keys, one a line: id, application, scopes, end, last use, name.
    List {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Revoke a key: it opens nothing from now on.
    Revoke {
        #[command(flatten)]
        server: ServerArgs,
        /// The key's id: key_ and the 27 digits after wfk_.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Take over the section `webhook` of Website Defender's configuration file.
    ///
    /// Makes an application and an endpoint, or changes what differs; the same import again changes
    /// nothing.
    WebsiteDefender(ImportWebsiteDefender),
}

#[derive(Debug, Args)]
pub(crate) struct ImportWebsiteDefender {
    /// Website Defender's `config.yaml`.
    pub(crate) file: PathBuf,
    /// The application's own id; made if there is none.
    #[arg(long, value_name = "UID", default_value = "website-defender")]
    pub(crate) app: String,
    /// What an empty list of events means: the document says none, released versions send all.
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = EmptyEvents::None)]
    pub(crate) empty_events: EmptyEvents,
    /// Change nothing; say what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// What an empty list of events means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EmptyEvents {
    None,
    All,
}
