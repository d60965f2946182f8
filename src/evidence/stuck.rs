//! Where a process stands that not even SIGKILL ends.

use super::cause::standing;
use super::threads::sample;
use crate::os::pidfd::PidFd;
use std::time::Duration;

/// Its threads in uninterruptible sleep, and what they wait in: the first, and how many more. `None` where none can be seen.
/// A few reads of files that cannot block.
pub(crate) fn stuck(pid: u32, fd: &PidFd) -> Option<String> {
    let threads = sample(pid, 0, fd, Duration::ZERO).ok()?.threads;
    // Read of this process, if it is still the one.
    if fd.has_exited() {
        return None;
    }
    let held: Vec<_> = threads.iter().filter(|thread| thread.first_state == 'D' && thread.now.state == 'D').collect();
    let first = standing(held.first()?).join(", ");
    Some(match held.len() {
        1 => first,
        many => format!("{first}, and {} more", many - 1),
    })
}
