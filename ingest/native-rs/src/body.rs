//! Twin of `builder/_body.py`.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::syntax::parameter_of;
use crate::text::{lower, partition, partition_bytes, strip_bytes, text};

const DEPTH: u32 = 4;
const PARTS: usize = 16;
const M_LINES: usize = 32;

static M_LINE: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\nm="));
static FILE_SELECTOR: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\na=file-selector"));

/// What a rule reads of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    pub sdp: Vec<String>,
    pub invitation: Option<[String; 3]>,
    pub file_transfer: bool,
}

/// The media facts of a body of that Content-Type (its value as received).
pub fn body_of(content_type: &[u8], body: &[u8]) -> Body {
    let kind = kind_of(content_type);
    let mut found = Body::default();
    if kind.eq_ignore_ascii_case(b"application/sdp") {
        found.sdp.push(m_lines(body));
        return found;
    }
    let interesting: [&[u8]; 3] = [b"multipart/", b"text/x-msmsgsinvite", b"application/ms-filetransfer"];
    if body.is_empty() || !interesting.iter().any(|prefix| begins(kind, prefix)) {
        return found;
    }
    let mut waiting = vec![(content_type, body, 0)];
    let mut seen = 0;
    while seen < PARTS {
        let Some((part_type, part, depth)) = waiting.pop() else { break };
        seen += 1;
        let kind = kind_of(part_type);
        if kind.eq_ignore_ascii_case(b"application/sdp") {
            found.sdp.push(m_lines(part));
        } else if kind.eq_ignore_ascii_case(b"text/x-msmsgsinvite") {
            if found.invitation.is_none() {
                found.invitation = Some(invitation_of(part));
            }
        } else if kind.eq_ignore_ascii_case(b"application/ms-filetransfer+xml") {
            found.file_transfer = true;
        } else if begins(kind, b"multipart/") && depth < DEPTH {
            let inner = parts(part_type, part);
            waiting.extend(inner.into_iter().rev().map(|(inner_type, content)| (inner_type, content, depth + 1)));
        }
    }
    found
}

/// Application-GUID, Application-Name and Invitation-Command of a `text/x-msmsgsinvite` text, lower case.
pub fn invitation_of(part: &[u8]) -> [String; 3] {
    let names: [&[u8]; 3] = [b"application-guid", b"application-name", b"invitation-command"];
    let mut found = [const { String::new() }; 3];
    // "\r\n" is one line end: the empty line that splitting at both signs gives says nothing.
    for line in part[..part.len().min(4096)].split(|byte| matches!(byte, b'\r' | b'\n')) {
        let (name, value) = partition_bytes(line, b':');
        let name = strip_bytes(name);
        if let Some(at) = names.iter().position(|known| known.eq_ignore_ascii_case(name))
            && found[at].is_empty()
        {
            let value = strip_bytes(value.unwrap_or(b""));
            found[at] = lower(&text(&value[..value.len().min(64)])).into_owned();
        }
    }
    found
}

fn kind_of(content_type: &[u8]) -> &[u8] {
    strip_bytes(partition_bytes(content_type, b';').0)
}

fn begins(kind: &[u8], prefix: &[u8]) -> bool {
    kind.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The m-lines of an SDP (RFC 8866 section 5.14); illegal upper case is no m-line, a cut body has those it has.
fn m_lines(sdp: &[u8]) -> String {
    let mut found = String::new();
    let mut many = 0;
    let mut at = if sdp.starts_with(b"m=") {
        0
    } else {
        match M_LINE.find(sdp) {
            Some(before) => before + 1,
            None => return found,
        }
    };
    while many < M_LINES {
        let end = M_LINE.find(&sdp[at..]).map(|found| at + found);
        m_line(&mut found, &mut many, &sdp[at + 2..end.unwrap_or(sdp.len())]);
        match end {
            Some(end) => at = end + 1,
            None => break,
        }
    }
    found
}

fn m_line(found: &mut String, many: &mut usize, section: &[u8]) {
    let line = partition_bytes(&section[..section.len().min(80)], b'\n').0;
    let mut words =
        line.split(|byte| matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)).filter(|word| !word.is_empty());
    let Some(name) = words.next() else { return };
    if *many > 0 {
        found.push(';');
    }
    *many += 1;
    let name = text(&name[..name.len().min(32)]);
    found.extend(lower(&name).chars().map(|sign| if sign == ';' { '.' } else { sign }));
    found.push(' ');
    let port = partition_bytes(words.next().unwrap_or(b""), b'/').0;
    if port.iter().all(u8::is_ascii_digit) {
        found.extend(port.iter().take(5).map(|digit| char::from(*digit)));
    }
    if FILE_SELECTOR.find(section).is_some() {
        found.push_str(" f");
    }
}

/// (Content-Type, content) of each part; preamble and epilogue are dropped, the closing delimiter may lack.
fn parts<'a>(content_type: &[u8], body: &'a [u8]) -> Vec<(&'a [u8], &'a [u8])> {
    let content_type = text(content_type);
    let parameters = partition(&content_type, ';').1.unwrap_or("");
    let boundary = parameter_of(parameters, "boundary").unwrap_or("");
    let mut found = Vec::new();
    if boundary.is_empty() {
        return found;
    }
    // RFC 2046 section 5.1.1: a delimiter begins a line; the line end before it belongs to it.
    let delimiter = [b"\n--", boundary.as_bytes()].concat();
    let finder = Finder::new(&delimiter);
    let mut at = if body.starts_with(&delimiter[1..]) {
        delimiter.len() - 1
    } else {
        match finder.find(body) {
            Some(before) => before + delimiter.len(),
            None => return found,
        }
    };
    for _ in 0..PARTS {
        let end = finder.find(&body[at..]).map(|found| at + found);
        let piece = &body[at..end.unwrap_or(body.len())];
        if piece.starts_with(b"--") {
            break;
        }
        if let (_, Some(part)) = partition_bytes(piece, b'\n') {
            found.push(part_of(part));
        }
        match end {
            Some(end) => at = end + delimiter.len(),
            None => break,
        }
    }
    found
}

/// Headers end at the first empty line; a part without Content-Type is text/plain (RFC 2046 section 5.2).
fn part_of(part: &[u8]) -> (&[u8], &[u8]) {
    let mut content_type: &[u8] = b"text/plain";
    let mut rest = part;
    while !rest.is_empty() {
        let (line, behind) = partition_bytes(rest, b'\n');
        rest = behind.unwrap_or(b"");
        if strip_bytes(line).is_empty() {
            break;
        }
        let (name, value) = partition_bytes(line, b':');
        let name = strip_bytes(name);
        if name.eq_ignore_ascii_case(b"content-type") || name.eq_ignore_ascii_case(b"c") {
            content_type = strip_bytes(value.unwrap_or(b""));
        }
    }
    (content_type, rest)
}
