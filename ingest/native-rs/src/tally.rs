//! Twin of `ingest/_tally.py`: what was read, skipped and refused, and why. What gathers here is handed over to the
//! Python tally, and emptied, whenever messages are.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

const PROBLEMS: usize = 1000;
const REFUSED: usize = 100;

/// Input that could not be read, was damaged, or met a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub source: Arc<str>,
    pub frame: i64,
    pub offset: i64,
    pub reason: String,
}

/// A message that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub source: Arc<str>,
    pub frame: i64,
    pub reason: String,
}

#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub packets: u64,
    pub bytes: u64,
    pub messages: u64,
    pub counts: HashMap<Cow<'static, str>, u64>,
    pub problems: Vec<Problem>,
    pub problem_count: u64,
    pub refused: Vec<Refused>,
}

impl Tally {
    pub fn is_empty(&self) -> bool {
        self.packets == 0 && self.messages == 0 && self.counts.is_empty() && self.problem_count == 0
    }

    pub fn count(&mut self, reason: &'static str) {
        self.count_many(reason, 1);
    }

    pub fn count_many(&mut self, reason: &'static str, many: u64) {
        *self.counts.entry(Cow::Borrowed(reason)).or_default() += many;
    }

    pub fn count_text(&mut self, reason: String) {
        *self.counts.entry(Cow::Owned(reason)).or_default() += 1;
    }

    pub fn problem(&mut self, source: &Arc<str>, frame: i64, offset: i64, reason: String) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS {
            self.problems.push(Problem { source: source.clone(), frame, offset, reason });
        }
    }

    pub fn limit(&mut self, source: &Arc<str>, frame: i64, reason: String) {
        self.count_text(format!("limit: {reason}"));
        self.problem(source, frame, -1, reason);
    }

    pub fn refuse(&mut self, source: &Arc<str>, frame: i64, reason: &str) {
        self.count_text(format!("refused: {reason}"));
        if self.refused.len() < REFUSED {
            self.refused.push(Refused { source: source.clone(), frame, reason: reason.to_owned() });
        }
    }
}
