//! A server of HTTP on the loopback that says what it met, and answers as the test wants.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

/// What a server says to a request.
pub(crate) enum Answer {
    /// A status, and more headers.
    Status(u16, &'static str),
    /// Nothing, and the connection stays open.
    Never,
    /// 200, once the test says so.
    Held(Receiver<()>),
}

pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    fn read(stream: &TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a head of text");
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_string()),
            }
        }
        let mut request = Self { line: lines.remove(0), headers: lines, body: Vec::new() };
        let length = request.header("content-length").map_or(0, |length| length.parse().expect("a number"));
        request.body.resize(length, 0);
        reader.read_exact(&mut request.body).expect("the body");
        request
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .filter_map(|line| line.split_once(": "))
            .find(|(met, _)| met.eq_ignore_ascii_case(name))
            .map(|(_, v)| v)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON object")
    }

    pub(crate) fn id(&self) -> String {
        self.header("idempotency-key").expect("an id").into()
    }
}

/// Takes one request after the other and answers as `answers` says, then 200.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) requests: Receiver<Request>,
}

impl Server {
    pub(crate) fn start(answers: impl IntoIterator<Item = Answer> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let (met, requests) = channel();
        let answers: Vec<_> = answers.into_iter().collect();
        std::thread::spawn(move || serve(&listener, &met, answers));
        Self { url, requests }
    }

    pub(crate) fn next(&self) -> Request {
        self.requests.recv().expect("the server lives as long as the test")
    }
}

fn serve(listener: &TcpListener, met: &Sender<Request>, answers: Vec<Answer>) {
    let mut answers = answers.into_iter();
    let mut open = Vec::new();
    for stream in listener.incoming() {
        let mut stream = stream.expect("a connection");
        // Known before it is answered: whoever has the answer knows that the test can see the request.
        if met.send(Request::read(&stream)).is_err() {
            return;
        }
        let (status, more) = match answers.next() {
            None => (200, ""),
            Some(Answer::Status(status, more)) => (status, more),
            Some(Answer::Held(released)) => {
                let _ = released.recv();
                (200, "")
            }
            Some(Answer::Never) => {
                open.push(stream);
                continue;
            }
        };
        let _ = stream.write_all(format!("HTTP/1.1 {status} X\r\n{more}content-length: 0\r\n\r\n").as_bytes());
    }
}
