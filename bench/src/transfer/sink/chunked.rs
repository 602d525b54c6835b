//! `aws-chunked`: `<hex size>[;chunk-signature=...]\r\n<bytes>\r\n`, again and again, then trailers.

/// Takes the chunks' frames away.
#[derive(Debug, Default)]
pub struct Unchunked {
    line: Vec<u8>,
    left: u64,
    done: bool,
}

impl Unchunked {
    /// Takes the next bytes of the body, and shows the content among them.
    pub fn feed(&mut self, mut bytes: &[u8], content: &mut dyn FnMut(&[u8])) {
        while !bytes.is_empty() && !self.done {
            if self.left > 0 {
                let count = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                content(&bytes[..count]);
                self.left -= count as u64;
                bytes = &bytes[count..];
                continue;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let count = end.map_or(bytes.len(), |end| end + 1);
            self.line.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if end.is_some() {
                let line = String::from_utf8_lossy(&self.line).trim().to_owned();
                self.line.clear();
                if !line.is_empty() {
                    // Nothing that matters here follows the chunk of size zero.
                    self.left =
                        u64::from_str_radix(line.split(';').next().unwrap_or_default(), 16).unwrap_or(0);
                    self.done = self.left == 0;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_is_found_wherever_the_bytes_are_cut() {
        let body = b"5;chunk-signature=ab\r\nhello\r\n10\r\n, world of lines\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        for cut in 1..body.len() {
            let mut content = Vec::new();
            let mut unchunked = Unchunked::default();
            for piece in body.chunks(cut) {
                unchunked.feed(piece, &mut |bytes| content.extend_from_slice(bytes));
            }
            assert_eq!(content, b"hello, world of lines", "{cut}");
        }
    }
}
