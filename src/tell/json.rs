//! An event as a JSON object: the line that `--events` writes, and what a callback in another language gets.

use super::event::{Event, SCHEMA_VERSION};
use serde::Serialize;

#[derive(Serialize)]
struct Line<'a> {
    schema_version: u32,
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

impl Event {
    /// The event as a JSON object, without a newline; `None` where it cannot be one.
    pub fn to_json(&self) -> Option<String> {
        let time = humantime::format_rfc3339_millis(self.time).to_string();
        serde_json::to_string(&Line { schema_version: SCHEMA_VERSION, time, event: self }).ok()
    }
}
