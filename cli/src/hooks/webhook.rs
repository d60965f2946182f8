//! Requests over HTTP and HTTPS, each bounded as a whole: name, connection, TLS, sending and the answer's head.
//!
//! Of an address the host alone is ever shown: the rest may be a secret. No redirect is followed, and no proxy is asked: the
//! environment that names one is the workers'.

use super::message::Message;
use super::queue::{Deliver, Failure};
use super::spec::{Secret, Why};
use hangwatch::tell::text;
use std::time::Duration;
use ureq::http::uri::Scheme;
use ureq::http::{HeaderName, HeaderValue, Response, StatusCode, Uri, header};
use ureq::{Agent, Body};

/// Of an event, the same at each try.
const ID: HeaderName = HeaderName::from_static("idempotency-key");
/// Those that the client writes itself.
const OURS: [&str; 6] = ["content-type", "content-length", "transfer-encoding", "connection", "host", "idempotency-key"];

/// One address.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    url: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Client {
    /// Refuses what could never be sent.
    pub(crate) fn new(url: &Secret, headers: &[(String, Secret)]) -> Result<Self, Why> {
        let url = address(&url.reveal()?)?;
        let headers = headers.iter().map(|(name, value)| sendable(name, value)).collect::<Result<_, _>>()?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            // A connection that rested may be gone, and an event is rare.
            .max_idle_connections(0)
            .user_agent(concat!("hangwatch/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.into(), url, headers })
    }

    /// All that is shown of the address.
    pub(crate) fn host(&self) -> String {
        host(&self.url)
    }

    /// A sign of life.
    pub(crate) fn get(&self, within: Duration) -> Result<(), Failure> {
        let request = self.agent.get(self.url.clone()).config().timeout_global(Some(within)).build();
        judge(self.with_headers(request).call())
    }

    fn post(&self, id: &str, body: &[u8], within: Duration) -> Result<(), Failure> {
        let request = self.agent.post(self.url.clone()).config().timeout_global(Some(within)).build();
        let request = self.with_headers(request).header(header::CONTENT_TYPE, "application/json").header(ID, id);
        judge(request.send(body))
    }

    fn with_headers<T>(&self, request: ureq::RequestBuilder<T>) -> ureq::RequestBuilder<T> {
        self.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }
}

impl Deliver for Client {
    fn deliver(&mut self, message: &Message, within: Duration) -> Result<(), Failure> {
        self.post(&message.id, &message.body, within)
    }
}

fn host(url: &Uri) -> String {
    let port = url.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}{port}", url.host().unwrap_or_default())
}

fn address(text: &str) -> Result<Uri, Why> {
    const HINT: &str = "write it like https://example.org/path, or env:NAME to take it from the environment";
    let wrong = |why: String| Err(Why::new(why, HINT));
    let Ok(url) = text.parse::<Uri>() else { return wrong("the address cannot be read".into()) };
    match url.scheme() {
        Some(scheme) if [Scheme::HTTP, Scheme::HTTPS].contains(scheme) => {}
        Some(scheme) => return wrong(format!("the address has scheme '{scheme}', expected http or https")),
        None => return wrong("the address has no scheme, expected http or https".into()),
    }
    if url.host().is_none_or(str::is_empty) {
        return wrong("the address has no host".into());
    }
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        let hint = "write it as a header, such as Authorization: env:NAME";
        return Err(Why::new("the address holds a user, which would not be sent", hint));
    }
    Ok(url)
}

fn sendable(name: &str, value: &Secret) -> Result<(HeaderName, HeaderValue), Why> {
    let shown = text::escaped(name);
    let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
        return Err(Why::new(format!("'{shown}' is no header's name"), "a name is of letters, digits and dashes"));
    };
    if OURS.contains(&parsed.as_str()) {
        return Err(Why::new(format!("the header '{shown}' is hangwatch's own"), "leave it out"));
    }
    let Ok(mut value) = HeaderValue::from_str(&value.reveal()?) else {
        let hint = "a value is one line of visible characters; is the variable it comes from what you meant?";
        return Err(Why::new(format!("the value of header '{shown}' cannot be sent"), hint));
    };
    value.set_sensitive(true);
    Ok((parsed, value))
}

