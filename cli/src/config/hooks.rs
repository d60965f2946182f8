//! The sections `hooks:` and `ping:` of the file format of our own. Each key's value is text, a number or a list of texts: what a
//! YAML reader would take for a number or a truth is refused where text is meant, since it would not come back as it was written.

use std::path::Path;
use std::time::Duration;

use hangwatch::Result;
use hangwatch::policy::{Origin, did_you_mean};

use super::yaml::{Entry, Node};
use super::{duration, value, wrong};
use crate::hooks::{Events, Secret, Spec, Target};
use crate::ping::{LEAST_EVERY, Ping};

pub(super) const HOOKS: &str = "hooks";
pub(super) const PING: &str = "ping";

pub(super) const HOOK_KEYS: &[&str] = &["command", "webhook", "headers", "events", "timeout", "retries", "queue"];
pub(super) const PING_KEYS: &[&str] = &["url", "command", "headers", "every", "timeout"];

/// With doubling pauses this many take an hour and a half.
const MOST_RETRIES: u32 = 100;
/// A message is a few hundred bytes.
const LONGEST_QUEUE: usize = 65536;

const COMMAND_HINT: &str = "write a list of words, such as [\"/usr/local/bin/page\", \"high\"], or a line for the shell";

/// One list item or section: its mapping's keys, each of a known name.
struct Keys<'a> {
    path: &'a Path,
    /// `hooks` or `ping`.
    section: &'static str,
    line: u64,
    entries: &'a [Entry],
}

/// What the section says; nothing is none.
pub(super) fn read(path: &Path, section: &Entry) -> Result<Vec<Spec>> {
    let hint = "write '- command: …' or '- webhook: …' under it, a hook an item";
    let items = match &section.node {
        Node::Nothing => return Ok(Vec::new()),
        Node::List(items) => items,
        other => return Err(wrong(path, Some(section.line), format!("hooks is {other}, expected a list of hooks")).hint(hint)),
    };
    let hook = |item: &Node| match item {
        Node::Mapping(entries) if !entries.is_empty() => Keys { path, section: HOOKS, line: entries[0].line, entries }.hook(),
        other => Err(wrong(path, Some(section.line), format!("a hook is {other}, expected keys with values")).hint(hint)),
    };
    items.iter().map(hook).collect()
}

/// The same of the ping.
pub(super) fn read_ping(path: &Path, section: &Entry) -> Result<Option<Ping>> {
    match &section.node {
        Node::Nothing => Ok(None),
        Node::Mapping(entries) if !entries.is_empty() => {
            Keys { path, section: PING, line: section.line, entries }.ping().map(Some)
        }
        Node::Text(_) => Err(wrong(path, Some(section.line), "ping is a text, expected keys with values")
            .hint("write 'url: …' or 'command: …' under it, and 'every: 60s'")),
        other => Err(wrong(path, Some(section.line), format!("ping is {other}, expected keys with values"))
            .hint("write 'url: …' or 'command: …' under it, and 'every: 60s'")),
    }
}

impl<'a> Keys<'a> {
    fn wrong(&self, entry: &Entry, why: &str, hint: impl Into<String>) -> hangwatch::Error {
        wrong(self.path, Some(entry.line), format!("{}: {why}", self.section)).hint(hint)
    }

    fn mismatch(&self, entry: &Entry, expected: &str, hint: &str) -> hangwatch::Error {
        self.wrong(entry, &format!("{} is {}, expected {expected}", entry.key, shown(entry)), hint)
    }

