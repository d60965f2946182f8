//! A policy that does not hold together is refused before anything is made or spawned.

mod common;

use common::{Scratch, hangwatch, said};

/// Refused with exit code 2 by the monitors and by `status`; what is said.
fn refused(scratch: &Scratch, arguments: &[&str]) -> String {
    let mut command = hangwatch();
    let said = said(command.args(["watch", "--segment"]).arg(scratch.segment()).args(arguments));
    assert_eq!(said.code, Some(2), "{arguments:?}: {}", said.err);
    assert!(!scratch.segment().exists(), "a bad policy makes no segment");
    said.err
}

fn refused_file(text: &str) -> (String, String) {
    let scratch = Scratch::new();
    let file = scratch.file("policy.yaml", text).display().to_string();
    (refused(&scratch, &["--config", &file]), file)
}

#[test]
fn a_threshold_under_two_polls_is_refused_with_the_least() {
    let said = refused(&Scratch::new(), &["--inference-step-timeout", "1s", "--poll", "600ms"]);
    assert!(said.starts_with("hangwatch: ") && said.contains("heartbeat_timeout"), "{said}");
    assert!(said.contains("1s") && said.contains("1200ms"), "the value met and the value expected: {said}");
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_name() {
    let (said, file) = refused_file("hangwatch: 1\ninference_step_timout: 2s\n");
    assert!(said.starts_with(&format!("hangwatch: cannot read policy '{file}:2': ")), "{said}");
    assert!(said.contains("inference_step_timout") && said.contains("did you mean 'inference_step_timeout'?"), "{said}");
}

#[test]
fn a_duration_that_is_none_is_refused_from_a_file_a_flag_and_the_environment() {
    let (said_of_file, _) = refused_file("hangwatch: 1\ngrace: soon\n");
    let of_flag = refused(&Scratch::new(), &["--grace", "soon"]);
    let scratch = Scratch::new();
    let of_env = said(hangwatch().args(["watch", "--segment"]).arg(scratch.segment()).env("HANGWATCH_GRACE", "soon"));
    assert_eq!(of_env.code, Some(2));
    for text in [said_of_file, of_flag, of_env.err] {
        assert!(text.contains("soon") && text.contains("write it like 2s"), "what was met and how it is written: {text}");
    }
}
