//! Documents: headings, numbers of decisions, links, and that no file names the machine it was
//! written on.

use std::collections::BTreeSet;
use std::path::Path;

use crate::repository::{File, expect_none, files, files_with_extension, root};

fn documents() -> Vec<File> {
    files_with_extension("md")
}

/// The headings of a document, code blocks left out.
fn headings(text: &str) -> Vec<&str> {
    let mut in_code = false;
    let mut headings = Vec::new();
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        if !in_code && line.starts_with('#') {
            headings.push(line.trim_start_matches('#').trim());
        }
    }
    headings
}

/// Whether most words after the first are capitalized. Names may be, so one or two don't count.
fn is_title_case(heading: &str) -> bool {
    let later: Vec<&str> = heading.split_whitespace().skip(1).collect();
    let is_capitalized = |word: &&&str| {
        let mut letters = word.chars();
        letters.next().is_some_and(char::is_uppercase)
            && letters.next().is_some_and(char::is_lowercase)
    };
    let capitalized = later.iter().filter(is_capitalized).count();
    capitalized >= 2 && capitalized * 2 > later.len()
}

#[test]
fn headings_are_in_sentence_case() {
    let mut offences = Vec::new();
    for file in documents() {
        let wrong = headings(&file.text)
            .into_iter()
            .filter(|heading| is_title_case(heading));
        offences.extend(wrong.map(|heading| format!("{}: {heading}", file.path)));
    }
    expect_none(
        &offences,
        "These headings are in title case:",
        "capitalize the first word and names, nothing else.",
    );
}

#[test]
fn title_case_is_told_from_names() {
    assert!(is_title_case("How To Write A Contract"));
    assert!(!is_title_case("How to write a contract"));
    assert!(!is_title_case("Running on PostgreSQL with Docker"));
    assert!(!is_title_case("Secrets"));
}

#[test]
fn decisions_are_numbered() {
    let decisions = documents();
    let names: Vec<&str> = decisions
        .iter()
        .filter_map(|file| file.path.strip_prefix("docs/decisions/"))
        .filter(|name| *name != "README.md")
        .collect();
    let number = |name: &str| -> Option<String> {
        let (number, rest) = name.split_once('-')?;
        let is_number = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && !rest.is_empty()).then(|| number.to_owned())
    };
    let mut seen = BTreeSet::new();
    let wrong = |name: &&&str| number(name).is_none_or(|number| !seen.insert(number));
    let wrong: Vec<String> = names
        .iter()
        .filter(wrong)
        .map(ToString::to_string)
        .collect();
    expect_none(
        &wrong,
        "These files in docs/decisions have no number of four digits, or one that is taken:",
        "name the file `0012-what-was-decided.md` with the next free number.",
    );
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for file in documents() {
        let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
        for target in link_targets(&file.text) {
            let path = target.split('#').next().unwrap_or_default();
            let is_outside = target.contains("://") || target.starts_with("mailto:");
            if !is_outside && !path.is_empty() && !root().join(folder).join(path).exists() {
                broken.push(format!("{}: {target}", file.path));
            }
        }
    }
    expect_none(
        &broken,
        "These links lead nowhere:",
        "correct the path, which counts from the file's own folder.",
    );
}

/// The targets of `[text](target)`, code blocks left out.
fn link_targets(text: &str) -> Vec<&str> {
    let mut in_code = false;
    let mut targets = Vec::new();
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        if !in_code {
            let after = line.split("](").skip(1);
            targets.extend(after.filter_map(|rest| rest.split_once(')').map(|(target, _)| target)));
        }
    }
    targets
}

/// Where a section of the known attacks names its tests: "- `file`: `test`, `other_test`".
fn named_tests(line: &str) -> Option<(&str, Vec<&str>)> {
    let mut quoted = line.strip_prefix("- `")?.split('`').step_by(2);
    Some((
        quoted.next()?,
        quoted.filter(|name| !name.is_empty()).collect(),
    ))
}

#[test]
fn every_known_attack_names_tests_that_exist() {
    let path = "docs/security/known-attacks.md";
    let document = std::fs::read_to_string(root().join(path)).expect("the page exists");
    let mut wrong = Vec::new();
    for section in document.split("\n### ").skip(1) {
        let title = section.lines().next().unwrap_or_default();
        let mut tests = 0;
        for (file, names) in section.lines().filter_map(named_tests) {
            let source = std::fs::read_to_string(root().join(file)).unwrap_or_default();
            let is_missing = |name: &&&str| !source.contains(&format!("fn {name}("));
            let missing = names.iter().filter(is_missing);
            wrong.extend(missing.map(|name| format!("{title}: no {name} in {file}")));
            tests += names.len();
        }
        if tests == 0 {
            wrong.push(format!("{title}: names no test"));
        }
    }
    expect_none(
        &wrong,
        "These sections of docs/security/known-attacks.md are not held by a test:",
        "name the test that fails when the counter is gone; write it if there is none.",
    );
}

/// Folders that exist on one machine only.
fn machine_folders() -> Vec<String> {
    let mut folders: Vec<String> = ["/root/.", "/Users/", "/home/user"]
        .map(String::from)
        .to_vec();
    let checkout = root();
    folders.push(checkout.display().to_string());
    if let Some(parent) = checkout
        .parent()
        .filter(|parent| parent.components().count() > 1)
    {
        folders.push(format!("{}/", parent.display()));
    }
    folders
}

#[test]
fn no_file_names_a_folder_of_the_machine_it_was_written_on() {
    let own = "tests/house/prose.rs";
    let folders = machine_folders();
    let named = |file: &File| {
        let found = folders.iter().find(|folder| file.text.contains(*folder))?;
        Some(format!("{}: {found}", file.path))
    };
    let others = files().into_iter().filter(|file| file.path != own);
    expect_none(
        &others.filter_map(|file| named(&file)).collect::<Vec<_>>(),
        "These files name a folder of one machine:",
        "write the path from the root of the repository, or use a variable.",
    );
}

#[test]
fn lock_files_name_no_host() {
    let locks = files()
        .into_iter()
        .filter(|file| file.path.ends_with("package-lock.json"));
    let hosts: Vec<String> = locks
        .filter(|file| file.text.contains("\"resolved\": \"http"))
        .map(|file| file.path)
        .collect();
    expect_none(
        &hosts,
        "These lock files name the host their packages were fetched from:",
        "set `omit-lockfile-registry-resolved=true` in .npmrc and lock again.",
    );
}
