//! The report as a page: `report.html`. One file without scripts or anything from elsewhere; every text is escaped.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{
    settings::Settings,
    verdict::{
        FeatureReport, Finding, Histogram, Kind, Outcome, Pair, Predictions, Quality, QualityVerdict, Report,
    },
    window::short,
};

/// Nothing may be fetched or run, whatever a name in the report holds.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
const STYLE: &str = include_str!("page.css");
/// A chart's width and height in its own units, and what is left below for words.
const CHART: (f64, f64) = (400.0, 140.0);
const BELOW: f64 = 18.0;

/// The page of a report on `subject`, such as an endpoint's name.
pub fn page(subject: &str, report: &Report) -> String {
    let drifted = report.drifted().count();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { "Drift of " (subject) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "Drift of " (subject) }
                    (verdict(report, drifted))
                    (window(report))
                    @if !report.findings.is_empty() { (findings(&report.findings)) }
                    h2 { "Features" }
                    div.wide { (features(&report.features, &report.settings)) }
                    @if let Some(predictions) = &report.predictions {
                        h2 { "Predictions" }
                        (groups(predictions))
                    }
                    @if let Some(quality) = &report.quality { (quality_of(quality)) }
                    h2 { "Values" }
                    p.quiet { "Each bar is the share of values in a bin: grey of the baseline, blue of this window." }
                    div.charts {
                        @for (index, feature) in report.features.iter().enumerate() { (chart(index, feature)) }
                    }
                    @if report.skipped.count > 0 { (skipped(report)) }
                }
            }
        }
    }
    .into_string()
}

fn verdict(report: &Report, drifted: usize) -> Markup {
    let of = report.features.len();
    match report.outcome {
        Outcome::Drifted => html! { p.verdict.bad { "Drifted: " (drifted) " of " (of) " features" } },
        Outcome::Stable => html! { p.verdict.good { "Stable: " (drifted) " of " (of) " features drifted" } },
        Outcome::TooFewRows => html! {
            p.verdict { "Too few rows to judge: " (report.rows) " of " (report.settings.min_samples) }
        },
    }
}

fn window(report: &Report) -> Markup {
    html! {
        p.quiet {
            (report.rows) " rows"
            @if let Some((from, until)) = report.from.zip(report.until) {
                ", from " time datetime=(from) { (from) } " to " time datetime=(until) { (until) }
            }
            "; the baseline has " (report.baseline_rows) " rows."
        }
    }
}

fn findings(findings: &[Finding]) -> Markup {
    html! { ul { @for finding in findings { li.bad { (finding) } } } }
}

fn features(features: &[FeatureReport], settings: &Settings) -> Markup {
    let Settings { psi, ks_d, ks_p, .. } = settings;
    html! {
        table {
            caption.quiet { "Limits: PSI " (psi) "; KS distance " (ks_d) " with p below " (ks_p) }
            thead {
                tr {
                    th scope="col" { "Feature" }
                    th scope="col" { "Verdict" }
                    @for name in ["PSI", "KS D", "KS p", "Values", "Missing", "Unseen", "Other type", "Out of range", "Mean"] {
                        th.number scope="col" { (name) }
                    }
                    th scope="col" { "Why" }
                }
            }
            tbody { @for feature in features { (feature_row(feature)) } }
        }
    }
}

fn feature_row(feature: &FeatureReport) -> Markup {
    let figure = |value: Option<f64>| value.map_or("-".to_owned(), short);
    let mean =
        |Pair { baseline, current }: Pair<Option<f64>>| format!("{} → {}", figure(baseline), figure(current));
    html! {
        tr {
            th scope="row" {
                (feature.name)
                @if feature.is_score { " (score)" }
            }
            td {
                @if feature.drifted { strong.bad { "drifted" } }
                @else if feature.judged { span.good { "stable" } }
                @else { span.quiet { "too few" } }
            }
            td.number { (figure(feature.psi)) }
            td.number { (figure(feature.ks_d)) }
            td.number { (figure(feature.ks_p)) }
            td.number { (feature.n.current) }
            td.number { (percent(feature.null_rate.baseline)) " → " (percent(feature.null_rate.current)) }
            td.number { @if feature.kind == Kind::Categorical { (percent(feature.violations.unseen)) } @else { "-" } }
            td.number { (percent(feature.violations.mismatched)) }
            td.number { @if feature.kind == Kind::Numeric { (percent(feature.violations.outside)) } @else { "-" } }
            td.number { (feature.mean.map_or("-".to_owned(), mean)) }
            td { @for finding in &feature.why { div { (finding) } } }
        }
    }
}

