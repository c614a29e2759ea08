//! A map in the order of use, as Python's `OrderedDict`: the first is the oldest, and found at once.

use std::collections::HashMap;
use std::hash::Hash;

const NONE: usize = usize::MAX;

#[derive(Debug)]
struct Entry<K, V> {
    key: K,
    /// Absent in places that are free.
    value: Option<V>,
    before: usize,
    after: usize,
}

#[derive(Debug)]
pub struct Ordered<K, V> {
    places: HashMap<K, usize>,
    entries: Vec<Entry<K, V>>,
    free: Vec<usize>,
    first: usize,
    last: usize,
}

impl<K: Clone + Eq + Hash, V> Default for Ordered<K, V> {
    fn default() -> Self {
        Self { places: HashMap::new(), entries: Vec::new(), free: Vec::new(), first: NONE, last: NONE }
    }
}

impl<K: Clone + Eq + Hash, V> Ordered<K, V> {
    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub fn contains(&self, key: &K) -> bool {
        self.places.contains_key(key)
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.places.get(key).and_then(|&place| self.entries[place].value.as_ref())
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.places.get(key).and_then(|&place| self.entries[place].value.as_mut())
    }

    /// The oldest.
    pub fn first(&self) -> Option<(&K, &V)> {
        let entry = self.entries.get(self.first)?;
        Some((&entry.key, entry.value.as_ref()?))
    }

    /// Put a key behind all others that isn't there yet.
    pub fn push(&mut self, key: K, value: V) -> &mut V {
        let entry = Entry { key: key.clone(), value: None, before: NONE, after: NONE };
        let place = match self.free.pop() {
            Some(place) => {
                self.entries[place] = entry;
                place
            }
            None => {
                self.entries.push(entry);
                self.entries.len() - 1
            }
        };
        self.places.insert(key, place);
        self.link_last(place);
        self.entries[place].value.insert(value)
    }

    /// A key's value, which is then behind all others.
    pub fn used(&mut self, key: &K) -> Option<&mut V> {
        let place = *self.places.get(key)?;
        if place != self.last {
            self.unlink(place);
            self.link_last(place);
        }
        self.entries[place].value.as_mut()
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let place = self.places.remove(key)?;
        self.unlink(place);
        self.free.push(place);
        self.entries[place].value.take()
    }

    /// Take out the oldest.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        let key = self.first()?.0.clone();
        let value = self.remove(&key)?;
        Some((key, value))
    }

    fn link_last(&mut self, place: usize) {
        self.entries[place].before = self.last;
        self.entries[place].after = NONE;
        match self.entries.get_mut(self.last) {
            Some(last) => last.after = place,
            None => self.first = place,
        }
        self.last = place;
    }

    fn unlink(&mut self, place: usize) {
        let Entry { before, after, .. } = self.entries[place];
        match self.entries.get_mut(before) {
            Some(entry) => entry.after = after,
            None => self.first = after,
        }
        match self.entries.get_mut(after) {
            Some(entry) => entry.before = before,
            None => self.last = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(map: &mut Ordered<u32, &'static str>) -> Vec<u32> {
        std::iter::from_fn(|| map.pop_first()).map(|(key, _)| key).collect()
    }

    #[test]
    fn keeps_the_order_of_use() {
        let mut map = Ordered::default();
        for key in 0..5 {
            map.push(key, "x");
        }
        assert_eq!(map.used(&1), Some(&mut "x"));
        assert_eq!(map.remove(&3), Some("x"));
        assert_eq!(map.remove(&3), None);
        map.push(3, "y");
        map.used(&3);
        map.used(&0);
        assert_eq!(map.first(), Some((&2, &"x")));
        assert_eq!((map.len(), map.get(&3), map.contains(&9)), (5, Some(&"y"), false));
        assert_eq!(keys(&mut map), [2, 4, 1, 3, 0]);
        assert!(map.is_empty());
        map.push(7, "z");
        assert_eq!(keys(&mut map), [7]);
    }
}
