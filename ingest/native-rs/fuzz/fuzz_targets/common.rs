//! What the targets share: bounds so small that short inputs meet them, and what every message must be.

#![allow(dead_code)]

use std::sync::Arc;

use _native::limits::Limits;
use _native::message::{HEADERS, Message, Position};
use _native::scan::scan;
use _native::tally::Tally;

pub fn limits() -> Limits {
    Limits {
        message: 4096,
        headers: 32,
        header: 512,
        packet: 8192,
        block: 16_384,
        layers: 8,
        fragments: 4096,
        parts: 8,
        fragmented: 4,
        stream: 4096,
        streams: 4,
        streams_held: 8192,
        line: 512,
        foreign: 1024,
        ..Limits::default()
    }
}

pub fn position() -> Position {
    Position { source: Arc::from("x"), number: 1, partition: Arc::default() }
}

pub fn scanned(data: &[u8], time: i64, limits: &Limits) -> Result<Message, &'static str> {
    let (none, udp) = (Arc::from("192.0.2.1:5060"), Arc::from("UDP"));
    scan(data, time, &position(), &mut Tally::default(), limits, &none, &none, &udp, data.len() % 5 == 0)
}

/// Pieces behind their lengths, in units of four.
pub fn pieces(mut data: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let [length, rest @ ..] = data {
        let size = (usize::from(*length) * 4).min(rest.len());
        found.push(&rest[..size]);
        data = &rest[size..];
    }
    found
}

/// All parts of a message are there, within the limits.
pub fn sound(message: &Message, limits: &Limits) {
    assert!(message.raw.len() <= limits.message);
    assert!(message.body_at as usize <= message.raw.len());
    assert!(message.status == 0 || (100..700).contains(&message.status));
    assert!(!message.method.as_str().is_empty() && message.method.as_str().len() <= 64);
    assert!(!message.call_id().is_empty());
    assert!(message.from_tag().len() <= limits.header && message.to_tag().len() <= limits.header);
    assert!(message.headers.len() <= limits.headers);
    for (name, value) in &message.headers {
        assert!(usize::from(*name) < HEADERS.len());
        assert!(message.bytes(value).len() <= limits.header);
    }
    for name in [&b"via"[..], b"allow", b"x"] {
        assert!(message.header(name).len() <= message.raw.len());
    }
    assert!(message.start_line().len() + message.body().len() <= message.raw.len());
}
