//! The monitor as threads of the host. What each function does stands in the header.

use crate::call::{Grows, given, place, put, size_of_theirs, tried, usage};
use crate::error::CError;
use crate::event::{OnEvent, tell};
use crate::snapshot::{CSnapshot, NS_UNKNOWN};
use crate::{guard, policy, reader};
use hangwatch_core::Result;
use hangwatch_core::monitor::{Health, Hosted, Monitor};
use hangwatch_core::policy::PolicySet;
use hangwatch_core::segment::{Geometry, Segment};
use hangwatch_core::tell::{Event, Sink};
use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;

/// `hangwatch_monitor_t`. Any thread may use it, several at once.
#[derive(Debug)]
pub struct Handle(Hosted);

/// `hangwatch_monitor_options_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct COptions {
    struct_size: usize,
    segment: *const c_char,
    policy: *const policy::Handle,
    on_event: Option<OnEvent>,
    user_data: *mut c_void,
    learnt: *const c_char,
    mode: u32,
    slots: u32,
    slot_size: u32,
    unlink_at_end: u32,
}

/// `hangwatch_monitor_status_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct CMonitorStatus {
    struct_size: usize,
    is_running: i32,
    presence: u32,
    polls: u64,
    good_polls: u64,
    events_lost: u64,
    interval_ns: u64,
    last_poll_age_ns: u64,
    late_ns: u64,
    worst_late_ns: u64,
    worst_case_detection_ns: u64,
}

const _: () = assert!(size_of::<usize>() != 8 || (size_of::<COptions>() == 64 && size_of::<CMonitorStatus>() == 80));

// SAFETY: it is repr(C), and its size is its first member.
unsafe impl Grows for COptions {
    fn with_size(self, struct_size: usize) -> Self {
        Self { struct_size, ..self }
    }
}

// SAFETY: it is repr(C), and its size is its first member.
unsafe impl Grows for CMonitorStatus {
    fn with_size(self, struct_size: usize) -> Self {
        Self { struct_size, ..self }
    }
}

/// `HANGWATCH_MODE_ACT`; `HANGWATCH_MODE_OBSERVE` is 0.
const ACT: u32 = 1;

/// Hands events to the host.
struct CallsBack {
    on_event: OnEvent,
    user_data: *mut c_void,
}

// SAFETY: by the header the host's callback may be called on another thread with what it gave as user data.
unsafe impl Send for CallsBack {}

impl Sink for CallsBack {
    fn tell(&mut self, event: &Event) {
        // SAFETY: the header's contract: it is called here until the monitor has stopped.
        unsafe { tell(event, self.on_event, self.user_data) };
    }
}

impl Handle {
    /// # Safety
    /// As for [`hangwatch_monitor_start`].
    unsafe fn start(options: *const COptions, what: &str) -> Result<Self> {
        // SAFETY: the caller's contract.
        unsafe { size_of_theirs(options, what, "the options struct") }?;
        // SAFETY: not NULL, and at least that large by its own word; what a newer version has besides stands after it.
        let options = unsafe { options.read() };
        if options.mode > ACT {
            return Err(usage(what, format!("mode {} is none, expected HANGWATCH_MODE_OBSERVE or _ACT", options.mode)));
        }
        // SAFETY: NULL or a policy by the caller's contract.
        let policies = match unsafe { options.policy.as_ref() } {
            Some(policy) => policy.built()?,
            None => PolicySet::default(),
        };
        // SAFETY: the caller's contract.
        let path = unsafe { place(options.segment, what) }?;
        let usual = Geometry::from_env()?;
        let or_usual = |given: u32, usual: u32| if given == 0 { usual } else { given };
        let geometry =
            Geometry { slots: or_usual(options.slots, usual.slots), slot_size: or_usual(options.slot_size, usual.slot_size) };
        let segment = Arc::new(Segment::open_or_create(&path, geometry)?);
        let mut builder = Monitor::builder(segment).policies(policies.clone()).without_log().without_signals().follow();
        if !options.learnt.is_null() {
            // SAFETY: not NULL, so a C string by the caller's contract.
            builder = builder.learnt(unsafe { given(options.learnt, what, "the file of what is learnt") }?);
        }
        if options.mode == ACT {
            builder = builder.act_on_others();
        }
        if options.unlink_at_end != 0 {
            builder = builder.unlink_at_end();
        }
        if let Some(on_event) = options.on_event {
            builder = builder.sink(Box::new(CallsBack { on_event, user_data: options.user_data }));
        }
        Ok(Self(Hosted::new(builder.spawn()?, policies)))
    }
}

fn told(health: &Health) -> CMonitorStatus {
    CMonitorStatus {
        struct_size: 0,
        is_running: health.is_running.into(),
        presence: reader::presence_number(health.presence),
        polls: health.polls,
        good_polls: health.good_polls,
        events_lost: health.events_lost,
        interval_ns: health.interval,
        last_poll_age_ns: health.last_poll_age.unwrap_or(NS_UNKNOWN),
        late_ns: health.late,
        worst_late_ns: health.worst_late,
        worst_case_detection_ns: health.worst_case_detection,
    }
}

