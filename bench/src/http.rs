//! As little of an HTTP server as a benchmark can do with: what it uses is taken from those who are measured.
//!
//! A thread per connection, blocking calls, requests one after another. Bodies are sent from a file by `sendfile` and
//! thrown away by the kernel (`MSG_TRUNC`), so that a byte is copied once between the two ends.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rustix::net::{RecvFlags, recv};

/// Longest request line and headers.
const HEAD_MAX: usize = 64 << 10;
/// Longest body that is read into memory.
const KEPT_MAX: u64 = 64 << 20;
/// Bytes that are thrown away, or looked at, at once.
const WINDOW: usize = 1 << 20;

/// A request's first line and headers.
#[derive(Debug)]
pub struct Head {
    /// `GET` and so on.
    pub method: String,
    /// Decoded.
    pub path: String,
    /// Names and values, decoded.
    pub query: Vec<(String, String)>,
    /// Lower-case names, and values.
    headers: Vec<(String, String)>,
}

impl Head {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The headers whose names begin so.
    pub fn headers_under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.headers
            .iter()
            .filter(move |(name, _)| name.starts_with(prefix))
            .map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// A query parameter; empty when it has no value.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Self { method, path: decoded(path), query, headers })
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after
            .get(..2)
            .filter(|_| first == b'%')
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A request, and the way to its answer.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// The request.
    pub head: Head,
    /// For bodies that are sent without passing through this program.
    pub stream: &'a TcpStream,
    /// What came with the head and was not read yet.
    early: &'a mut Vec<u8>,
    /// Bytes of the body that were not read yet.
    left: u64,
    continues: bool,
}

