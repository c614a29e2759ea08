//! A map that keeps the order of insertion, as Python's do. Most hold a few entries, which are quicker compared one by
//! one than hashed; one that grows gets an index.

use std::collections::HashMap;
use std::hash::Hash;

const SMALL: usize = 16;

#[derive(Debug)]
pub struct Table<K, V> {
    entries: Vec<(K, V)>,
    index: Option<HashMap<K, usize>>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { entries: Vec::new(), index: None }
    }
}

impl<K: Copy + Eq + Hash, V> Table<K, V> {
    fn place(&self, key: &K) -> Option<usize> {
        match &self.index {
            None => self.entries.iter().position(|(known, _)| known == key),
            Some(index) => index.get(key).copied(),
        }
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.place(key).map(|place| &self.entries[place].1)
    }

    pub fn contains(&self, key: &K) -> bool {
        self.place(key).is_some()
    }

    /// The value of a key, which is put in where it isn't there.
    pub fn entry(&mut self, key: K, value: impl FnOnce() -> V) -> &mut V {
        let place = match self.place(&key) {
            Some(place) => place,
            None => {
                let place = self.entries.len();
                if place == 0 {
                    self.entries.reserve(SMALL / 2);
                }
                self.entries.push((key, value()));
                if let Some(index) = &mut self.index {
                    index.insert(key, place);
                } else if place == SMALL {
                    self.index = Some(self.entries.iter().enumerate().map(|(place, (key, _))| (*key, place)).collect());
                }
                place
            }
        };
        &mut self.entries[place].1
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.entries.iter()
    }
}

/// A set of the same kind.
pub type Set<K> = Table<K, ()>;

impl<K: Copy + Eq + Hash> Set<K> {
    pub fn add(&mut self, key: K) {
        self.entry(key, || ());
    }
}
