//! Every way to be refused, said by the header alone as by the library, word for word: the library is the Rust side.

use crate::build::{C99, Link, Scratch, command, program};
use crate::script::Script;
use crate::skipped::skip;
use crate::words::{self, forge, spoil};
use hangwatch::segment::{Geometry, Segment};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The script in both forms.
struct Forms {
    scratch: Scratch,
    library: PathBuf,
    header: PathBuf,
}

impl Forms {
    fn new() -> Self {
        let scratch = Scratch::new();
        let [library, header] = [Link::Shared, Link::Header].map(|link| program(&scratch, "ffi/tests/script.c", C99, link));
        Self { scratch, library, header }
    }

    /// What either says to `call` in a folder that `make` fills anew for each; the same.
    fn agree(&self, what: &str, env: &[(&str, &OsStr)], make: &dyn Fn(&Path), call: &dyn Fn(&Path) -> String) -> String {
        let dir = self.scratch.path("case");
        let mut said = [&self.library, &self.header].map(|program| {
            std::fs::create_dir(&dir).unwrap();
            make(&dir);
            let mut command = command(program);
            command.env("HANGWATCH_DIR", &dir).current_dir(&dir);
            command.envs(env.iter().copied());
            let said = Script::run(command).call(&call(&dir));
            let mut left: Vec<String> = names(&dir);
            left.sort();
            std::fs::remove_dir_all(&dir).unwrap();
            (said, left)
        });
        let [library, header] = &mut said;
        assert_eq!(library, header, "{what}: left: the library, right: the header alone");
        said[0].0.clone()
    }
}

fn names(dir: &Path) -> Vec<String> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

fn attach(path: &Path) -> String {
    format!("attach {} x", path.display())
}

/// A change of a good segment of four slots.
type Change = fn(&mut Vec<u64>);

#[test]
fn a_bad_segment_is_refused_by_the_header_as_by_rust() {
    let forms = Forms::new();
    // Changed, and with a check that fits the change.
    let forged: [(&str, Change); 17] = [
        ("a higher minor", |w| w[2] += 7),
        ("an older layout", |w| w[2] = 9),
        ("a newer layout", |w| w[2] = 3 << 32 | 1),
        ("an abi tag of nobody", |w| w[1] = 7),
        ("the other byte order", |w| w[1] = w[1].swap_bytes()),
        ("a feature that is not known", |w| w[8] = 0x8000_0000_0000_0004),
        ("a compatible feature", |w| w[9] = 4),
        ("a slot size of 1000", |w| w[4] = 1000),
        ("a slot size of 512", |w| w[4] = 512),
        ("slots of 2048", |w| (w[4], w[5]) = (2048, 2)),
        ("no slots", |w| w[5] = 0),
        ("endless slots", |w| w[5] = u64::MAX),
        ("five slots", |w| w[5] = 5),
        ("slots in the header", |w| w[6] = 64),
        ("slots at the end of memory", |w| w[6] = u64::MAX - 127),
        ("a length past memory", |w| w[7] = u64::MAX),
        ("a header of 128 bytes", |w| w[3] = 128),
    ];
    // Made once: each segment has random words of its own, which its check depends on.
    let model = forms.scratch.path("model");
    let meet = |what: &str| {
        let words = words::read(&model);
        std::fs::remove_file(&model).unwrap();
        forms.agree(what, &[], &|dir| words::write(&dir.join("s"), &words), &|dir| attach(&dir.join("s")));
    };
    for (what, change) in forged {
        forge(&model, change);
        meet(what);
    }
    let spoilt: [(&str, Change); 10] = [
        ("as it was", |_| {}),
        ("a bit", |w| w[12] ^= 1),
        ("magic zero", |w| w[0] = 0),
        ("magic of others", |w| w[0] = u64::from_le_bytes(*b"\x7fELF\"\\\n\xff")),
        ("nothing", |w| w.clear()),
        ("half a header", |w| w.truncate(16)),
        ("a header alone", |w| w.truncate(512)),
        ("slots cut short", |w| w.truncate(1000)),
        ("a length beyond the file", |w| {
            w[7] = 9000;
            words::seal(w);
        }),
        ("a check of nobody", |w| w[31] = 1),
    ];
    for (what, change) in spoilt {
        spoil(&model, change);
        meet(what);
    }
}

