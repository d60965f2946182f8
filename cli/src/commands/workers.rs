//! Flags of `run` about its workers: their environment, their devices, their output.

use crate::config::size;
use crate::output::Settings;
use hangwatch::monitor::Fleet;
use hangwatch::worker::{ENV_DEVICE, ENV_SEGMENT, ENV_SLOT};
use hangwatch::{Error, ErrorKind, Result};
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Debug, Clone, clap::Args)]
pub(super) struct WorkerArgs {
    /// A variable of every worker's environment, as often as wanted; '{i}' in the value stands for the replica's number.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Devices by number or id, such as '0,1,2,3': replica i gets one, i modulo their number, as CUDA_VISIBLE_DEVICES and
    /// HIP_VISIBLE_DEVICES, and its number as HANGWATCH_DEVICE.
    #[arg(long, value_name = "ID,…", value_delimiter = ',', value_parser = device)]
    devices: Vec<String>,
    /// Append each worker's output to 'worker-<i>.log' in this folder, and show it with the worker's number before each line.
    #[arg(long, env = "HANGWATCH_LOG_DIR", value_name = "DIR")]
    log_dir: Option<PathBuf>,
    /// From this size on a log is copied aside and emptied; 0 for never.
    #[arg(long, default_value = "10MiB", value_name = "SIZE", value_parser = size::argument)]
    log_max_size: u64,
    /// Files kept of each worker's log, the current one included.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    log_files: u32,
    /// Do not show what workers write; it is in their logs.
    #[arg(long, requires = "log_dir")]
    quiet_workers: bool,
    /// Run this before a respawn until it exits with 0: it says that the device is free. Split like a shell's words; '{device}'
    /// and '{pid}' in a word stand for the device and the former process, and HANGWATCH_DEVICE is set.
    #[arg(long, value_name = "COMMAND", value_parser = command)]
    reclaim_probe: Option<Words>,
}

/// A command of the operator, program first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words(pub(super) Vec<OsString>);

/// A command as one argument.
pub(super) fn command(text: &str) -> std::result::Result<Words, String> {
    let words = shlex::split(text).ok_or("a quote is not closed, or it ends with a backslash")?;
    if words.first().is_none_or(String::is_empty) {
        return Err("it names no program".into());
    }
    Ok(Words(words.into_iter().map(Into::into).collect()))
}

fn variable(text: &str) -> std::result::Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE, it has no '='")?;
    if name.is_empty() {
        return Err("expected NAME=VALUE, it has no name".into());
    }
    if [ENV_SEGMENT, ENV_SLOT, ENV_DEVICE].contains(&name) {
        return Err(format!("'run' sets {name} for each worker; a device is named with --devices"));
    }
    Ok((name.into(), value.into()))
}

fn device(text: &str) -> std::result::Result<String, String> {
    match text.trim() {
        "" => Err("a device has no name; write them like 0,1,2,3".into()),
        "all" => Err("expected each device by its number or id, such as 'nvidia-smi -L' lists them".into()),
        name if name.contains(char::is_whitespace) || name.contains('\0') => Err("expected commas between devices".into()),
        name => Ok(name.into()),
    }
}

impl WorkerArgs {
    pub(super) fn apply(&self, fleet: Fleet) -> Fleet {
        let mut fleet = fleet.devices(self.devices.clone());
        for (name, value) in &self.env {
            fleet = fleet.env(name, value);
        }
        if let Some(dir) = &self.log_dir {
            fleet = fleet.log_dir(dir);
        }
        match &self.reclaim_probe {
            Some(Words(words)) => fleet.reclaim_probe(words.clone()),
            None => fleet,
        }
    }

    /// Makes the folder of the logs.
    pub(super) fn make_log_dir(&self) -> Result<()> {
        let Some(dir) = &self.log_dir else { return Ok(()) };
        if dir.as_os_str().is_empty() {
            return Err(Error::new(ErrorKind::Usage, "cannot keep the workers' logs", "--log-dir names no folder"));
        }
        std::fs::create_dir_all(dir).map_err(|e| Error::io(format!("cannot make the folder of logs '{}'", dir.display()), &e))
    }

    pub(super) fn output(&self) -> Settings {
        Settings { max_size: self.log_max_size, files: self.log_files, quiet: self.quiet_workers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_a_name_and_whatever_follows_the_first_equals_sign() {
        assert_eq!(variable("PORT=80{i}0"), Ok(("PORT".into(), "80{i}0".into())));
        assert_eq!(variable("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert_eq!(variable("EMPTY="), Ok(("EMPTY".into(), String::new())));
        for (text, why) in [("PORT", "no '='"), ("=b", "no name"), ("HANGWATCH_SLOT=1:1", "HANGWATCH_SLOT")] {
            let error = variable(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_device_has_any_name_but_none_and_all() {
        for name in ["0", "GPU-8f6d04d4-6c0f-1b8a-e2ad-3a3f2c1b0e1d", "MIG-GPU-8f6d04d4/1/0", "0000:3b:00.0"] {
            assert_eq!(device(name), Ok(name.into()));
        }
        for name in ["", " ", "all", "0 1"] {
            assert!(device(name).is_err(), "'{name}'");
        }
    }

    #[test]
    fn a_command_is_split_as_a_shell_would_and_run_by_none() {
        let words = command("probe --free 'two words' {device} $HOME").expect("words");
        assert_eq!(words.0, ["probe", "--free", "two words", "{device}", "$HOME"]);
        for text in ["", "  ", "a 'b", "'' x"] {
            assert!(command(text).is_err(), "'{text}'");
        }
    }
}
