//! Twin of the second half of `builder/_facts.py`: a message's fact, packed field by field.

use crate::body::{Body, body_of, invitation_of};
use crate::fact::{ACK, BYE, CANCEL, FRAME, Fact, INVITE, METHODS, PRACK, TAG_SIZE, UPDATE, short_tag};
use crate::message::{Message, Method, header};
use crate::msgpack::{self, Reader};
use crate::syntax::{first_value, last_value, parameter_of};
use crate::text::{HEADER_LENGTH, partition_bytes, strip_bytes, text};

const FACT_SIZE: usize = 4096;

/// For each of `message::METHODS` its number in `METHODS`.
const NUMBERS: [Option<u8>; crate::message::METHODS.len()] = {
    let mut numbers = [None; crate::message::METHODS.len()];
    let mut at = 0;
    while at < METHODS.len() {
        let mut known = 0;
        while known < numbers.len() {
            if same(METHODS[at], crate::message::METHODS[known]) {
                numbers[known] = Some(at as u8);
            }
            known += 1;
        }
        at += 1;
    }
    numbers
};

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The number in `METHODS` of a message that is a fact.
pub fn fact_method(method: &Method, status: u16) -> Option<u8> {
    let Method::Known(known) = method else { return None };
    if status != 0 && !(100..=699).contains(&status) {
        return None;
    }
    NUMBERS.get(usize::from(*known)).copied().flatten()
}

/// Make a message's fact and give it to `take`; None where its method or status is none that a rule reads.
/// `details` is room for what is packed, used again for the next one.
pub fn fact_of<T>(
    message: &Message,
    correlation_header: &[u8],
    details: &mut Vec<u8>,
    take: impl FnOnce(Fact<'_>) -> T,
) -> Option<T> {
    let method = fact_method(&message.method, message.status)?;
    let (from_tag, to_tag) = (message.from_tag(), message.to_tag());
    pack(details, message, method, correlation_header);
    if details.len() + from_tag.len() + to_tag.len() + FRAME > FACT_SIZE {
        *details = within(details, FACT_SIZE - 2 * TAG_SIZE - FRAME);
    }
    Some(take(Fact {
        time: message.time,
        cseq: message.cseq,
        method,
        status: message.status,
        from_tag: &short_tag(from_tag),
        to_tag: &short_tag(to_tag),
        vias: message.vias,
        details,
    }))
}

/// Packs fields one behind the other; empty ones are left out.
struct Packer<'a> {
    out: &'a mut Vec<u8>,
    fields: u16,
}

/// msgspec gives a struct that leaves fields out a head with room for all of them.
const MAP_HEAD: usize = 3;

impl<'a> Packer<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        out.clear();
        out.extend_from_slice(&[0; MAP_HEAD]);
        Self { out, fields: 0 }
    }

    fn key(&mut self, key: u8) {
        self.fields += 1;
        self.out.extend_from_slice(&[0xa1, key]);
    }

    fn text(&mut self, key: u8, value: &str) {
        if !value.is_empty() {
            self.key(key);
            msgpack::text(self.out, value);
        }
    }

    fn header(&mut self, key: u8, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.text(key, &text(value));
        }
    }

    fn flag(&mut self, key: u8, value: bool) {
        if value {
            self.key(key);
            msgpack::flag(self.out, true);
        }
    }

    fn texts<S: AsRef<str>>(&mut self, key: u8, values: &[S]) {
        self.key(key);
        msgpack::array(self.out, values.len());
        for value in values {
            msgpack::text(self.out, value.as_ref());
        }
    }

    fn finish(self) {
        self.out[..MAP_HEAD].copy_from_slice(&msgpack::long_map(self.fields));
    }
}

/// Where the headers of a message begin.
struct Headers<'a> {
    message: &'a Message,
    seen: u64,
    first: [u16; crate::message::HEADERS.len()],
}

impl<'a> Headers<'a> {
    fn new(message: &'a Message) -> Self {
        let mut seen = 0;
        let mut first = [0; crate::message::HEADERS.len()];
        for (at, (name, _)) in message.headers.iter().enumerate().take(usize::from(u16::MAX)) {
            if seen >> name & 1 == 0 {
                seen |= 1 << name;
                first[usize::from(*name)] = at as u16;
            }
        }
        Self { message, seen, first }
    }

    fn has(&self, name: u8) -> bool {
        self.seen >> name & 1 == 1
    }

    fn first(&self, name: u8) -> Option<&'a [u8]> {
        self.has(name).then(|| self.message.bytes(&self.message.headers[usize::from(self.first[usize::from(name)])].1))
    }

    fn last(&self, name: u8) -> Option<&'a [u8]> {
        if self.has(name) { self.message.values(name).next_back() } else { None }
    }

    fn joined(&self, name: u8, separator: &[u8]) -> Vec<u8> {
        self.message.values(name).collect::<Vec<_>>().join(separator)
    }
}

