//! Twin of `ingest/_sip.py`: the scan of a SIP message.
//!
//! Where Python makes a list of lines and a value for each header, one pass here finds the lines, their names and the
//! end of the head, and notes where values lie. Lines that are folded, or too many, go the long way.

use std::sync::Arc;

use memchr::{memchr, memchr_iter, memrchr};

use crate::limits::Limits;
use crate::message::{COMPACT, HEADERS, HeaderName, METHODS, Message, Method, Position, Value, header, kept};
use crate::tags::{elements, tag_of};
use crate::tally::Tally;

/// 1753-01-01 in microseconds: before it and after `LATEST` no database column takes a time.
pub const EARLIEST: i64 = -6_847_804_800_000_000;
pub const LATEST: i64 = 253_402_300_799_999_999;

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let signs = b"!%'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_`abcdefghijklmnopqrstuvwxyz~";
    let mut at = 0;
    while at < signs.len() {
        table[signs[at] as usize] = true;
        at += 1;
    }
    table
};

/// True for each byte that a SIP message may begin with: a token's, or a line end before the start line.
pub const FIRST_BYTE: [bool; 256] = {
    let mut table = TOKEN;
    table[b'\r' as usize] = true;
    table[b'\n' as usize] = true;
    table
};

const NOT_SIP: &str = "not SIP";

const CALL_ID: HeaderName = header("call-id");
const CONTENT_ENCODING: HeaderName = header("content-encoding");
const CONTENT_LENGTH: HeaderName = header("content-length");
const CSEQ: HeaderName = header("cseq");
const FROM: HeaderName = header("from");
const TO: HeaderName = header("to");
const VIA: HeaderName = header("via");

/// Headers of which the first counts, so that another value is worth a count.
const SINGLE: u64 = 1 << CALL_ID
    | 1 << CONTENT_LENGTH
    | 1 << CSEQ
    | 1 << FROM
    | 1 << header("priority")
    | 1 << header("referred-by")
    | 1 << TO;

const LONGEST: usize = 27;

/// The names of each length, as places in `HEADERS`; behind the last stands 255.
const BY_LENGTH: [[HeaderName; 8]; LONGEST + 1] = {
    let mut table = [[255; 8]; LONGEST + 1];
    let mut place = 0;
    while place < HEADERS.len() {
        let names = &mut table[HEADERS[place].len()];
        let mut at = 0;
        while names[at] != 255 {
            at += 1;
        }
        names[at] = place as HeaderName;
        place += 1;
    }
    table
};

/// The names in `HEADERS` that a letter stands for; 255 for none.
const BY_LETTER: [HeaderName; 256] = {
    let mut table = [255; 256];
    let mut at = 0;
    while at < COMPACT.len() {
        let (letter, name) = COMPACT[at];
        if let Some(place) = kept(name) {
            table[letter as usize] = place;
            table[letter.to_ascii_uppercase() as usize] = place;
        }
        at += 1;
    }
    table
};

/// The header that is spelled so, if a rule reads it.
fn name_of(spelled: &[u8]) -> Option<HeaderName> {
    let name = trim(spelled);
    if let [letter] = name {
        let place = BY_LETTER[usize::from(*letter)];
        return (place != 255).then_some(place);
    }
    let places = BY_LENGTH.get(name.len())?;
    // In lower case once, in a room of a fixed size: a few instructions where going by letters takes hundreds.
    let mut lower = [0; LONGEST + 5];
    lower[..name.len()].copy_from_slice(name);
    lower.make_ascii_lowercase();
    for &place in places {
        if HEADERS.get(usize::from(place))?.as_bytes() == &lower[..name.len()] {
            return Some(place);
        }
    }
    None
}

/// What Python's `bytes.strip` takes away.
pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C)
}

pub fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes {
        if !is_blank(*first) {
            break;
        }
        bytes = rest;
    }
    bytes
}

pub fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., last] = bytes {
        if !is_blank(*last) {
            break;
        }
        bytes = rest;
    }
    bytes
}

pub fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

/// The parts before and behind the first of these bytes; all and nothing without one.
pub fn partition(bytes: &[u8], separator: u8) -> (&[u8], &[u8]) {
    match memchr(separator, bytes) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, b""),
    }
}

