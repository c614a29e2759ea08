//! Twin of `ingest/_sip.py`.

use std::sync::Arc;

use crate::limits::Limits;
use crate::message::{Message, Position};
use crate::tally::Tally;

/// The message that `data` begins with, or the reason why it can't be used.
#[allow(clippy::too_many_arguments)]
pub fn scan(
    _data: &[u8],
    _time: i64,
    _position: &Position,
    _tally: &mut Tally,
    _limits: &Limits,
    _source: &Arc<str>,
    _destination: &Arc<str>,
    _transport: &Arc<str>,
    _cut: bool,
) -> Result<Message, &'static str> {
    Err("not SIP")
}
