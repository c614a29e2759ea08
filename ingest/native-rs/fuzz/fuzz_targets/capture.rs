//! A file is a capture or not; it is read alike whole and in pieces, with the same messages and counts.

#![no_main]

mod common;

use std::sync::Arc;

use _native::dissect::Dissector;
use _native::message::Message;
use _native::tally::Tally;
use _native::window::{Frames, Next, Window};
use libfuzzer_sys::fuzz_target;

const HEAD: usize = 28;

fn read(data: &[u8], piece: usize) -> Option<(Vec<Message>, Tally)> {
    let limits = Arc::new(common::limits());
    let (head, mut rest) = data.split_at(data.len().min(HEAD));
    let name: Arc<str> = Arc::from("x");
    let mut frames = Frames::open(head, &name, &limits).ok()?;
    let mut window =
        Window { data: head.to_vec(), base: 0, ended: rest.is_empty(), damage: String::new(), grows: false };
    let mut dissector = Dissector::new(limits, 0, data.len() % 2 == 0);
    dissector.source = name;
    let mut messages = Vec::new();
    loop {
        match dissector.feed(&mut frames, &window, 4) {
            Next::Frame { .. } => {}
            Next::More => {
                let (now, later) = rest.split_at(rest.len().min(piece));
                rest = later;
                frames.more(&mut window, now);
                window.ended = rest.is_empty();
            }
            Next::End => break,
        }
        messages.append(&mut dissector.found.messages);
    }
    dissector.finish();
    messages.append(&mut dissector.found.messages);
    Some((messages, dissector.found.tally))
}

fuzz_target!(|data: &[u8]| {
    let (Some((whole, tally)), Some((parts, other))) = (read(data, 1 << 20), read(data, 61)) else { return };
    assert_eq!(whole.len(), parts.len());
    for (one, two) in whole.iter().zip(&parts) {
        common::sound(one, &common::limits());
        assert_eq!((one.time, &one.raw, &one.position), (two.time, &two.raw, &two.position));
    }
    assert_eq!((&tally.counts, &tally.problems), (&other.counts, &other.problems));
});
