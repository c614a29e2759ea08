//! Twin of `builder/_columns.py`: times, codes, counts and flags. A rule here gives its value alone: which message it
//! was read from is asked by `explain`, and that walks the Python.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use crate::counts::Counts;
use crate::details::Key;
use crate::dialogs::{Session, Shape};
use crate::fact::{BYE, CANCEL, INFO, INVITE, MESSAGE, countable};
use crate::groups::{Message, opens};
use crate::media::embedded_counts;
use crate::rules::Rules;
use crate::text::{is_lower, lower, partition, strip};

/// A session whose columns are being derived; all lists are places in the order of facts.
pub struct Row<'s, 'a> {
    pub shape: &'s Shape<'s, 'a>,
    pub number: usize,
    pub rules: &'s Rules,
    pub responses: Vec<usize>,
    pub messages: Vec<usize>,
    /// INVITE requests of the row's own attempt.
    pub own: Vec<usize>,
    /// The message that gives InviteTime.
    pub start: &'s Message<'a>,
    /// What `parties` found of the clients, once it was asked.
    pub platform: OnceCell<bool>,
    keys: u64,
}

impl<'s, 'a> Row<'s, 'a> {
    /// None: a session without messages, which no generation makes.
    pub fn new(shape: &'s Shape<'s, 'a>, number: usize, rules: &'s Rules) -> Option<Self> {
        let session = shape.rows.get(number)?;
        let responses = shape.responses_of(session).into_owned();
        let messages = shape.messages_of(session, &responses);
        let own = (shape.invites.iter().copied())
            .filter(|place| Some(shape.message(*place).cseq) == session.attempt)
            .collect();
        let start = start(shape, &messages)?;
        let keys = shape.each(&messages).fold(0, |keys, message| keys | message.present);
        Some(Self { shape, number, rules, responses, messages, own, start, platform: OnceCell::new(), keys })
    }

    pub fn session(&self) -> &'s Session<'a> {
        &self.shape.rows[self.number]
    }

    /// Whether any message of the row has a kept header.
    pub fn has(&self, key: Key) -> bool {
        self.keys & key.bit() != 0
    }

    pub fn messages(&self) -> impl DoubleEndedIterator<Item = &'s Message<'a>> {
        self.shape.each(&self.messages)
    }

    /// INVITE requests of all attempts.
    pub fn initial(&self) -> impl DoubleEndedIterator<Item = &'s Message<'a>> {
        self.shape.each(&self.shape.invites)
    }

    pub fn own(&self) -> impl DoubleEndedIterator<Item = &'s Message<'a>> {
        self.shape.each(&self.own)
    }

    pub fn responses(&self) -> impl DoubleEndedIterator<Item = &'s Message<'a>> {
        self.shape.each(&self.responses)
    }

    pub fn inside(&self) -> impl DoubleEndedIterator<Item = &'s Message<'a>> {
        self.shape.each(&self.session().inside)
    }

    pub fn cancels(&self) -> impl DoubleEndedIterator<Item = &'s Message<'a>> {
        self.shape.each(&self.shape.cancels)
    }

    /// Messages of the row from one side.
    pub fn sent(&self, by_caller: bool) -> impl Iterator<Item = &'s Message<'a>> {
        self.messages().filter(move |message| message.by_caller == by_caller)
    }

    pub fn success(&self) -> Option<&'s Message<'a>> {
        self.session().success.map(|place| self.shape.message(place))
    }

    pub fn final_response(&self) -> Option<&'s Message<'a>> {
        self.session().final_response.map(|place| self.shape.message(place))
    }

    /// A kept header: of the first message that has it.
    pub fn first(&self, mut messages: impl Iterator<Item = &'s Message<'a>>, key: Key) -> Option<&'a str> {
        if !self.has(key) {
            return None;
        }
        messages.find(|message| message.has(key)).map(|message| message.header(key))
    }

    /// No attempt was seen, but messages of a dialog: it began before what we saw.
    fn inside_only(&self) -> bool {
        self.shape.attempts.is_empty() && !self.shape.page_mode
    }

    fn answered(&self) -> bool {
        self.session().success.is_some()
    }

    fn first_bye(&self) -> Option<&'s Message<'a>> {
        self.shape.byes(self.session()).first().map(|place| self.shape.message(*place))
    }
}

fn start<'s, 'a>(shape: &'s Shape<'s, 'a>, messages: &[usize]) -> Option<&'s Message<'a>> {
    if let Some(first) = shape.invites.first() {
        return Some(shape.message(*first));
    }
    let find = |chosen: &dyn Fn(&Message) -> bool| shape.each(messages).find(|message| chosen(message));
    let reinvite = || find(&|m| m.method == INVITE && m.status == 0);
    (if shape.mid_dialog { reinvite() } else { None })
        .or_else(|| find(&|m| opens(m.method) && (m.method != INVITE || m.status != 0)))
        .or_else(|| shape.each(messages).next())
}

