//! Whatever messages a call has, it has rows, the same once packed; stored bytes are damaged, or a call that has rows.

#![no_main]

mod common;

use _native::call::Call;
use _native::counts::Counts;
use _native::row::SessionDetails;
use _native::rules::Rules;
use _native::sessions::sessions;
use libfuzzer_sys::fuzz_target;

fn rows(call_id: &[u8], call: &mut Call) -> Option<Vec<String>> {
    call.normalise().ok()?;
    let (facts, slims) = (call.facts().ok()?, call.slims().ok()?);
    let mut found = Vec::new();
    let take = |row: &SessionDetails| found.push(format!("{row:?}"));
    sessions(call_id, &facts, &slims, &Rules::default(), &mut Counts::default(), take).ok()?;
    Some(found)
}

fuzz_target!(|data: &[u8]| {
    if let Ok((call_id, mut stored)) = Call::from_bytes(data) {
        rows(call_id, &mut stored).expect("what was read is sound");
    }
    let mut calls: Vec<(Vec<u8>, Call)> = Vec::new();
    for (number, piece) in common::pieces(data).into_iter().enumerate() {
        let Ok(message) = common::scanned(piece, number as i64 * 1_000_000, &common::limits()) else { continue };
        let place = calls.iter().position(|(call_id, _)| call_id == message.call_id()).unwrap_or_else(|| {
            calls.push((message.call_id().to_vec(), Call::default()));
            calls.len() - 1
        });
        calls[place].1.add(&message, b"", &mut Vec::new()).expect("what was added is sound");
    }
    for (call_id, call) in &mut calls {
        let derived = rows(call_id, call).expect("a call of messages is sound");
        let packed = call.to_bytes(call_id);
        let (again_id, mut again) = Call::from_bytes(&packed).expect("what was packed is sound");
        assert_eq!(again.to_bytes(again_id), packed);
        assert_eq!(rows(again_id, &mut again), Some(derived));
        let joined = call.join(&again).expect("what is sound can be joined");
        assert_eq!(joined.to_bytes(call_id), packed);
    }
});
