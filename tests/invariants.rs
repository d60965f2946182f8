//! `docs/invariants.md` is kept true: every invariant has its line, and every test that a line names exists.

use std::fs;
use std::path::{Path, PathBuf};

const COUNT: usize = 25;
/// Areas that may still owe a proof.
const AREAS: [&str; 3] = ["judgement", "recovery", "languages"];

struct Line {
    number: usize,
    proofs: Vec<(String, String)>,
    owed: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The table's lines; whatever is not a line of it is prose.
fn lines() -> Vec<Line> {
    let text = fs::read_to_string(root().join("docs/invariants.md")).expect("the table");
    let rows = text.lines().filter(|line| line.starts_with("| I"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [number, says, proofs, owed] = cells[..] else { panic!("four cells: {line}") };
        assert!(says.chars().count() > 10, "an invariant is a sentence: {line}");
        let items =
            |cell: &str| cell.split(',').map(|item| item.trim().to_string()).filter(|item| !item.is_empty()).collect::<Vec<_>>();
        let proof = |item: String| {
            let item = item.trim_matches('`');
            let (file, function) = item.split_once("::").unwrap_or_else(|| panic!("file::function, met '{item}'"));
            (file.to_string(), function.to_string())
        };
        Line {
            number: number.trim_start_matches('I').parse().unwrap_or_else(|_| panic!("a number: {line}")),
            proofs: items(proofs).into_iter().map(proof).collect(),
            owed: items(owed),
        }
    })
    .collect()
}

/// The text of a file, or of all files of a folder.
fn source(path: &Path) -> String {
    if path.is_dir() {
        let mut parts: Vec<PathBuf> = fs::read_dir(path).expect("a folder").map(|e| e.expect("an entry").path()).collect();
        parts.sort();
        return parts.iter().map(|part| source(part)).collect();
    }
    fs::read_to_string(path).unwrap_or_default()
}

/// Whether `text` defines a function of exactly this name, in Rust or in Python.
fn defines(text: &str, function: &str) -> bool {
    ["fn", "def"].iter().any(|keyword| {
        text.match_indices(&format!("{keyword} {function}")).any(|(at, found)| {
            let next = text[at + found.len()..].chars().next();
            next.is_some_and(|c| matches!(c, '(' | '<'))
        })
    })
}

#[test]
fn every_invariant_has_one_line_and_each_line_a_proof_or_an_owner() {
    let lines = lines();
    let numbers: Vec<usize> = lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, (1..=COUNT).collect::<Vec<_>>(), "every number once, in order");
    for line in &lines {
        assert!(!line.proofs.is_empty() || !line.owed.is_empty(), "I{}: neither proven nor owed", line.number);
        let unknown: Vec<_> = line.owed.iter().filter(|area| !AREAS.contains(&area.as_str())).collect();
        assert!(unknown.is_empty(), "I{}: owed by {unknown:?}, expected some of {AREAS:?}", line.number);
    }
}

#[test]
fn every_test_that_the_table_names_exists() {
    let models = root().join("src/layout/models");
    let mut missing = Vec::new();
    for line in lines() {
        for (file, function) in line.proofs {
            let path = if file == "models" { models.clone() } else { root().join(&file) };
            if !defines(&source(&path), &function) {
                missing.push(format!("I{}: {file}::{function}", line.number));
            }
        }
    }
    assert!(missing.is_empty(), "the table names tests that do not exist:\n{}", missing.join("\n"));
}

#[test]
fn a_name_that_only_begins_like_a_test_is_not_that_test() {
    assert!(defines("fn a_b() {}", "a_b") && defines("fn a_b<T>() {}", "a_b"));
    assert!(!defines("fn a_bc() {}", "a_b") && !defines("// fn a_b", "a_b"));
}