fn begins_with_sip(bytes: &[u8]) -> bool {
    bytes.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case(b"SIP/"))
}

fn is_token(bytes: &[u8]) -> bool {
    matches!(bytes.len(), 1..=64) && bytes.iter().all(|byte| TOKEN[usize::from(*byte)])
}

fn is_number(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit)
}

/// Whether a line is a SIP start line of any version, `SIP` in any case.
pub fn is_start_line(line: &[u8]) -> bool {
    if begins_with_sip(line) {
        return is_status_line(&line[4..]);
    }
    let (method, rest) = partition(trim_end(line), b' ');
    match memrchr(b' ', rest) {
        Some(at) => at > 0 && begins_with_sip(&rest[at + 1..]) && is_token(method),
        None => false,
    }
}

/// `[0-9]{1,3}\.[0-9]{1,3} +[0-9]`, behind `SIP/`.
fn is_status_line(rest: &[u8]) -> bool {
    let digits = |bytes: &[u8]| bytes.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    let major = digits(rest);
    let Some((b'.', rest)) = rest.get(major..).and_then(<[u8]>::split_first).map(|(dot, rest)| (*dot, rest)) else {
        return false;
    };
    let minor = digits(rest);
    let behind = &rest[minor..];
    let blanks = behind.iter().take_while(|byte| **byte == b' ').count();
    major > 0 && minor > 0 && blanks > 0 && behind.get(blanks).is_some_and(u8::is_ascii_digit)
}

/// Where a SIP start line begins in a line.
pub fn start_within(line: &[u8]) -> Option<usize> {
    // What a known start line begins with has no blank in it, so that the first blank that follows one is the first's.
    for blank in memchr_iter(b' ', line) {
        let (before, behind) = (&line[..blank], &line[blank + 1..]);
        if let [.., b'S', b'I', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] = before
            && begins_with_status(behind)
        {
            return Some(blank - 7);
        }
        let method =
            METHODS.iter().filter(|method| before.ends_with(method.as_bytes())).map(|method| method.len()).max();
        if let Some(length) = method
            && let Some(next) = memchr(b' ', behind)
            && next > 0
            && behind[next..].starts_with(b" SIP/")
            && behind.get(next + 5).is_some_and(u8::is_ascii_digit)
        {
            return Some(blank - length);
        }
    }
    is_start_line(line).then_some(0)
}

fn begins_with_status(bytes: &[u8]) -> bool {
    match bytes {
        [b'1'..=b'6', b'0'..=b'9', b'0'..=b'9', rest @ ..] => !rest.first().is_some_and(u8::is_ascii_digit),
        _ => false,
    }
}

/// Where the body begins: behind the first empty line at or after `start`.
pub fn end_of_head(data: &[u8], start: usize) -> Option<usize> {
    for newline in memchr_iter(b'\n', data.get(start..)?) {
        match data[start + newline + 1..] {
            [b'\n', ..] => return Some(start + newline + 2),
            [b'\r', b'\n', ..] => return Some(start + newline + 3),
            _ => {}
        }
    }
    None
}

