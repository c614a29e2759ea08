//! What SIP's framing finds doesn't depend on how the stream comes in pieces. Which protocol a stream has does, as each
//! segment may begin with another: there nothing panics, and no more is held than came.

#![no_main]

mod common;

use _native::framing::{Framer, Sink};
use _native::message::Position;
use _native::streams::Framing;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Default, PartialEq)]
struct Found {
    messages: Vec<(Vec<u8>, bool, &'static str)>,
    hep: Vec<Vec<u8>>,
    counts: Vec<&'static str>,
}

impl Sink for Found {
    fn message(&mut self, data: &[u8], _: i64, _: &Position, cut: bool, transport: &'static str) {
        self.messages.push((data.to_vec(), cut, transport));
    }

    fn hep(&mut self, data: &[u8], _: i64, _: &Position) {
        self.hep.push(data.to_vec());
    }

    fn count(&mut self, reason: &'static str) {
        self.counts.push(reason);
    }
}

const FIRST: &[u8] = b"INVITE sip:bob@fuzz.example SIP/2.0\r\nContent-Length: 0\r\n\r\n";

fn framed(mut stream: Framing, data: &[u8], piece: usize) -> Found {
    let (limits, position) = (common::limits(), common::position());
    let mut found = Found::default();
    for part in data.chunks(piece) {
        stream.feed(part, 0, &position, &limits, &mut found);
        assert!(stream.held() <= FIRST.len() + data.len());
    }
    stream.gap(&limits, &mut found);
    assert_eq!(stream.held(), 0);
    found
}

/// SIP's framing behind a first message.
fn sip() -> Framing {
    let mut framer = Framer::default();
    framer.feed(FIRST, 0, &common::position(), &common::limits(), &mut Found::default());
    Framing::Sip(framer)
}

fuzz_target!(|data: &[u8]| {
    let [size, data @ ..] = data else { return };
    let (whole, size) = (data.len().max(1), usize::from(*size) + 1);
    assert_eq!(framed(sip(), data, whole), framed(sip(), data, size));
    framed(Framing::default(), data, whole);
    framed(Framing::default(), data, size);
});
