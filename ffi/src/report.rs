//! The vocabulary. What each function does stands in the header; here C's values become Rust's, and any value is taken.

use crate::error::{CError, defect, told};
use crate::handle::{Handle, helper, worker};
use crate::{guard, text};
use hangwatch_core::layout::phase::Class;
use hangwatch_core::{Job, Outcome, Phase, Total, Worker};
use std::ffi::{c_char, c_int};
use std::time::Duration;

/// `HANGWATCH_PHASE_UNKNOWN`.
const UNKNOWN: u16 = u16::MAX;
/// `HANGWATCH_DEVICE_UNCHANGED`.
const UNCHANGED: u32 = u32::MAX;

/// `hangwatch_job_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct CJob {
    struct_size: usize,
    id: *const c_char,
    model: *const c_char,
    total: u64,
    batch: u64,
    size: u64,
    deadline_ms: u64,
    device: u32,
    reserved: u32,
}

/// Works on the worker behind `w`; nothing where there is none.
///
/// # Safety
/// `w` is NULL or a worker that is not detached, used by this thread alone.
#[inline(always)]
unsafe fn on(w: *const Handle, f: impl FnOnce(&mut Worker)) {
    // SAFETY: the caller's contract.
    guard::or((), || unsafe { worker(w) }.map_or((), f));
}

fn phase_of(id: u32) -> Phase {
    Phase::from_id(u16::try_from(id).unwrap_or(UNKNOWN))
}

/// `hangwatch_phase`.
///
/// # Safety
/// `w` is NULL or a worker that is not detached, used by this thread alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_phase(w: *mut Handle, phase: u32) {
    // SAFETY: the caller's contract.
    unsafe { on(w, |w| w.phase(phase_of(phase))) }
}

/// `hangwatch_phase_total`.
///
/// # Safety
/// As for [`hangwatch_phase`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_phase_total(w: *mut Handle, phase: u32, total: u64) {
    // SAFETY: the caller's contract.
    unsafe { on(w, |w| w.phase_total(phase_of(phase), Total::from_word(total))) }
}

/// `hangwatch_enter`.
///
/// # Safety
/// As for [`hangwatch_phase`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_enter(w: *mut Handle, phase: u32, total: u64) {
    // SAFETY: the caller's contract.
    unsafe { on(w, |w| w.enter(phase_of(phase), Total::from_word(total))) }
}

/// `hangwatch_leave`.
///
/// # Safety
/// As for [`hangwatch_phase`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_leave(w: *mut Handle) {
    // SAFETY: the caller's contract.
    unsafe { on(w, Worker::leave) }
}

/// `hangwatch_register_phase`.
///
/// # Safety
/// As for [`hangwatch_phase`]; `name` is NULL or a C string, `err` is NULL or memory for a `hangwatch_error_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_register_phase(
    w: *mut Handle,
    name: *const c_char,
    phase_class: u32,
    budget_ms: u64,
    err: *mut CError,
) -> u32 {
    guard::or(UNKNOWN.into(), || {
        // SAFETY: the caller's contract.
        let name = unsafe { text::lossy(name) };
        // SAFETY: the caller's contract.
        let worker = unsafe { worker(w) };
        // A class that does not fit its byte is work, as any unknown class is.
        let class = u8::try_from(phase_class).map_or(Class::Work, Class::from_bits);
        let budget = Duration::from_millis(budget_ms);
        let register = || match worker {
            Some(w) => w.register_phase(&name, class, budget),
            None => Worker::detached().register_phase(&name, class, budget),
        };
        let result = guard::or_message(register).unwrap_or_else(|panic| Err(defect("cannot register a phase", &panic)));
        // SAFETY: the caller's contract.
        unsafe { told(result, err) }.map_or(UNKNOWN.into(), |phase| phase.id().into())
    })
}

/// `hangwatch_begin_job`.
///
/// # Safety
/// As for [`hangwatch_phase`]; the strings are NULL or C strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_begin_job(w: *mut Handle, id: *const c_char, model: *const c_char, total: u64) {
    let begin = |w: &mut Worker| {
        // SAFETY: the caller's contract.
        let id = unsafe { text::lossy(id) };
        // SAFETY: the caller's contract.
        let model = unsafe { text::lossy(model) };
        w.begin_job(&id, &model, Total::from_word(total));
    };
    // SAFETY: the caller's contract.
    unsafe { on(w, begin) }
}

