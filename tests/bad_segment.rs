//! Bad input: a sentence each, in the house's shape, nobody harmed. Every opening happens in a child process, so that a
//! SIGBUS or a wait for ever would show in its exit status and not in ours.
#![allow(unsafe_code)]

mod common;

use common::words::{self, forge, spoil};
use common::{c_path, shaped, skip};
use hangwatch::segment::Segment;
use std::path::Path;

const PATH: &str = "SEGMENT_TEST_PATH";
const REMOVE: &str = "\n  if no worker uses it, remove it with 'rm {path}'; the next worker makes a new one";

/// Opens `path` for both kinds of users and reads all there is: the outcome, as text.
fn open_and_read(path: &Path) -> String {
    let read = |segment: Segment| {
        let live = segment.slots().filter(|(_, slot)| slot.read_hot().is_ok()).count();
        segment.slots().for_each(|(_, slot)| drop((slot.read_info(), slot.read_identity(), slot.raw_words())));
        (0..u8::MAX).for_each(|i| drop(segment.user_phase(i)));
        format!("opened: {} slots, {live} live", segment.len())
    };
    let text = |opened: hangwatch::Result<Segment>| opened.map_or_else(|e| shaped(&e), read);
    let (writing, reading) = (text(Segment::open(path)), text(Segment::open_read_only(path)));
    assert_eq!(writing, reading, "a worker and an observer are told the same");
    writing
}

/// Makes something at a path, opens it in a child, and compares what the child says with `expected`.
fn meets(test: &str, make: impl FnOnce(&Path), expected: &str) {
    if common::role().is_some() {
        common::say(open_and_read(Path::new(&common::given(PATH))));
        return;
    }
    let dir = common::scratch();
    let path = dir.path().join("train");
    make(&path);
    let mut child = common::again(test, "open");
    child.env(PATH, &path);
    let expected = expected.replace("{path}", path.to_str().expect("text"));
    assert_eq!(common::run_well(child), [expected], "the child opens it, says so, and lives");
}

#[test]
fn a_good_segment_opens_and_is_all_readable() {
    meets("a_good_segment_opens_and_is_all_readable", |path| spoil(path, |_| {}), "opened: 4 slots, 0 live");
}

#[test]
fn a_name_that_leads_nowhere_is_said_so() {
    meets(
        "a_name_that_leads_nowhere_is_said_so",
        |_| {},
        "cannot open segment '{path}': there is no such segment\n  a worker that attaches makes it; 'hangwatch status' lists those that exist",
    );
}

#[test]
fn a_fifo_is_refused_at_once() {
    let fifo = |path: &Path| {
        // SAFETY: the string is NUL-terminated and lives through the call.
        assert_eq!(unsafe { libc::mkfifo(c_path(path).as_ptr(), 0o600) }, 0);
    };
    meets("a_fifo_is_refused_at_once", fifo, "cannot open segment '{path}': it is a FIFO, expected a regular file");
}

#[test]
fn a_socket_is_refused() {
    let socket = |path: &Path| drop(std::os::unix::net::UnixListener::bind(path).expect("a socket"));
    meets("a_socket_is_refused", socket, "cannot open segment '{path}': it is a FIFO or a socket, expected a regular file");
}

#[test]
fn a_directory_is_refused() {
    let make = |path: &Path| std::fs::create_dir(path).expect("a directory");
    meets("a_directory_is_refused", make, "cannot open segment '{path}': it is a directory, expected a regular file");
}

#[test]
fn a_symlink_is_not_followed() {
    let make = |path: &Path| {
        let real = path.with_extension("real");
        spoil(&real, |_| {});
        std::os::unix::fs::symlink(real, path).expect("a symlink");
    };
    meets(
        "a_symlink_is_not_followed",
        make,
        "cannot open segment '{path}': it is a symbolic link, expected a regular file\n  give the path it leads to, if you trust who made it",
    );
}

#[test]
fn an_empty_file_is_refused() {
    let make = |path: &Path| words::write(path, &[]);
    meets(
        "an_empty_file_is_refused",
        make,
        &format!("cannot open segment '{{path}}': truncated: 0 bytes, its header needs 4096{REMOVE}"),
    );
}

