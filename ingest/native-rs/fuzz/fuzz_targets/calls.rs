//! Whatever messages a call has, it has rows, the same once packed; stored bytes are damaged, or a call that has rows.

#![no_main]

mod common;

use _native::call::Call;
use _native::counts::Counts;
use _native::rules::Rules;
use _native::sessions::sessions;
use libfuzzer_sys::fuzz_target;

fn rows(call: &mut Call) -> Option<Vec<String>> {
    call.normalise().ok()?;
    let (facts, slims) = (call.facts().ok()?, call.slims().ok()?);
    let mut found = Vec::new();
    sessions(call.call_id(), &facts, &slims, &Rules::default(), &mut Counts::default(), |row| {
        found.push(format!("{row:?}"));
    })
    .ok()?;
    Some(found)
}

fuzz_target!(|data: &[u8]| {
    if let Ok(mut stored) = Call::from_bytes(data) {
        rows(&mut stored);
    }
    let mut calls: Vec<Call> = Vec::new();
    for (number, piece) in common::pieces(data).into_iter().enumerate() {
        let Ok(message) = common::scanned(piece, number as i64 * 1_000_000, &common::limits()) else { continue };
        let place = calls.iter().position(|call| call.call_id() == message.call_id()).unwrap_or_else(|| {
            calls.push(Call::new(message.call_id()));
            calls.len() - 1
        });
        calls[place].add(&message, b"", &mut Vec::new()).expect("what was added is sound");
    }
    for call in &mut calls {
        let derived = rows(call).expect("a call of messages is sound");
        let mut again = Call::from_bytes(&call.to_bytes()).expect("what was packed is sound");
        assert_eq!(again.to_bytes(), call.to_bytes());
        assert_eq!(rows(&mut again), Some(derived));
    }
});
