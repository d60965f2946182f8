//! Flags of `run` about what is kept of a hung worker before it is ended.

use super::workers::{Words, command};
use hangwatch::evidence::{Dumper, Settings};
use signal_hook::consts as signals;
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(super) struct EvidenceArgs {
    /// Keep evidence of hung workers in this folder, a bundle a hang; 'none' keeps none. Default:
    /// $XDG_STATE_HOME/hangwatch/evidence, else the same below ~/.local/state, else /var/tmp/hangwatch-<uid>/evidence.
    #[arg(long, env = "HANGWATCH_EVIDENCE", value_name = "DIR|none", value_parser = place)]
    pub(super) evidence: Option<Place>,
    /// Look into a hung worker from outside, as often as wanted: 'py-spy', 'gdb', or a command with '{pid}' in it.
    #[arg(long, value_name = "DUMPER", value_parser = dumper)]
    pub(super) dump: Vec<Dump>,
    /// Ask a hung worker for its own traceback by this signal, where it catches it: SIGUSR1 or SIGUSR2, as Python's
    /// faulthandler.register was told.
    #[arg(long, value_name = "SIGNAL", value_parser = signal)]
    pub(super) faulthandler: Option<i32>,
    /// Keep what this command says about the GPUs; '{pid}' stands for the worker's pid.
    #[arg(long, value_name = "COMMAND", value_parser = command)]
    pub(super) gpu_facts: Option<Words>,
}

/// Where evidence goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere.
    None,
    /// Into this folder.
    Folder(PathBuf),
}

/// A program that looks into a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dump {
    PySpy,
    Gdb,
    /// Program first.
    Command(Vec<OsString>),
}

impl EvidenceArgs {
    /// What is gathered, and where it goes; `None` where nothing is. What a dumper lacks is logged now rather than when it counts.
    pub(super) fn settings(&self) -> Option<Settings> {
        let default = Settings::default();
        let directory = match &self.evidence {
            Some(Place::None) => return None,
            Some(Place::Folder(folder)) => folder.clone(),
            None => default.directory.clone(),
        };
        let dumpers = self.dump.iter().map(|dump| match dump {
            Dump::PySpy => Dumper::PySpy,
            Dump::Gdb => Dumper::Gdb,
            Dump::Command(words) => Dumper::Command(words.clone()),
        });
        let gpu = self.gpu_facts.as_ref().map(|Words(words)| words.clone());
        let settings = Settings { directory, dumpers: dumpers.collect(), faulthandler: self.faulthandler, gpu, ..default };
        for lack in settings.preflight() {
            tracing::warn!("evidence: {lack}");
        }
        Some(settings)
    }
}

fn place(text: &str) -> Result<Place, String> {
    match text {
        "" => Err("expected a folder, or 'none'".into()),
        "none" => Ok(Place::None),
        folder => Ok(Place::Folder(folder.into())),
    }
}

fn dumper(text: &str) -> Result<Dump, String> {
    match text {
        "py-spy" => Ok(Dump::PySpy),
        "gdb" => Ok(Dump::Gdb),
        // One that does not know whom to look at looks at nobody.
        other if !other.contains("{pid}") => Err("expected 'py-spy', 'gdb', or a command with '{pid}' in it".into()),
        other => command(other).map(|Words(words)| Dump::Command(words)),
    }
}

/// A signal that a program has for its own use: any other would end or stop a worker, or mean something else to it.
fn signal(text: &str) -> Result<i32, String> {
    match text.to_ascii_uppercase().trim_start_matches("SIG") {
        "USR1" => Ok(signals::SIGUSR1),
        "USR2" => Ok(signals::SIGUSR2),
        _ => Err("expected SIGUSR1 or SIGUSR2".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        evidence: EvidenceArgs,
    }

    fn parsed(flags: &[&str]) -> Result<EvidenceArgs, String> {
        let words = ["run"].into_iter().chain(flags.iter().copied());
        Flags::try_parse_from(words).map(|flags| flags.evidence).map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_not_named_is_left_to_the_defaults() {
        let expected = EvidenceArgs { evidence: None, dump: Vec::new(), faulthandler: None, gpu_facts: None };
        assert_eq!(parsed(&[]), Ok(expected));
    }

    #[test]
    fn evidence_goes_into_a_folder_or_nowhere() {
        assert_eq!(parsed(&["--evidence", "none"]).expect("nowhere").evidence, Some(Place::None));
        assert_eq!(parsed(&["--evidence", "/e"]).expect("a folder").evidence, Some(Place::Folder("/e".into())));
        assert!(parsed(&["--evidence", ""]).is_err());
    }

    #[test]
    fn dumpers_run_in_the_order_in_which_they_are_named() {
        let dump = parsed(&["--dump", "gdb", "--dump", "py-spy", "--dump", "eu-stack -p {pid}"]).expect("three").dump;
        let own = Dump::Command(vec!["eu-stack".into(), "-p".into(), "{pid}".into()]);
        assert_eq!(dump, [Dump::Gdb, Dump::PySpy, own]);
        let error = parsed(&["--dump", "eu-stack"]).expect_err("it names no process");
        assert!(error.contains("{pid}"), "{error}");
    }

    #[test]
    fn a_traceback_is_asked_for_by_a_signal_that_is_free_for_it_and_by_no_other() {
        for (name, number) in [("SIGUSR1", signals::SIGUSR1), ("usr2", signals::SIGUSR2)] {
            assert_eq!(parsed(&["--faulthandler", name]).expect("a signal").faulthandler, Some(number));
        }
        for name in ["SIGKILL", "9", "", "SIGUSR3"] {
            assert!(parsed(&["--faulthandler", name]).is_err(), "{name}");
        }
    }

    #[test]
    fn facts_about_gpus_come_from_a_command_with_its_words() {
        let facts = parsed(&["--gpu-facts", "nvidia-smi -q -d 'MEMORY,PIDS'"]).expect("a command").gpu_facts;
        assert_eq!(facts.expect("named").0, ["nvidia-smi", "-q", "-d", "MEMORY,PIDS"]);
    }
}
