//! `watchfire mail test`: one mail through the configured server, and what came of it.

use anyhow::{Context as _, Result, bail, ensure};
use watchfire_deliver::{Letter, Mailer as _};
use watchfire_domain::ambient::Clock as _;
use watchfire_domain::id::NoticeId;
use watchfire_domain::mail::Address;

use crate::ambient::{SystemClock, SystemEntropy};
use crate::cli::MailCommand;
use crate::{config, server, terminal};

const TEXT: &str = "This mail was sent by `watchfire mail test`: the settings work.";

pub(crate) async fn run(command: MailCommand) -> Result<()> {
    let MailCommand::Test { settings, to } = command;
    let settings = config::for_tools(&settings)?;
    let smtp = settings.smtp.as_ref();
    let smtp = smtp.context("smtp.host is not set: no mail is sent")?;
    let given: Result<Vec<Address>> = to
        .iter()
        .map(|text| text.parse().with_context(|| format!("--to {text:?}")))
        .collect();
    let mut people = given?;
    if people.is_empty() {
        people.clone_from(&smtp.to);
    }
    ensure!(
        !people.is_empty(),
        "nobody to send to: give --to or set smtp.to"
    );
    let now = SystemClock.now();
    let id = NoticeId::new(now, &SystemEntropy);
    let letters: Vec<_> = (1..)
        .zip(&people)
        .map(|(number, to)| Letter {
            id: format!("{id}_{number}"),
            to: to.clone(),
            at: now,
            subject: "Watchfire: a test of the mail settings".to_owned(),
            text: TEXT.to_owned(),
            html: format!("<!doctype html><html><body><p>{TEXT}</p></body></html>"),
        })
        .collect();
    let sent = server::mailer(&settings, smtp)?.send(&letters).await;
    let mut failed = 0;
    for (letter, sent) in letters.iter().zip(sent) {
        match sent {
            Ok(()) => terminal::line(format_args!("{} was sent a mail.", letter.to)),
            Err(fault) => {
                failed += 1;
                let error = anyhow::Error::new(fault).context(letter.to.to_string());
                terminal::note(format_args!("{error:#}"));
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {} mails were not taken", letters.len());
    }
    Ok(())
}