/// `hangwatch_begin_job_with`.
///
/// # Safety
/// As for [`hangwatch_phase`]; `job` is NULL or has `struct_size` readable bytes, its strings NULL or C strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_begin_job_with(w: *mut Handle, job: *const CJob) {
    // SAFETY: the caller's contract.
    let begin = |w: &mut Worker| unsafe { with_job(job, |job| w.begin_job_with(&job)) };
    // SAFETY: the caller's contract.
    unsafe { on(w, begin) }
}

/// # Safety
/// As for [`hangwatch_begin_job_with`].
unsafe fn with_job(job: *const CJob, f: impl FnOnce(Job<'_>)) {
    if job.is_null() {
        return f(Job::default());
    }
    // SAFETY: not NULL, and every version of the struct begins with its size.
    let struct_size = unsafe { job.cast::<usize>().read() };
    // A larger struct is a newer one: what this version knows stands first. A smaller one there never was.
    if struct_size < size_of::<CJob>() {
        return f(Job::default());
    }
    // SAFETY: at least that many bytes are readable by the caller's contract.
    let job = unsafe { job.read() };
    // SAFETY: the caller's contract.
    let id = unsafe { text::lossy(job.id) };
    // SAFETY: the caller's contract.
    let model = unsafe { text::lossy(job.model) };
    let mut said = Job::new(&id).model(&model).total(Total::from_word(job.total)).batch(job.batch).size(job.size);
    if job.deadline_ms != 0 {
        said = said.deadline(Duration::from_millis(job.deadline_ms));
    }
    if job.device != UNCHANGED {
        said = said.device(job.device);
    }
    f(said);
}

/// `hangwatch_step_linked`.
///
/// # Safety
/// As for [`hangwatch_phase`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_step_linked(w: *mut Handle, done: u64) {
    // SAFETY: the caller's contract.
    unsafe { on(w, |w| w.step(done)) }
}

/// `hangwatch_beat_linked`.
///
/// # Safety
/// As for [`hangwatch_phase`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_beat_linked(w: *mut Handle) {
    // SAFETY: the caller's contract.
    unsafe { on(w, Worker::beat) }
}

/// `hangwatch_alive`.
///
/// # Safety
/// `w` is NULL or a worker that is not detached before this returns; other threads may use it meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_alive(w: *mut Handle) {
    guard::or((), || {
        // SAFETY: the caller's contract.
        if let Some(helper) = unsafe { helper(w) } {
            helper.alive();
        }
    });
}

/// `hangwatch_begin_pass`.
///
/// # Safety
/// As for [`hangwatch_phase`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_begin_pass(w: *mut Handle) {
    // SAFETY: the caller's contract.
    unsafe { on(w, Worker::begin_pass) }
}

/// `hangwatch_extend`.
///
/// # Safety
/// As for [`hangwatch_phase`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_extend(w: *mut Handle, ms: u64) {
    // SAFETY: the caller's contract.
    unsafe { on(w, |w| w.extend(Duration::from_millis(ms))) }
}

/// `hangwatch_note`.
///
/// # Safety
/// As for [`hangwatch_phase`]; `note` is NULL or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_note(w: *mut Handle, note: *const c_char) {
    let write = |w: &mut Worker| {
        // SAFETY: the caller's contract.
        let note = unsafe { text::lossy(note) };
        w.note(&note);
    };
    // SAFETY: the caller's contract.
    unsafe { on(w, write) }
}

/// `hangwatch_end_job`.
///
/// # Safety
/// As for [`hangwatch_phase`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_end_job(w: *mut Handle, outcome: u32) {
    let outcome = match outcome {
        0 => Outcome::Ok,
        2 => Outcome::Cancelled,
        _ => Outcome::Failed,
    };
    // SAFETY: the caller's contract.
    unsafe { on(w, |w| w.end_job(outcome)) }
}

/// `hangwatch_should_stop`.
///
/// # Safety
/// As for [`hangwatch_phase`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_should_stop(w: *const Handle) -> c_int {
    guard::or(0, || {
        // SAFETY: the caller's contract.
        unsafe { worker(w) }.is_some_and(|w| w.should_stop()).into()
    })
}
