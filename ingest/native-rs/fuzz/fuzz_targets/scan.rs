//! A message is refused by a reason, or has its parts; lines and heads end within what there is.

#![no_main]

mod common;

use _native::limits::Limits;
use _native::scan::{end_of_head, is_start_line, start_within, tag_of};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for limits in [common::limits(), Limits::default()] {
        match common::scanned(data, 0, &limits) {
            Ok(message) => common::sound(&message, &limits),
            Err(reason) => assert!(!reason.is_empty()),
        }
    }
    if let Some(at) = end_of_head(data, data.len() / 7) {
        assert!(data[..at].ends_with(b"\n\n") || data[..at].ends_with(b"\n\r\n"));
    }
    if let Some(at) = start_within(data) {
        assert!(at < data.len());
    }
    assert!(!is_start_line(data) || start_within(data).is_some());
    assert!(tag_of(data).end <= data.len());
});
