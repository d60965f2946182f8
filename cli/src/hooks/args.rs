//! Hooks and the ping as flags; the file's own stand beside them.

use super::spec::{Events, Secret, Spec, Target};
use crate::config;
use crate::ping::{self, Ping};
use hangwatch::policy::Origin;
use hangwatch::{Error, ErrorKind, Result};
use std::time::Duration;

/// Flags of `run` and `watch`.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct HookArgs {
    /// Run this line by the shell at events, with the event's JSON object as its input; may stand several times.
    #[arg(long = "hook", value_name = "COMMAND")]
    commands: Vec<String>,
    /// Post the event's JSON object to this address; 'env:NAME' takes it from the environment; may stand several times.
    #[arg(long = "webhook", value_name = "URL", value_parser = secret)]
    webhooks: Vec<Secret>,
    /// The events of which these hooks tell, separated by commas, or 'all'; else what has happened and what stands.
    #[arg(long, value_name = "EVENTS", value_delimiter = ',', value_parser = event)]
    hook_events: Vec<String>,
    /// A sign of life for a service that expects one: an address that is got, or a command; only while the monitor sees.
    #[arg(long, value_name = "URL|COMMAND", value_parser = secret)]
    ping: Option<Secret>,
    /// Time between two of these [default: 1m].
    #[arg(long, value_name = "DURATION", value_parser = config::duration::argument)]
    ping_every: Option<Duration>,
}

// clap shows what it cannot parse, and this it can.
#[expect(clippy::unnecessary_wraps, reason = "the signature is clap's")]
fn secret(text: &str) -> std::result::Result<Secret, String> {
    Ok(Secret(text.into()))
}

fn event(name: &str) -> std::result::Result<String, String> {
    match Events::from_names([name]) {
        Ok(_) => Ok(name.into()),
        Err(_) => Err(format!("expected one of {}", Events::names().collect::<Vec<_>>().join(", "))),
    }
}

impl HookArgs {
    pub(super) fn hooks(&self) -> Vec<Spec> {
        let events = match self.hook_events.as_slice() {
            [] => Events::default(),
            // Each was found to be one.
            names => Events::from_names(names.iter().map(String::as_str)).unwrap_or_default(),
        };
        let command = |line: &String| (Origin::Flag("--hook".into()), Target::shell(line));
        let webhook =
            |url: &Secret| (Origin::Flag("--webhook".into()), Target::Webhook { url: url.clone(), headers: Vec::new() });
        let targets = self.commands.iter().map(command).chain(self.webhooks.iter().map(webhook));
        targets.map(|(place, target)| Spec { events: events.clone(), ..Spec::new(place, target) }).collect()
    }

    /// The flag's, else the file's, in either case as often as the flag says.
    pub(crate) fn ping(&self, file: Option<&Ping>) -> Result<Option<Ping>> {
        let flag = self.ping.as_ref().map(|ping| Ping::new(Origin::Flag("--ping".into()), target(ping)));
        let Some(mut ping) = flag.or_else(|| file.cloned()) else {
            return match self.ping_every {
                Some(_) => Err(Error::new(ErrorKind::Usage, "cannot use --ping-every", "there is no ping")
                    .hint("name an address or a command with --ping, or in the configuration under 'ping:'")),
                None => Ok(None),
            };
        };
        if let Some(every) = self.ping_every {
            if every < ping::LEAST_EVERY {
                let why = format!("it is {every:?}, the least allowed is {:?}", ping::LEAST_EVERY);
                return Err(Error::new(ErrorKind::Usage, "cannot use --ping-every", why).hint(config::duration::FORMS));
            }
            ping.every = every;
        }
        Ok(Some(ping))
    }
}

/// What looks like an address is one, so that a slip in it is refused and not run.
fn target(ping: &Secret) -> Target {
    let scheme = ping.0.split("://").next().filter(|scheme| scheme.len() < ping.0.len());
    let is_scheme = |scheme: &str| scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if ping.0.starts_with("env:") || scheme.is_some_and(is_scheme) {
        Target::Webhook { url: ping.clone(), headers: Vec::new() }
    } else {
        Target::shell(&ping.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_an_address_is_no_command() {
        for (text, is_address) in [
            ("https://example.org/x", true),
            ("htps://example.org/x", true),
            ("env:PING", true),
            ("curl https://example.org/x", false),
            ("/usr/local/bin/alive", false),
        ] {
            assert_eq!(matches!(target(&Secret(text.into())), Target::Webhook { .. }), is_address, "{text}");
        }
    }

    #[test]
    fn a_flags_ping_goes_before_the_files_and_its_distance_before_both() {
        let file = Ping::new(Origin::File("f".into(), Some(3)), Target::shell("true"));
        let none = HookArgs::default();
        assert_eq!(none.ping(Some(&file)).expect("the file's").expect("a ping").place, file.place);
        let every = HookArgs { ping_every: Some(Duration::from_secs(7)), ..HookArgs::default() };
        assert_eq!(every.ping(Some(&file)).expect("the file's").expect("a ping").every, Duration::from_secs(7));
        assert_eq!(every.ping(None).expect_err("there is none").what(), "cannot use --ping-every");
        let flag = HookArgs { ping: Some(Secret("true".into())), ..HookArgs::default() };
        assert_eq!(flag.ping(Some(&file)).expect("the flag's").expect("a ping").place, Origin::Flag("--ping".into()));
    }
}
