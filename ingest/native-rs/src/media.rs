//! Twin of `builder/_media.py`: what offers and answers negotiated.

use std::ops::Range;

use crate::columns::Row;
use crate::details::Key;
use crate::fact::{ACK, INFO, INVITE, MESSAGE, PRACK, UPDATE, countable};
use crate::groups::Message;
use crate::table::Table;

const IM: u8 = 1;
const FILE_TRANSFER: u8 = 2;
const REMOTE_ASSISTANCE: u8 = 4;
const APP_SHARING: u8 = 8;
const AUDIO: u8 = 16;
const VIDEO: u8 = 32;
const APP_INVITE: u8 = 64;

const BITS: usize = 7;

// Rendezvous applications (tieto/sipe sip-ft.c; Windows Rendezvous documentation).
const FILE_TRANSFER_GUID: &str = "5d3e02ab-6190-11d3-bbbb-00c04f795683";
const REMOTE_ASSISTANCE_GUIDS: [&str; 2] =
    ["56b994a7-380f-410b-9985-c809d78c1bdc", "703ea1a8-d73e-43e3-852c-ee85b5d872c2"];

/// Of each bit the time of the message that first asked for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Media([Option<i64>; BITS]);

impl Media {
    fn note(&mut self, bits: u8, message: &Message) {
        for (bit, known) in self.0.iter_mut().enumerate() {
            if bits & 1 << bit != 0 && known.is_none_or(|time| time > message.time) {
                *known = Some(message.time);
            }
        }
    }

    /// MediaTypes.
    pub fn types(&self) -> u8 {
        self.each().fold(0, |types, (id, _)| types | 1 << (id - 1))
    }

    /// MediaId and StartTime of each bit.
    pub fn each(&self) -> impl Iterator<Item = (u8, i64)> {
        (1..).zip(self.0).filter_map(|(id, time)| time.map(|time| (id, time)))
    }
}

pub fn media_of(row: &Row) -> Media {
    let mut found = Media::default();
    own_attempt(row, &mut found);
    // What the INVITE of the attempt asks for beside its SDP.
    if let Some(first) = row.own().next() {
        for message in row.own() {
            found.note(body_bits(message), first);
        }
        if embedded_counts(row) {
            found.note(IM, first);
        }
    }
    inside(row, &mut found);
    if row.shape.page_mode {
        for message in row.messages() {
            message_bits(message, &mut found);
        }
    }
    found
}

/// `messages.embedded`: the INVITE carried a text, and the 2xx says that it was taken.
pub fn embedded_counts(row: &Row) -> bool {
    let Some(success) = row.success() else { return false };
    if !row.has(Key::Embedded) || !row.own().any(|m| m.has(Key::Embedded) && countable(m.header(Key::Embedded))) {
        return false;
    }
    let supported = success.header(Key::Supported);
    supported.contains("ms-text-format") || supported.contains("ms-embedded-first-message")
}

/// `stream.attempt`: of the attempts only the row's own counts.
fn own_attempt(row: &Row, found: &mut Media) {
    let attempt = row.session().attempt;
    let replies = || row.responses().filter(|message| Some(message.cseq) == attempt);
    let tag = row.session().tag.unwrap_or(b"");
    let responses: Vec<&Message> =
        replies().filter(|message| message.status < 300 && (tag.is_empty() || message.to_tag == tag)).collect();
    if row.own.is_empty() && responses.is_empty() {
        return;
    }
    let acks = row.inside().filter(|message| message.method == ACK && Some(message.cseq) == attempt);
    if let Some(first) = row.own().chain(replies()).next() {
        found.note(negotiated(row.own(), &responses, acks), first);
    }
}

/// In-dialog offers count when their transaction got a 2xx.
fn inside(row: &Row, found: &mut Media) {
    let mut transactions: Table<(&[u8], bool, u8, u64), Vec<&Message>> = Table::default();
    for message in row.inside() {
        match message.method {
            INVITE | UPDATE | PRACK => {
                let key = (message.from_tag, message.from_caller, message.method, message.cseq);
                transactions.entry(key, Vec::new).push(message);
            }
            MESSAGE => message_bits(message, found),
            INFO if message.status == 0 => found.note(body_bits(message), message),
            _ => {}
        }
    }
    for ((_, from_caller, method, cseq), messages) in transactions.iter() {
        let requests = || messages.iter().copied().filter(|message| message.status == 0);
        let responses: Vec<&Message> =
            messages.iter().copied().filter(|message| (1..300).contains(&message.status)).collect();
        if !responses.iter().any(|message| message.status >= 200) {
            continue;
        }
        let Some(first) = requests().next().or_else(|| responses.first().copied()) else { continue };
        let acks = row
            .inside()
            .filter(|m| *method == INVITE && m.method == ACK && m.from_caller == *from_caller && m.cseq == *cseq);
        found.note(negotiated(requests(), &responses, acks), first);
        for message in requests() {
            found.note(body_bits(message), first);
        }
    }
}

