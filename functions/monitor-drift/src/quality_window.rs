//! Which predictions are judged by their labels now, so that none is judged twice and none is left out.

use drift::LabelSettings;
use jiff::{SignedDuration, Timestamp};

/// How a moment is written in the name of what was judged: names sort by time.
const NAME: &str = "%Y-%m-%dT%H-%M-%SZ";

/// Predictions from one moment until right before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QualityWindow {
    /// The first moment.
    pub from: Timestamp,
    /// The moment after the last.
    pub until: Timestamp,
}

impl QualityWindow {
    /// From where the last one that was judged ended, or from the deployment, until as long ago as labels take. While
    /// labels are too few nothing is judged and the window grows, up to its greatest length. None while there is no
    /// prediction old enough.
    pub fn next(
        how: &LabelSettings,
        deployed: Timestamp,
        judged_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Self> {
        let hours = |hours: u32| SignedDuration::from_hours(i64::from(hours));
        let until = whole_second(now.checked_sub(hours(how.delay_hours)).ok()?);
        let longest = until.checked_sub(hours(how.most_hours)).ok()?;
        let from = judged_until.unwrap_or(deployed).max(deployed).max(longest);
        let from = whole_second(from);
        (from < until).then_some(Self { from, until })
    }

    /// The key of what was judged, below the folder of a run's.
    pub fn key(folder: &str, until: Timestamp) -> String {
        format!("{folder}{}.json", until.strftime(NAME))
    }

    /// Until when was judged what lies at a key; none if that is no such key.
    pub fn end_of(key: &str) -> Option<Timestamp> {
        let name = key.rsplit('/').next()?.strip_suffix(".json")?;
        let time = jiff::fmt::strtime::parse(NAME, name).ok()?.to_datetime().ok()?;
        time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    }
}

/// Captures tell whole seconds.
fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const HOW: LabelSettings = LabelSettings { delay_hours: 24, most_hours: 48 };

    fn next(judged_until: Option<&str>, now: &str) -> Option<(String, String)> {
        let window = QualityWindow::next(&HOW, at("2026-11-01T00:00:00Z"), judged_until.map(at), at(now))?;
        Some((window.from.to_string(), window.until.to_string()))
    }

    fn window(from: &str, until: &str) -> Option<(String, String)> {
        Some((from.to_owned(), until.to_owned()))
    }

    #[test]
    fn predictions_wait_for_their_labels() {
        assert_eq!(next(None, "2026-11-01T23:00:00Z"), None);
        assert_eq!(
            next(None, "2026-11-02T01:00:00.7Z"),
            window("2026-11-01T00:00:00Z", "2026-11-01T01:00:00Z")
        );
    }

    #[test]
    fn a_window_begins_where_the_last_one_ended_however_long_ago() {
        let judged = Some("2026-11-03T07:30:00Z");
        assert_eq!(
            next(judged, "2026-11-04T08:00:00Z"),
            window("2026-11-03T07:30:00Z", "2026-11-03T08:00:00Z")
        );
        // The same hour asked again: nothing is left to judge.
        assert_eq!(next(Some("2026-11-03T08:00:00Z"), "2026-11-04T08:00:00Z"), None);
        // Two days without a judgement are caught up with, and of more the last two.
        assert_eq!(
            next(judged, "2026-11-09T00:00:00Z"),
            window("2026-11-06T00:00:00Z", "2026-11-08T00:00:00Z")
        );
    }

    #[test]
    fn what_was_judged_says_until_when_by_its_name_and_names_sort_by_time() {
        let (one, other) = (at("2026-11-09T23:59:59Z"), at("2026-11-10T00:00:00Z"));
        let (first, second) = (QualityWindow::key("f/", one), QualityWindow::key("f/", other));
        assert!(first < second, "{first} {second}");
        assert_eq!(QualityWindow::end_of(&first), Some(one));
        assert_eq!(QualityWindow::end_of("f/other.json"), None);
    }
}
