//! A tmpfs of 64 KiB, as a container's /dev/shm may be: the slots that fit work, to the last one, and where they do not fit it is
//! said how many would. Nobody gets a SIGBUS.

mod common;

use common::places::forbidden;
use common::{Said, Scratch, c_worker, command, hangwatch, said, skip};
use std::path::Path;

const WORKS: &str = "--steps 3 --step-ms 1";

/// The command, where the folder is a tmpfs of so many bytes.
fn in_tmpfs(folder: &Path, size: &str, program: &Path, arguments: &[&str], slots: &str) -> Said {
    let script = format!("mount -t tmpfs -o size={size} tmpfs \"$DIR\" && exec \"$0\" \"$@\"");
    let mut command = command("unshare");
    command.args(["--mount", "sh", "-c", &script]).arg(program).args(arguments).env("DIR", folder);
    said(command.env("HANGWATCH_SEGMENT", folder.join("train")).env("HANGWATCH_SLOTS", slots).env("HANGWATCH_EVIDENCE", "none"))
}

/// What is said where 64 slots do not fit.
fn refusal(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "cannot create segment '{folder}/train': it needs 68 KiB, '{folder}' has 64 KiB free\n  each slot takes 1 KiB, the header \
         4 KiB: 60 slots fit; ask for no more with --slots 60 or HANGWATCH_SLOTS=60\n  or give the tmpfs more room, or set \
         HANGWATCH_DIR to a folder in one that has it"
    )
}

#[test]
fn sixty_four_kibibytes_hold_the_slots_that_fit_and_say_how_many_would() {
    const TEST: &str = "sixty_four_kibibytes_hold_the_slots_that_fit_and_say_how_many_would";
    if let Some(why) = forbidden(&["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=64k tmpfs /mnt"]) {
        return skip(&format!("{TEST}: {why}"));
    }
    let scratch = Scratch::new();
    let folder = scratch.path();
    let binary = hangwatch();
    let binary = Path::new(binary.get_program());
    let c = |slots: &str| in_tmpfs(folder, "64k", c_worker(), &WORKS.split(' ').collect::<Vec<_>>(), slots);
    let run = |flags: &[&str], slots: &str| {
        let worker = ["--", c_worker().to_str().expect("text")];
        let arguments: Vec<&str> =
            ["run"].into_iter().chain(flags.iter().copied()).chain(worker).chain(WORKS.split(' ')).collect();
        in_tmpfs(folder, "64k", binary, &arguments, slots)
    };

    // A worker of the C library: it says why, and goes on.
    let unwatched = c("");
    assert_eq!(unwatched.code, Some(0), "inference does not depend on being watched: {}", unwatched.err);
    assert!(unwatched.err.contains(&refusal(folder)), "{}", unwatched.err);
    assert!(unwatched.out.contains("detached"), "{}", unwatched.out);
    for fits in ["8", "60"] {
        let watched = c(fits);
        assert!(watched.code == Some(0) && watched.out.contains(", slot 0"), "{fits}: {} {}", watched.out, watched.err);
    }
    assert!(c("61").err.contains("it needs 65 KiB"), "61 do not");

    // A supervisor, by its flag or by the same variable.
    let refused = run(&[], "");
    assert_eq!((refused.code, refused.err.contains(&refusal(folder))), (Some(4), true), "{}", refused.err);
    for (flags, slots) in [(&["--slots", "8"][..], ""), (&[], "8"), (&["--slots", "8"], "61")] {
        let watched = run(flags, slots);
        assert!(
            watched.code == Some(0) && watched.out.contains(", slot 0"),
            "{flags:?} {slots}: {} {}",
            watched.out,
            watched.err
        );
    }
    let odd = run(&[], "many");
    assert_eq!(odd.code, Some(2), "{}", odd.err);
    assert!(odd.err.contains("cannot use HANGWATCH_SLOTS=many: expected a number of slots, 1 to 1048576"), "{}", odd.err);

    // Not a page is left for its lists: it says so, and watches all the same.
    let full = run(&["--slots", "60"], "");
    assert!(full.code == Some(0) && full.out.contains(", slot 0"), "{} {}", full.out, full.err);
    assert!(full.err.contains("cannot keep the list of workers"), "{}", full.err);
}
