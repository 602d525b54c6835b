//! The page that people fill in afterwards.

use evidence::Incident;

const TEMPLATE: &str = include_str!("post_mortem.md");

/// Fills in what is known. What came from outside is kept on its line and out of the table's cells.
pub fn page(incident: &Incident) -> String {
    let plain = |text: &str| text.replace(['\n', '\r'], " ").replace('|', "\\|");
    let config = |config: &Option<String>| config.as_ref().map_or("nothing".to_owned(), |c| format!("`{c}`"));
    let lines = |lines: Vec<String>| if lines.is_empty() { "- nothing".to_owned() } else { lines.join("\n") };
    let timeline = incident.timeline.iter().map(|moment| format!("- {}: {}", moment.at, plain(&moment.what)));
    let passed = incident.passed_over.iter().map(|one| format!("- `{}`: {}", one.config, plain(&one.reason)));
    // One pass: what is filled in may itself hold a placeholder.
    let mut page = String::new();
    let mut rest = TEMPLATE;
    while let Some((before, (name, after))) =
        rest.split_once("{{").and_then(|(before, rest)| Some((before, rest.split_once("}}")?)))
    {
        page.push_str(before);
        page.push_str(&match name {
            "incident" => incident.incident_id.to_string(),
            "endpoint" => plain(&incident.endpoint),
            "severity" => incident.severity.as_str().to_owned(),
            "cause" => plain(&incident.cause),
            "action" => format!("{:?}", incident.action),
            "because" => plain(&incident.because),
            "from" => config(&incident.from),
            "to" => config(&incident.to),
            "runbook" => plain(&incident.runbook),
            "timeline" => lines(timeline.clone().collect()),
            "passed_over" => lines(passed.clone().collect()),
            other => format!("{{{{{other}}}}}"),
        });
        rest = after;
    }
    page + rest
}

#[cfg(test)]
mod tests {
    use contract::{RunId, Sha256Digest};
    use evidence::{IncidentAction, IncidentSeverity, Moment};

    use super::*;

    #[test]
    fn the_page_tells_all_that_is_known_and_takes_nothing_for_a_placeholder() {
        let page = page(&Incident {
            incident_id: RunId::of(&["i"]),
            endpoint: "tiny-lm".into(),
            severity: IncidentSeverity::High,
            cause: "somebody wrote {{to}} | and\nmore".into(),
            event_sha256: Sha256Digest::of("e"),
            action: IncidentAction::RolledBack,
            because: "b".into(),
            from: Some("bad".into()),
            to: None,
            passed_over: Vec::new(),
            timeline: vec![Moment { at: "2026-01-01T00:00:00Z".into(), what: "it rang".into() }],
            runbook: "r".into(),
            recorded_at: "2026-01-01T00:00:01Z".into(),
        });
        assert!(page.contains("somebody wrote {{to}} \\| and more"), "{page}");
        assert!(
            page.contains("- 2026-01-01T00:00:00Z: it rang") && page.contains("| served before | `bad` |")
        );
        assert!(page.contains("| serves since | nothing |") && page.contains("## Passed over\n\n- nothing"));
        assert_eq!(page.matches("{{").count(), 1, "{page}");
    }
}
