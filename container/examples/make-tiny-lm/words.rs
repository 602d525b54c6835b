//! Choosing words.

use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

/// One of some words. Every list in this program has at least one.
pub(crate) fn one<'a>(random: &mut ChaCha8Rng, words: &[&'a str]) -> &'a str {
    words.choose(random).copied().unwrap_or_default()
}

/// A sentence begins with a capital.
pub(crate) fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}