/// ResponseTime and ResponseCode.
pub fn response(row: &Row) -> (Option<i64>, Option<u16>) {
    if !row.shape.invites.is_empty() || !row.responses.is_empty() {
        return row.final_response().map_or((None, None), |message| (Some(message.time), Some(message.status)));
    }
    if row.shape.mid_dialog {
        // A failure leaves the dialog standing (RFC 3261 12.2.1.2): it isn't the session's code.
        return row
            .messages()
            .find(|message| message.method == INVITE && (200..300).contains(&message.status))
            .map_or((None, None), |message| (Some(message.time), Some(message.status)));
    }
    // 200 to a CANCEL would read as an answered call.
    let answer = if row.start.method == CANCEL { None } else { final_of(row) };
    (Some(row.start.time), answer.map(|message| message.status))
}

/// The chosen final response to the first message's own transaction; if it was challenged, to its retry.
fn final_of<'s, 'a>(row: &Row<'s, 'a>) -> Option<&'s Message<'a>> {
    let start = row.start;
    let same: Vec<usize> = (row.messages.iter().copied())
        .filter(|place| {
            let message = row.shape.message(*place);
            message.method == start.method && message.from_caller == start.from_caller
        })
        .collect();
    let responses: Vec<usize> = same.iter().copied().filter(|place| row.shape.message(*place).status != 0).collect();
    let mut number = start.cseq;
    loop {
        let answer = row.shape.chosen_final(&responses, number).map(|place| row.shape.message(place));
        if !answer.is_some_and(|message| matches!(message.status, 401 | 407)) {
            return answer;
        }
        match row.shape.each(&same).filter(|m| m.status == 0 && m.cseq > number).map(|m| m.cseq).min() {
            Some(next) => number = next,
            None => return answer,
        }
    }
}

/// SessionEndTime.
pub fn end_time(row: &Row) -> Option<i64> {
    end_bye(row).or_else(|| end_final(row)).or_else(|| end_cancel(row)).or_else(|| end_page(row))
}

fn end_bye(row: &Row) -> Option<i64> {
    // RFC 3261 15.1.1: over as soon as the BYE is sent, whatever comes back.
    if row.answered() || row.inside_only() { row.first_bye().map(|bye| bye.time) } else { None }
}

fn end_final(row: &Row) -> Option<i64> {
    if row.answered() { None } else { row.final_response().map(|message| message.time) }
}

fn end_cancel(row: &Row) -> Option<i64> {
    if row.final_response().is_some() || row.shape.attempts.is_empty() {
        return None;
    }
    let cancels = row.cancels().filter(|message| message.status == 0);
    let byes = row.shape.byes(row.session());
    let earliest = cancels.chain(row.shape.each(&byes)).map(|message| message.time).min();
    earliest.or_else(|| row.cancels().next().map(|message| message.time))
}

fn end_page(row: &Row) -> Option<i64> {
    if !row.shape.page_mode {
        return None;
    }
    let last = row.messages().filter(|m| m.status == 0 || m.status >= 200).map(|m| m.time).max()?;
    let mut seen = HashSet::new();
    let slims = row.shape.generation.slims.iter();
    let first_seen = slims.filter(|slim| seen.insert((slim.status, slim.cseq, slim.from_tag, slim.to_tag)));
    Some(first_seen.map(|slim| slim.time).fold(last, i64::max))
}

pub fn call_priority(row: &Row) -> u8 {
    let first = row.messages().find(|message| message.status == 0 && opens(message.method));
    let value = if !row.shape.invites.is_empty() {
        row.first(row.initial(), Key::Priority)
    } else if first.is_some() {
        row.first(first.into_iter(), Key::Priority)
    } else {
        return 0;
    };
    // RFC 3261 20.26: to be treated as if "normal" had been given.
    let Some(value) = value else { return 2 };
    match lower(strip(value)).as_ref() {
        "non-urgent" => 1,
        "normal" => 2,
        "urgent" => 3,
        "emergency" => 4,
        _ => 0,
    }
}

const DIAGNOSTICS: [(Key, &str); 3] = [
    (Key::Diagnostics, "malformed diagnostics"),
    (Key::DiagnosticsPublic, "malformed diagnostics_public"),
    (Key::DiagnosticsClient, "malformed diagnostics_client"),
];

pub fn diagnostic_id(row: &Row, counts: &mut Counts) -> Option<i64> {
    if !DIAGNOSTICS.iter().any(|(key, _)| row.has(*key)) {
        return None;
    }
    let byes = row.inside().filter(|message| message.method == BYE && message.status == 0);
    let mut of = |message: &Message| diagnostic_of(message, counts);
    if row.answered() || row.inside_only() {
        return byes.chain(row.success()).find_map(&mut of);
    }
    let answer = if row.shape.page_mode { final_of(row) } else { row.final_response() };
    let cancels = row.cancels().filter(|message| message.status == 0);
    answer.into_iter().chain(cancels).chain(byes).find_map(&mut of)
}

