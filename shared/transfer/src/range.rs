//! One range of a file into memory, through whatever the network does.

use std::{ops::Range, sync::Arc};

use backon::BackoffBuilder as _;
use bytes::Bytes;
use tokio::io::AsyncReadExt as _;

use crate::{
    buffers::Buffer,
    deadline::Deadline,
    error::{FileError, TransferError},
    meter::Meter,
    source::{Source, delays},
};

/// Reads a range whole. After a break it goes on from the last byte that came.
pub(crate) async fn fetch<S: Source>(
    source: Arc<S>,
    path: String,
    range: Range<u64>,
    mut buffer: Buffer,
    deadline: Deadline,
    meter: Meter,
) -> Result<Bytes, FileError<S::Error>> {
    // They start anew whenever bytes came.
    let mut delays_left = delays().build();
    loop {
        let before = buffer.room();
        let Err(error) = fill(&*source, &path, &range, &mut buffer, &meter).await else {
            return Ok(buffer.freeze());
        };
        let FileError::Source(reason) = &error else { return Err(error) };
        if buffer.room() < before {
            delays_left = delays().build();
        }
        match S::retry(reason).wait(delays_left.next()) {
            Some(wait) if !deadline.forbids(wait) => {
                tracing::warn!(path, seconds = wait.as_secs_f32(), "asking again: {reason}");
                tokio::time::sleep(wait).await;
            }
            _ => return Err(error),
        }
    }
}

async fn fill<S: Source>(
    source: &S,
    path: &str,
    range: &Range<u64>,
    buffer: &mut Buffer,
    meter: &Meter,
) -> Result<(), FileError<S::Error>> {
    let wrong_size = |found| {
        let (path, expected) = (path.to_owned(), range.end);
        FileError::Transfer(TransferError::SizeMismatch { path, expected, found })
    };
    let mut body =
        source.range(range.end - buffer.room() as u64..range.end).await.map_err(FileError::Source)?;
    let broken = |error| FileError::Source(source.broken(error));
    while buffer.room() > 0 {
        let count = body.read_buf(&mut buffer.space()).await.map_err(broken)?;
        if count == 0 {
            // A connection that breaks is an error of the body; one that ends has said all that it has.
            return Err(wrong_size(range.end - buffer.room() as u64));
        }
        meter.fetched(count);
    }
    match body.read(&mut [0]).await.map_err(broken)? {
        0 => Ok(()),
        _ => Err(wrong_size(range.end + 1)),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, sync::Mutex};

    use std::{io, time::Duration};

    use futures::stream::{self, Iter};
    use tokio_util::io::StreamReader;

    use super::*;
    use crate::{buffers::Buffers, source::Retry};

    type Said = Vec<io::Result<Bytes>>;

    /// Answers as scripted, and remembers what it was asked for.
    struct Scripted {
        answers: Mutex<VecDeque<Result<Said, &'static str>>>,
        asked: Mutex<Vec<Range<u64>>>,
    }

    impl Source for Scripted {
        type Error = &'static str;
        type Body = StreamReader<Iter<std::vec::IntoIter<io::Result<Bytes>>>, Bytes>;
        async fn range(&self, range: Range<u64>) -> Result<Self::Body, &'static str> {
            self.asked.lock().unwrap().push(range);
            self.answers
                .lock()
                .unwrap()
                .pop_front()
                .unwrap_or(Err("final"))
                .map(|said| StreamReader::new(stream::iter(said)))
        }
        fn broken(&self, _: io::Error) -> &'static str {
            "broken"
        }
        fn retry(error: &&'static str) -> Retry {
            if *error == "final" { Retry::Never } else { Retry::Soon }
        }
    }

    async fn ask(answers: Vec<Result<Said, &'static str>>) -> (Result<Bytes, String>, Vec<Range<u64>>) {
        let source = Arc::new(Scripted { answers: Mutex::new(answers.into()), asked: Mutex::default() });
        let buffer = Buffers::new(1 << 20).take(6).await;
        let deadline = Deadline::within(Duration::from_secs(3600));
        let fetched =
            fetch(Arc::clone(&source), "a".into(), 10..16, buffer, deadline, Meter::default()).await;
        let asked = source.asked.lock().unwrap().clone();
        (fetched.map_err(|error| error.to_string()), asked)
    }

    #[tokio::test]
    async fn after_a_break_only_what_is_missing_is_asked_for() {
        let broken = vec![Ok(Bytes::from_static(b"ab")), Err(io::ErrorKind::ConnectionReset.into())];
        let rest = vec![Ok(Bytes::from_static(b"cdef"))];
        let (fetched, asked) = ask(vec![Err("busy"), Ok(broken), Ok(rest)]).await;
        assert_eq!(fetched.unwrap(), "abcdef");
        assert_eq!(asked, [10..16, 10..16, 12..16]);
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_or_too_short_is_a_wrong_size() {
        for body in ["abcdefg", "abcde"] {
            let (fetched, _) = ask(vec![Ok(vec![Ok(Bytes::from_static(body.as_bytes()))])]).await;
            let message = fetched.unwrap_err();
            assert!(message.contains(&format!("{} bytes came, expected 16", 10 + body.len())), "{message}");
        }
    }

    #[tokio::test]
    async fn it_gives_up_in_the_end_and_at_once_on_what_will_not_change() {
        let (fetched, asked) = ask((0..20).map(|_| Err("busy")).collect()).await;
        assert_eq!((fetched.unwrap_err().as_str(), asked.len()), ("busy", 6));
        let (fetched, asked) = ask(vec![]).await;
        assert_eq!((fetched.unwrap_err().as_str(), asked.len()), ("final", 1));
    }
}
