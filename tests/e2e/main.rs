//! Watchfire from outside: the real binary in its own process, real sockets, a real disk, and the
//! programs of others as judges. Each test owns its server, its folder and its receivers.
//!
//! `scripts/setup` installs the judges; a test that needs one fails without it.

mod harness;

mod addresses;
mod answers;
mod backup;
mod browser;
mod cluster;
mod command_line;
mod crash;
mod demo;
mod deploy;
mod erase;
mod full_disk;
mod fuzz;
mod history;
mod imports;
mod load;
mod mail;
mod memory;
mod metrics;
mod migrate;
mod own_faults;
mod page_routes;
mod pages;
mod postgres;
mod postgres_shortage;
mod postgres_tls;
mod products;
mod refusals;
mod sdks;
mod signatures;
mod stop;
mod strangers;
mod upgrade;
mod verdict;
