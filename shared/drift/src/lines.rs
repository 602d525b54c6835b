//! A stream of bytes cut into lines, none of which may be longer than memory allows.

/// The longest line that is looked at, in bytes. SageMaker takes bodies of at most 25 MiB, and base64 makes four bytes
/// of three, for the input and for the output.
pub const LONGEST: usize = 72 * 1024 * 1024;

/// Cuts what it is fed into lines; its memory is bounded by the longest line that is allowed.
#[derive(Debug)]
pub struct Lines {
    longest: usize,
    /// The line so far, while it spans pieces.
    begun: Vec<u8>,
    /// Whether the line so far is longer than allowed and thrown away.
    too_long: bool,
    number: u64,
}

/// A line was longer than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Lines {
    /// Lines of at most `longest` bytes, without their end.
    pub fn new(longest: usize) -> Self {
        Self { longest, begun: Vec::new(), too_long: false, number: 0 }
    }

    /// Takes the next piece and hands on every line that ends in it, with its number from 1. Empty lines are left out.
    pub fn feed(&mut self, mut piece: &[u8], mut each: impl FnMut(u64, Result<&[u8], TooLong>)) {
        while let Some(end) = piece.iter().position(|&byte| byte == b'\n') {
            let (rest, next) = (&piece[..end], &piece[end + 1..]);
            self.number += 1;
            if self.too_long || self.begun.len() + rest.len() > self.longest {
                each(self.number, Err(TooLong));
            } else if self.begun.is_empty() {
                hand_on(self.number, rest, &mut each);
            } else {
                self.begun.extend_from_slice(rest);
                hand_on(self.number, &self.begun, &mut each);
            }
            self.begun.clear();
            self.too_long = false;
            piece = next;
        }
        if self.too_long || self.begun.len() + piece.len() > self.longest {
            self.too_long = true;
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(piece);
        }
    }

    /// The stream has ended: hands on a last line without an end.
    pub fn finish(mut self, each: impl FnMut(u64, Result<&[u8], TooLong>)) {
        if self.too_long || !self.begun.is_empty() {
            self.feed(b"\n", each);
        }
    }
}

fn hand_on(number: u64, line: &[u8], each: &mut impl FnMut(u64, Result<&[u8], TooLong>)) {
    let line = line.trim_ascii();
    if !line.is_empty() {
        each(number, Ok(line));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Line = (u64, Result<Vec<u8>, TooLong>);

    fn cut(pieces: &[&[u8]], longest: usize) -> Vec<Line> {
        let mut found = Vec::new();
        let mut keep = |number, line: Result<&[u8], TooLong>| found.push((number, line.map(<[u8]>::to_vec)));
        let mut lines = Lines::new(longest);
        for piece in pieces {
            lines.feed(piece, &mut keep);
        }
        lines.finish(&mut keep);
        found
    }

    #[test]
    fn a_line_over_the_limit_is_one_fault_and_the_next_is_read() {
        let found = cut(&[b"ab\r\nabc", b"def", b"gh\n\nxy"], 4);
        assert_eq!(found, [(1, Ok(b"ab".to_vec())), (2, Err(TooLong)), (4, Ok(b"xy".to_vec()))]);
    }

    proptest! {
        #[test]
        fn how_the_stream_is_cut_into_pieces_makes_no_difference(
            text in prop::collection::vec(prop::sample::select(b"ab\n\r ".to_vec()), 0..60),
            at in 0..60_usize,
            longest in 1..8_usize,
        ) {
            let at = at.min(text.len());
            let whole = cut(&[&text], longest);
            prop_assert_eq!(&cut(&[&text[..at], &text[at..]], longest), &whole);
            let bytes: Vec<&[u8]> = text.chunks(1).collect();
            prop_assert_eq!(&cut(&bytes, longest), &whole);
        }
    }
}
