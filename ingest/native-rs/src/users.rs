//! Twin of `builder/_users.py`.

use std::borrow::Cow;

use crate::counts::Counts;
use crate::syntax::{address, parameter_of};
use crate::text::{URI_LENGTH, fit, lower, partition, strip};

/// Twin of `_row.User`: an address as Users.UserUri holds it, and its UriTypeId: 0 a phone, 1 a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub uri: String,
    pub uri_type: u8,
}

/// The user that a From, To or similar header value names, or None where it names none.
pub fn user_of(value: &str, column: &str, counts: Option<&mut Counts>) -> Option<User> {
    let (stored, uri_type) = stored_uri(address(value).0);
    let fitted = match fit(&stored, URI_LENGTH, column, counts)? {
        Cow::Borrowed(fitted) if fitted.len() == stored.len() => None,
        Cow::Borrowed(fitted) => Some(fitted.to_owned()),
        Cow::Owned(fitted) => Some(fitted),
    };
    Some(User { uri: fitted.unwrap_or(stored), uri_type })
}

/// The stored form of the URI in a From or To value: what tells two sides with equal tags apart.
pub fn stored_uri_of(value: &str) -> String {
    stored_uri(address(value).0).0
}

/// A URI in the stored form, and its UriTypeId.
pub fn stored_uri(uri: &str) -> (String, u8) {
    if let (scheme, Some(rest)) = partition(uri, ':') {
        let scheme = lower(strip(scheme));
        match scheme.as_ref() {
            "sip" | "sips" => return sip(rest),
            "tel" => return (tel(rest), 0),
            _ => {}
        }
    }
    (lower(strip(uri)).into_owned(), 1)
}

fn sip(rest: &str) -> (String, u8) {
    // The user part ends at the first "@" and may itself hold ";" and "?" (VoLTE's phone-context).
    let (user, hostport) = match rest.split_once('@') {
        Some((user, hostport)) => (unescape(strip(partition(user, ':').0)), hostport),
        None => (Cow::Borrowed(""), rest),
    };
    let (hostport, parameters) = partition(partition(hostport, '?').0, ';');
    let host = host_of(hostport);
    if user.is_empty() {
        return (host.into_owned(), 1);
    }
    let phone = parameters
        .is_some_and(|parameters| parameter_of(parameters, "user").is_some_and(|value| lower(value) == "phone"));
    let mut stored = String::with_capacity(user.len() + host.len() + 12);
    stored.push_str(&user);
    stored.push('@');
    stored.push_str(&host);
    if stored.is_ascii() {
        stored.make_ascii_lowercase();
    } else {
        stored = lower(&stored).into_owned();
    }
    if phone {
        stored.push_str(";user=phone");
    }
    (stored, if phone { 0 } else { 1 })
}

/// The host of `host[:port]` in lower case; IPv6 keeps its brackets (RFC 3261 section 25.1).
pub fn host_of(hostport: &str) -> Cow<'_, str> {
    match lower(strip(hostport)) {
        Cow::Borrowed(hostport) => Cow::Borrowed(host_part(hostport)),
        Cow::Owned(hostport) => Cow::Owned(host_part(&hostport).to_owned()),
    }
}

fn host_part(hostport: &str) -> &str {
    if hostport.starts_with('[') {
        return hostport.find(']').map_or(hostport, |close| &hostport[..=close]);
    }
    strip(partition(hostport, ':').0)
}

/// The user of a stored address: what stands before `@`, of a phone number the number; empty for a host alone.
pub fn user_part(stored: &str) -> &str {
    if let (user, Some(_)) = partition(stored, '@') {
        return user;
    }
    let number = partition(stored, ';').0;
    let digits = number.trim_start_matches('+');
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) { number } else { "" }
}

/// The part of a sip or sips URI that begins with its host.
fn after_user(uri: &str) -> &str {
    let rest = partition(uri, ':').1.unwrap_or("");
    match rest.split_once('@') {
        Some((user, hostport)) if !user.contains('<') => hostport,
        _ => rest,
    }
}

/// The host of a sip or sips URI, in lower case, without its port.
pub fn uri_host(uri: &str) -> Cow<'_, str> {
    host_of(partition(partition(after_user(uri), '?').0, ';').0)
}

/// The parameters of a sip or sips URI, with the semicolon before the first.
pub fn uri_parameters(uri: &str) -> &str {
    let rest = partition(after_user(uri), '?').0;
    rest.find(';').map_or("", |at| &rest[at..])
}

/// Decode escapes of unreserved characters only: others mean something else decoded (RFC 3261 section 19.1.4).
fn unescape(user: &str) -> Cow<'_, str> {
    if !user.contains('%') {
        return Cow::Borrowed(user);
    }
    let mut made = String::with_capacity(user.len());
    let mut rest = user;
    while let Some(at) = rest.find('%') {
        made.push_str(&rest[..at]);
        match escaped(rest.as_bytes().get(at + 1..at + 3)) {
            Some(sign) => {
                made.push(sign);
                rest = &rest[at + 3..];
            }
            None => {
                made.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    made.push_str(rest);
    Cow::Owned(made)
}

fn escaped(digits: Option<&[u8]>) -> Option<char> {
    let [high, low] = digits? else { return None };
    let sign = char::from_u32((char::from(*high).to_digit(16)? << 4) | char::from(*low).to_digit(16)?)?;
    (sign.is_ascii_alphanumeric() || "-_.!~*'()".contains(sign)).then_some(sign)
}

fn tel(rest: &str) -> String {
    let (number, parameters) = partition(partition(rest, '?').0, ';');
    let mut kept: String = number.chars().filter(|sign| !"-.() \t".contains(*sign)).collect();
    // RFC 3966: a global number has no phone-context; one that is there says nothing.
    let global = kept.starts_with('+');
    for name in ["phone-context", "ext"] {
        let value = parameter_of(parameters.unwrap_or(""), name).unwrap_or("");
        if !(value.is_empty() || name == "phone-context" && global) {
            kept.push(';');
            kept.push_str(name);
            kept.push('=');
            kept.push_str(value);
        }
    }
    match lower(&kept) {
        Cow::Borrowed(_) => kept,
        Cow::Owned(lowered) => lowered,
    }
}