/// What came of a request.
fn judge(answer: Result<Response<Body>, ureq::Error>) -> Result<(), Failure> {
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) if answer.status().is_redirection() => Err(Failure::Lasting(redirected(&answer))),
        Ok(answer) => {
            let status = answer.status();
            let why = format!("status {}", status.as_u16());
            let may_pass =
                status.is_server_error() || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
            Err(if may_pass { Failure::Passing(why) } else { Failure::Lasting(why) })
        }
        // In words of our own where the client's might hold the address.
        Err(ureq::Error::Timeout(_)) => Err(Failure::Passing("no answer within its timeout".into())),
        Err(ureq::Error::HostNotFound) => Err(Failure::Passing("its host has no address".into())),
        Err(ureq::Error::Io(e)) => Err(Failure::Passing(text::escaped(&e.to_string()))),
        Err(ureq::Error::Tls(why)) => Err(Failure::Passing(format!("TLS: {why}"))),
        Err(ureq::Error::Rustls(e)) => Err(Failure::Passing(format!("TLS: {}", text::escaped(&e.to_string())))),
        Err(ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..)) => {
            Err(Failure::Passing("its answer is no HTTP".into()))
        }
        Err(_) => Err(Failure::Passing("the request failed".into())),
    }
}

fn redirected(answer: &Response<Body>) -> String {
    let status = answer.status().as_u16();
    let location = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).and_then(|to| to.parse::<Uri>().ok());
    match location.filter(|to| to.host().is_some()) {
        Some(to) => format!("status {status}, a redirect to {}, which is not followed", host(&to)),
        None => format!("status {status}, a redirect, which is not followed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str, headers: &[(&str, &str)]) -> Why {
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).into(), Secret((*value).into()))).collect();
        Client::new(&Secret(url.into()), &headers).expect_err("it could never be sent")
    }

    #[test]
    fn an_address_that_is_none_is_refused_and_never_shown() {
        for (url, why) in [
            ("ftp://example.org/hush", "the address has scheme 'ftp', expected http or https"),
            ("file:///hush", "the address cannot be read"),
            ("example.org", "the address has no scheme, expected http or https"),
            ("/hush", "the address has no scheme, expected http or https"),
            ("https://exa mple.org/hush", "the address cannot be read"),
            ("", "the address cannot be read"),
            ("https://user:hush@example.org/", "the address holds a user, which would not be sent"),
            ("env:HANGWATCH_TEST_NO_SUCH", "the variable HANGWATCH_TEST_NO_SUCH is not set"),
        ] {
            let refusal = refusal(url, &[]);
            assert_eq!(refusal.why, why, "{url}");
            assert!(!refusal.hint.contains("hush"));
        }
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_refused_by_its_name() {
        let url = "https://example.org/";
        assert_eq!(refusal(url, &[("a b", "c")]).why, "'a b' is no header's name");
        assert_eq!(refusal(url, &[("Content-Length", "7")]).why, "the header 'Content-Length' is hangwatch's own");
        assert_eq!(refusal(url, &[("X-Key", "hush\nX-Other: 1")]).why, "the value of header 'X-Key' cannot be sent");
        assert_eq!(
            refusal(url, &[("X-Key", "env:HANGWATCH_TEST_NO_SUCH")]).why,
            "the variable HANGWATCH_TEST_NO_SUCH is not set"
        );
    }

    #[test]
    fn the_host_is_all_that_is_shown_of_an_address() {
        let client = |url: &str| Client::new(&Secret(url.into()), &[("X-Key".into(), Secret("hush".into()))]).expect("sendable");
        assert_eq!(client("https://example.org/hush?key=hush").host(), "example.org");
        assert_eq!(client("http://127.0.0.1:8080/hush").host(), "127.0.0.1:8080");
        assert_eq!(client("http://[::1]:8080/hush").host(), "[::1]:8080");
    }
}
