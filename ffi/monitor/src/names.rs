//! What numbers are called: the library's own names, as strings that live as long as it.

use crate::guard;
use hangwatch_core::Phase;
use hangwatch_core::judge::{Severity, Verdict};
use hangwatch_core::layout::phase::TABLE;
use hangwatch_core::segment::Presence;
use hangwatch_core::tell::EventKind;
use std::ffi::{CString, c_char, c_int};
use std::sync::OnceLock;

const UNKNOWN: *const c_char = c"unknown".as_ptr();

/// The `at`th of `names`, made into C strings once.
fn nth(known: &'static OnceLock<Vec<CString>>, names: impl Iterator<Item = &'static str>, at: Option<usize>) -> *const c_char {
    let known = known.get_or_init(|| names.map(|name| CString::new(name).unwrap_or_default()).collect());
    at.and_then(|at| known.get(at)).map_or(UNKNOWN, |name| name.as_ptr())
}

fn verdict_of(verdict: u32) -> Option<Verdict> {
    Verdict::ALL.into_iter().find(|known| *known as u32 == verdict)
}

/// `hangwatch_verdict_name`.
#[unsafe(no_mangle)]
pub extern "C" fn hangwatch_verdict_name(verdict: u32) -> *const c_char {
    static NAMES: OnceLock<Vec<CString>> = OnceLock::new();
    guard::or(UNKNOWN, || {
        if verdict == 0 {
            return c"none".as_ptr();
        }
        let at = Verdict::ALL.iter().position(|known| *known as u32 == verdict);
        nth(&NAMES, Verdict::ALL.iter().map(|verdict| verdict.name()), at)
    })
}

/// `hangwatch_verdict_is_acting`.
#[unsafe(no_mangle)]
pub extern "C" fn hangwatch_verdict_is_acting(verdict: u32) -> c_int {
    guard::or(0, || verdict_of(verdict).is_some_and(|verdict| verdict.severity() == Severity::Acting).into())
}

/// `hangwatch_event_kind_name`.
#[unsafe(no_mangle)]
pub extern "C" fn hangwatch_event_kind_name(kind: u32) -> *const c_char {
    static NAMES: OnceLock<Vec<CString>> = OnceLock::new();
    guard::or(UNKNOWN, || {
        let at = EventKind::ALL.iter().position(|known| *known as u32 == kind);
        nth(&NAMES, EventKind::ALL.iter().map(|kind| kind.name()), at)
    })
}

/// `hangwatch_phase_name`.
#[unsafe(no_mangle)]
pub extern "C" fn hangwatch_phase_name(phase: u32) -> *const c_char {
    static NAMES: OnceLock<Vec<CString>> = OnceLock::new();
    guard::or(UNKNOWN, || {
        let phase = u16::try_from(phase).map_or(Phase::Unknown(u16::MAX), Phase::from_id);
        if matches!(phase, Phase::User(_)) {
            return c"user".as_ptr();
        }
        nth(&NAMES, TABLE.iter().map(|row| row.name), TABLE.iter().position(|row| row.phase == phase))
    })
}

/// `hangwatch_presence_name`.
#[unsafe(no_mangle)]
pub extern "C" fn hangwatch_presence_name(presence: u32) -> *const c_char {
    static NAMES: OnceLock<Vec<CString>> = OnceLock::new();
    guard::or(UNKNOWN, || {
        let at = usize::try_from(presence).ok().and_then(|number| number.checked_sub(1));
        nth(&NAMES, Presence::ALL.iter().map(|presence| presence.name()), at)
    })
}
