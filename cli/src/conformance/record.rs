//! The info record: its two copies, and its texts.

use super::seen::RECORDS;
use super::{Proof, World, table};

table! { record:
    Core two_copies_take_turns_and_the_one_that_is_read_is_never_written;
    Core a_label_too_long_is_cut_at_a_characters_border;
    Core a_short_label_leaves_nothing_of_a_longer_one;
    Full what_is_not_utf8_is_replaced;
    Full a_note_is_shown_until_the_next_job_begins;
}

fn two_copies_take_turns_and_the_one_that_is_read_is_never_written(world: &World) -> Proof {
    let mut stage = world.attached()?;
    for call in ["begin_job a sdxl 1", "end_job ok", "begin_job b sdxl 1", "end_job failed"] {
        world.look(&mut stage, call, |seen, before| {
            let (now, then) = (seen.word("info_seq"), before.word("info_seq"));
            seen.is("info_seq", now, then + 1)?;
            let read = RECORDS[(then & 1) as usize];
            let mut may =
                vec!["beat", "stamp_ns", "phase", "epoch", "progress", "total", "lease", "jobs_ok", "jobs_bad", "info_seq"];
            may.push(RECORDS[(now & 1) as usize]);
            seen.only(&may, before).map_err(|halt| match halt {
                super::Halt::Failed(why) => super::Halt::Failed(format!("{why}; {read} was the readable copy until then")),
                other => other,
            })
        })?;
    }
    Ok(())
}

/// Characters of two and three bytes across the end of a field of so many bytes.
fn too_long(bytes: usize) -> [(String, String); 3] {
    let text = |head: usize, tail: &str| format!("{}{}", "x".repeat(head), tail.repeat(9));
    let cut = |head: usize, tail: &str| format!("{}{}", "x".repeat(head), tail.repeat((bytes - head) / tail.len()));
    [
        (text(bytes - 1, "x"), "x".repeat(bytes)),
        (text(bytes - 1, "ü"), cut(bytes - 1, "ü")),
        (text(bytes - 4, "深"), cut(bytes - 4, "深")),
    ]
}

fn a_label_too_long_is_cut_at_a_characters_border(world: &World) -> Proof {
    let mut stage = world.attached()?;
    for (id, model) in too_long(64).into_iter().zip(too_long(96)) {
        stage.tell(&format!("begin_job {} {} 1", id.0, model.0))?;
        let mut seen = stage.seen()?;
        seen.after = "begin_job with labels that are too long".into();
        seen.is("the id", seen.info().job_id, id.1)?;
        seen.is("the model", seen.info().model, model.1)?;
    }
    Ok(())
}

fn a_short_label_leaves_nothing_of_a_longer_one(world: &World) -> Proof {
    let mut stage = world.attached()?;
    for id in ["a-rather-long-id", "b", "-", "another-long-id", "c"] {
        stage.tell(&format!("begin_job {id} {id} 1"))?;
        let seen = stage.seen()?;
        let expected = if id == "-" { "" } else { id };
        seen.is("id and model", (seen.info().job_id.as_str(), seen.info().model.as_str()), (expected, expected))?;
    }
    Ok(())
}

fn what_is_not_utf8_is_replaced(world: &World) -> Proof {
    let mut stage = world.attached()?;
    stage.tell("begin_job a%20b%25%ff sdxl 1")?;
    let seen = stage.seen()?;
    // Whoever reads replaces too, so only the words themselves tell who did.
    let copy = 32 + 48 * (seen.word("info_seq") & 1) as usize + 8;
    let id: Vec<u8> = seen.words[copy..copy + 8].iter().flat_map(|word| word.to_le_bytes()).collect();
    let id: Vec<u8> = id.into_iter().take_while(|byte| *byte != 0).collect();
    seen.is("the id's bytes", String::from_utf8(id).as_deref(), Ok("a b%\u{fffd}"))
}

fn a_note_is_shown_until_the_next_job_begins(world: &World) -> Proof {
    let mut stage = world.in_job(1)?;
    for (note, cut) in [("Größe".to_owned(), "Größe".to_owned()), ("-".into(), String::new())].into_iter().chain(too_long(96))
    {
        world.look(&mut stage, &format!("note {note}"), |seen, before| {
            seen.is("the detail", seen.info().detail, cut)?;
            seen.only(&["info_seq", RECORDS[0], RECORDS[1]], before)
        })?;
    }
    stage.tell("begin_job b sdxl 1")?;
    let seen = stage.seen()?;
    seen.is("the detail", seen.info().detail.as_str(), "")
}