/// The number in a message's diagnostics headers: header by header, the earliest fact's first.
fn diagnostic_of(message: &Message, counts: &mut Counts) -> Option<i64> {
    for (key, malformed) in DIAGNOSTICS {
        if message.has(key) {
            for details in message.details().filter(|details| details.has(key)) {
                let number = leading_number(details.text(key));
                if number.is_some() {
                    return number;
                }
                counts.add(malformed, 1);
            }
        }
    }
    None
}

fn leading_number(value: &str) -> Option<i64> {
    let value = value.trim_start_matches([' ', '\t']);
    let end = value.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
    if end == 0 || end > 32 {
        return None;
    }
    value[..end].parse().ok().filter(|number: &i64| *number <= 2_147_483_647)
}

/// User1MessageCount and User2MessageCount. Page mode never counts for User2.
pub fn message_counts(row: &Row) -> (i64, i64) {
    if row.own.is_empty() && !row.messages().any(|message| message.method == MESSAGE) {
        return (0, 0);
    }
    let (by_caller, by_callee) = texts(row);
    let embedded = i64::from(embedded_counts(row));
    (by_caller + embedded, if row.shape.page_mode { 0 } else { by_callee })
}

/// The texts of both sides that count, as MESSAGE requests.
fn texts(row: &Row) -> (i64, i64) {
    let generation = row.shape.generation;
    if generation.slims.is_empty() && !generation.messages.iter().any(|message| message.method == MESSAGE) {
        return (0, 0);
    }
    let ours = |other| row.shape.home(other) == Some(row.number);
    let mut texts = HashMap::new();
    let mut challenged = HashSet::new();
    for message in generation.messages.iter().filter(|message| message.method == MESSAGE && ours(message.other)) {
        if message.status == 0 {
            let key = (message.from_tag, message.to_tag, message.cseq, message.uri);
            texts.insert(key, (message.from_caller, countable(message.header(Key::ContentType))));
        } else if matches!(message.status, 401 | 407) {
            challenged.insert((message.from_caller, message.cseq));
        }
    }
    for slim in &generation.slims {
        let (from_tag, to_tag) = (slim.from_tag, slim.to_tag);
        let from_caller = generation.is_caller(from_tag, to_tag, &slim.from_uri);
        let other = if from_tag == generation.caller { to_tag } else { from_tag };
        if ours(other) {
            if slim.status != 0 {
                challenged.insert((from_caller, slim.cseq));
            } else {
                texts.entry((from_tag, to_tag, slim.cseq, &slim.from_uri)).or_insert((from_caller, slim.countable));
            }
        }
    }
    let mut highest = [None, None];
    for ((_, _, cseq, _), (from_caller, _)) in &texts {
        let highest = &mut highest[usize::from(*from_caller)];
        *highest = (*highest).max(Some(*cseq));
    }
    let mut counted = [0, 0];
    for ((_, _, cseq, _), (from_caller, written)) in &texts {
        let refused = challenged.contains(&(*from_caller, *cseq))
            && highest[usize::from(*from_caller)].is_some_and(|highest| *cseq < highest);
        counted[usize::from(*from_caller)] += i64::from(*written && !refused);
    }
    (counted[1], counted[0])
}

/// Bits: 0x01 an attempt before the row's own failed, 0x02 placed by an agent of a response group.
pub fn call_flag(row: &Row) -> u8 {
    let agent = row.first(row.initial(), Key::AgentOnBehalf).is_some()
        || (row.has(Key::CallInfo)
            && row.success().is_some_and(|m| lower(m.header(Key::CallInfo)).contains("rgs.anonymization")));
    u8::from(retried(row)) | if agent { 2 } else { 0 }
}

fn retried(row: &Row) -> bool {
    let Some(own) = row.session().attempt else { return false };
    row.shape.attempts.iter().take_while(|number| **number < own).any(|number| {
        row.shape.chosen_final(&row.shape.responses, *number).is_some_and(|place| {
            let status = row.shape.message(place).status;
            status >= 300 && !matches!(status, 401 | 407)
        })
    })
}

/// Bit 0x01: that side controls a desk phone by CSTA.
pub fn user_flag(row: &Row, caller: bool) -> u8 {
    const CSTA: &str = "application/csta+xml";
    let csta = |value: &str| value.len() >= CSTA.len() && is_lower(strip(partition(value, ';').0), CSTA);
    u8::from(row.has(Key::ContentType) && row.sent(caller).any(|message| csta(message.header(Key::ContentType))))
}

pub fn last_modified_time(row: &Row) -> i64 {
    row.messages().map(|message| message.time).max().unwrap_or(row.start.time)
}

/// MESSAGE and INFO requests of the row.
pub fn texts_begin<'s, 'a>(row: &Row<'s, 'a>) -> impl Iterator<Item = &'s Message<'a>> {
    row.messages().filter(|message| matches!(message.method, MESSAGE | INFO) && message.status == 0)
}
