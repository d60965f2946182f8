//! The C API: its header against the library, its calls as Rust sees them, and its examples.

mod behaviour;
mod build;
mod cpp;
mod cuda;
mod examples;
mod forms;
mod groups;
#[path = "../../ffi/src/guard.rs"]
mod guard;
mod header;
mod monitor;
mod package;
mod phases;
mod refusals;
mod sanitizers;
mod script;
#[path = "../common/words.rs"]
mod words;

use build::skipped;

#[test]
fn a_panic_becomes_a_value_and_never_unwinds_into_the_host() {
    assert_eq!(guard::or(7, || panic!("a defect")), 7);
    assert_eq!(guard::or(7, || 8), 8);
    assert_eq!(guard::or_message(|| -> u8 { panic!("a defect") }), Err("a defect".to_string()));
    assert_eq!(guard::or_message(|| -> u8 { panic!("defect {}", 2) }), Err("defect 2".to_string()));
    assert_eq!(guard::or_message(|| 8), Ok(8));
}
