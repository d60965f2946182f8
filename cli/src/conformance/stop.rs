//! The command word.

use super::stage::{GENERATION, RESERVED};
use super::{Proof, World, table};
use hangwatch::layout::word::{Cmd, Command};

table! { stop:
    Full a_worker_is_asked_to_stop_by_its_own_generations_word_alone;
    Full asking_changes_nothing;
}

fn a_worker_is_asked_to_stop_by_its_own_generations_word_alone(world: &World) -> Proof {
    let mut stage = world.attached()?;
    // The owner before was asked to stop, and that is still there.
    stage.expect("should_stop", "0")?;
    let asked = [
        (Cmd::new(GENERATION, Command::Stop, 0), "1"),
        (Cmd::new(GENERATION + 1, Command::Stop, 0), "0"),
        (Cmd::new(GENERATION, Command::Unknown(9), 0), "0"),
        (Cmd::new(GENERATION, Command::Stop, 77), "1"),
        (Cmd::new(GENERATION, Command::None, 0), "0"),
    ];
    for (cmd, answer) in asked {
        stage.write(RESERVED.0, "cmd", cmd.0)?;
        stage.expect("should_stop", answer)?;
    }
    Ok(())
}

fn asking_changes_nothing(world: &World) -> Proof {
    let mut stage = world.in_job(1)?;
    stage.write(RESERVED.0, "cmd", Cmd::new(GENERATION, Command::Stop, 0).0)?;
    let before = stage.seen()?;
    stage.expect("should_stop", "1")?;
    stage.seen()?.only(&[], &before)
}
