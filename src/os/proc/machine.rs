//! The process as a whole and the machine around it, in the kernel's own words.

use super::detail::fields;
use super::must_be_ours;
use super::text::Text;
use std::collections::BTreeMap;
use std::fmt::Arguments;

/// Texts by the name of what they say.
pub(crate) type Texts = BTreeMap<&'static str, String>;

fn add(texts: &mut Texts, text: &mut Text, name: &'static str, path: Arguments<'_>) {
    if let Ok(it) = text.read(path) {
        texts.insert(name, it.trim_end().to_owned());
    }
}

/// What the process's `status` says, line by line.
pub(crate) fn status(pid: u32, text: &mut Text) -> BTreeMap<String, String> {
    let status = must_be_ours().and_then(|()| text.read(format_args!("/proc/{pid}/status")));
    let Ok(status) = status else { return BTreeMap::new() };
    fields(&status).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Of the process: limits, memory in pages, how soon it goes when memory runs out.
pub(crate) fn process(pid: u32, text: &mut Text) -> Texts {
    let mut texts = Texts::new();
    if must_be_ours().is_err() {
        return texts;
    }
    add(&mut texts, text, "limits", format_args!("/proc/{pid}/limits"));
    add(&mut texts, text, "statm", format_args!("/proc/{pid}/statm"));
    add(&mut texts, text, "oom_score", format_args!("/proc/{pid}/oom_score"));
    add(&mut texts, text, "cgroup", format_args!("/proc/{pid}/cgroup"));
    texts
}

/// Of the machine: load, pressure, memory.
pub(crate) fn machine(text: &mut Text) -> Texts {
    let mut texts = Texts::new();
    add(&mut texts, text, "loadavg", format_args!("/proc/loadavg"));
    add(&mut texts, text, "pressure_cpu", format_args!("/proc/pressure/cpu"));
    add(&mut texts, text, "pressure_memory", format_args!("/proc/pressure/memory"));
    add(&mut texts, text, "pressure_io", format_args!("/proc/pressure/io"));
    if let Ok(it) = text.read(format_args!("/proc/meminfo")) {
        let matters =
            ["MemTotal", "MemFree", "MemAvailable", "SwapTotal", "SwapFree", "Dirty", "Writeback", "Shmem", "Committed_AS"];
        let lines = it.lines().filter(|line| matters.iter().any(|name| line.split(':').next() == Some(name)));
        texts.insert("meminfo", lines.collect::<Vec<_>>().join("\n"));
    }
    texts
}

/// Who may look into the memory of whom: 0 a user's own, 1 descendants, 2 and 3 hardly anybody. `None`: not restricted.
pub(crate) fn ptrace_scope(text: &mut Text) -> Option<u32> {
    text.read(format_args!("/proc/sys/kernel/yama/ptrace_scope")).ok()?.trim().parse().ok()
}

/// Whether this process has the capability of that number.
pub(crate) fn has_capability(number: u32, text: &mut Text) -> bool {
    let Ok(status) = text.read(format_args!("/proc/self/status")) else { return false };
    let set = fields(&status).find(|(name, _)| *name == "CapEff").and_then(|(_, set)| u64::from_str_radix(set, 16).ok());
    set.is_some_and(|set| set >> number & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_and_this_very_process_can_be_read() {
        let mut text = Text::default();
        let pid = std::process::id();
        assert!(machine(&mut text)["meminfo"].starts_with("MemTotal:"), "the lines that matter, by name");
        let process = process(pid, &mut text);
        assert!(process["limits"].contains("Max open files") && process.contains_key("statm"), "{process:?}");
        assert_eq!(status(pid, &mut text)["Tgid"], pid.to_string());
        assert!(!has_capability(63, &mut text), "no kernel has so many");
    }
}
