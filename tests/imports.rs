//! The test of imports: a module imports only from rows below its own. The table is the drawing of the layers; a new module
//! gets a row here first.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Module of `src/`, its row.
const ROWS: &[(&str, u8)] = &[
    ("sync", 0),
    ("clock", 0),
    ("os", 0),
    ("error", 0),
    ("layout", 1),
    ("helper", 1),
    ("segment", 2),
    ("snapshot", 2),
    ("policy", 2),
    ("worker", 3),
    ("reader", 3),
    ("observe", 3),
    ("judge", 3),
    ("learn", 3),
    ("rate", 3),
    ("record", 3),
    ("engine", 4),
    ("recover", 4),
    ("tell", 5),
    ("evidence", 5),
    ("monitor", 6),
];

/// The few edges within a row, and why.
const SAME_ROW: &[(&str, &str, &str)] = &[
    ("clock", "os", "the clock of the edge is a name for the system's"),
    ("judge", "observe", "verdicts are judged from the ages that observe makes"),
    ("learn", "observe", "gaps are timed by the ages that observe makes"),
    ("evidence", "tell", "a bundle begins with the event that opened its episode"),
    ("rate", "observe", "a rate is followed from what observe has seen"),
    ("record", "observe", "a trace holds the results of probes, which are observe's input"),
];

/// What rows would allow and purity forbids: a module, what it must not reach by any way of imports.
const NEVER_REACHES: &[(&str, &[&str])] = &[
    ("judge", &["segment", "clock", "os", "reader", "worker"]),
    ("learn", &["segment", "clock", "os", "reader", "worker"]),
    ("observe", &["segment", "clock", "os", "reader", "worker"]),
    ("engine", &["segment", "clock", "os", "reader", "worker"]),
    ("rate", &["segment", "clock", "os", "reader", "worker"]),
    ("record", &["segment", "os", "worker"]),
    ("snapshot", &["segment", "clock", "os"]),
    ("policy", &["segment", "clock", "os"]),
    ("layout", &["os", "clock", "error"]),
];

/// Who may ask what time it is; everywhere else `now` is an argument.
const MAY_READ_THE_CLOCK: &[&str] = &["evidence", "helper", "monitor", "worker"];

/// A source file: its module path (`["segment", "open"]`) and its tokens, comments and literals left out.
struct Source {
    path: PathBuf,
    module: Vec<String>,
    tokens: Vec<String>,
}

impl Source {
    fn top(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a source folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Identifiers, `::`, and single characters of punctuation.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        let raw = c == 'r' && (at(i + 1) == '"' || at(i + 1) == '#' && matches!(at(i + 2), '"' | '#'));
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && chars[i] != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                depth += i32::from(at(i) == '/' && at(i + 1) == '*') - i32::from(at(i) == '*' && at(i + 1) == '/');
                i += if matches!((at(i), at(i + 1)), ('/', '*') | ('*', '/')) { 2 } else { 1 };
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
        } else if raw {
            let hashes = (i + 1..).take_while(|&j| at(j) == '#').count();
            let end: String = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            i += 2 + hashes;
            while i < chars.len() && !chars[i..].starts_with(&end.chars().collect::<Vec<_>>()) {
                i += 1;
            }
            i += end.len();
        } else if c == '"' {
            i += 1;
            while i < chars.len() && chars[i] != '"' {
                i += if chars[i] == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if c == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            // A character, not a lifetime.
            i += if at(i + 1) == '\\' { 3 } else { 2 };
            while i < chars.len() && chars[i] != '\'' {
                i += 1;
            }
            i += 1;
        } else if is_word(c) {
            let end = (i..chars.len()).find(|&j| !is_word(chars[j])).unwrap_or(chars.len());
            tokens.push(chars[i..end].iter().collect());
            i = end;
        } else if c == ':' && at(i + 1) == ':' {
            tokens.push("::".into());
            i += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(c.into());
            }
            i += 1;
        }
    }
    tokens
}

/// All of src/, tests left out: a test may stand on any row.
fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    files(&src(), &mut paths);
    paths.sort();
    let mut sources = Vec::new();
    for path in paths {
        let relative = path.strip_prefix(src()).expect("inside").with_extension("");
        let mut module: Vec<String> = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if module.last().is_some_and(|last| last == "mod" || module.len() == 1 && last == "lib") {
            module.pop();
        }
        if module.iter().any(|part| part == "tests") {
            continue;
        }
        let tokens = without_tests(tokens(&fs::read_to_string(&path).expect("source text")));
        sources.push(Source { path, module, tokens });
    }
    sources
}

/// Leaves out `mod tests { … }`.
fn without_tests(tokens: Vec<String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        if tokens[i..].starts_with(&["mod".into(), "tests".into(), "{".into()]) {
            i = block_end(&tokens, i + 2);
        } else {
            kept.push(tokens[i].clone());
            i += 1;
        }
    }
    kept
}

