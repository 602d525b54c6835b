//! What can go wrong, and where.

use std::time::Duration;

use serde_json::Value;

/// Where something can go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The API's answer to a revision.
    Revision,
    /// The API's answer to a tree.
    Tree,
    /// The first hop of a file: `resolve`.
    Resolve(String),
    /// Where a file's bytes come from: the second host, or the first one's cache for what is not in LFS.
    Bytes(String),
}

/// The first hop of a file.
pub fn resolve(path: &str) -> Place {
    Place::Resolve(path.to_owned())
}

/// Where a file's bytes come from.
pub fn bytes_of(path: &str) -> Place {
    Place::Bytes(path.to_owned())
}

/// One thing that a Hub, or whoever sits in its place, can do wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answers with this status.
    Status(u16),
    /// Answers with this status and this `X-Error-Code`.
    Refusal(u16, &'static str),
    /// 429, and how many seconds to wait.
    RateLimited(u64),
    /// A JSON answer ends in the middle, with a length that says so.
    TruncatedJson,
    /// A JSON answer never ends.
    EndlessJson,
    /// The API answers with this in place of what it has.
    Answer(Value),
    /// The tree's next page lies on the second host.
    NextPageElsewhere,
    /// Every page of the tree has a next one.
    EndlessPages,
    /// `X-Linked-Etag` and `ETag` are of other content.
    OtherEtag,
    /// `X-Linked-Size` is of other content.
    OtherSize,
    /// Redirects to itself.
    RedirectLoop,
    /// Redirects to here.
    RedirectTo(String),
    /// Redirects without saying where to.
    RedirectNowhere,
    /// Redirects to the same file on a third host that speaks plain http.
    RedirectToHttp,
    /// The last byte sent is another one.
    FlippedByte,
    /// Fewer bytes, by the answer's own length.
    Short,
    /// Fewer bytes, without a length.
    ShortUndeclared,
    /// The connection closes before as many bytes were sent as the answer's length says.
    BreaksOff,
    /// More bytes, by the answer's own length.
    Long,
    /// More bytes, without a length.
    LongUndeclared,
    /// 200 with the whole file, whatever was asked for.
    WholeInsteadOfRange,
    /// 206 with bytes that were not asked for, and says so.
    OtherRange,
    /// 206 that says how long the file is, wrongly.
    OtherTotal,
    /// The entity tag is another one each time.
    EtagChanges,
    /// The git-lfs pointer in place of the content.
    Pointer,
    /// One byte each time this long has passed.
    Trickle(Duration),
    /// The head of the answer, and then nothing.
    Stall,
}
