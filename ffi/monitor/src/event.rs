//! `hangwatch_event_t`: what a callback gets, for as long as it runs.

use crate::snapshot::{self, NS_UNKNOWN, UNKNOWN, ns_of};
use hangwatch_core::layout::slot::NO_PROGRESS;
use hangwatch_core::layout::word::Kind;
use hangwatch_core::tell::Event;
use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::time::UNIX_EPOCH;

/// `hangwatch_event_t`.
#[repr(C)]
#[derive(Debug)]
pub struct CEvent {
    struct_size: usize,
    kind: u32,
    verdict: u32,
    slot: i32,
    slot_kind: u32,
    pid: u32,
    generation: u32,
    device: u32,
    reserved: u32,
    episode: u64,
    time_ns: u64,
    heartbeat_age_ns: u64,
    progress_age_ns: u64,
    budget_ns: u64,
    spent_ns: u64,
    done: u64,
    total: u64,
    percent: f64,
    clock: *const c_char,
    segment: *const c_char,
    worker: *const c_char,
    model: *const c_char,
    job: *const c_char,
    phase: *const c_char,
    detail: *const c_char,
    sentence: *const c_char,
    json: *const c_char,
    lane: *const c_char,
}

const _: () = assert!(size_of::<usize>() != 8 || size_of::<CEvent>() == 192);

/// `hangwatch_on_event_t`.
pub type OnEvent = unsafe extern "C" fn(*const CEvent, *mut c_void);

/// The event's texts, kept while a callback looks at them.
#[derive(Debug, Default)]
struct Texts(Vec<CString>);

impl Texts {
    /// The text in C, NULL where there is none. The string stays where it is when the list moves.
    fn keep(&mut self, text: Option<&str>) -> *const c_char {
        let Some(text) = text else { return ptr::null() };
        // What workers said is escaped by now, so none holds a NUL; a path cannot.
        self.0.push(CString::new(text.replace('\0', "\\0")).unwrap_or_default());
        self.0.last().map_or(ptr::null(), |kept| kept.as_ptr())
    }
}

/// By its name; a worker where it is about no slot.
fn slot_kind(name: Option<&str>) -> u32 {
    let known = [Kind::Worker, Kind::Lane, Kind::Gpu].into_iter().find(|known| Some(known.name()) == name);
    known.map_or_else(|| if name.is_some() { u8::MAX.into() } else { 0 }, snapshot::kind)
}

/// Calls back with the event.
///
/// # Safety
/// `on_event` may be called with `user_data` on this thread.
pub(crate) unsafe fn tell(event: &Event, on_event: OnEvent, user_data: *mut c_void) {
    let mut texts = Texts::default();
    let percent = match (event.done, event.total) {
        (Some(done), Some(total)) if total > 0 => (done as f64 / total as f64 * 100.0).min(100.0),
        _ => UNKNOWN,
    };
    let since_epoch = event.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let told = CEvent {
        struct_size: size_of::<CEvent>(),
        kind: event.event as u32,
        verdict: event.verdict.map_or(0, |verdict| verdict as u32),
        slot: event.slot.and_then(|slot| i32::try_from(slot).ok()).unwrap_or(-1),
        slot_kind: slot_kind(event.kind),
        pid: event.pid.unwrap_or(0),
        generation: event.generation.unwrap_or(0).into(),
        device: event.device.map_or(u32::MAX, |device| u32::try_from(device).unwrap_or(u32::MAX)),
        reserved: 0,
        episode: event.episode.unwrap_or(0),
        time_ns: u64::try_from(since_epoch.as_nanos()).unwrap_or(NS_UNKNOWN),
        heartbeat_age_ns: ns_of(event.heartbeat_age_s),
        progress_age_ns: ns_of(event.progress_age_s),
        budget_ns: ns_of(event.budget_s),
        spent_ns: ns_of(event.spent_s),
        done: event.done.unwrap_or(NO_PROGRESS),
        // What the event does not know: none was reported, or its total is not known.
        total: event.total.unwrap_or(u64::MAX),
        percent,
        clock: texts.keep(event.clock),
        segment: texts.keep(Some(&event.segment)),
        worker: texts.keep(event.worker.as_deref()),
        model: texts.keep(event.model.as_deref()),
        job: texts.keep(event.job.as_deref()),
        phase: texts.keep(event.phase.as_deref()),
        detail: texts.keep(event.detail.as_deref()),
        sentence: texts.keep(Some(&event.sentence())),
        json: texts.keep(Some(&event.to_json().unwrap_or_else(|| "{}".into()))),
        lane: texts.keep(event.lane.as_deref()),
    };
    // SAFETY: the caller's contract; the event and its texts live until this returns.
    unsafe { on_event(&told, user_data) };
}
