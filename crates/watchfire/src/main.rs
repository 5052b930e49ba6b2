//! Watchfire: one binary that gets security events to every webhook endpoint that subscribed.
//!
//! This crate reads the configuration, wires the parts together, listens to signals and holds the
//! commands. It must never hold rules of delivery: those are in `domain` and `engine`.
//!
//! Start reading at `server`.

mod ambient;
mod backend;
mod backup_command;
mod bench;
mod cli;
mod config;
mod contract_command;
mod contracts;
mod data_dir;
mod demo;
mod erase_command;
mod http_server;
mod import_command;
mod key_command;
mod lingering;
mod login;
mod mail_command;
mod metrics;
mod migrate_command;
mod remote;
mod serve;
mod server;
mod settings;
mod terminal;
mod token;
mod verify;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The command did what it should.
const EXIT_OK: u8 = 0;
/// The command failed; the reason is on standard error. Wrong usage ends with 2, as usual.
const EXIT_FAILED: u8 = 1;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Login(args) => login::run(&args),
        Command::Key(command) => serve::on_runtime(key_command::run(command)),
        Command::Demo(args) => serve::on_runtime(demo::run(args)),
        Command::Bench(args) => serve::on_runtime(bench::run(args)),
        Command::Backup(args) => backup_command::back_up(&args),
        Command::Restore(args) => backup_command::restore(&args),
        Command::Erase(args) => serve::on_runtime(erase_command::run(args)),
        Command::Migrate(args) => serve::on_runtime(migrate_command::run(args)),
        Command::Verify(args) => verify::run(&args),
        Command::Mail(command) => serve::on_runtime(mail_command::run(command)),
        Command::Import(command) => serve::on_runtime(import_command::run(command)),
        Command::Contract(command) => contract_command::run(command),
    };
    match ended {
        Ok(()) => ExitCode::from(EXIT_OK),
        Err(error) => {
            terminal::failure(&error);
            ExitCode::from(EXIT_FAILED)
        }
    }
}