fn pack(out: &mut Vec<u8>, message: &Message, method: u8, correlation_header: &[u8]) {
    let headers = Headers::new(message);
    let status = message.status;
    let (from_tag, to_tag) = (message.from_tag(), message.to_tag());
    let request = status == 0;
    let invite = method == INVITE;
    let invite_request = invite && request;
    let success = (200..300).contains(&status);
    let mut packer = Packer::new(out);

    // ACK, PRACK and UPDATE open no row: their From matters only where it alone tells the sides apart.
    if !matches!(method, ACK | PRACK | UPDATE) || from_tag == to_tag {
        packer.header(b'f', headers.first(const { header("from") }));
        packer.header(b't', headers.first(const { header("to") }));
    }
    packer.text(b's', &message.source);
    packer.text(b'd', &message.destination);
    let content_type = headers.first(const { header("content-type") });
    packer.header(b'c', content_type);
    let (has_body, mut body) = body_details(&headers, content_type, message);
    packer.flag(b'b', has_body);
    if !body.sdp.is_empty() {
        packer.texts(b'm', &body.sdp);
    }
    if invite && status != 100 && status < 300 {
        packer.first_element(b'C', headers.first(const { header("contact") }));
    }
    if invite {
        let name = const { header("record-route") };
        if let Some(value) = headers.last(name) {
            packer.text(b'R', last_value(&text(&value[value.len().saturating_sub(HEADER_LENGTH)..])));
            packer.flag(b'F', message.values(name).any(|value| contains(value, b"ms-fe=")));
        }
    }
    if matches!(method, INVITE | UPDATE) && success {
        packer.header(b'x', headers.first(const { header("session-expires") }));
    }
    // RFC 3261 16.10: a proxy makes 100, 407, tagless responses and those to CANCEL by itself.
    if request || !matches!(status, 100 | 407) && !to_tag.is_empty() && method != CANCEL {
        packer.header(b'u', headers.first(const { header("user-agent") }));
        packer.header(b'S', headers.first(const { header("server") }));
    }
    if request {
        packer.header(b'p', headers.first(const { header("priority") }));
    }
    if invite_request {
        let name = const { header("replaces") };
        if headers.has(name) {
            let values: Vec<_> = message.values(name).take(2).map(text).collect();
            packer.texts(b'r', &values);
        }
        packer.first_element(b'B', headers.first(const { header("referred-by") }));
    }
    if invite && (request || success) {
        let name = const { header("p-asserted-identity") };
        if headers.has(name) {
            packer.text(b'P', &text(&headers.joined(name, b", ")));
        }
    }
    if invite_request {
        packer.first_element(b'o', headers.first(const { header("p-session-on-behalf-of") }));
        packer.first_element(b'a', headers.first(const { header("p-agent-on-behalf-of") }));
    }
    packer.header(b'k', headers.first(const { header("ms-correlation-id") }));
    if invite_request {
        packer.header(b'i', headers.first(const { header("session-id") }));
        packer.header(b'g', headers.first(const { header("cisco-guid") }));
        if !correlation_header.is_empty() {
            packer.header(b'K', message.header(correlation_header).first().map(|value| &**value));
        }
    }
    // Provisional responses report progress, not the outcome (MS-OCER 3.1).
    if status >= 200 || request && matches!(method, BYE | CANCEL) {
        packer.last_of_last(b'D', headers.last(const { header("ms-diagnostics") }));
        packer.last_of_last(b'E', headers.last(const { header("ms-diagnostics-public") }));
        packer.last_of_last(b'G', headers.last(const { header("ms-client-diagnostics") }));
    }
    packer.header(b'e', headers.first(const { header("ms-edge-proxy-message-trust") }));
    packer.header(b'l', headers.first(const { header("ms-user-logon-data") }));
    packer.header(b'L', headers.first(const { header("ms-endpoint-location-data") }));
    if invite && success {
        packer.header(b'I', headers.first(const { header("ms-call-info") }));
    }
    if invite_request {
        let embedded = headers.first(const { header("ms-text-format") });
        embedded_details(&mut packer, &mut body, embedded.or(headers.first(const { header("ms-im-format") })));
    }
    if invite && success {
        // Supported, where it names anything of Microsoft's: other option tags are of no use to a rule.
        let name = const { header("supported") };
        if headers.has(name) {
            let joined = headers.joined(name, b",").to_ascii_lowercase();
            if contains(&joined, b"ms-") {
                packer.text(b'U', &text(&joined));
            }
        }
    }
    if let Some(invitation) = &body.invitation {
        packer.texts(b'v', invitation);
    }
    packer.flag(b'T', body.file_transfer);
    packer.text(b'A', &auth_target(&headers));
    if !message.machine.is_empty() {
        packer.text(b'n', &message.machine);
        packer.text(b'N', &message.pool);
    }
    if invite_request {
        packer.first_element(b'h', headers.first(const { header("history-info") }));
    }
    packer.flag(b'O', request && contains(message.start_line(), b"opaque=app:conf:"));
    packer.finish();
}