    fn get(&self, name: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == name)
    }

    fn place(&self) -> Origin {
        Origin::File(self.path.to_path_buf(), Some(self.line))
    }

    fn know(&self, names: &[&'static str]) -> Result<()> {
        match self.entries.iter().find(|entry| !names.contains(&entry.key.as_str())) {
            Some(entry) => {
                let hint = did_you_mean(&entry.key, names.iter().copied())
                    .unwrap_or_else(|| format!("the keys are {}", names.join(", ")));
                Err(self.wrong(entry, &format!("unknown key {}", value::quoted(&entry.key)), hint))
            }
            None => Ok(()),
        }
    }

    fn hook(&self) -> Result<Spec> {
        self.know(HOOK_KEYS)?;
        let mut spec = Spec::new(self.place(), self.target("webhook")?);
        if let Some(entry) = self.get("events") {
            spec.events = self.events(entry)?;
        }
        if let Some(entry) = self.get("timeout") {
            spec.timeout = self.duration(entry, Duration::from_millis(1))?;
        }
        if let Some(entry) = self.get("retries") {
            spec.retries = self.count(entry, 0, MOST_RETRIES)?;
        }
        if let Some(entry) = self.get("queue") {
            spec.queue = self.count(entry, 1, LONGEST_QUEUE)?;
        }
        Ok(spec)
    }

    fn ping(&self) -> Result<Ping> {
        self.know(PING_KEYS)?;
        let mut ping = Ping::new(self.place(), self.target("url")?);
        if let Some(entry) = self.get("every") {
            ping.every = self.duration(entry, LEAST_EVERY)?;
        }
        if let Some(entry) = self.get("timeout") {
            ping.timeout = self.duration(entry, Duration::from_millis(1))?;
        }
        Ok(ping)
    }

    /// A command, or the address under the key `address`.
    fn target(&self, address: &'static str) -> Result<Target> {
        let (command, url, headers) = (self.get("command"), self.get(address), self.get("headers"));
        match (command, url, headers) {
            (Some(command), None, None) => self.command(command),
            (None, Some(url), headers) => {
                let Node::Text(text) = &url.node else {
                    return Err(self.mismatch(url, "an address", "write it like https://example.org/path, or env:NAME"));
                };
                Ok(Target::Webhook { url: Secret(text.clone()), headers: self.headers(headers)? })
            }
            (Some(_), None, Some(headers)) => {
                Err(self.wrong(headers, "a command has no headers", format!("they go with {address}")))
            }
            (Some(_), Some(url), _) => {
                Err(self.wrong(url, &format!("both command and {address}"), "leave one of them out, or write one entry for each"))
            }
            (None, None, _) => Err(wrong(self.path, Some(self.line), format!("{}: neither command nor {address}", self.section))
                .hint("say whom it tells")),
        }
    }

    fn command(&self, entry: &Entry) -> Result<Target> {
        match &entry.node {
            Node::Text(line) if !line.trim().is_empty() => Ok(Target::shell(line)),
            Node::List(_) => {
                let words = self.texts(entry, "a list of words", COMMAND_HINT)?;
                match words.first() {
                    Some(program) if !program.is_empty() => Ok(Target::Command(words)),
                    _ => Err(self.wrong(entry, "command names no program", COMMAND_HINT)),
                }
            }
            _ => Err(self.mismatch(entry, "a list of words or a line", COMMAND_HINT)),
        }
    }

    fn headers(&self, entry: Option<&Entry>) -> Result<Vec<(String, Secret)>> {
        let Some(entry) = entry else { return Ok(Vec::new()) };
        let hint = "write 'Name: text' or 'Name: env:VARIABLE', in quotes if it looks like a number";
        let header = |header: &Entry| match &header.node {
            Node::Text(text) => Ok((header.key.clone(), Secret(text.clone()))),
            _ => Err(self.wrong(header, &format!("header {} is no text", value::quoted(&header.key)), hint)),
        };
        match &entry.node {
            Node::Nothing => Ok(Vec::new()),
            Node::Mapping(entries) => entries.iter().map(header).collect(),
            _ => Err(self.mismatch(entry, "names with values", hint)),
        }
    }

    fn events(&self, entry: &Entry) -> Result<Events> {
        let known = || Events::names().collect::<Vec<_>>().join(", ");
        let names = match &entry.node {
            Node::Text(name) => vec![name.clone()],
            Node::List(_) => self.texts(entry, "a list of events", "write a list such as [opened, gave_up], or [all]")?,
            _ => return Err(self.mismatch(entry, "a list of events", &format!("the events are {}", known()))),
        };
        if names.is_empty() {
            return Err(self.wrong(
                entry,
                "events is empty, so that it would tell nothing",
                "leave 'events' out for the usual ones",
            ));
        }
        Events::from_names(names.iter().map(String::as_str)).map_err(|met| {
            let hint = did_you_mean(met, Events::names()).unwrap_or_else(|| format!("the events are {}", known()));
            self.wrong(entry, &format!("there is no event {}", value::quoted(met)), hint)
        })
    }

    fn texts(&self, entry: &Entry, expected: &str, hint: &str) -> Result<Vec<String>> {
        let Node::List(nodes) = &entry.node else { return Err(self.mismatch(entry, expected, hint)) };
        let text = |node: &Node| match node {
            Node::Text(text) => Ok(text.clone()),
            other => Err(self.wrong(entry, &format!("{} holds {other}, expected text", entry.key), "put it in quotes")),
        };
        nodes.iter().map(text).collect()
    }

    fn duration(&self, entry: &Entry, least: Duration) -> Result<Duration> {
        let met = match &entry.node {
            Node::Text(text) => duration::parse(text),
            Node::Int(met) => u64::try_from(*met).ok().map(Duration::from_secs),
            Node::Float(met) => duration::seconds(*met),
            _ => None,
        };
        let met = met.ok_or_else(|| self.mismatch(entry, "a duration", duration::FORMS))?;
        if met < least {
            return Err(self.mismatch(entry, &format!("{least:?} or more"), duration::FORMS));
        }
        Ok(met)
    }

    fn count<N: TryFrom<i128> + PartialOrd + std::fmt::Display>(&self, entry: &Entry, least: N, most: N) -> Result<N> {
        let met = match &entry.node {
            Node::Int(met) => N::try_from(*met).ok(),
            _ => None,
        };
        met.filter(|met| (&least..=&most).contains(&met))
            .ok_or_else(|| self.mismatch(entry, &format!("a count from {least} to {most}"), "write a whole number, such as 4"))
    }
}

/// A value as an error shows it; never one that may hold a secret.
fn shown(entry: &Entry) -> String {
    match (&entry.node, entry.key.as_str()) {
        (Node::Text(_), "command" | "webhook" | "url" | "headers") => "a text".into(),
        (node, _) => node.to_string(),
    }
}
