//! What was odd, by name: the `Counter` that `sessions` and `text.fit` count in.

use std::borrow::Cow;

/// Few things are odd at a time, so they are compared one by one; they stay in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(Vec<(Cow<'static, str>, u64)>);

impl Counts {
    pub fn add(&mut self, what: impl Into<Cow<'static, str>>, many: u64) {
        let what = what.into();
        match self.0.iter_mut().find(|(known, _)| *known == what) {
            Some((_, known)) => *known += many,
            None => self.0.push((what, many)),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(what, many)| (what.as_ref(), *many))
    }
}
