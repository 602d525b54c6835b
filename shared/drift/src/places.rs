//! Where SageMaker puts what an endpoint was asked and answered, and where labels are put once they are known.
//! <https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html>

use jiff::{SignedDuration, Timestamp, Unit, tz::TimeZone};

/// The prefixes of a variant's captures, one for each hour that a window touches, in order.
pub fn captures(endpoint: &str, variant: &str, from: Timestamp, until: Timestamp) -> Vec<String> {
    hours(&format!("capture/{endpoint}/{variant}"), from, until)
}

/// The prefixes of labels that were brought in a time: the hour in a label's path is the hour in which it was brought.
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-merge.html>
pub fn labels(endpoint: &str, from: Timestamp, until: Timestamp) -> Vec<String> {
    hours(&format!("labels/{endpoint}"), from, until)
}

fn hours(folder: &str, from: Timestamp, until: Timestamp) -> Vec<String> {
    let hour = SignedDuration::from_hours(1);
    let floor = |at: Timestamp| {
        at.round(jiff::TimestampRound::new().smallest(Unit::Hour).mode(jiff::RoundMode::Floor))
    };
    let Ok(mut at) = floor(from) else { return Vec::new() };
    let mut all = Vec::new();
    while at <= until {
        let shown = at.to_zoned(TimeZone::UTC).strftime("%Y/%m/%d/%H").to_string();
        all.push(format!("{folder}/{shown}/"));
        match at.checked_add(hour) {
            Ok(next) => at = next,
            Err(_) => break,
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_lie_at_the_hour_in_which_they_were_brought() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let prefixes = labels("tiny-lm", at("2026-11-20T23:59:59Z"), at("2026-11-21T00:30:00Z"));
        assert_eq!(prefixes, ["labels/tiny-lm/2026/11/20/23/", "labels/tiny-lm/2026/11/21/00/"]);
    }

    #[test]
    fn every_hour_that_the_window_touches_is_looked_at() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let prefixes = captures("tiny-lm", "primary", at("2026-12-31T22:59:59Z"), at("2027-01-01T00:00:00Z"));
        assert_eq!(
            prefixes,
            [
                "capture/tiny-lm/primary/2026/12/31/22/",
                "capture/tiny-lm/primary/2026/12/31/23/",
                "capture/tiny-lm/primary/2027/01/01/00/",
            ]
        );
    }
}
