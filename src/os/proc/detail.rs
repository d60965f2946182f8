//! All of a thread, and of its process, that can be read at once: for whoever must know what a hung worker waits for.
//!
//! A file that is missing or forbidden is `None`. `wchan` is `0` on kernels that do not tell, and for a thread that runs.

use super::must_be_ours;
use super::task::{Task, parse_schedstat};
use super::text::Text;
use serde::Serialize;
use std::fmt::Arguments;
use std::io;

/// Of the kernel's stack: enough to name whose code it waits in.
const MAX_STACK: usize = 2048;
/// Of the scheduler's file, which has its counts in front.
const MAX_SCHED: usize = 2048;

/// One reading of a thread. Times and counts are since it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Detail {
    /// Its number here.
    pub(crate) tid: u32,
    /// Its number in its own pid namespace.
    pub(crate) own_tid: u32,
    /// Its name, escaped.
    pub(crate) name: String,
    /// State letter.
    pub(crate) state: char,
    /// The function of the kernel that it waits in.
    pub(crate) wchan: Option<String>,
    /// The system call it is in, as the kernel writes it: number, arguments, stack pointer, program counter.
    pub(crate) syscall: Option<String>,
    /// Frames of the kernel, innermost first, empty while it runs its own code; needs CAP_SYS_ADMIN.
    pub(crate) stack: Option<String>,
    /// The CPU it was on last.
    pub(crate) cpu: Option<u32>,
    /// Ticks in user code and in the kernel, a hundredth of a second each.
    pub(crate) user_ticks: u64,
    /// The same in the kernel.
    pub(crate) system_ticks: u64,
    /// Page faults that had to wait for a disk.
    pub(crate) major_faults: u64,
    /// Time on a CPU, in ns; `None` where the kernel does not count.
    pub(crate) on_cpu_ns: Option<u64>,
    /// Time runnable and without a CPU, in ns; counted when the wait ends.
    pub(crate) run_delay_ns: Option<u64>,
    /// Times it gave its CPU up.
    pub(crate) voluntary_switches: u64,
    /// Times it lost its CPU.
    pub(crate) involuntary_switches: u64,
    /// Bytes read and written through system calls.
    pub(crate) io_bytes: Option<u64>,
    /// Bytes that went to or came from a disk.
    pub(crate) disk_bytes: Option<u64>,
    /// Signals sent to it or to its process and not taken, as a set of bits.
    pub(crate) pending_signals: u64,
    /// Of the scheduler's file, as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sched: Option<String>,
}

fn text_of(text: &mut Text, path: Arguments<'_>, max: usize) -> Option<String> {
    let text = text.read(path).ok()?;
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Some(text[..end].trim_end().to_owned())
}

impl Task {
    /// Everything but the two long files. An error: there is no such thread.
    pub(crate) fn detail(self, text: &mut Text) -> io::Result<Detail> {
        let Self { pid, tid } = self;
        must_be_ours()?;
        let mut detail = parse_stat(&text.read(format_args!("/proc/{pid}/task/{tid}/stat"))?, tid)
            .ok_or(io::Error::from(io::ErrorKind::InvalidData))?;
        add_status(&mut detail, &text.read(format_args!("/proc/{pid}/task/{tid}/status"))?);
        detail.wchan = text_of(text, format_args!("/proc/{pid}/task/{tid}/wchan"), 128).filter(|it| !it.is_empty() && it != "0");
        detail.syscall = text_of(text, format_args!("/proc/{pid}/task/{tid}/syscall"), 256);
        if let Ok(text) = text.read(format_args!("/proc/{pid}/task/{tid}/schedstat")) {
            (detail.on_cpu_ns, detail.run_delay_ns) = parse_schedstat(&text).unzip();
        }
        if let Ok(text) = text.read(format_args!("/proc/{pid}/task/{tid}/io")) {
            detail.io_bytes = sum(&text, &["rchar", "wchar"]);
            detail.disk_bytes = sum(&text, &["read_bytes", "write_bytes"]);
        }
        Ok(detail)
    }

    /// Its number in its own pid namespace.
    pub(crate) fn own_number(self, text: &mut Text) -> Option<u32> {
        must_be_ours().ok()?;
        let status = text.read(format_args!("/proc/{}/task/{}/status", self.pid, self.tid)).ok()?;
        Some(own_number(&status).unwrap_or(self.tid))
    }

    /// Adds the kernel's stack and the scheduler's file.
    pub(crate) fn add_long(self, detail: &mut Detail, text: &mut Text) {
        let Self { pid, tid } = self;
        detail.stack = text_of(text, format_args!("/proc/{pid}/task/{tid}/stack"), MAX_STACK);
        detail.sched = text_of(text, format_args!("/proc/{pid}/task/{tid}/sched"), MAX_SCHED);
    }
}

/// Threads of a process, by number.
pub(crate) fn threads(pid: u32) -> io::Result<Vec<u32>> {
    must_be_ours()?;
    let entries = std::fs::read_dir(format!("/proc/{pid}/task"))?.filter_map(Result::ok);
    let mut tids: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    tids.sort_unstable();
    Ok(tids)
}