#[test]
fn what_is_no_segments_file_is_refused_by_the_header_as_by_rust() {
    let forms = Forms::new();
    let at =
        |what: &str, make: &dyn Fn(&Path)| forms.agree(what, &[], &|dir| make(&dir.join("s")), &|dir| attach(&dir.join("s")));
    let mode = |path: &Path, mode: u32| {
        spoil(path, |_| {});
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let said = at("a FIFO", &|path| drop(crate::build::succeed(command("mkfifo").arg(path))));
    assert!(said.starts_with("error 3 ") && said.contains("it is a FIFO"), "{said}");
    at("a socket", &|path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()));
    at("a directory", &|path| std::fs::create_dir(path).unwrap());
    at("a link", &|path| symlink("elsewhere", path).unwrap());
    for open in [0o666, 0o620, 0o602, 0o4622, 0o644] {
        at(&format!("mode {open:o}"), &|path| mode(path, open));
    }
    forms.agree("a device", &[], &|_| {}, &|_| "attach /dev/null x".into());
    forms.agree("a file as a folder", &[], &|dir| words::write(&dir.join("f"), &[]), &|dir| attach(&dir.join("f/s")));
    for bad in ["no/such/folder", "./s/", "..", "s//"] {
        forms.agree(bad, &[], &|_| {}, &|dir| attach(&dir.join(bad)));
    }
    forms.agree("a relative path", &[], &|_| {}, &|_| "attach ./s x".into());
    forms.agree("a full one by a relative path", &[], &|dir| full(&dir.join("s")), &|_| "attach .//./s x".into());
    forms.agree("a name too long", &[], &|_| {}, &|dir| attach(&dir.join("x".repeat(300))));
    forms.agree("a path too long", &[], &|_| {}, &|dir| attach(&dir.join("x/".repeat(3000))));
    if !Path::new("/proc/self/root").metadata().is_ok_and(|root| std::os::unix::fs::MetadataExt::uid(&root) == 0) {
        return skip("what_is_no_segments_file_is_refused_by_the_header_as_by_rust: only root can give a file away");
    }
    at("a file of another user", &|path| {
        spoil(path, |_| {});
        std::os::unix::fs::chown(path, Some(12_345), None).unwrap();
    });
}

/// A segment whose one slot is a living process's: this one's, by a worker that is never dropped.
fn full(path: &Path) {
    drop(Segment::create(path, Geometry { slots: 1, slot_size: 1024 }).unwrap());
    std::mem::forget(hangwatch::Attach::new().segment(path.to_str().unwrap()).attach().unwrap());
}

#[test]
fn a_name_that_is_none_is_refused_by_the_header_as_by_rust() {
    let forms = Forms::new();
    let long = "x".repeat(65);
    let sidecars = hangwatch::segment::path::SIDECARS.map(|suffix| format!("train.{suffix}"));
    let bad =
        ["", ".hidden", ".", "a b", "a\u{1b}[31m", "größe", "a:b", "\"'\\", "日本", &long, "train.", "train-2.v1", "monitor"];
    for name in bad.into_iter().chain(sidecars.iter().map(String::as_str)) {
        let said = forms.agree(name, &[("HANGWATCH_SEGMENT", OsStr::new(name))], &|_| {}, &|_| "attach - x".into());
        assert!(said == "slot 0" || said == "detached" || said.starts_with("error 1 cannot use segment name '"), "{said}");
    }
    for name in [".hidden", "a:b", "größe"] {
        forms.agree(name, &[], &|_| {}, &|_| format!("attach {name} x"));
    }
}

