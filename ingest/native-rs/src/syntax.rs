//! Twin of `builder/_syntax.py`. All signs that part a value are ASCII, so places are counted in bytes.

use crate::text::{is_lower, partition, strip};

/// The first element of a comma-separated list.
pub fn first_value(value: &str) -> &str {
    if !value.contains(',') {
        return strip(value);
    }
    Elements::new(value).next().unwrap_or("")
}

/// Elements of a comma-separated list; commas in quotes or `<>` don't separate, empty elements are dropped.
pub fn split_values(value: &str) -> Elements<'_> {
    Elements::new(value)
}

/// The last element of a comma-separated list, or nothing.
pub fn last_value(value: &str) -> &str {
    if !value.contains(',') {
        return strip(value);
    }
    Elements::new(value).last().unwrap_or("")
}

pub struct Elements<'a> {
    value: &'a str,
    start: usize,
    at: usize,
    done: bool,
    angle: bool,
}

impl<'a> Elements<'a> {
    fn new(value: &'a str) -> Self {
        Self { value, start: 0, at: 0, done: false, angle: false }
    }

    fn part(&mut self) -> &'a str {
        let bytes = self.value.as_bytes();
        while let Some(&sign) = bytes.get(self.at) {
            match sign {
                b'"' if !self.angle => {
                    self.at = quoted_end(bytes, self.at);
                    continue;
                }
                b'<' => self.angle = true,
                b'>' => self.angle = false,
                b',' if !self.angle => {
                    let part = &self.value[self.start..self.at];
                    self.at += 1;
                    self.start = self.at;
                    return strip(part);
                }
                _ => {}
            }
            self.at += 1;
        }
        self.done = true;
        strip(&self.value[self.start..])
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        while !self.done {
            let part = self.part();
            if !part.is_empty() {
                return Some(part);
            }
        }
        None
    }
}

/// Behind the quoted string that begins at `at`; behind the quote itself if it never ends.
fn quoted_end(value: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    loop {
        let Some(found) = memchr::memchr(b'"', &value[end..]) else {
            return at + 1;
        };
        let quote = end + found;
        let backslashes = value[at + 1..quote].iter().rev().take_while(|byte| **byte == b'\\').count();
        if backslashes % 2 == 0 {
            return quote + 1;
        }
        end = quote + 1;
    }
}

/// The URI of a name-addr or addr-spec, and the header parameters behind it with their leading semicolon.
pub fn address(value: &str) -> (&str, &str) {
    let bytes = value.as_bytes();
    let mut at = 0;
    while let Some(&sign) = bytes.get(at) {
        if sign == b'"' && (at == 0 || bytes[at - 1] != b'\\') {
            at = quoted_end(bytes, at);
        } else if sign == b'<' {
            return match value[at..].find('>') {
                None => (strip(&value[at + 1..]), ""),
                Some(close) => (strip(&value[at + 1..at + close]), &value[at + close + 1..]),
            };
        } else {
            at += 1;
        }
    }
    let bare = strip(value);
    match bare.find([';', ' ', '\t', ',']) {
        Some(at) => (&bare[..at], &bare[at..]),
        None => (bare, ""),
    }
}

/// The value of `;name=value` (quotes removed), "" for `;name` alone, None if absent. The first one wins.
pub fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters_from(parameters, parameters.find(';')?, name)
}

/// `parameter(";" + parameters, name)`.
pub fn parameter_of<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let bytes = parameters.as_bytes();
    let end = parameter_end(bytes, 0);
    match named(&parameters[..end], name) {
        Some(value) => Some(value),
        None if end < bytes.len() => parameters_from(parameters, end, name),
        None => None,
    }
}

fn parameters_from<'a>(parameters: &'a str, from: usize, name: &str) -> Option<&'a str> {
    let bytes = parameters.as_bytes();
    let mut at = from;
    loop {
        at += memchr::memchr(b';', &bytes[at..])?;
        let end = parameter_end(bytes, at + 1);
        if let Some(value) = named(&parameters[at + 1..end], name) {
            return Some(value);
        }
        at = end;
    }
}

fn parameter_end(parameters: &[u8], from: usize) -> usize {
    let mut end = from;
    while let Some(&sign) = parameters.get(end) {
        match sign {
            b';' => break,
            b'"' => end = quoted_end(parameters, end),
            _ => end += 1,
        }
    }
    end
}

fn named<'a>(parameter: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = partition(parameter, '=');
    if !is_lower(strip(key), name) {
        return None;
    }
    let value = strip(value.unwrap_or(""));
    let quoted = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
    Some(if quoted { &value[1..value.len() - 1] } else { value })
}
