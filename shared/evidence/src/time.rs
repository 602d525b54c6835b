//! Times that different machines signed.

use jiff::{SignedDuration, Timestamp};

/// Clocks of two functions may differ by this much.
const SKEW: SignedDuration = SignedDuration::from_secs(300);

/// A time, RFC 3339; what is none is before everything.
pub(crate) fn instant(at: &str) -> Timestamp {
    at.parse().unwrap_or(Timestamp::MIN)
}

/// Whether something was signed before what it builds on, whatever the clocks.
pub(crate) fn is_before(later: &str, earlier: &str) -> bool {
    instant(earlier).duration_since(instant(later)) > SKEW
}
