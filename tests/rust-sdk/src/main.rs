//! Uses Watchfire through Svix's SDK for Rust. The environment is that of `tests/python/tour.py`.

mod tour;

use std::time::Duration;

use svix::api::{Svix, SvixOptions};
use svix::error::Error;

/// How long anything may take to come true.
const PATIENCE: Duration = Duration::from_secs(60);

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn client(token: &str) -> Svix {
    let options = SvixOptions {
        // Without it the SDK sends the token to its vendor's cloud.
        server_url: Some(variable("WATCHFIRE_URL")),
        num_retries: Some(0),
        ..SvixOptions::default()
    };
    Svix::new(token.to_owned(), Some(options))
}

/// The call has to be refused with this status and code; 422 has no code.
fn refused<T: std::fmt::Debug>(status: u16, code: Option<&str>, result: Result<T, Error>) {
    match result.expect_err("it is refused") {
        Error::Http(error) => {
            assert_eq!(error.status.as_u16(), status, "{error:?}");
            let payload = error.payload.expect("an error has a body the SDK reads");
            assert_eq!(Some(payload.code.as_str()), code);
            assert!(!payload.detail.is_empty());
        }
        Error::Validation(error) => {
            assert_eq!((422, None), (status, code), "{error:?}");
            let faults = error
                .payload
                .expect("an error has a body the SDK reads")
                .detail;
            assert_eq!(faults[0].loc[0], "body", "{faults:?}");
        }
        other => panic!("not an answer of the server: {other}"),
    }
}

/// Looks until there is something to see.
async fn eventually<T, F: Future<Output = Option<T>>>(
    expectation: &str,
    look: impl Fn() -> F,
) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking)
        .await
        .unwrap_or_else(|_| panic!("waited in vain: {expectation}"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tour::whole(
        &client(&variable("WATCHFIRE_TOKEN")),
        &variable("RECEIVER_URL"),
    )
    .await;
}