fn groups(predictions: &Predictions) -> Markup {
    let all = std::iter::once(("all", &predictions.all));
    let groups = predictions.groups.iter().map(|(name, group)| (name.as_str(), group));
    html! {
        div.wide {
            table {
                thead {
                    tr {
                        th scope="col" { "Group" }
                        @for name in ["Predictions", "Positive", "With a label"] { th.number scope="col" { (name) } }
                        th scope="col" { "Quality" }
                    }
                }
                tbody {
                    @for (name, group) in all.chain(groups) {
                        tr {
                            th scope="row" { (name) }
                            td.number { (group.n) }
                            td.number { (group.positive_rate.map_or("-".to_owned(), percent)) }
                            td.number { (group.labelled) }
                            td { @for (metric, value) in &group.metrics { span { (metric) " " (short(*value)) } " " } }
                        }
                    }
                }
            }
        }
    }
}

fn quality_of(quality: &Quality) -> Markup {
    let verdict = |name: &str, verdict: QualityVerdict| match verdict {
        QualityVerdict::Stable => html! { p.good { (name) ": every bound is kept" } },
        QualityVerdict::Drifted => html! { p.bad { (name) ": drifted" } },
        QualityVerdict::NotEvaluated => html! { p { strong { (name) ": not evaluated" } } },
    };
    let labels = &quality.labels;
    html! {
        h2 { "Model quality" }
        @if let Some(metrics) = quality.metrics { (verdict("Against the labels", metrics)) }
        @if let Some(groups) = quality.groups { (verdict("Between groups", groups)) }
        @if !quality.findings.is_empty() { (findings(&quality.findings)) }
        p.quiet {
            "Predictions from " time datetime=(quality.from) { (quality.from) } " to "
            time datetime=(quality.until) { (quality.until) } ", by the labels that have come since."
        }
        (groups(&quality.predictions))
        @if !quality.predictions.not_judged.is_empty() {
            p { "Not judged:" }
            ul { @for reason in &quality.predictions.not_judged { li { (reason) } } }
        }
        div.wide {
            table {
                caption.quiet { "What became of the labels" }
                thead { tr { th scope="col" { "Labels" } th.number scope="col" { "Count" } } }
                tbody {
                    @for (name, count) in [
                        ("read", labels.read), ("joined to an invocation", labels.joined),
                        ("of no invocation in the window", labels.unmatched), ("told again, the same", labels.duplicates),
                        ("contradicting, and not used", labels.contradicting),
                        ("whose identifier came again", labels.repeated),
                        ("that do not fit their prediction", labels.unusable), ("lines that are no label", labels.bad),
                    ] {
                        tr { th scope="row" { (name) } td.number { (count) } }
                    }
                }
            }
        }
        @if !labels.examples.is_empty() { ul { @for example in &labels.examples { li { (example) } } } }
    }
}

