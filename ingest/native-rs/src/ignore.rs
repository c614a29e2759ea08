//! Twin of `builder/_ignore.py`: which rows the operator doesn't want.

use crate::columns::Row;
use crate::parties::{inside, nearest};
use crate::row::SessionDetails;
use crate::text::lower;

/// A text in which `*` stands for anything.
#[derive(Clone, Debug)]
pub struct Pattern {
    parts: Vec<String>,
}

impl Pattern {
    pub fn new(pattern: &str) -> Self {
        Self { parts: lower(pattern).split('*').map(str::to_owned).collect() }
    }

    /// Whether a text in lower case is one. The first place that fits a part leaves most to those behind it, so no part
    /// is tried twice.
    pub fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.parts.as_slice() else {
            return self.parts.first().is_some_and(|part| part == text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
        for part in middle {
            match rest.find(part.as_str()) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last.as_str())
    }
}

/// By what of `Rules.ignore` a row is left out.
pub fn ignored(row: &Row, details: &SessionDetails) -> Option<&'static str> {
    let ignore = &row.rules.ignore;
    if !ignore.user_agents.is_empty()
        && let Some(client) = &details.user1_client
    {
        let client = lower(client);
        if ignore.user_agents.iter().any(|pattern| pattern.matches(&client)) {
            return Some("user agent");
        }
    }
    if !ignore.addresses.is_empty()
        && nearest(row, true).is_some_and(|source| inside(source, &ignore.addresses) == Some(true))
    {
        return Some("address");
    }
    if !ignore.users.is_empty() {
        let users = [&details.user1, &details.user2, &details.target_user];
        let named = |uri: &str| {
            ignore.users.contains(uri) || uri.split('@').next().is_some_and(|user| ignore.users.contains(user))
        };
        if users.into_iter().flatten().any(|user| named(&user.uri)) {
            return Some("user");
        }
    }
    None
}
