//! The attach-only door for programs that already use the `shared_memory` crate.
//!
//! It never creates and never owns: the crate's owner unlinks by name when it is dropped, in forked children too, whoever
//! has the name by then. It is the portability path; on Linux the segment is a file in /dev/shm and is validated as one.

use super::open::{check_file, open_failed, refused};
use super::{Mapping, Segment, env};
use crate::error::{Error, ErrorKind, Result};
use crate::os::file;
use crate::sync::Ordering::Relaxed;
use std::path::Path;

impl Segment {
    /// Attaches to the segment `/dev/shm/<os_id>` through `shared_memory`. `os_id` is as `Shmem::get_os_id` gives it.
    pub fn open_shmem(os_id: &str) -> Result<Self> {
        let name = os_id.trim_start_matches('/');
        let path = Path::new("/dev/shm").join(name);
        let what = format!("cannot attach to shared memory '{}'", os_id.escape_default());
        if name.is_empty() || name.contains('/') {
            let error = Error::new(ErrorKind::Usage, what, "expected a name without a slash but the first");
            return Err(error.hint("a segment in a folder is opened by its path, with Segment::open"));
        }
        let access = env::access()?;
        let file = file::open_existing(&path, true).map_err(|e| open_failed(&path, &e, true, &access))?;
        let fixed = check_file(&path, &file, &access)?.map_err(|refusal| refused(&path, &refusal))?;
        let map = shared_memory::ShmemConf::new()
            .os_id(os_id)
            .open()
            .map_err(|e| Error::new(ErrorKind::System, &what, e.to_string()))?;
        if (map.len() as u64) < fixed.total_len {
            let why = format!("{} bytes are mapped, its header needs {}", map.len(), fixed.total_len);
            return Err(Error::new(ErrorKind::BadSegment, what, why));
        }
        let segment = Self::from_mapping(Mapping::Shmem(map), fixed, path, file, true, access);
        // The crate opens by name once more and gives no descriptor: what it mapped must be what was validated.
        let mapped = [10, 11].map(|word: usize| segment.header().fixed[word].load(Relaxed));
        if mapped != segment.fixed.segment_id {
            return Err(Error::new(ErrorKind::BadSegment, what, "another segment took its name meanwhile").hint("attach again"));
        }
        Ok(segment)
    }
}