impl Packer<'_> {
    fn first_element(&mut self, key: u8, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.text(key, first_value(&text(value)));
        }
    }

    fn last_of_last(&mut self, key: u8, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.text(key, last_value(&text(value)));
        }
    }
}

/// Whether bytes hold a text that is given in lower case, in any case.
fn contains(value: &[u8], wanted: &[u8]) -> bool {
    let Some((&first, _)) = wanted.split_first() else { return true };
    memchr::memchr2_iter(first, first.to_ascii_uppercase(), value)
        .any(|at| value.get(at..at + wanted.len()).is_some_and(|found| found.eq_ignore_ascii_case(wanted)))
}

fn body_details(headers: &Headers<'_>, content_type: Option<&[u8]>, message: &Message) -> (bool, Body) {
    let Some(content_type) = content_type else { return (false, Body::default()) };
    let mut body = message.body();
    if body.is_empty() {
        let length = strip_bytes(headers.first(const { header("content-length") }).unwrap_or(b""));
        let more = length.iter().all(u8::is_ascii_digit) && length.iter().any(|digit| *digit != b'0');
        if !(message.cut && more) {
            return (false, Body::default());
        }
    }
    if let Some(encoding) = headers.first(const { header("content-encoding") })
        && !(encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity"))
    {
        return (true, Body::default());
    }
    if message.cut {
        // A line cut in its middle may mean anything.
        body = &body[..memchr::memrchr(b'\n', body).map_or(0, |end| end + 1)];
    }
    (true, body_of(content_type, body))
}

/// `ms-text-format: TYPE;…;ms-body=BASE64`: keep the type and that there is a body, and what an invitation asks.
fn embedded_details(packer: &mut Packer<'_>, body: &mut Body, value: Option<&[u8]>) {
    let Some(value) = value else { return };
    let Some(at) = memchr::memmem::find(value, b"ms-body=") else { return };
    let (head, encoded) = (&value[..at], &value[at + b"ms-body=".len()..]);
    packer.text(b'M', &text(&head[..head.len().min(HEADER_LENGTH / 2)]));
    let invite = b"text/x-msmsgsinvite";
    if head.get(..invite.len()).is_some_and(|start| start.eq_ignore_ascii_case(invite)) {
        let mut encoded = partition_bytes(encoded, b';').0;
        while let [b' ' | b'"', rest @ ..] | [rest @ .., b' ' | b'"'] = encoded {
            encoded = rest;
        }
        if let Some(decoded) = base64(&encoded[..encoded.len().min(4096)]) {
            body.invitation = Some(invitation_of(&decoded));
        }
    }
}

/// `binascii.a2b_base64`, which passes over what is no digit, and raises where the last one lacks others.
fn base64(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut found = Vec::with_capacity(encoded.len() / 4 * 3 + 3);
    let (mut place, mut left, mut pads) = (0, 0, 0);
    for byte in encoded {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' if place >= 2 => {
                pads += 1;
                if place + pads >= 4 {
                    return Some(found);
                }
                continue;
            }
            _ => continue,
        };
        pads = 0;
        match place {
            0 => {}
            1 => found.push(left << 2 | digit >> 4),
            2 => found.push(left << 4 | digit >> 2),
            _ => found.push(left << 6 | digit),
        }
        left = digit;
        place = (place + 1) % 4;
    }
    (place == 0).then_some(found)
}

/// The only part of these headers that may be kept; their parameters are separated by commas. Of both, that counts
/// whose header comes last.
fn auth_target(headers: &Headers<'_>) -> String {
    let (one, other) = (const { header("authentication-info") }, const { header("proxy-authentication-info") });
    if !(headers.has(one) || headers.has(other)) {
        return String::new();
    }
    let mut names = [one, other];
    if headers.has(one) && headers.has(other) && headers.first[usize::from(one)] < headers.first[usize::from(other)] {
        names.reverse();
    }
    for name in names {
        if let Some(value) = headers.first(name) {
            let value = text(value).replace(',', ";");
            if let Some(target) = parameter_of(&value, "targetname")
                && !target.is_empty()
            {
                return target.to_owned();
            }
        }
    }
    String::new()
}

/// Packed details without the fields that no longer fit: those before them in the fixed order stay.
fn within(packed: &[u8], size: usize) -> Vec<u8> {
    let mut made = Vec::with_capacity(size);
    let mut packer = Packer::new(&mut made);
    let mut reader = Reader::new(packed);
    let mut used = MAP_HEAD;
    for _ in 0..reader.map().unwrap_or(0) {
        let before = reader.rest();
        if reader.skip().and_then(|()| reader.skip()).is_err() {
            break;
        }
        // Key and value.
        let field = &before[..before.len() - reader.rest().len()];
        if used + field.len() <= size {
            used += field.len();
            packer.fields += 1;
            packer.out.extend_from_slice(field);
        }
    }
    packer.finish();
    made
}
