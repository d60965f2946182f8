//! The `hangwatch` binary: watches inference workers, replaces those that hang, shows what it sees.

mod commands;
mod config;
mod conformance;
mod exit;
mod hooks;
mod logging;
mod notify;
mod output;
mod ping;
mod player;
mod replay;
mod trace_file;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Tells a hung inference worker from a slow, stopped or idle one, and replaces it.
#[derive(Debug, Parser)]
#[command(name = "hangwatch", version, about, after_help = exit::HELP, subcommand_required = false)]
struct Cli {
    /// How log lines look on standard error.
    #[arg(long, global = true, value_enum, default_value_t, env = "HANGWATCH_LOG_FORMAT")]
    log_format: logging::Format,
    /// Least level that is logged: error, warn, info, debug, trace, or a filter of tracing.
    #[arg(long, global = true, default_value = "info", env = "HANGWATCH_LOG", value_name = "LEVEL")]
    log: String,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(commands::demo::DemoArgs),
    /// Spawn workers, watch them, and replace those that hang or fail.
    Run(Box<commands::run::Args>),
    /// Watch workers that others spawn: observes, and says what it would do.
    Watch(commands::watch::Args),
    /// Show every worker of a segment; works with no monitor alive. The default command.
    Status(commands::status::Args),
    /// Show the words of a segment's header or of its slots.
    Inspect(commands::inspect::Args),
    Explain(commands::explain::Args),
    Inject(commands::inject::InjectArgs),
    /// Write what a monitor would see of a segment into a trace.
    Record(commands::record::Args),
    /// Judge traces again, beside the detectors of the field: detection delay, false alarms, what each rule did.
    Replay(commands::replay::Args),
    Conformance(commands::conformance::Args),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are no errors; a broken pipe is success.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { exit::USAGE } else { exit::WELL });
        }
    };
    // A segment that is cut short is an event or an error of any command's, and no SIGBUS.
    let started = logging::start(cli.log_format, &cli.log).and_then(|()| hangwatch::segment::survive_truncation());
    let done = started.and_then(|()| match &cli.command {
        Some(Command::Run(args)) => commands::run::run(args),
        Some(Command::Watch(args)) => commands::watch::run(args),
        Some(Command::Status(args)) => commands::status::run(args),
        Some(Command::Inspect(args)) => commands::inspect::run(args),
        Some(Command::Explain(args)) => commands::explain::run(args),
        Some(Command::Demo(args)) => commands::demo::run(args),
        Some(Command::Inject(args)) => commands::inject::run(args),
        Some(Command::Record(args)) => commands::record::run(args),
        Some(Command::Replay(args)) => commands::replay::run(args),
        Some(Command::Conformance(args)) => commands::conformance::run(args),
        None => commands::status::run(&commands::status::Args::default()),
    });
    match done {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            exit::print_error(&e);
            ExitCode::from(exit::code_of(&e))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;
    use hangwatch::judge::Verdict;

    fn readme() -> String {
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).expect("the README")
    }

    #[test]
    fn the_commands_hold_together_and_the_readme_names_each() {
        let cli = Cli::command();
        cli.clone().debug_assert();
        for command in cli.get_subcommands() {
            let name = command.get_name();
            assert!(readme().contains(&format!("| `{name}")), "the README's table of commands lacks {name}");
        }
    }

    #[test]
    fn every_flag_of_run_is_documented() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/run.md")).expect("the page");
        let cli = Cli::command();
        let flags = |name: &str| cli.find_subcommand(name).expect("a command").get_arguments().filter_map(clap::Arg::get_long);
        // Of every monitor: the README and docs/policy.md have them.
        let common = ["segment", "slots", "config", "inference-step-timeout", "learnt", "events", "help"];
        for flag in flags("run").filter(|flag| !common.contains(flag)) {
            assert!(page.contains(&format!("`--{flag}")), "docs/run.md lacks --{flag}");
        }
    }

    #[test]
    fn a_variable_of_a_flag_is_no_unknown_key_of_the_policy() {
        let cli = Cli::command();
        let of_commands = cli.get_subcommands().flat_map(clap::Command::get_arguments);
        let variables = cli.get_arguments().chain(of_commands).filter_map(clap::Arg::get_env);
        for variable in variables.map(|name| name.to_str().expect("UTF-8")) {
            let name = variable.strip_prefix("HANGWATCH_").expect("ours");
            assert!(super::config::env::RESERVED.contains(&name), "{variable} is a flag's and would be warned of");
        }
    }

    #[test]
    fn the_readme_says_what_each_verdict_that_is_given_means() {
        for verdict in Verdict::ALL {
            let row = readme().lines().any(|line| line.starts_with('|') && line.contains(&format!("`{verdict}`")));
            assert!(row, "the README's table of verdicts lacks {verdict}");
        }
    }
}
