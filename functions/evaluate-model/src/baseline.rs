//! What the endpoint's traffic will be compared with: what the candidate answered to held-out rows.

use drift::{Settings, baseline::Builder, capture, lines::LONGEST, row};

/// Makes the baseline of what the evaluation job wrote, in the form of captured traffic. None where nothing can be
/// made of it: an image of somebody's own may write no such file, and the model is none the worse.
pub fn of(predictions: &[u8], settings: &Settings) -> Option<Vec<u8>> {
    let mut builder = Builder::new(settings);
    let read = capture::read(predictions, LONGEST, |record| {
        let rows =
            record.ok().and_then(|capture: capture::Capture| row::rows(&capture, &settings.columns).ok());
        rows.into_iter().flatten().for_each(|row| builder.see(&row));
    });
    let made = read.map_err(|error| error.to_string());
    let made = made.and_then(|()| builder.finish().map_err(|none| none.to_string()));
    let written = made.and_then(|baseline| baseline.to_json().map_err(|error| error.to_string()));
    written
        .inspect_err(
            |reason| tracing::warn!(%reason, "the model has no baseline: its traffic is not watched"),
        )
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_candidate_answered_becomes_features_of_input_and_output() {
        let line = |text: &str| {
            let payload = |mode: &str, data: serde_json::Value| serde_json::json!({"observedContentType": "application/json", "mode": mode, "encoding": "JSON", "data": data.to_string()});
            let data = serde_json::json!({
                "endpointInput": payload("INPUT", serde_json::json!({"inputs": text})),
                "endpointOutput": payload("OUTPUT", serde_json::json!([{"generated_text": text}])),
            });
            serde_json::json!({"captureData": data, "eventMetadata": {"eventId": "e"}, "eventVersion": "0"})
                .to_string()
        };
        let lines: String = (1..200).map(|n| line(&"word ".repeat(n)) + "\n").collect();
        let made = of(lines.as_bytes(), &Settings::default()).unwrap();
        let made = drift::Baseline::parse(&made).unwrap();
        assert_eq!(made.rows, 199);
        assert!(made.features.contains_key("input.inputs.words"), "{:?}", made.features.keys());
    }

    #[test]
    fn what_is_no_prediction_makes_no_baseline() {
        for nothing in ["", "{}\n", "no JSON\n"] {
            assert_eq!(of(nothing.as_bytes(), &Settings::default()), None);
        }
    }
}
