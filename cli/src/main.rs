//! The hangwatch binary.

mod commands;
#[cfg_attr(not(test), expect(dead_code, reason = "the commands that take a policy use it"))]
mod config;
mod player;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

/// Tells a hung inference worker from a slow, stopped or idle one, and replaces it
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Demo(commands::demo::DemoArgs),
    Inject(commands::inject::InjectArgs),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(args) => commands::demo::run(&args),
        Command::Inject(args) => commands::inject::run(&args),
    };
    match done {
        Ok(code) => code.into(),
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "hangwatch: {e}");
            ExitCode::from(2)
        }
    }
}