/// Past the brace that closes the one at `open`.
fn block_end(tokens: &[String], open: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        depth += i32::from(token == "{") - i32::from(token == "}");
        if depth == 0 {
            return i + 1;
        }
    }
    tokens.len()
}

/// The first names of a path's tail: one, or those of a group.
fn heads(tokens: &[String]) -> Vec<&str> {
    if tokens.first().is_none_or(|t| t != "{") {
        return tokens.first().map(String::as_str).into_iter().collect();
    }
    let group = &tokens[1..block_end(tokens, 0).saturating_sub(1)];
    let mut depth = 0;
    let mut heads = Vec::new();
    let mut starts = true;
    for token in group {
        if starts && depth == 0 && token != "," {
            heads.push(token.as_str());
        }
        depth += i32::from(token == "{") - i32::from(token == "}");
        starts = depth == 0 && token == ",";
    }
    heads
}

/// What `crate::…` and enough `super::`s of a file lead to, as names at the crate's root.
fn names_at_root(source: &Source) -> BTreeSet<String> {
    let tokens = &source.tokens;
    let mut names = BTreeSet::new();
    // Inline modules around the place that is looked at: the depth of the brace that each began with.
    let (mut depth, mut inline) = (0, Vec::new());
    let mut i = 0;
    while i < tokens.len() {
        match tokens[i].as_str() {
            "{" => {
                if i >= 2 && tokens[i - 2] == "mod" {
                    inline.push(depth);
                }
                depth += 1;
            }
            "}" => {
                depth -= 1;
                if inline.last() == Some(&depth) {
                    inline.pop();
                }
            }
            "crate" if tokens.get(i + 1).is_some_and(|t| t == "::") => {
                names.extend(heads(&tokens[i + 2..]).into_iter().map(String::from));
            }
            "super" if i == 0 || tokens[i - 1] != "::" => {
                let supers = tokens[i..].chunks(2).take_while(|pair| pair == &["super", "::"]).count();
                if supers == source.module.len() + inline.len() {
                    names.extend(heads(&tokens[i + 2 * supers..]).into_iter().map(String::from));
                }
            }
            _ => {}
        }
        i += 1;
    }
    names
}

/// Names that lib.rs re-exports, with the module that they come from.
fn exports(sources: &[Source]) -> BTreeMap<String, String> {
    let lib = sources.iter().find(|s| s.module.is_empty()).expect("lib.rs");
    let mut exports = BTreeMap::new();
    for (i, _) in lib.tokens.windows(2).enumerate().filter(|(_, pair)| *pair == ["pub", "use"]) {
        let end = (i..).find(|&j| lib.tokens[j] == ";").expect("a use ends");
        let module = &lib.tokens[i + 2];
        exports.extend(lib.tokens[i + 3..end].iter().map(|name| (name.clone(), module.clone())));
    }
    exports
}

/// Which module imports which, with a file that does.
fn edges() -> BTreeMap<(String, String), PathBuf> {
    let sources = sources();
    let exports = exports(&sources);
    let mut edges = BTreeMap::new();
    for source in sources.iter().filter(|s| !s.module.is_empty()) {
        for name in names_at_root(source) {
            let to = exports.get(&name).unwrap_or(&name).clone();
            if to != source.top() {
                edges.insert((source.top().to_string(), to), source.path.clone());
            }
        }
    }
    edges
}

fn row(module: &str) -> Option<u8> {
    ROWS.iter().find(|(name, _)| *name == module).map(|(_, row)| *row)
}

#[test]
fn every_module_stands_on_a_row() {
    let unknown: BTreeSet<_> = sources().iter().map(|s| s.top().to_string()).filter(|m| m != "lib" && row(m).is_none()).collect();
    assert!(unknown.is_empty(), "give them a row in ROWS: {unknown:?}");
}

#[test]
fn a_module_imports_only_from_rows_below_its_own() {
    let edges = edges();
    assert!(edges.contains_key(&("segment".into(), "layout".into())), "the scan sees what is there: {edges:?}");
    let mut wrong = Vec::new();
    for ((from, to), file) in &edges {
        let allowed = match (row(from), row(to)) {
            (Some(from_row), Some(to_row)) if from_row == to_row => {
                SAME_ROW.iter().any(|(f, t, _)| (f, t) == (&from.as_str(), &to.as_str()))
            }
            (Some(from_row), Some(to_row)) => from_row > to_row,
            _ => false,
        };
        if !allowed {
            wrong.push(format!("{}: {from} (row {:?}) imports {to} (row {:?})", file.display(), row(from), row(to)));
        }
    }
    assert!(wrong.is_empty(), "a module imports only from rows below its own:\n{}", wrong.join("\n"));
}

