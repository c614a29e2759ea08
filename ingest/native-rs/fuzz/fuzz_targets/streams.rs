//! What a stream holds doesn't depend on how it comes in pieces.

#![no_main]

mod common;

use _native::framing::Sink;
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

fn framed(data: &[u8], piece: usize) -> Found {
    let (limits, position) = (common::limits(), common::position());
    let (mut stream, mut found) = (Framing::default(), Found::default());
    for part in data.chunks(piece) {
        stream.feed(part, 0, &position, &limits, &mut found);
        assert!(stream.held() <= data.len());
    }
    stream.gap(&limits, &mut found);
    found.counts.sort_unstable();
    found
}

fuzz_target!(|data: &[u8]| {
    let [size, data @ ..] = data else { return };
    assert_eq!(framed(data, data.len().max(1)), framed(data, usize::from(*size) + 1));
});
