//! UTF-8 text, of any length.

use serde::{Deserialize, Serialize};

use super::verdict::UnsafeContent;

/// Checks text as it goes by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TextCheck {
    /// The last bytes seen that may be the start of a longer character: at most three.
    tail: Vec<u8>,
}

impl TextCheck {
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), UnsafeContent> {
        // A character that was cut in two is put together first, so that the rest need not be copied.
        while !self.tail.is_empty() {
            let Some((next, rest)) = bytes.split_first() else { return Ok(()) };
            self.tail.push(*next);
            bytes = rest;
            match std::str::from_utf8(&self.tail) {
                Ok(_) => self.tail.clear(),
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(UnsafeContent::NotText),
            }
        }
        let whole = match std::str::from_utf8(bytes) {
            Ok(_) => bytes.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return Err(UnsafeContent::NotText),
        };
        let (text, tail) = bytes.split_at(whole);
        if text.contains(&0) {
            return Err(UnsafeContent::NotText);
        }
        self.tail.extend_from_slice(tail);
        Ok(())
    }

    pub fn finish(self) -> Result<(), UnsafeContent> {
        if self.tail.is_empty() { Ok(()) } else { Err(UnsafeContent::NotText) }
    }

    /// Whether a state that was stored can be one of ours.
    pub fn is_plausible(&self) -> bool {
        self.tail.is_empty()
            || std::str::from_utf8(&self.tail)
                .is_err_and(|error| error.error_len().is_none() && error.valid_up_to() == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_may_be_cut_anywhere() {
        let text = "é€𝄞\u{7ff}";
        for cut in 0..text.len() {
            let (first, second) = text.as_bytes().split_at(cut);
            let mut check = TextCheck::default();
            check.feed(first).unwrap();
            assert!(check.is_plausible());
            check.feed(second).unwrap();
            assert_eq!(check.finish(), Ok(()));
        }
    }

    #[test]
    fn a_stored_tail_that_no_text_leaves_behind_is_noticed() {
        for tail in [b"a".as_slice(), b"\xff", b"\xf0\x9d\x84\x9e", b"a\xc3"] {
            assert!(!TextCheck { tail: tail.to_vec() }.is_plausible(), "{tail:?}");
        }
    }
}