fn skipped(report: &Report) -> Markup {
    html! {
        h2 { "Not used" }
        p { (report.skipped.count) " lines or captures could not be used. The first of them:" }
        ul { @for example in &report.skipped.examples { li { (example) } } }
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Two bars a bin, side by side.
fn chart(index: usize, feature: &FeatureReport) -> Markup {
    let Histogram { bins, baseline, current } = &feature.histogram;
    let (width, height) = CHART;
    let highest = baseline.iter().chain(current).copied().fold(f64::MIN_POSITIVE, f64::max);
    let step = width / bins.len().max(1) as f64;
    let foot = height - BELOW;
    let (title, description) = (format!("title-{index}"), format!("description-{index}"));
    let bar = |bin: usize, share: f64, place: f64| {
        let tall = (share / highest).clamp(0.0, 1.0) * (foot - 4.0);
        let at = |number: f64| format!("{number:.2}");
        (at((bin as f64 + place) * step), at(foot - tall), at(0.4 * step), at(tall))
    };
    html! {
        figure {
            figcaption { (feature.name) @if feature.drifted { " " strong.bad { "drifted" } } }
            svg viewBox={ "0 0 " (width) " " (height) } role="img" aria-labelledby={ (title) " " (description) } {
                title id=(title) { "Values of " (feature.name) ", baseline and now" }
                desc id=(description) { (describe(&feature.histogram)) }
                @for (class, shares, place) in [("then", baseline, 0.1), ("now", current, 0.5)] {
                    @for (bin, (name, share)) in bins.iter().zip(shares).enumerate() {
                        @let (x, y, wide, tall) = bar(bin, *share, place);
                        rect class=(class) x=(x) y=(y) width=(wide) height=(tall) {
                            title { (name) ": " (percent(*share)) }
                        }
                    }
                }
                line.axis x1="0" y1=(foot) x2=(width) y2=(foot) {}
                @if let Some((first, last)) = bins.first().zip(bins.last()) {
                    text x="0" y=(height - 4.0) { (first) }
                    @if bins.len() > 1 { text x=(width) y=(height - 4.0) text-anchor="end" { (last) } }
                }
            }
        }
    }
}

/// For those who do not see the bars: where they differ most.
fn describe(histogram: &Histogram) -> String {
    let pairs = histogram.baseline.iter().zip(&histogram.current).zip(&histogram.bins);
    let most = pairs.max_by(|one, other| {
        let difference = |((then, now), _): &((&f64, &f64), &String)| (*now - *then).abs();
        difference(one).total_cmp(&difference(other))
    });
    most.map_or("No values.".to_owned(), |((then, now), bin)| {
        format!(
            "The largest change is in the bin {bin}: {} of the baseline, {} now.",
            percent(*then),
            percent(*now)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Window,
        baseline::tests::{build, row, text},
        row::Value,
    };

    fn report(drift: f64, name: &str) -> Report {
        let settings: Settings = serde_json::from_str(
            r#"{"outcomes": {"prediction": "output.score", "groups": {"column": "input.g", "bounds": [{"metric": "positive_rate", "max_difference": 1}]}, "task": {"kind": "binary", "positive": {"at_least": 0.5}}}}"#,
        )
        .unwrap();
        let rows = |shift: f64| {
            (0..300).map(move |i| {
                row(&[
                    (name, text(["<script>alert(1)</script>", "b"][i % 2])),
                    ("output.score", Value::Number(f64::from(i as u32) / 300.0 + shift)),
                ])
            })
        };
        let baseline = build(&settings, rows(0.0));
        let mut window = Window::new(&baseline, &settings);
        rows(drift).for_each(|row| window.see_row(&row));
        window.see(Err(crate::capture::BadLine { line: 7, problem: crate::capture::LineProblem::TooLong }));
        window.judge()
    }

    #[test]
    fn the_page_says_the_verdict_and_why() {
        let page = page("tiny", &report(0.5, "input.g"));
        for expected in [
            "Drift of tiny",
            "Drifted: 1 of 2 features",
            "PSI ",
            "KS distance",
            "line 7: it is longer than allowed",
            "of the baseline",
        ] {
            assert!(page.contains(expected), "{expected} is not in\n{page}");
        }
        assert!(super::page("tiny", &report(0.0, "input.g")).contains("Stable: 0 of 2 features"));
    }

    #[test]
    fn what_traffic_holds_cannot_become_markup() {
        let page = page("<b>", &report(0.5, "input.<img src=x onerror=alert(1)>\"'"));
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<b>"), "{page}");
        assert!(page.contains("&lt;script&gt;") && page.contains("&lt;img"));
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_can_be_read_aloud() {
        let page = page("tiny", &report(0.5, "input.g"));
        for source in ["src=", "href=", "url(", "@import", "http:", "https:"] {
            assert!(!page.contains(source), "{source}");
        }
        let count = |part: &str| page.matches(part).count();
        assert_eq!((count("<svg"), count("<desc"), count("role=\"img\"")), (2, 2, 2));
        assert_eq!(count("<th "), count("scope="));
        assert!(page.contains("prefers-color-scheme: dark"));
    }
}
