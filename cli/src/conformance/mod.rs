//! The conformance suite: what a writer's calls must do to its slot, looked at from outside. `docs/conformance.md` has the lines
//! that a writer reads and answers.
//!
//! ```text
//! suite ── a call a line ──► writer ── stores ──► a segment in a folder of the case's own
//!   ▲  ◄── an answer a line ──┘                          │
//!   └──────────────── every word, read from the file ◄───┘
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `world` | the writer under test, and a stage for each case: folder, segment, process |
//! | `stage` | one case's segment and writer: calls, and what the slot says after them |
//! | `seen` | a slot as it was read, and how a case says what is wrong with it |
//! | the others | the cases, a table a file: one row a case, its name the sentence that it proves |

mod attach;
mod count;
mod end;
mod gpu;
mod job;
mod lane;
mod lease;
mod phase;
mod record;
mod refuse;
mod seen;
mod stage;
mod stop;
mod stores;
mod twin;
mod world;

pub(crate) use world::World;

/// Whether a writer may lack it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// Without it a worker is judged wrongly, or others are harmed: a call that is not supported fails the case.
    Core,
    /// A call that is not supported skips the case.
    Full,
}

/// Why a case did not come to its end.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The writer did something else than it must.
    Failed(String),
    /// The writer does not have what the case is about.
    Unsupported(String),
    /// Somebody has asked the suite to end.
    Stopped,
    /// The suite itself could not go on.
    Broken(hangwatch::Error),
}

/// A case's outcome: it is proven, or why not.
pub(crate) type Proof = Result<(), Halt>;

/// One row.
pub(crate) struct Case {
    /// `group::sentence`.
    pub(crate) name: &'static str,
    pub(crate) level: Level,
    pub(crate) prove: fn(&World) -> Proof,
}

/// All cases, in the order in which they run: what the later ones build on comes first.
pub(crate) fn cases() -> impl Iterator<Item = &'static Case> {
    [
        attach::CASES,
        count::CASES,
        phase::CASES,
        job::CASES,
        record::CASES,
        lease::CASES,
        stop::CASES,
        lane::CASES,
        gpu::CASES,
        end::CASES,
        refuse::CASES,
        stores::CASES,
        twin::CASES,
    ]
    .into_iter()
    .flatten()
}

/// A row of a table of cases.
macro_rules! table {
    ($group:ident: $( $level:ident $name:ident; )*) => {
        pub(super) const CASES: &[super::Case] = &[$( super::Case {
            name: concat!(stringify!($group), "::", stringify!($name)),
            level: super::Level::$level,
            prove: $name,
        }, )*];
    };
}
use table;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_a_name_of_its_own_and_the_page_names_each_group() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/conformance.md")).expect("the page");
        let mut names: Vec<&str> = cases().map(|case| case.name).collect();
        for name in &names {
            let group = name.split("::").next().expect("a group");
            assert!(page.contains(&format!("| `{group}` |")), "docs/conformance.md lacks {group}");
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