#[test]
fn a_header_cut_short_is_refused() {
    let make = |path: &Path| spoil(path, |words| words.truncate(31));
    meets(
        "a_header_cut_short_is_refused",
        make,
        &format!("cannot open segment '{{path}}': truncated: 248 bytes, its header needs 4096{REMOVE}"),
    );
}

#[test]
fn slots_cut_short_are_refused_before_they_are_mapped() {
    let make = |path: &Path| spoil(path, |words| words.truncate(1000));
    meets(
        "slots_cut_short_are_refused_before_they_are_mapped",
        make,
        &format!("cannot open segment '{{path}}': truncated: 8000 bytes, its header needs 8192{REMOVE}"),
    );
}

#[test]
fn a_newer_layout_is_refused_with_the_side_to_upgrade() {
    // The other version's check is not ours to compute, so it is left as it was.
    let make = |path: &Path| spoil(path, |words| words[2] = 3 << 32);
    meets(
        "a_newer_layout_is_refused_with_the_side_to_upgrade",
        make,
        "cannot open segment '{path}': layout 3.0, this build reads 1.x\n  the workers run a newer hangwatch than this program\n  compare 'hangwatch --version' with 'hangwatch inspect --header {path}', or upgrade this side first",
    );
}

#[test]
fn an_older_layout_is_refused() {
    let make = |path: &Path| forge(path, |words| words[2] = 9);
    meets(
        "an_older_layout_is_refused",
        make,
        "cannot open segment '{path}': layout 0.9, this build reads 1.x\n  it was made by a hangwatch of another version\n  compare 'hangwatch --version' with 'hangwatch inspect --header {path}'",
    );
}

#[test]
fn a_higher_minor_is_accepted() {
    let make = |path: &Path| forge(path, |words| words[2] += 7);
    meets("a_higher_minor_is_accepted", make, "opened: 4 slots, 0 live");
}

#[test]
fn a_compatible_feature_that_is_not_known_is_accepted() {
    let make = |path: &Path| forge(path, |words| words[9] = 0x8000);
    meets("a_compatible_feature_that_is_not_known_is_accepted", make, "opened: 4 slots, 0 live");
}

#[test]
fn an_incompatible_feature_that_is_not_known_is_refused() {
    let make = |path: &Path| forge(path, |words| words[8] = 4);
    meets(
        "an_incompatible_feature_that_is_not_known_is_refused",
        make,
        "cannot open segment '{path}': it needs features 0x4 that this build does not know\n  it was made by a hangwatch of another version\n  compare 'hangwatch --version' with 'hangwatch inspect --header {path}'",
    );
}

#[test]
fn the_other_byte_order_is_refused() {
    let make = |path: &Path| forge(path, |words| words[1] = words[1].swap_bytes());
    meets(
        "the_other_byte_order_is_refused",
        make,
        &format!(
            "cannot open segment '{{path}}': made on a machine of the other byte order\n  a segment cannot be shared between machines{REMOVE}"
        ),
    );
}

#[test]
fn a_slot_size_that_would_break_alignment_is_refused() {
    let make = |path: &Path| forge(path, |words| words[4] = 1000);
    meets(
        "a_slot_size_that_would_break_alignment_is_refused",
        make,
        &format!("cannot open segment '{{path}}': slot size 1000, expected a multiple of 128 from 1024 on{REMOVE}"),
    );
}

#[test]
fn a_slot_size_under_ours_is_refused() {
    let make = |path: &Path| forge(path, |words| words[4] = 512);
    meets(
        "a_slot_size_under_ours_is_refused",
        make,
        &format!("cannot open segment '{{path}}': slot size 512, expected a multiple of 128 from 1024 on{REMOVE}"),
    );
}

#[test]
fn a_larger_stride_is_accepted() {
    // Two slots of 2048 where four of 1024 were.
    let make = |path: &Path| forge(path, |words| (words[4], words[5]) = (2048, 2));
    meets("a_larger_stride_is_accepted", make, "opened: 2 slots, 0 live");
}

#[test]
fn more_slots_than_the_file_has_are_refused() {
    let make = |path: &Path| forge(path, |words| words[5] = 5);
    meets(
        "more_slots_than_the_file_has_are_refused",
        make,
        &format!("cannot open segment '{{path}}': damaged header: the slots do not fit its length{REMOVE}"),
    );
}