#[test]
fn what_is_pure_reaches_no_memory_no_clock_and_no_system() {
    let edges = edges();
    let mut wrong = Vec::new();
    for (from, never) in NEVER_REACHES {
        let mut reached = BTreeMap::from([((*from).to_string(), (*from).to_string())]);
        let mut todo = vec![(*from).to_string()];
        while let Some(module) = todo.pop() {
            for (_, to) in edges.keys().filter(|(f, _)| *f == module) {
                if !reached.contains_key(to) {
                    reached.insert(to.clone(), format!("{} -> {to}", reached[&module]));
                    todo.push(to.clone());
                }
            }
        }
        wrong.extend(never.iter().filter_map(|to| reached.get(*to).cloned()));
    }
    assert!(wrong.is_empty(), "these ways must not be:\n{}", wrong.join("\n"));
}

#[test]
fn only_the_acts_of_recovery_touch_the_system() {
    let sources = sources();
    for source in sources
        .iter()
        .filter(|s| s.top() == "recover" && s.module.get(1).is_none_or(|part| !part.starts_with("act") && part != "tree"))
    {
        let names = names_at_root(source);
        let touched: Vec<_> = ["os", "clock", "segment"].into_iter().filter(|n| names.contains(*n)).collect();
        assert!(touched.is_empty(), "{}: ladder and budget are pure, it imports {touched:?}", source.path.display());
    }
}

#[test]
fn now_is_asked_at_the_edge_only() {
    for ((from, to), file) in edges() {
        assert!(to != "clock" || MAY_READ_THE_CLOCK.contains(&from.as_str()), "{}: `now` is an argument here", file.display());
    }
    for source in sources().iter().filter(|s| !matches!(s.top(), "clock" | "os")) {
        for reading in [["Instant", "::", "now"], ["SystemTime", "::", "now"]] {
            let found = source.tokens.windows(3).any(|w| w == reading);
            assert!(!found, "{}: {} is clock's and os's", source.path.display(), reading.concat());
        }
    }
}

#[test]
fn unsafe_stands_in_segment_and_os_only() {
    for source in sources() {
        let found = source.tokens.iter().any(|token| token == "unsafe");
        assert!(!found || matches!(source.top(), "segment" | "os"), "{}: unsafe in a safe layer", source.path.display());
    }
}

#[test]
fn the_layout_knows_no_type_whose_size_differs_by_machine() {
    for source in sources().iter().filter(|s| s.top() == "layout") {
        let found = source.tokens.iter().any(|t| matches!(t.as_str(), "crossbeam_utils" | "CachePadded"));
        assert!(!found, "{}: CachePadded is 32 to 256 bytes, by architecture", source.path.display());
    }
}

#[test]
fn the_scan_reads_groups_supers_and_inline_modules_and_no_comments() {
    let source = |module: &[&str], text: &str| Source {
        path: PathBuf::new(),
        module: module.iter().map(|m| (*m).to_string()).collect(),
        tokens: without_tests(tokens(text)),
    };
    let names = |module: &[&str], text: &str| names_at_root(&source(module, text)).into_iter().collect::<Vec<_>>();
    assert_eq!(
        names(&["a"], "use crate::{b::{c, d}, e, f::g}; // crate::x\n/* crate::y */ fn h() -> crate::i::J {}"),
        ["b", "e", "f", "i"]
    );
    assert_eq!(
        names(&["a"], r##"const S: &str = "crate::x \" crate::y"; const R: &str = r#"crate::z"#; type T = crate::t::T;"##),
        ["t"]
    );
    assert_eq!(names(&["a"], "fn f<'a>(c: char) -> bool { c == '\"' || c == '\\'' || crate::t::f(c) }"), ["t"]);
    assert_eq!(names(&["a", "b"], "use super::c; use super::super::d;"), ["d"], "one super stays inside, two leave");
    assert_eq!(
        names(&["a"], "use super::d; mod m { use super::x; use super::super::e; } use super::{f, g::h};"),
        ["d", "e", "f", "g"]
    );
    assert_eq!(names(&["a"], "mod tests { use crate::x; } use crate::y;"), ["y"], "a test may stand on any row");
}

#[test]
fn no_signal_goes_by_a_number() {
    for source in sources() {
        let calls: Vec<_> = ["kill", "killpg", "tgkill", "tkill", "SYS_kill", "SYS_tkill", "SYS_tgkill", "sigqueue"]
            .into_iter()
            .filter(|call| source.tokens.windows(3).any(|t| t[0] == "libc" && t[1] == "::" && t[2] == *call))
            .collect();
        assert!(calls.is_empty(), "{}: a signal goes through a pidfd or not at all, here is {calls:?}", source.path.display());
    }
    let seen = |call: &str| sources().iter().any(|s| s.tokens.windows(3).any(|t| t[0] == "libc" && t[1] == "::" && t[2] == call));
    assert!(seen("SYS_pidfd_send_signal") && seen("syscall"), "the scan sees the calls that are there");
}