/// The message that `data` begins with, or the reason why it can't be used.
#[allow(clippy::too_many_arguments)]
pub fn scan(
    data: &[u8],
    time: i64,
    position: &Position,
    tally: &mut Tally,
    limits: &Limits,
    source: &Arc<str>,
    destination: &Arc<str>,
    transport: &Arc<str>,
    mut cut: bool,
) -> Result<Message, &'static str> {
    let mut data = data;
    while let [b'\r' | b'\n', rest @ ..] = data {
        data = rest;
    }
    let limit = limits.message.min(u32::MAX as usize);
    let too_long = data.len() > limit;
    if too_long {
        tally.limit(&position.source, position.number, format!("message longer than {} bytes", limits.message));
        data = &data[..limit];
        cut = true;
    }
    let line_end = memchr(b'\n', data);
    let line = match line_end {
        Some(end) => trim_end(&data[..end]),
        None if too_long => return Err(NOT_SIP),
        None => trim_end(data),
    };
    let started = start(line);
    if started == Err(NOT_SIP) {
        return Err(NOT_SIP);
    }

    let mut found = Found::new(data);
    let walked = line_end.map_or(Walk::End(0), |end| found.walk(end + 1, limits));
    let body_at = match walked {
        Walk::Body(at) => Some(at),
        Walk::End(_) => None,
        Walk::Long => end_of_head(data, 0),
    };
    let body_at = match body_at {
        Some(at) => at,
        None if cut && !too_long => return Err(if is_start_line(line) { "headers cut short" } else { NOT_SIP }),
        // Without an empty line all is head, up to the limit's last whole line.
        None if too_long => memrchr(b'\n', data).map_or(0, |at| at + 1),
        None => data.len(),
    };
    let (method, status) = started?;
    match walked {
        Walk::Body(_) => {}
        Walk::End(at) if at > 0 => found.add(at, body_at),
        Walk::End(_) => {}
        Walk::Long => {
            found = Found::new(data);
            found.walk_long(body_at, position, tally, limits);
        }
    }
    if found.differing > 0 {
        tally.count_many("header given twice, the copies differ", found.differing);
    }
    if body_at > limits.header {
        found.cut_values(position, tally, limits);
    }

    let [call_id, cseq, from, to] = found.required()?;
    let (number, cseq_method) = cseq_of(found.bytes(cseq))?;
    let method = match method {
        Some(method) => {
            if cseq_method != method.as_str().as_bytes() {
                tally.count("CSeq method other than the request's");
            }
            method
        }
        None => method_of(cseq_method).ok_or("no method in CSeq")?,
    };
    if !(EARLIEST..=LATEST).contains(&time) {
        return Err("time outside the years 1753 to 9999");
    }

    if let Some(value) = found.first(CONTENT_ENCODING) {
        let encoding = found.bytes(value);
        if !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity") {
            tally.count("body encoded"); // what media it names stays unknown
        }
    }
    let end = match found.first(CONTENT_LENGTH) {
        Some(value) => end_of(found.bytes(value), body_at, data.len(), cut, tally),
        None => data.len(),
    };
    let mut vias = 0;
    if found.first(VIA).is_some() {
        for (_, value) in found.headers.iter().filter(|(name, _)| *name == VIA) {
            let value = found.bytes(value);
            vias += if memchr(b',', value).is_none() { 1 } else { elements(value) };
        }
    }
    let (call_id, from_tag, to_tag) = (call_id.clone(), found.tag(from), found.tag(to));
    Ok(Message {
        time,
        method,
        status,
        call_id,
        from_tag,
        to_tag,
        cseq: number,
        vias,
        headers: found.headers,
        raw: data[..end].into(),
        body_at: body_at as u32,
        position: position.clone(),
        source: source.clone(),
        destination: destination.clone(),
        transport: transport.clone(),
        cut,
        machine: Arc::default(),
        pool: Arc::default(),
    })
}

/// Method and status of a start line: a request has no status, a response no method.
fn start(line: &[u8]) -> Result<(Option<Method>, u16), &'static str> {
    if line.starts_with(b"SIP/2.0 ") {
        if let Some(status) = status_of(&line[8..line.len().min(11)])
            && !line.get(11).is_some_and(u8::is_ascii_digit)
        {
            return Ok((None, status));
        }
    } else if line.ends_with(b" SIP/2.0")
        && let Some(blank) = memchr(b' ', line)
        && blank < line.len() - 8
        && let Some(method) = known_method(&line[..blank])
    {
        return Ok((Some(method), 0));
    }
    if !is_start_line(line) {
        return Err(NOT_SIP);
    }
    let (first, rest) = partition(line, b' ');
    if begins_with_sip(first) {
        if !first.eq_ignore_ascii_case(b"SIP/2.0") {
            return Err("SIP version other than 2.0");
        }
        let rest = trim_start(rest);
        let end = rest.iter().position(|byte| is_blank(*byte)).unwrap_or(rest.len());
        return status_of(&rest[..end]).map(|status| (None, status)).ok_or("status outside 100 to 699");
    }
    if rest.len() < 8 || !rest[rest.len() - 8..].eq_ignore_ascii_case(b" SIP/2.0") {
        return Err("SIP version other than 2.0");
    }
    Ok((method_of(first), 0))
}

