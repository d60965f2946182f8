//! What a monitor expects of workers: keys of the policy table with their values as text. What each function does stands in the
//! header.

use crate::call::{given, tried, usage};
use crate::error::CError;
use crate::guard;
use hangwatch_core::Result;
use hangwatch_core::policy::{Entry, Key, Layered, Mismatch, Of, Origin, PolicySet, Profile, Value};
use std::ffi::{c_char, c_int};
use std::ptr;

/// `hangwatch_policy_t`. It belongs to one thread at a time.
#[derive(Debug, Default)]
pub struct Handle {
    profile: Option<&'static Profile>,
    values: Values,
    entries: Vec<(Of, String, Values)>,
}

type Values = Vec<(&'static str, Value)>;

/// Whom a value is for.
type Whom<'a> = Option<(Of, &'a str)>;

impl Handle {
    fn set(&mut self, whom: Whom<'_>, key: &str, value: &str) -> Result<()> {
        if key == "profile" {
            return match whom {
                None => profile(value).map(|profile| self.profile = Some(profile)),
                Some((of, _)) => Err(usage("cannot set policy key 'profile'", format!("{} have none", of.section()))),
            };
        }
        let (key, value) = Key::parse(key, value)?;
        let values = match whom {
            None => &mut self.values,
            Some((of, pattern)) => {
                let known = self.entries.iter().position(|(known, name, _)| *known == of && name == pattern);
                let at = known.unwrap_or_else(|| {
                    self.entries.push((of, pattern.to_owned(), Vec::new()));
                    self.entries.len() - 1
                });
                &mut self.entries[at].2
            }
        };
        // The one that was set last is in force.
        values.retain(|(name, _)| *name != key.name);
        values.push((key.name, value));
        Ok(())
    }

    /// The policies, if they hold together.
    pub(crate) fn built(&self) -> Result<PolicySet> {
        let mut base = Layered::new();
        if let Some(profile) = self.profile {
            base.profile(profile)?;
        }
        let called = |function: &str| Origin::Flag(function.to_owned());
        base.layer(self.values.iter().map(|(name, value)| (*name, *value, called("hangwatch_policy_set"))))?;
        let entry = |(of, pattern, values): &(Of, String, Values)| {
            let function = match of {
                Of::Model => "hangwatch_policy_set_for_model",
                Of::Worker => "hangwatch_policy_set_for_worker",
            };
            let values = values.iter().map(|(name, value)| (*name, *value, called(function))).collect();
            Entry { of: *of, pattern: pattern.clone(), values }
        };
        PolicySet::new(base, self.entries.iter().map(entry).collect())
    }
}

fn profile(name: &str) -> Result<&'static Profile> {
    let refuse = |mismatch: Mismatch| usage("cannot set policy key 'profile'", mismatch.why).hint(mismatch.hint);
    Profile::named(name).map_err(refuse)
}

/// `hangwatch_policy_new`.
#[unsafe(no_mangle)]
pub extern "C" fn hangwatch_policy_new() -> *mut Handle {
    guard::or(ptr::null_mut(), || Box::into_raw(Box::default()))
}

/// # Safety
/// As for [`hangwatch_policy_set`]; `pattern` is NULL or a C string, and not looked at where the value is everybody's.
unsafe fn set(p: *mut Handle, of: Option<Of>, pattern: *const c_char, key: *const c_char, value: *const c_char) -> Result<()> {
    let what = "cannot set a policy key";
    // SAFETY: the caller's contract.
    let policy = unsafe { p.as_mut() }.ok_or_else(|| usage(what, "the policy is NULL"))?;
    // SAFETY: the caller's contract.
    let key = unsafe { given(key, what, "the key") }?;
    // SAFETY: the caller's contract.
    let value = unsafe { given(value, what, "the value") }?;
    let whom = match of {
        None => None,
        // SAFETY: the caller's contract.
        Some(of) => Some((of, unsafe { given(pattern, what, "the pattern") }?)),
    };
    policy.set(whom, key, value)
}

/// `hangwatch_policy_set`.
///
/// # Safety
/// `p` is NULL or a policy that is not freed, used by this thread alone; the strings are NULL or C strings; `err` is NULL or memory
/// for a `hangwatch_error_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_policy_set(
    p: *mut Handle,
    key: *const c_char,
    value: *const c_char,
    err: *mut CError,
) -> c_int {
    guard::or(0, || {
        // SAFETY: the caller's contract.
        let set = || unsafe { set(p, None, ptr::null(), key, value) };
        // SAFETY: the caller's contract.
        unsafe { tried("cannot set a policy key", set, err) }.is_some().into()
    })
}

/// `hangwatch_policy_set_for_model`.
///
/// # Safety
/// As for [`hangwatch_policy_set`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_policy_set_for_model(
    p: *mut Handle,
    pattern: *const c_char,
    key: *const c_char,
    value: *const c_char,
    err: *mut CError,
) -> c_int {
    guard::or(0, || {
        // SAFETY: the caller's contract.
        let set = || unsafe { set(p, Some(Of::Model), pattern, key, value) };
        // SAFETY: the caller's contract.
        unsafe { tried("cannot set a policy key", set, err) }.is_some().into()
    })
}

/// `hangwatch_policy_set_for_worker`.
///
/// # Safety
/// As for [`hangwatch_policy_set`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_policy_set_for_worker(
    p: *mut Handle,
    pattern: *const c_char,
    key: *const c_char,
    value: *const c_char,
    err: *mut CError,
) -> c_int {
    guard::or(0, || {
        // SAFETY: the caller's contract.
        let set = || unsafe { set(p, Some(Of::Worker), pattern, key, value) };
        // SAFETY: the caller's contract.
        unsafe { tried("cannot set a policy key", set, err) }.is_some().into()
    })
}

/// `hangwatch_policy_free`.
///
/// # Safety
/// `p` is NULL or a policy that was not freed before and that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hangwatch_policy_free(p: *mut Handle) {
    guard::or((), || {
        if !p.is_null() {
            // SAFETY: the box that `hangwatch_policy_new` gave away, taken back once.
            drop(unsafe { Box::from_raw(p) });
        }
    });
}