#[test]
fn a_count_that_asks_for_endless_memory_is_refused() {
    let make = |path: &Path| forge(path, |words| words[5] = u64::MAX);
    meets(
        "a_count_that_asks_for_endless_memory_is_refused",
        make,
        &format!("cannot open segment '{{path}}': {} slots, expected 1 to 1048576{REMOVE}", u64::MAX),
    );
}

#[test]
fn one_flipped_bit_of_the_header_is_seen() {
    let make = |path: &Path| {
        spoil(path, |words| {
            [words[0x50 / 8], words[0x58 / 8], words[0x70 / 8], words[0x78 / 8]] = [1, 2, 3, 4];
            words[0x80 / 8..=0xa0 / 8].copy_from_slice(&[5, 6, 7, 1, 9]);
            [words[0x60 / 8], words[0x68 / 8]] = [10, 11];
            words::seal(words);
            words[5] ^= 1;
        });
    };
    meets(
        "one_flipped_bit_of_the_header_is_seen",
        make,
        &format!("cannot open segment '{{path}}': damaged header: check 0xd3f8380c707d571d, computed 0xcae19e9c9c6be57c{REMOVE}"),
    );
}

#[test]
fn garbage_of_the_right_size_is_not_taken_for_a_segment() {
    let make = |path: &Path| {
        let bytes: Vec<u64> =
            std::iter::successors(Some(*b"\x7fELF\x02\x01\x01\x1b"), |b| Some(b.map(|b| b.wrapping_mul(37) ^ 11)))
                .map(u64::from_le_bytes)
                .take(1024)
                .collect();
        words::write(path, &bytes);
    };
    meets(
        "garbage_of_the_right_size_is_not_taken_for_a_segment",
        make,
        "cannot open segment '{path}': not a hangwatch segment: it begins with \"\\x7fELF\\x02\\x01\\x01\\x1b\", expected \"HGWTCH01\"\n  another program's file? give the segment's own path or name with --segment",
    );
}

#[test]
fn zeroes_of_the_right_size_are_not_taken_for_a_segment() {
    let make = |path: &Path| words::write(path, &[0; 1024]);
    meets(
        "zeroes_of_the_right_size_are_not_taken_for_a_segment",
        make,
        "cannot open segment '{path}': not a hangwatch segment: its first bytes are zero, expected \"HGWTCH01\"\n  another program's file? give the segment's own path or name with --segment",
    );
}

#[test]
fn slots_full_of_garbage_are_read_in_bounded_steps() {
    let make = |path: &Path| {
        spoil(path, |words| {
            let mut state = 1u64;
            words[32..].fill_with(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state
            });
            // One of them LIVE, so that its words are believed as far as any.
            words[(4096 + 0x80) / 8] = 0x0007_02ff_ffff_ffff;
        });
    };
    meets("slots_full_of_garbage_are_read_in_bounded_steps", make, "opened: 4 slots, 1 live");
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    let make = |path: &Path| {
        spoil(path, |_| {});
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(path, open).expect("our own file");
    };
    meets(
        "a_file_that_others_may_write_is_refused",
        make,
        "cannot open segment '{path}': others may write it: mode 0666, expected 0600\n  'chmod 600 {path}' if you trust what is in it",
    );
}

#[test]
fn a_file_of_another_user_is_refused() {
    // SAFETY: geteuid has no preconditions and cannot fail.
    let me = unsafe { libc::geteuid() };
    if me != 0 {
        skip("a_file_of_another_user_is_refused: only root can give a file away");
        return;
    }
    let make = |path: &Path| {
        spoil(path, |_| {});
        std::os::unix::fs::chown(path, Some(12_345), None).expect("root may");
    };
    meets(
        "a_file_of_another_user_is_refused",
        make,
        "cannot open segment '{path}': it belongs to uid 12345, this process is uid 0\n  run this side as the same user as the workers\n  or share it with a group: name the users that may own it in HANGWATCH_ALLOWED_UIDS, such as '1000,1001'",
    );
}

#[test]
fn a_segment_from_before_the_boot_is_refused() {
    let make = |path: &Path| forge(path, |words| words[12] ^= 1);
    meets(
        "a_segment_from_before_the_boot_is_refused",
        make,
        &format!("cannot open segment '{{path}}': made before the last boot; its workers are gone{REMOVE}"),
    );
}
