//! What was read from a document, kept by its hash. Documents never change, so an entry is never wrong; it only makes
//! room for newer ones.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// The newest `MOST` values by key.
pub struct Cache<T>(Mutex<VecDeque<(String, Arc<T>)>>);

/// More versions than this are seldom in use at once.
const MOST: usize = 64;

impl<T> Cache<T> {
    /// An empty cache.
    pub const fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    /// The value kept under `key`.
    pub fn get(&self, key: &str) -> Option<Arc<T>> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone())
    }

    /// Keeps `value`; if somebody else was faster, theirs stays.
    pub fn keep(&self, key: String, value: T) -> Arc<T> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = entries.iter().find(|(known, _)| *known == key) {
            return known.clone();
        }
        if entries.len() == MOST {
            entries.pop_front();
        }
        let value = Arc::new(value);
        entries.push_back((key, value.clone()));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entry_makes_room() {
        let cache = Cache::new();
        for n in 0..=MOST {
            cache.keep(n.to_string(), n);
        }
        assert_eq!(cache.get("0"), None);
        assert_eq!(cache.get("1").as_deref(), Some(&1));
        assert_eq!(*cache.keep("1".to_owned(), 99), 1, "the first to come stays");
    }
}
