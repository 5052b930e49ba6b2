//! A fuzzer that reads the API's own document tries it out, and finds no fault of the server.

use crate::harness::{in_a_network_of_its_own, python, run_judge, tell};

#[tokio::test]
async fn whatever_the_document_allows_or_forbids_is_answered_as_documented() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut fuzzer = python("svix1", "fuzz.py");
    fuzzer
        .arg(env!("CARGO_BIN_EXE_watchfire"))
        .arg(folder.path());
    tell(&run_judge(in_a_network_of_its_own(&fuzzer), "").await);
}