fn parse_stat(line: &str, tid: u32) -> Option<Detail> {
    let name = line.get(line.find('(')? + 1..line.rfind(')')?)?;
    // From field 3 on, by their numbers in proc(5).
    let fields: Vec<&str> = line[line.rfind(')')? + 1..].split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Detail {
        tid,
        own_tid: tid,
        name: name.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect(),
        state: fields.first()?.chars().next()?,
        wchan: None,
        syscall: None,
        stack: None,
        cpu: number(39).and_then(|cpu| u32::try_from(cpu).ok()),
        user_ticks: number(14)?,
        system_ticks: number(15)?,
        major_faults: number(12)?,
        on_cpu_ns: None,
        run_delay_ns: None,
        voluntary_switches: 0,
        involuntary_switches: 0,
        io_bytes: None,
        disk_bytes: None,
        pending_signals: 0,
        sched: None,
    })
}

/// Lines `Name:\tvalue` of a status file. A process's name cannot forge one: the kernel writes its line ends as \n.
pub(crate) fn fields(status: &str) -> impl Iterator<Item = (&str, &str)> {
    status.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim()))
}

/// The last of the numbers, which is the innermost namespace's. `None`: a kernel that does not tell.
fn own_number(status: &str) -> Option<u32> {
    fields(status).find(|(name, _)| *name == "NSpid")?.1.rsplit('\t').next()?.parse().ok()
}

fn add_status(detail: &mut Detail, status: &str) {
    detail.own_tid = own_number(status).unwrap_or(detail.tid);
    for (name, value) in fields(status) {
        match name {
            "SigPnd" | "ShdPnd" => detail.pending_signals |= u64::from_str_radix(value, 16).unwrap_or(0),
            "voluntary_ctxt_switches" => detail.voluntary_switches = value.parse().unwrap_or(0),
            "nonvoluntary_ctxt_switches" => detail.involuntary_switches = value.parse().unwrap_or(0),
            _ => {}
        }
    }
}

fn sum(text: &str, names: &[&str]) -> Option<u64> {
    let values = names.iter().map(|name| fields(text).find(|(it, _)| it == name)?.1.parse::<u64>().ok());
    values.sum::<Option<u64>>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::tests::Subject;

    const STAT: &str = "42 (a) (b\u{1b}) D 1 42 42 0 -1 4194304 98 0 7 0 11 13 0 0 20 0 1 0 304812 2281472 213 18446744073709551615 1 1 0 \
                        0 0 0 0 0 0 0 0 0 17 5 0 0 0 0 0";

    #[test]
    fn a_stat_line_is_read_by_the_numbers_of_its_fields_whatever_the_name_holds() {
        let it = parse_stat(STAT, 42).expect("a stat line");
        assert_eq!((it.name.as_str(), it.state, it.major_faults), ("a) (b\\u{1b}", 'D', 7));
        assert_eq!((it.user_ticks, it.system_ticks, it.cpu), (11, 13, Some(5)));
        assert_eq!(parse_stat("42 (a) D 1 42", 42), None, "cut short");
        assert_eq!(parse_stat(")42(", 42), None);
    }

    #[test]
    fn the_number_in_the_innermost_namespace_is_the_last_one() {
        let mut it = parse_stat(STAT, 42).expect("a stat line");
        add_status(&mut it, "NSpid:\t42\t7\nSigPnd:\t0000000000000100\nShdPnd:\t0000000000000001\nvoluntary_ctxt_switches:\t3\n");
        assert_eq!((it.tid, it.own_tid, it.pending_signals, it.voluntary_switches), (42, 7, 0x101, 3));
    }

    #[test]
    fn bytes_are_summed_where_all_of_them_are_told() {
        assert_eq!(sum("rchar: 3\nwchar: 4\n", &["rchar", "wchar"]), Some(7));
        assert_eq!(sum("rchar: 3\n", &["rchar", "wchar"]), None);
    }

    #[test]
    fn every_file_of_a_child_that_sleeps_can_be_read() {
        let child = Subject::sleeping();
        let mut text = Text::default();
        assert_eq!(threads(child.pid()).expect("there"), [child.pid()]);
        let task = Task::first(child.pid());
        let asleep = |it: &Detail| it.syscall.as_ref().is_some_and(|it| it.split(' ').count() == 9);
        // Until it has come to its sleep it is still exec's.
        let mut it = loop {
            let it = task.detail(&mut text).expect("there");
            if it.state == 'S' && asleep(&it) {
                break it;
            }
            std::thread::yield_now();
        };
        task.add_long(&mut it, &mut text);
        assert_eq!((it.tid, it.own_tid, it.pending_signals), (child.pid(), child.pid(), 0));
        assert_eq!(it.name, "sleep");
        assert!(it.io_bytes.is_some() && it.voluntary_switches > 0, "{it:?}");
    }
}