fn status_of(digits: &[u8]) -> Option<u16> {
    match digits {
        [hundreds @ b'1'..=b'6', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            Some(u16::from(hundreds - b'0') * 100 + u16::from(tens - b'0') * 10 + u16::from(ones - b'0'))
        }
        _ => None,
    }
}

fn known_method(spelled: &[u8]) -> Option<Method> {
    METHODS.iter().position(|known| known.as_bytes() == spelled).map(|place| Method::Known(place as u8))
}

fn method_of(spelled: &[u8]) -> Option<Method> {
    known_method(spelled).or_else(|| {
        let name = std::str::from_utf8(spelled).ok().filter(|_| is_token(spelled))?;
        Some(Method::Other(Arc::from(name)))
    })
}

/// Number and method of a CSeq value, also where no single blank is between them: `1INVITE`, tabs, no method.
fn cseq_of(value: &[u8]) -> Result<(u64, &[u8]), &'static str> {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, method) = value.split_at(digits);
    if number.is_empty() {
        return Err("CSeq isn't a number");
    }
    if number.len() > 18 {
        return Err("CSeq number longer than 18 digits");
    }
    let number = number.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    Ok((number, trim(method)))
}

/// Where a message ends by its Content-Length: not behind what there is.
fn end_of(value: &[u8], body_at: usize, available: usize, cut: bool, tally: &mut Tally) -> usize {
    if !is_number(value) {
        tally.count("Content-Length isn't a number");
        return available;
    }
    let length = value.iter().take(10).fold(0u64, |length, digit| length * 10 + u64::from(digit - b'0'));
    if length <= (available - body_at) as u64 {
        return body_at + length as usize;
    }
    if !cut {
        tally.count("Content-Length larger than the message");
    }
    available
}

/// How a walk over the lines of a head ended.
enum Walk {
    /// At the empty line: where the body begins.
    Body(usize),
    /// At the end of what there is: where the last line begins.
    End(usize),
    /// At a line that is folded, or one too many.
    Long,
}

/// A line of a head: a part of the data, or several joined.
enum Line {
    Span(usize, usize),
    Joined(Vec<u8>),
}

const ABSENT: u32 = u32::MAX;

/// What the lines of a head hold.
struct Found<'a> {
    data: &'a [u8],
    headers: Vec<(HeaderName, Value)>,
    /// The place in `headers` of the first value of each.
    first: [u32; HEADERS.len()],
    /// Values that differ from the first of their header, where only that counts.
    differing: u64,
}