/// `stream.accepted`: the bits of a transaction's offer, less the streams that every answer rejects by port 0.
fn negotiated<'m, 'a: 'm>(
    requests: impl Iterator<Item = &'m Message<'a>>,
    responses: &[&'m Message<'a>],
    acks: impl Iterator<Item = &'m Message<'a>>,
) -> u8 {
    let mut offer = Sdp::default();
    let mut answered = Sdp::default();
    if offer.put_first(requests) {
        responses.iter().for_each(|message| answered.put(message));
    } else {
        // RFC 3261 13.2.1: no offer in the INVITE, so the response brings it and the ACK answers.
        offer.put_first(responses.iter().copied());
        acks.for_each(|message| answered.put(message));
    }
    // SfB offers the same call twice in a multipart/alternative: an answer is to the part with as many m-lines.
    let matches = |part: &Range<usize>| answered.parts.iter().any(|answer| answer.len() == part.len());
    let any = offer.parts.iter().any(matches);
    let mut bits = 0;
    for part in offer.parts.iter().filter(|part| !any || matches(part)) {
        let fitting = matches(part);
        let answers = || {
            answered
                .parts
                .iter()
                .filter(|answer| !fitting || answer.len() == part.len())
                .map(|a| &answered.lines[a.clone()])
        };
        for (number, line) in offer.lines[part.clone()].iter().enumerate() {
            let bit = line.bit();
            if bit != 0 && !zero(line.port) {
                let mut refusals = answers().map(|answer| answer.get(number).is_some_and(|line| zero(line.port)));
                let rejected = refusals.next().is_some_and(|refused| refused && refusals.all(|refused| refused));
                bits |= if rejected { 0 } else { bit };
            }
        }
    }
    bits
}

struct MLine<'a> {
    name: &'a str,
    port: &'a str,
    file_selector: bool,
}

impl MLine<'_> {
    fn bit(&self) -> u8 {
        match self.name {
            "audio" => AUDIO,
            "video" => VIDEO,
            "message" if self.file_selector => FILE_TRANSFER,
            "message" | "x-ms-message" => IM,
            "applicationsharing" | "applicationsharing-video" => APP_SHARING,
            "data" | "x-data" => FILE_TRANSFER,
            _ => 0,
        }
    }
}

/// The SDP parts of messages (of each that of its earliest fact that has any), as lines and where each part has its own.
#[derive(Default)]
struct Sdp<'a> {
    lines: Vec<MLine<'a>>,
    parts: Vec<Range<usize>>,
}

impl<'a> Sdp<'a> {
    fn put(&mut self, message: &Message<'a>) {
        let Some(details) = message.keeping(Key::Sdp) else { return };
        for part in details.sdp.iter() {
            let begin = self.lines.len();
            if !part.is_empty() {
                self.lines.extend(part.split(';').map(m_line));
            }
            self.parts.push(begin..self.lines.len());
        }
    }

    /// Whether any of the messages has one: the first of these is put in.
    fn put_first<'m>(&mut self, mut messages: impl Iterator<Item = &'m Message<'a>>) -> bool
    where
        'a: 'm,
    {
        messages.find(|message| message.has(Key::Sdp)).is_some_and(|message| {
            self.put(message);
            true
        })
    }
}

fn m_line(line: &str) -> MLine<'_> {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (port, flag) = rest.split_once(' ').unwrap_or((rest, ""));
    MLine { name, port, file_selector: flag == "f" }
}

fn zero(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|digit| digit == b'0')
}

fn message_bits(message: &Message, found: &mut Media) {
    if message.status == 0 {
        found.note(body_bits(message), message);
        if countable(message.header(Key::ContentType)) {
            found.note(IM, message);
        }
    }
}

/// Bits of bodies that are no SDP.
fn body_bits(message: &Message) -> u8 {
    let mut bits = if message.has(Key::FileTransfer) { FILE_TRANSFER } else { 0 };
    if let Some([guid, name, command]) = message.keeping(Key::Invitation).and_then(|details| details.invitation) {
        let guid = guid.trim_matches(['{', '}', ' ']);
        if guid == FILE_TRANSFER_GUID || name == "file transfer" {
            bits |= FILE_TRANSFER;
        } else if REMOTE_ASSISTANCE_GUIDS.contains(&guid) {
            bits |= REMOTE_ASSISTANCE;
        } else if !guid.is_empty() && command == "invite" {
            bits |= APP_INVITE;
        }
    }
    bits
}
