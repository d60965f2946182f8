//! How long some task of the machine has waited for a CPU in all.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// /proc/pressure/cpu, kept open; absent where the kernel does not count.
#[derive(Debug)]
pub(crate) struct CpuPressure(Option<File>);

impl CpuPressure {
    pub(crate) fn open() -> Self {
        Self(File::open("/proc/pressure/cpu").ok())
    }

    /// In us.
    pub(crate) fn total_us(&self) -> Option<u64> {
        let mut bytes = [0; 256];
        let n = self.0.as_ref()?.read_at(&mut bytes, 0).ok()?;
        parse(std::str::from_utf8(&bytes[..n]).ok()?)
    }
}

fn parse(text: &str) -> Option<u64> {
    // A line without its end may lack digits too.
    let line = text.split_inclusive('\n').find(|line| line.starts_with("some "))?.strip_suffix('\n')?;
    line.split_ascii_whitespace().find_map(|field| field.strip_prefix("total="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::tests::{Subject, skip};

    #[test]
    fn the_total_of_some_is_taken_and_not_that_of_full() {
        let text = "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\nsome avg10=20.61 avg60=21.73 avg300=6.98 total=926067012\n";
        assert_eq!(parse(text), Some(926_067_012));
    }

    #[test]
    fn pressure_that_is_cut_or_odd_is_none() {
        for odd in
            ["", "some", "some avg10=0.00 total=12", "some avg10=0.00\n", "some total=x\n", "full total=7\n", "some total=-1\n"]
        {
            assert_eq!(parse(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_machine_without_the_file_says_nothing() {
        assert_eq!(CpuPressure(None).total_us(), None);
    }

    #[test]
    fn one_descriptor_shows_the_pressure_of_now_each_time() {
        let pressure = CpuPressure::open();
        let Some(first) = pressure.total_us() else {
            return skip("one_descriptor_shows_the_pressure_of_now_each_time: no /proc/pressure/cpu here");
        };
        let _two = (Subject::spinning(), Subject::spinning());
        while pressure.total_us().expect("still there") == first {
            std::thread::yield_now();
        }
    }
}
