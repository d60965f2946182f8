//! What only a program that is a supervisor and nothing else may ask for.

use crate::error::{Error, Result};
use crate::os::children;

/// From now on a process that is left alone by its parent, anywhere below this process, comes to this process: the supervisor
/// ends it with the tree that it came of, and reaps it. The same makes a supervisor that is pid 1 reap what comes to it.
///
/// This is a setting of the whole process, and it takes children that were spawned by other ways than this library's: never
/// for a program that embeds the monitor.
pub fn become_subreaper() -> Result<()> {
    children::become_subreaper().map_err(|e| Error::io("cannot become the reaper of orphans", &e))
}
