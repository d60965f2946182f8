//! What the environment says of segments: their geometry where a program gives none, and who may share them.

use super::Geometry;
use crate::error::{Error, ErrorKind, Result};
use crate::os::access::{self, Access};

/// Slots of a segment that is made because it is absent, where the program gives no geometry.
pub const ENV_SLOTS: &str = "HANGWATCH_SLOTS";
/// Bytes from one of its slots to the next: 1024, or 4096 for device slots.
pub const ENV_SLOT_SIZE: &str = "HANGWATCH_SLOT_SIZE";
/// Group mode: the users, as numbers between commas, whose segments are used beside our own, and who may write ours with us.
pub const ENV_ALLOWED_UIDS: &str = "HANGWATCH_ALLOWED_UIDS";

/// A variable; one that is set and empty is as good as unset.
pub(crate) fn text(name: &str) -> Result<Option<String>> {
    match std::env::var_os(name) {
        None => Ok(None),
        Some(value) if value.is_empty() => Ok(None),
        Some(value) => value.into_string().map(Some).map_err(|value| wrong(name, &value.to_string_lossy(), "it is not UTF-8")),
    }
}

pub(crate) fn wrong(name: &str, value: &str, why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, format!("cannot use {name}={}", value.escape_default()), why)
}

fn number(name: &str, expected: &str, is_good: impl Fn(u32) -> bool) -> Result<Option<u32>> {
    let Some(text) = text(name)? else { return Ok(None) };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && is_good(*number));
    number.map(Some).ok_or_else(|| wrong(name, &text, format!("expected {expected}")))
}

impl Geometry {
    /// As [`ENV_SLOTS`] and [`ENV_SLOT_SIZE`] say, else the default.
    pub fn from_env() -> Result<Self> {
        let Self { slots, slot_size } = Self::default();
        let max = super::validate::MAX_SLOTS;
        let in_range = |slots: u32| (1..=max).contains(&u64::from(slots));
        let slots = number(ENV_SLOTS, &format!("a number of slots, 1 to {max}"), in_range)?.unwrap_or(slots);
        let sizes = "the size of a slot: 1024, or 4096 for device slots";
        let slot_size = number(ENV_SLOT_SIZE, sizes, |size| matches!(size, 1024 | 4096))?.unwrap_or(slot_size);
        Ok(Self { slots, slot_size })
    }
}

/// Who may share segments with us, as [`ENV_ALLOWED_UIDS`] says.
pub(super) fn access() -> Result<Access> {
    let Some(list) = text(ENV_ALLOWED_UIDS)? else { return Ok(Access::default()) };
    let uids = access::parse(&list);
    let expected = "expected user numbers with commas between them, such as '1000,1001'";
    uids.map(Access::group).ok_or_else(|| wrong(ENV_ALLOWED_UIDS, &list, expected))
}
