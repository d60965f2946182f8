//! The committed counts, and what is allowed beside them.

use serde_json::{Map, Value, json};
use std::fmt;
use std::fmt::Write;
use std::process::Command;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline/instructions.json");
/// A new row's tolerance: half an instruction, so that one more a unit is seen.
const TOLERANCE: f64 = 0.5;

/// `baseline/instructions.json`: toolchain → its versions; rows → name → instructions, tolerance, elsewhere.
///
/// `tolerance` is what a row may be above its count on the very toolchain it was counted with. Another compiler, C library
/// or valgrind counts otherwise, and then `elsewhere` holds: it finds a new call or lock, not one more store.
#[derive(Debug)]
pub(crate) struct Baseline(Map<String, Value>);

/// Whether all rows hold, and a table.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) holds: bool,
    pub(crate) text: String,
}

impl Baseline {
    pub(crate) fn read() -> Self {
        let text = std::fs::read_to_string(PATH).unwrap_or_else(|e| panic!("cannot read {PATH}: {e}"));
        Self(serde_json::from_str(&text).unwrap_or_else(|e| panic!("cannot read {PATH}: {e}")))
    }

    pub(crate) fn write(&self) {
        std::fs::write(PATH, format!("{self}\n")).unwrap_or_else(|e| panic!("cannot write {PATH}: {e}"));
    }

    fn row(&self, name: &str) -> Option<[f64; 3]> {
        let row = self.0.get("rows")?.get(name)?;
        let number = |key: &str| row.get(key)?.as_f64();
        Some([number("instructions")?, number("tolerance")?, number("elsewhere")?])
    }

    /// These counts and this toolchain, with the tolerances that stand here.
    pub(crate) fn renewed(&self, counts: &[(&str, f64)]) -> Self {
        let row = |&(name, count): &(&str, f64)| {
            let [_, tolerance, elsewhere] = self.row(name).unwrap_or([count, TOLERANCE, (count / 4.0).ceil() + 2.0]);
            // Hundredths: what is below does not repeat from one machine to the next.
            let count = (count * 100.0).round() / 100.0;
            (name.to_string(), json!({ "instructions": count, "tolerance": tolerance, "elsewhere": elsewhere }))
        };
        let rows: Map<String, Value> = counts.iter().map(row).collect();
        Self(Map::from_iter([("toolchain".into(), toolchain()), ("rows".into(), rows.into())]))
    }

    /// Compares.
    pub(crate) fn judge(&self, counts: &[(&str, f64)]) -> Verdict {
        let here = toolchain();
        let same = self.0.get("toolchain") == Some(&here);
        let (mut holds, mut fewer) = (true, false);
        let mut text = String::new();
        if !same {
            let there = self.0.get("toolchain").unwrap_or(&Value::Null);
            let _ = writeln!(text, "the toolchain differs, so the wider tolerance 'elsewhere' holds:");
            let _ = writeln!(text, "  baseline {there}\n  here     {here}");
        }
        for &(name, count) in counts {
            let Some([expected, tolerance, elsewhere]) = self.row(name) else {
                holds = false;
                let _ = writeln!(text, "{name:<28} {count:>9.2}  MISSING in the baseline");
                continue;
            };
            let allowed = if same { tolerance } else { elsewhere };
            let more = count - expected;
            let said = match more {
                more if more > allowed => "MORE than is allowed",
                more if same && more < -allowed => "fewer",
                _ => "",
            };
            holds &= more <= allowed;
            fewer |= said == "fewer";
            let line = format!("{name:<28} {count:>9.2}  baseline {expected:>9.2} + {allowed:<6} {more:>+8.2}  {said}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let rows = self.0.get("rows").and_then(Value::as_object);
        for name in rows.into_iter().flat_map(Map::keys).filter(|name| counts.iter().all(|(counted, _)| counted != name)) {
            holds = false;
            let _ = writeln!(text, "{name:<28} is in the baseline and COUNTED no more");
        }
        if !holds || fewer {
            let _ = writeln!(text, "if that is meant: cargo bench -p hangwatch-bench --bench instructions -- --renew");
            let _ = writeln!(text, "and commit bench/baseline/instructions.json with the reason");
        }
        Verdict { holds, text }
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string_pretty(&self.0).expect("numbers and text"))
    }
}

/// What the counts depend on beside the code.
fn toolchain() -> Value {
    json!({
        "rustc": version("rustc"),
        "gcc": version("gcc"),
        "libc": version("ldd"),
        "valgrind": version("valgrind"),
        "machine": std::env::consts::ARCH,
        "flags": flags(),
    })
}

/// What of the environment made the compiler work otherwise than the manifest says: incremental code is other code.
fn flags() -> String {
    let set = [("CARGO_INCREMENTAL", option_env!("CARGO_INCREMENTAL")), ("RUSTFLAGS", option_env!("RUSTFLAGS"))];
    let set = set.iter().filter_map(|(name, value)| Some((name, value.filter(|value| !matches!(*value, "" | "0"))?)));
    set.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

#[expect(clippy::disallowed_methods, reason = "a program that is asked its version ends by itself")]
fn version(program: &str) -> String {
    let out = Command::new(program).arg("--version").output().unwrap_or_else(|e| panic!("cannot run {program}: {e}"));
    String::from_utf8_lossy(&out.stdout).lines().next().unwrap_or_default().to_string()
}