impl<'a> Found<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self { data, headers: Vec::with_capacity(16), first: [ABSENT; HEADERS.len()], differing: 0 }
    }

    fn bytes<'b>(&'b self, value: &'b Value) -> &'b [u8] {
        match value {
            Value::Span(start, end) => &self.data[*start as usize..*end as usize],
            Value::Owned(bytes) => bytes,
        }
    }

    fn first(&self, name: HeaderName) -> Option<&Value> {
        self.headers.get(self.first[usize::from(name)] as usize).map(|(_, value)| value)
    }

    /// Call-ID, CSeq, From and To, none of them empty.
    fn required(&self) -> Result<[&Value; 4], &'static str> {
        let call_id = self.first(CALL_ID).ok_or("no Call-ID")?;
        let cseq = self.first(CSEQ).ok_or("no CSeq")?;
        let from = self.first(FROM).ok_or("no From")?;
        let to = self.first(TO).ok_or("no To")?;
        for (value, reason) in [(call_id, "no Call-ID"), (cseq, "no CSeq"), (from, "no From"), (to, "no To")] {
            if self.bytes(value).is_empty() {
                return Err(reason);
            }
        }
        Ok([call_id, cseq, from, to])
    }

    fn tag(&self, value: &Value) -> Value {
        let tag = tag_of(self.bytes(value));
        match value {
            Value::Span(start, _) => Value::Span(start + tag.start as u32, start + tag.end as u32),
            Value::Owned(bytes) => Value::Owned(bytes[tag].into()),
        }
    }

    /// Take the lines behind the start line, whose next begins at `at`, as long as they are plain.
    fn walk(&mut self, mut at: usize, limits: &Limits) -> Walk {
        let mut lines = 2; // the start line, and the empty one behind the last line end
        let from = at;
        for newline in memchr_iter(b'\n', &self.data[from..]) {
            let end = from + newline;
            lines += 1;
            if lines > limits.headers {
                return Walk::Long;
            }
            match self.data[at..end] {
                [] | [b'\r'] => return Walk::Body(end + 1),
                [b' ' | b'\t', ..] => return Walk::Long,
                _ => self.add(at, end),
            }
            at = end + 1;
        }
        match self.data.get(at) {
            Some(b' ' | b'\t') => Walk::Long,
            _ if lines > limits.headers => Walk::Long,
            _ => Walk::End(at),
        }
    }

    /// Take all lines of a head, with those that begin with a blank joined to the one before (RFC 3261 section 7.3.1),
    /// and no more headers than a message may have.
    fn walk_long(&mut self, body_at: usize, position: &Position, tally: &mut Tally, limits: &Limits) {
        let head = &self.data[..body_at];
        let mut lines = Vec::new();
        let mut at = 0;
        for end in memchr_iter(b'\n', head).chain([head.len()]) {
            lines.push(Line::Span(at, end));
            at = end + 1;
        }
        if head.windows(2).any(|pair| matches!(pair, [b'\n', b' ' | b'\t'])) {
            lines = self.unfold(lines);
        }
        if lines.len() > limits.headers {
            lines.retain(|line| !trim(self.line(line)).is_empty());
            if lines.len() > limits.headers.saturating_add(1) {
                tally.limit(&position.source, position.number, format!("more than {} headers", limits.headers));
                lines.truncate(limits.headers + 1);
            }
        }
        for line in lines.into_iter().skip(1) {
            match line {
                Line::Span(at, end) => self.add(at, end),
                Line::Joined(bytes) => {
                    let (spelled, value) = partition(&bytes, b':');
                    if let Some(name) = name_of(spelled) {
                        self.take(name, Value::Owned(trim(value).into()));
                    }
                }
            }
        }
    }

    fn line<'b>(&'b self, line: &'b Line) -> &'b [u8] {
        match line {
            Line::Span(start, end) => &self.data[*start..*end],
            Line::Joined(bytes) => bytes,
        }
    }

    fn unfold(&self, lines: Vec<Line>) -> Vec<Line> {
        let mut joined: Vec<Line> = Vec::new();
        for (number, line) in lines.into_iter().enumerate() {
            let bytes = self.line(&line);
            let more = trim(bytes);
            if !matches!(bytes, [b' ' | b'\t', ..]) {
                joined.push(line);
            } else if number > 1 && !more.is_empty() {
                // The start line has no continuation.
                match joined.last_mut() {
                    Some(Line::Joined(before)) => {
                        before.push(b' ');
                        before.extend_from_slice(more);
                    }
                    Some(before) => *before = Line::Joined([trim(self.line(before)), more].join(&b' ')),
                    None => {}
                }
            }
        }
        joined
    }

    /// Take a header line that is a part of the data.
    fn add(&mut self, at: usize, end: usize) {
        let line = &self.data[at..end];
        let (spelled, value) = partition(line, b':');
        if let Some(name) = name_of(spelled) {
            let value = trim_end(value);
            let end = at + (spelled.len() + 1).min(line.len()) + value.len();
            let start = end - trim_start(value).len();
            self.take(name, Value::Span(start as u32, end as u32));
        }
    }

    fn take(&mut self, name: HeaderName, value: Value) {
        let first = &mut self.first[usize::from(name)];
        if *first == ABSENT {
            *first = self.headers.len() as u32;
        } else if SINGLE >> name & 1 == 1
            && self.first(name).is_some_and(|first| self.bytes(first) != self.bytes(&value))
        {
            self.differing += 1;
        }
        self.headers.push((name, value));
    }

    fn cut_values(&mut self, position: &Position, tally: &mut Tally, limits: &Limits) {
        let longest = limits.header;
        for (_, value) in &mut self.headers {
            let length = match value {
                Value::Span(start, end) => (*end - *start) as usize,
                Value::Owned(bytes) => bytes.len(),
            };
            if length > longest {
                tally.limit(&position.source, position.number, format!("header value longer than {longest} bytes"));
                match value {
                    Value::Span(start, end) => *end = *start + longest as u32,
                    Value::Owned(bytes) => *bytes = bytes[..longest].into(),
                }
            }
        }
    }
}