#[test]
fn a_variable_that_makes_no_sense_is_refused_by_the_header_as_by_rust() {
    let forms = Forms::new();
    let slots = ["3:7", "3", ":", "a:b", "1:70000", "4294967296:0", "+1:+2", "-1:0", " 1:2", "1:2:3", "0:0", "\t\u{7f}é"];
    let devices = ["0", "3,4", "cuda:2", "cuda:1,cuda:0", " 5 ", "gpu", "-1", "+6", ":", ",", "4294967295", "4294967296", "é"];
    let text = slots.map(|value| ("HANGWATCH_SLOT", value)).into_iter().chain(devices.map(|value| ("HANGWATCH_DEVICE", value)));
    for (name, value) in text {
        let env = [("HANGWATCH_SEGMENT", OsStr::new("s")), (name, OsStr::new(value))];
        forms.agree(&format!("{name}={value:?}"), &env, &|_| {}, &|_| "attach - x".into());
    }
    let slots = ["8", "1", "0", "1048576", "1048577", "-1", "+5", "abc", "5 ", "0x10", "99999999999999999999"];
    let sizes = ["1024", "4096", "2048", "0", "1024.0", "+4096", "é"];
    let uids = ["0", "12345", "0,12345,4294967294", "4294967295", "root", "12345,", ",12345", "1,,2", "1 ,2", "+1", "-1", ","];
    let of = |name: &'static str, values: &[&'static str]| values.iter().map(|value| (name, *value)).collect::<Vec<_>>();
    let places = [of("HANGWATCH_SLOTS", &slots), of("HANGWATCH_SLOT_SIZE", &sizes), of("HANGWATCH_ALLOWED_UIDS", &uids)];
    for (name, value) in places.concat() {
        let env = [("HANGWATCH_SEGMENT", OsStr::new("s")), (name, OsStr::new(value))];
        // The largest needs more room than a test may take: it is made of nothing else.
        if value != "1048576" {
            forms.agree(&format!("{name}={value:?}"), &env, &|_| {}, &|_| "attach - x".into());
            forms.agree(&format!("{name}={value:?}, a path"), &env[1..], &|_| {}, &|dir| attach(&dir.join("s")));
            forms.agree(&format!("{name}={value:?}, detached"), &env[1..], &|_| {}, &|_| "attach - x".into());
        }
    }
    for name in [
        "HANGWATCH_SEGMENT",
        "HANGWATCH_SLOT",
        "HANGWATCH_DEVICE",
        "HANGWATCH_NAME",
        "HANGWATCH_DIR",
        "HANGWATCH_SLOTS",
        "HANGWATCH_ALLOWED_UIDS",
    ] {
        for bytes in [&b"a\xffb"[..], b"\xe2\x82", b"\xed\xa0\x80z", b"\xf4\x90\x80\x80", b"\xc0\x80", b"\xf0\x9f\x92"] {
            let mut env = vec![("HANGWATCH_SEGMENT", OsStr::new("s"))];
            env.push((name, OsStr::from_bytes(bytes)));
            forms.agree(&format!("{name}={bytes:?}"), &env, &|_| {}, &|_| "attach - -".into());
        }
    }
}

