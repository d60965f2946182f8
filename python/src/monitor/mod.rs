//! The monitor in threads of the interpreter's process, and what a segment says. No thread of ours holds the GIL but
//! the interpreter's own that calls back, while it does; the scan waits for nobody.
//!
//! ```text
//! Plan::start ──► Running ── scan ──► tell ──► jsonl            without the GIL, whatever the interpreter does
//!                                       └────► tell (apart) ──► hangwatch/_calls.py: Feed.event, on_event
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `plan` | what a monitor is to be, with a fleet or without, and its start |
//! | `running` | one that runs: asked, reloaded and stopped by any thread |
//! | `calls` | events on their way to the thread that calls back |
//! | `policy` | a dict as a policy |
//! | `bridge` | AI Horde's `bridgeData.yaml` as a policy dict |
//! | `told` | slots, segments and monitors as JSON, which `hangwatch/_status.py` reads |
//! | `supervisor` | a fleet: of a command, or of the interpreter's own children |
//! | `host` | what is asked of the interpreter that makes those, and its answers |
//! | `class` | what `hangwatch/_monitor.py` and `_status.py` stand on |

mod bridge;
mod calls;
mod class;
mod host;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod running;
mod supervisor;
mod told;

use pyo3::prelude::*;

/// What the feature adds to the module.
pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<class::Monitor>()?;
    module.add_class::<calls::Calls>()?;
    module.add_class::<supervisor::Supervisor>()?;
    module.add_class::<host::Start>()?;
    module.add_function(wrap_pyfunction!(supervisor::start_supervisor, module)?)?;
    module.add_function(wrap_pyfunction!(bridge::bridge_policy, module)?)?;
    module.add_function(wrap_pyfunction!(class::start_monitor, module)?)?;
    module.add_function(wrap_pyfunction!(class::segment_status, module)?)
}
