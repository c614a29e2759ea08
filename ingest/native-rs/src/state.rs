//! Twin of `builder/_state.py`: the state of a dialog, and when it closes. `walk`, which is for people, is Python only.

use crate::details::Key;
use crate::dialogs::{Session, Shape};
use crate::fact::{INVITE, UPDATE};
use crate::groups::Message;
use crate::rules::Rules;
use crate::text::{characters, partition, strip};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Preparative,
    Early,
    Cancelled,
    Failed,
    Moratorium,
    Established,
    Mortal,
    Morgue,
    PageMode,
}

const TIMER_C: i128 = 180_000_000;

/// When a row that no BYE ended counts as over, in microseconds (scenarios.md section M). It sets no column.
pub fn closing_time(shape: &Shape, session: &Session, rules: &Rules) -> i128 {
    let responses = shape.responses_of(session);
    let attempt = || shape.each(&responses).filter(|m| Some(m.cseq) == session.attempt);
    let timeout = rules.timeout();
    let latest = |times: &mut dyn Iterator<Item = i64>| i128::from(times.max().unwrap_or(i64::MIN));
    match shape.state(session, &responses) {
        State::Preparative => latest(&mut shape.each(&shape.invites).map(|m| m.last)) + timeout, // Timer B
        State::Early => latest(&mut attempt().map(|m| m.last)) + TIMER_C, // RFC 3261 16.6 step 11
        State::Cancelled => {
            let cancels = || shape.each(&shape.cancels).filter(|m| Some(m.cseq) == session.attempt);
            let requests = cancels().any(|m| m.status == 0);
            latest(&mut cancels().filter(|m| !requests || m.status == 0).map(|m| m.time)) + timeout // 9.1
        }
        State::Failed => {
            let last = latest(&mut attempt().filter(|m| m.status >= 300).map(|m| m.time));
            let challenged = session.final_response.is_some_and(|m| matches!(shape.message(m).status, 401 | 407));
            // A user who is asked for a password needs longer than the transaction does.
            last + if challenged { TIMER_C } else { timeout }
        }
        State::PageMode => latest(&mut shape.generation.messages.iter().map(|m| m.time)) + timeout, // Timer F
        State::Mortal | State::Morgue => {
            shape.byes(session).first().map_or(0, |bye| i128::from(shape.message(*bye).time)) + timeout
        }
        State::Moratorium | State::Established => established_until(shape, session, &responses, rules),
    }
}

/// RFC 4028 section 10: a session with a timer lasts as long as its last refresh says.
fn established_until(shape: &Shape, session: &Session, responses: &[usize], rules: &Rules) -> i128 {
    let refreshes = shape
        .each(responses)
        .filter(|m| Some(m.to_tag) == session.tag)
        .chain(shape.each(&session.inside))
        .filter(|m| matches!(m.method, INVITE | UPDATE) && (200..300).contains(&m.status));
    let mut latest: Option<&Message> = None;
    for message in refreshes {
        if latest.is_none_or(|known| message.time > known.time) {
            latest = Some(message);
        }
    }
    let maximum_age = i128::from(rules.maximum_age);
    if let Some(latest) = latest {
        let seconds = strip(partition(latest.header(Key::SessionExpires), ';').0);
        if !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit()) {
            let seconds: i128 = characters(seconds, 12).parse().unwrap_or(0);
            return i128::from(latest.time) + (seconds * 1_000_000).min(maximum_age) + rules.timeout();
        }
    }
    let messages = shape.messages_of(session, responses);
    i128::from(shape.each(&messages).map(|m| m.time).max().unwrap_or(i64::MIN)) + maximum_age
}