/// The monitor behind `m`; an error for NULL.
///
/// # Safety
/// `m` is NULL or a monitor that is not stopped during `'a`.
unsafe fn monitor<'a>(m: *const Handle, what: &str) -> Result<&'a Hosted> {
    // SAFETY: the caller's contract.
    unsafe { m.as_ref() }.map(|handle| &handle.0).ok_or_else(|| usage(what, "the monitor is NULL"))
}

/// `hangwatch_monitor_start`.
///
/// # Safety
/// `options` is NULL or has `struct_size` readable bytes, its strings NULL or C strings, its policy NULL or not freed; its callback
/// may be called on another thread until the monitor has stopped. `err` is NULL or memory for a `hangwatch_error_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_monitor_start(options: *const COptions, err: *mut CError) -> *mut Handle {
    guard::or(ptr::null_mut(), || {
        let what = "cannot start a monitor";
        // SAFETY: the caller's contract.
        let start = || unsafe { Handle::start(options, what) };
        // SAFETY: the caller's contract.
        unsafe { tried(what, start, err) }.map_or(ptr::null_mut(), |handle| Box::into_raw(Box::new(handle)))
    })
}

/// `hangwatch_monitor_stop`.
///
/// # Safety
/// `m` is NULL or a monitor that was not stopped before and that no other thread uses any more; `err` is NULL or memory for a
/// `hangwatch_error_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_monitor_stop(m: *mut Handle, err: *mut CError) -> c_int {
    guard::or(0, || {
        let what = "cannot stop a monitor";
        let stop = || {
            // SAFETY: the caller's contract.
            let Some(handle) = (unsafe { m.as_ref() }) else { return Ok(()) };
            handle.0.stop(what)?;
            // SAFETY: the box that `hangwatch_monitor_start` gave away, taken back once. Its callback has returned for the last time,
            // and no other thread uses it by the caller's contract.
            unsafe { Box::from_raw(m) }.0.discard();
            Ok(())
        };
        // SAFETY: the caller's contract.
        unsafe { tried(what, stop, err) }.is_some().into()
    })
}

/// `hangwatch_monitor_reload`.
///
/// # Safety
/// `m` is NULL or a monitor that is not stopped meanwhile, `p` is NULL or a policy that is not freed, used by this thread alone;
/// `err` is NULL or memory for a `hangwatch_error_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_monitor_reload(m: *const Handle, p: *const policy::Handle, err: *mut CError) -> c_int {
    guard::or(0, || {
        let what = "cannot reload a monitor's policy";
        let reload = || {
            // SAFETY: the caller's contract.
            let handle = unsafe { monitor(m, what) }?;
            // SAFETY: the caller's contract.
            let policies = unsafe { p.as_ref() }.map_or_else(|| Ok(PolicySet::default()), policy::Handle::built)?;
            handle.reload(what, policies)
        };
        // SAFETY: the caller's contract.
        unsafe { tried(what, reload, err) }.is_some().into()
    })
}

/// `hangwatch_monitor_status`.
///
/// # Safety
/// `m` is NULL or a monitor that is not stopped meanwhile, `status` is NULL or a struct whose size is set; `err` is NULL or memory
/// for a `hangwatch_error_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_monitor_status(m: *const Handle, status: *mut CMonitorStatus, err: *mut CError) -> c_int {
    guard::or(0, || {
        let what = "cannot tell a monitor's status";
        let tell = || {
            // SAFETY: the caller's contract.
            let monitor = unsafe { monitor(m, what) }?;
            monitor.ask(what, |_| ())?;
            let told = told(&monitor.health(what)?);
            // SAFETY: the caller's contract.
            unsafe { put(status, told, what, "the status") }
        };
        // SAFETY: the caller's contract.
        unsafe { tried(what, tell, err) }.is_some().into()
    })
}

/// `hangwatch_monitor_read`.
///
/// # Safety
/// As for [`hangwatch_monitor_status`], with a snapshot in the status' place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_monitor_read(
    m: *const Handle,
    slot: u32,
    snapshot: *mut CSnapshot,
    err: *mut CError,
) -> c_int {
    guard::or(0, || {
        let what = "cannot read a slot";
        let read = || {
            // SAFETY: the caller's contract.
            let handle = unsafe { monitor(m, what) }?;
            let (view, clocks) = handle.read(what, slot)?;
            let told = CSnapshot::new(&view, &clocks);
            // SAFETY: the caller's contract.
            unsafe { put(snapshot, told, what, "the snapshot") }
        };
        // SAFETY: the caller's contract.
        unsafe { tried(what, read, err) }.is_some().into()
    })
}

/// `hangwatch_monitor_next`.
///
/// # Safety
/// As for [`hangwatch_monitor_read`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_monitor_next(
    m: *const Handle,
    from: u32,
    snapshot: *mut CSnapshot,
    err: *mut CError,
) -> c_int {
    guard::or(0, || {
        let what = "cannot read slots";
        let read = || {
            // SAFETY: the caller's contract.
            let handle = unsafe { monitor(m, what) }?;
            let Some((view, clocks)) = handle.next(what, from)? else { return Ok(false) };
            let told = CSnapshot::new(&view, &clocks);
            // SAFETY: the caller's contract.
            unsafe { put(snapshot, told, what, "the snapshot") }.map(|()| true)
        };
        // SAFETY: the caller's contract.
        unsafe { tried(what, read, err) }.unwrap_or(false).into()
    })
}
