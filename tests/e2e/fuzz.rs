//! A fuzzer that reads the API's own document tries it out, and finds no fault of the server.

use crate::harness::{may_unshare, python, ready, run_judge, tell, unshared};

#[tokio::test]
async fn whatever_the_document_allows_or_forbids_is_answered_as_documented() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut fuzzer = python("svix1", "fuzz.py");
    fuzzer
        .arg(env!("CARGO_BIN_EXE_watchfire"))
        .arg(folder.path());
    if may_unshare("--net") {
        fuzzer = ready(unshared("--net", fuzzer.arg("--alone")));
    } else {
        tell("a network of its own is not allowed here: no endpoints are made up");
    }
    tell(&run_judge(fuzzer, "").await);
}
