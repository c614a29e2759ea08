//! Twin of `builder/_message.py`: one sighting of a SIP message, which says what each field means.

use std::borrow::Cow;
use std::sync::Arc;

use crate::text::{partition_bytes, strip_bytes};

/// Methods that have a name of their own; the number stands for the name from here on.
pub const METHODS: [&str; 16] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "REGISTER",
    "PRACK",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "INFO",
    "REFER",
    "MESSAGE",
    "UPDATE",
    "SERVICE",
    "BENOTIFY",
];

/// A method as sent: methods are case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// Its place in `METHODS`.
    Known(u8),
    Other(Arc<str>),
}

impl Method {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(number) => METHODS[usize::from(*number)],
            Self::Other(name) => name,
        }
    }
}

/// The headers that the scan keeps, in the order of their names; `HeaderName` is a place in it.
pub const HEADERS: [&str; 35] = [
    "authentication-info",
    "call-id",
    "cisco-guid",
    "contact",
    "content-encoding",
    "content-length",
    "content-type",
    "cseq",
    "from",
    "history-info",
    "ms-call-info",
    "ms-client-diagnostics",
    "ms-correlation-id",
    "ms-diagnostics",
    "ms-diagnostics-public",
    "ms-edge-proxy-message-trust",
    "ms-endpoint-location-data",
    "ms-im-format",
    "ms-text-format",
    "ms-user-logon-data",
    "p-agent-on-behalf-of",
    "p-asserted-identity",
    "p-session-on-behalf-of",
    "priority",
    "proxy-authentication-info",
    "record-route",
    "referred-by",
    "replaces",
    "server",
    "session-expires",
    "session-id",
    "supported",
    "to",
    "user-agent",
    "via",
];

pub type HeaderName = u8;

/// Compact forms (RFC 3261 section 7.3.3 and the IANA registry) and what they stand for.
pub const COMPACT: [(u8, &str); 20] = [
    (b'a', "accept-contact"),
    (b'b', "referred-by"),
    (b'c', "content-type"),
    (b'd', "request-disposition"),
    (b'e', "content-encoding"),
    (b'f', "from"),
    (b'i', "call-id"),
    (b'j', "reject-contact"),
    (b'k', "supported"),
    (b'l', "content-length"),
    (b'm', "contact"),
    (b'n', "identity-info"),
    (b'o', "event"),
    (b'r', "refer-to"),
    (b's', "subject"),
    (b't', "to"),
    (b'u', "allow-events"),
    (b'v', "via"),
    (b'x', "session-expires"),
    (b'y', "identity"),
];

/// The place of a header in `HEADERS`; for constants.
pub const fn header(name: &str) -> HeaderName {
    match kept(name) {
        Some(place) => place,
        None => panic!("not a header that the scan keeps"),
    }
}

/// The place of a name in `HEADERS`, if it is there.
pub const fn kept(name: &str) -> Option<HeaderName> {
    let wanted = name.as_bytes();
    let mut at = 0;
    while at < HEADERS.len() {
        let known = HEADERS[at].as_bytes();
        if known.len() == wanted.len() {
            let mut same = 0;
            while same < known.len() && known[same] == wanted[same] {
                same += 1;
            }
            if same == known.len() {
                return Some(at as HeaderName);
            }
        }
        at += 1;
    }
    None
}

/// A header's value: a part of the message's bytes, or what unfolding or a limit made of it.
#[derive(Clone, Debug)]
pub enum Value {
    Span(u32, u32),
    Owned(Box<[u8]>),
}

/// Where a message was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub source: Arc<str>,
    pub number: i64,
    pub partition: Arc<str>,
}

#[derive(Clone, Debug)]
pub struct Message {
    pub time: i64,
    pub method: Method,
    pub status: u16,
    pub call_id: Value,
    pub from_tag: Value,
    pub to_tag: Value,
    pub cseq: u64,
    pub vias: u32,
    pub headers: Vec<(HeaderName, Value)>,
    pub raw: Box<[u8]>,
    pub body_at: u32,
    pub position: Position,
    pub source: Arc<str>,
    pub destination: Arc<str>,
    pub transport: Arc<str>,
    pub cut: bool,
    pub machine: Arc<str>,
    pub pool: Arc<str>,
}

impl Message {
    pub fn bytes<'a>(&'a self, value: &'a Value) -> &'a [u8] {
        match value {
            Value::Span(start, end) => &self.raw[*start as usize..*end as usize],
            Value::Owned(bytes) => bytes,
        }
    }

    pub fn call_id(&self) -> &[u8] {
        self.bytes(&self.call_id)
    }

    pub fn from_tag(&self) -> &[u8] {
        self.bytes(&self.from_tag)
    }

    pub fn to_tag(&self) -> &[u8] {
        self.bytes(&self.to_tag)
    }

    /// The values of a header in the order received.
    pub fn values(&self, name: HeaderName) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.headers.iter().filter(move |(known, _)| *known == name).map(|(_, value)| self.bytes(value))
    }

    /// The first value of a header.
    pub fn first(&self, name: HeaderName) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// All values of any header, by its long lower-case name, unfolded and trimmed, in the order received.
    pub fn header(&self, name: &[u8]) -> Vec<Cow<'_, [u8]>> {
        if let Some(kept) = HEADERS.iter().position(|known| known.as_bytes() == name) {
            return self.values(kept as HeaderName).map(Cow::Borrowed).collect();
        }
        let mut values: Vec<Cow<'_, [u8]>> = Vec::new();
        let mut current = false;
        for line in self.raw[..self.body_at as usize].split(|byte| *byte == b'\n').skip(1) {
            if let [b' ' | b'\t', ..] = line {
                if let Some(last) = values.last_mut().filter(|_| current) {
                    *last = Cow::Owned(strip_bytes(&[&**last, b" ", strip_bytes(line)].concat()).to_vec());
                }
                continue;
            }
            let (key, value) = partition_bytes(line, b':');
            current = value.is_some() && is_header(strip_bytes(key), name);
            if current {
                values.push(Cow::Borrowed(strip_bytes(value.unwrap_or(b""))));
            }
        }
        values
    }

    pub fn body(&self) -> &[u8] {
        &self.raw[self.body_at as usize..]
    }

    /// The request line or status line, without its line end.
    pub fn start_line(&self) -> &[u8] {
        let end = memchr::memchr(b'\n', &self.raw).unwrap_or(self.raw.len());
        let mut line = &self.raw[..end];
        while let [rest @ .., b'\r'] = line {
            line = rest;
        }
        line
    }
}

fn is_header(key: &[u8], name: &[u8]) -> bool {
    let long = match key {
        [letter] => COMPACT.iter().find(|(compact, _)| *compact == letter.to_ascii_lowercase()),
        _ => None,
    };
    long.map_or(key, |(_, long)| long.as_bytes()).to_ascii_lowercase() == name
}
