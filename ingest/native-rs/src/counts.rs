//! What was odd, by name: the `Counter` that `sessions` and `text.fit` count in.

use std::borrow::Cow;
use std::collections::HashMap;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(HashMap<Cow<'static, str>, u64>);

impl Counts {
    pub fn add(&mut self, what: impl Into<Cow<'static, str>>, many: u64) {
        *self.0.entry(what.into()).or_default() += many;
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(what, many)| (what.as_ref(), *many))
    }
}