#[test]
fn a_folder_that_is_none_of_ours_is_refused_by_the_header_as_by_rust() {
    let forms = Forms::new();
    let with = |what: &str, value: &OsStr, make: &dyn Fn(&Path)| {
        let env = [("HANGWATCH_SEGMENT", OsStr::new("s")), ("HANGWATCH_DIR", value)];
        forms.agree(what, &env, make, &|_| "attach - x".into())
    };
    let mode = |mode: u32| {
        move |dir: &Path| {
            std::fs::create_dir(dir.join("f")).unwrap();
            std::fs::set_permissions(dir.join("f"), std::fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    assert_eq!(with("to be made", OsStr::new("a/b/../c/d/"), &|_| {}), "slot 0");
    assert_eq!(with("there", OsStr::new("f"), &mode(0o700)), "slot 0");
    for open in [0o777, 0o1777, 0o720, 0o702, 0o755] {
        with(&format!("mode {open:o}"), OsStr::new("f"), &mode(open));
    }
    with("a file", OsStr::new("f"), &|dir| words::write(&dir.join("f"), &[]));
    with("in a file", OsStr::new("f/g"), &|dir| words::write(&dir.join("f"), &[]));
    with("a link", OsStr::new("l"), &|dir| symlink("/tmp", dir.join("l")).unwrap());
    with("a link to nothing", OsStr::new("l"), &|dir| symlink("nothing", dir.join("l")).unwrap());
    with("in a link to nothing", OsStr::new("l/m/n"), &|dir| symlink("nothing", dir.join("l")).unwrap());
    with("below a file", OsStr::new("f/g/h"), &|dir| words::write(&dir.join("f"), &[]));
    with("no UTF-8", OsStr::from_bytes(b"\xff/a"), &|dir| words::write(&dir.join(OsStr::from_bytes(b"\xff")), &[]));
    let runtime =
        [("HANGWATCH_SEGMENT", OsStr::new("s")), ("HANGWATCH_DIR", OsStr::new("")), ("XDG_RUNTIME_DIR", OsStr::new("r"))];
    let make = |dir: &Path| std::fs::create_dir(dir.join("r")).unwrap();
    assert_eq!(forms.agree("the runtime's folder", &runtime, &make, &|_| "attach - x".into()), "slot 0");
}

#[test]
fn a_phase_that_cannot_be_registered_is_refused_by_the_header_as_by_rust() {
    let forms = Forms::new();
    for name in ["-", &"x".repeat(49), &"x".repeat(48), "é\u{1b}'\"", &"é".repeat(25), "loading", "\u{0}x"] {
        let name = name.replace('\0', "");
        forms.agree(&name, &[], &|_| {}, &|_| format!("register_phase {name} idle 18446744073709551615"));
    }
}

#[test]
fn a_stale_segment_is_replaced_by_the_header_as_by_rust() {
    let forms = Forms::new();
    let stale = |dir: &Path| forge(&dir.join("s"), |words| words[12] ^= 1);
    let said = forms.agree("stale", &[], &stale, &|dir| attach(&dir.join("s")));
    assert_eq!(said, "slot 0");
    // What it makes in its place is a segment of its own, with nothing beside it but the file of locks.
    let dir = forms.scratch.path("stale");
    std::fs::create_dir(&dir).unwrap();
    stale(&dir);
    let before = words::read(&dir.join("s"));
    assert_eq!(Script::run(command(&forms.header)).call(&attach(&dir.join("s"))), "slot 0");
    let after = words::read(&dir.join("s"));
    assert!(after.len() > before.len() && after[10..12] != before[10..12], "not the old one patched");
    assert_eq!(after[12..14], words::boot_id());
    let mut left = names(&dir);
    left.sort();
    assert_eq!(left, ["s", "s.liveness"]);
}

#[test]
fn a_file_system_without_room_is_said_by_the_header_as_by_rust() {
    const TEST: &str = "a_file_system_without_room_is_said_by_the_header_as_by_rust";
    let forms = Forms::new();
    let dir = forms.scratch.path("small");
    std::fs::create_dir(&dir).unwrap();
    // In a mount namespace of its own: nothing of it is seen outside or outlives the process.
    let mounted = |options: &str, then: &str| -> Command {
        let mut unshare = command("unshare");
        let script = format!("mount -t tmpfs -o {options} none \"$1\" && {then}exec \"$2\"");
        unshare.args(["--mount", "sh", "-c", &script, "sh"]).arg(&dir);
        unshare
    };
    let mut probe = mounted("size=64k", "");
    if !crate::build::output(probe.arg("true")).status.success() {
        return skip(&format!("{TEST}: no tmpfs can be mounted here"));
    }
    let filled = "head -c 3000 /dev/zero > \"$1\"/f && ";
    for (options, then) in
        [("size=4k", ""), ("size=64k", filled), ("size=64k,nr_inodes=1", ""), ("ro", ""), ("size=4k,mode=0755", "")]
    {
        let [library, header] = [&forms.library, &forms.header].map(|program| {
            let mut run = mounted(options, then);
            run.arg(program);
            Script::run(run).call(&attach(&dir.join("s")))
        });
        assert_eq!(library, header, "{options} {then}: left: the library, right: the header alone");
        assert!(library.starts_with("error "), "{options} {then}: {library}");
    }
    let mut fits = mounted("size=128k", "");
    fits.arg(&forms.header);
    assert_eq!(Script::run(fits).call(&attach(&dir.join("s"))), "slot 0", "68 KiB fit 128");
}