impl Exchange<'_> {
    /// Bytes of the request's body.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The request's body, which is short.
    pub fn read(&mut self) -> io::Result<Vec<u8>> {
        if self.left > KEPT_MAX {
            return Err(io::Error::other("a body that is to be kept is too long"));
        }
        let mut body = Vec::new();
        self.watch(&mut |bytes| body.extend_from_slice(bytes))?;
        Ok(body)
    }

    /// Shows the request's body to `watcher`, piece by piece.
    pub fn watch(&mut self, watcher: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        self.start_body(watcher)?;
        let mut window = vec![0; WINDOW.min(usize::try_from(self.left).unwrap_or(WINDOW))];
        while self.left > 0 {
            let wanted = window.len().min(usize::try_from(self.left).unwrap_or(WINDOW));
            let count = (&mut &*self.stream).read(&mut window[..wanted])?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            watcher(&window[..count]);
            self.left -= count as u64;
        }
        Ok(())
    }

    /// Throws the request's body away, without copying it.
    pub fn discard(&mut self) -> io::Result<()> {
        self.start_body(&mut |_| {})?;
        let mut window = vec![0; WINDOW.min(usize::try_from(self.left).unwrap_or(WINDOW))];
        while self.left > 0 {
            let wanted = window.len().min(usize::try_from(self.left).unwrap_or(WINDOW));
            let (_, count) = recv(self.stream, &mut window[..wanted], RecvFlags::TRUNC | RecvFlags::WAITALL)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.left -= (count as u64).min(self.left);
        }
        Ok(())
    }

    fn start_body(&mut self, watcher: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        if std::mem::take(&mut self.continues) && self.left > 0 {
            (&mut &*self.stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let early = self.early.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        watcher(&self.early[..early]);
        self.early.drain(..early);
        self.left -= early as u64;
        Ok(())
    }

    /// Answers, with a body that is in memory.
    pub fn answer(&mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
        let mut answer = self.answer_head(status, headers, body.len() as u64);
        if self.head.method != "HEAD" {
            answer.extend_from_slice(body);
        }
        (&mut &*self.stream).write_all(&answer)
    }

    /// Begins an answer; the caller sends `length` bytes to [`Exchange::stream`].
    pub fn begin(&mut self, status: u16, headers: &[(&str, &str)], length: u64) -> io::Result<()> {
        let head = self.answer_head(status, headers, length);
        (&mut &*self.stream).write_all(&head)
    }

    fn answer_head(&self, status: u16, headers: &[(&str, &str)], length: u64) -> Vec<u8> {
        let reason = match status {
            200 => "OK",
            204 => "No Content",
            206 => "Partial Content",
            302 => "Found",
            404 => "Not Found",
            412 => "Precondition Failed",
            416 => "Range Not Satisfiable",
            _ => "Refused",
        };
        let mut head = format!("HTTP/1.1 {status} {reason}\r\nserver: bench\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        // A HEAD's answer may say the length of what it stands for.
        if status != 204 && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// Serves until the program ends; the address.
pub fn serve<H>(handler: H) -> io::Result<SocketAddr>
where
    H: Fn(&mut Exchange<'_>) -> io::Result<()> + Send + Sync + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let handler = Arc::new(handler);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let handler = Arc::clone(&handler);
            // A connection that breaks is the other end's affair: killing it is what some cases do.
            std::thread::spawn(move || drop(connection(&stream, &*handler)));
        }
    });
    Ok(address)
}

fn connection(stream: &TcpStream, handler: &dyn Fn(&mut Exchange<'_>) -> io::Result<()>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    while let Some(head) = read_head(stream, &mut buffer)? {
        if head.header("transfer-encoding").is_some() {
            return Err(io::Error::other("bodies of unknown length are not taken"));
        }
        let left = head.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let continues =
            head.header("expect").is_some_and(|expect| expect.eq_ignore_ascii_case("100-continue"));
        let mut exchange = Exchange { head, stream, early: &mut buffer, left, continues };
        handler(&mut exchange)?;
        if exchange.left > 0 {
            exchange.discard()?;
        }
    }
    Ok(())
}

fn read_head(stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Head>> {
    let mut seen = 0;
    loop {
        if let Some(end) = buffer[seen..].windows(4).position(|four| four == b"\r\n\r\n") {
            let end = seen + end;
            let text = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..end + 4);
            return Head::parse(&text).map(Some).ok_or_else(|| io::Error::other("not HTTP"));
        }
        if buffer.len() > HEAD_MAX {
            return Err(io::Error::other("the head is too long"));
        }
        seen = buffer.len().saturating_sub(3);
        let mut window = [0; 4096];
        match (&mut &*stream).read(&mut window)? {
            0 => return Ok(None),
            count => buffer.extend_from_slice(&window[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_meant() {
        let head =
            Head::parse("PUT /a%20b/c?uploadId=x%2Fy&uploads HTTP/1.1\r\nHost: h\r\nX-Amz-Meta-Sha256: 1")
                .unwrap();
        assert_eq!((head.method.as_str(), head.path.as_str()), ("PUT", "/a b/c"));
        assert_eq!(head.parameter("uploadId"), Some("x/y"));
        assert_eq!(head.parameter("uploads"), Some(""));
        assert_eq!(head.headers_under("x-amz-meta-").next(), Some(("x-amz-meta-sha256", "1")));
    }

    #[test]
    fn bodies_are_read_or_thrown_away_and_the_connection_goes_on() {
        let address = serve(|exchange| {
            let body = match exchange.head.path.as_str() {
                "/read" => exchange.read()?,
                _ => {
                    exchange.discard()?;
                    Vec::new()
                }
            };
            exchange.answer(200, &[], format!("{};", body.len()).as_bytes())
        })
        .unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let long = "x".repeat(3_000_000);
        for (path, length) in [("read", 5), ("discard", 3_000_000), ("read", 3_000_000), ("read", 0)] {
            let body = &long[..length];
            write!(stream, "POST /{path} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
            let mut answer = String::new();
            while !answer.ends_with(';') {
                let mut window = [0; 1000];
                let count = stream.read(&mut window).unwrap();
                answer.push_str(std::str::from_utf8(&window[..count]).unwrap());
            }
            let expected = if path == "read" { length } else { 0 };
            assert!(answer.ends_with(&format!("\r\n\r\n{expected};")), "{answer}");
        }
    }
}
