//! What a model's card says: only what the run's evidence holds.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Said of a measurement or an examination that nobody made.
pub const NOT_EVALUATED: &str = "not evaluated";
/// Said of what somebody would have had to write, and nobody did.
pub const NOT_STATED: &str = "not stated";

/// The problem that every model of the pipeline solves.
const TASK: &str = "Text generation";

/// Characters of a card: `ModelCardContent`'s own limit.
const CARD: usize = 100_000;
/// An evaluation's name.
const SHORT: usize = 63;
/// A parameter's or a metric's name, a parameter's value.
const NAME: usize = 255;
/// An evaluation job's ARN.
const JOB_ARN: usize = 256;
/// A location, a note, a detail.
const LINE: usize = 1024;
/// A paragraph.
const TEXT: usize = 2048;
/// What an evaluation observed: SageMaker says 2096, not 2048.
const OBSERVATION: usize = 2096;
/// Hyperparameters of a job.
const HYPERPARAMETERS: usize = 100;
/// Metrics of a job; a group's have no limit of their own, and get the same.
const METRICS: usize = 50;
/// A paragraph's share for one of its subjects, so that a long one does not push out the next.
const SHARE: usize = 900;
/// Digests, commits, dates and names inside a sentence.
const WORD: usize = 160;
/// How many rows a list keeps, tried in this order until the card is short enough.
const ROWS: [usize; 4] = [HYPERPARAMETERS, 25, 5, 0];

/// What the card is filled from. Nothing is made up: an absent value becomes "not evaluated" or "not stated",
/// and a blank one is absent.
#[derive(Debug, Clone)]
pub struct CardFacts<'a> {
    /// The run.
    pub run_id: &'a str,
    /// The model package group.
    pub model_name: &'a str,
    /// The base model's repository.
    pub base_model: &'a str,
    /// The base model's commit.
    pub commit: &'a str,
    /// What the Hub's card data say.
    pub licence: Option<&'a str>,
    /// The artefact's content digest.
    pub artifact_sha256: &'a str,
    /// Where the artefact is.
    pub artifact_uri: &'a str,
    /// The container that trained the model and serves it.
    pub image_uri: &'a str,
    /// How the model was fine-tuned.
    pub algorithm: &'a str,
    /// The training job.
    pub training_job_arn: &'a str,
    /// What it was trained on.
    pub training_data_uri: &'a str,
    /// That data's digest.
    pub training_data_sha256: &'a str,
    /// That data's rows.
    pub training_rows: u64,
    /// As the training job got them.
    pub hyperparameters: &'a BTreeMap<String, String>,
    /// `YYYY-MM-DD`.
    pub trained_on: &'a str,
    /// The evaluation job's name or ARN.
    pub evaluation_job: &'a str,
    /// The held-out data.
    pub evaluation_data_uri: &'a str,
    /// That data's digest.
    pub evaluation_data_sha256: &'a str,
    /// That data's rows.
    pub evaluation_rows: u64,
    /// The metrics as the evaluation job wrote them.
    pub metrics_uri: &'a str,
    /// The base model's metrics.
    pub before: &'a BTreeMap<String, f64>,
    /// The fine-tuned model's metrics.
    pub after: &'a BTreeMap<String, f64>,
    /// A metric, and its bound in words, such as "at most 3.2".
    pub thresholds: &'a [(String, String)],
    /// What the model is for.
    pub intended_use: Option<&'a str>,
    /// What it is not for, or does badly.
    pub limitations: Option<&'a str>,
    /// What its users should weigh.
    pub ethical_considerations: Option<&'a str>,
    /// What is known of its safety.
    pub safety: Option<&'a str>,
    /// Who asked for the run.
    pub submitter: Option<&'a str>,
}

/// The whole card, as `CreateModelCard` takes it.
pub fn card(facts: &CardFacts<'_>) -> Value {
    fitted(facts, &overview(facts))
}

/// The card of a model package, as the `ModelCard` of `CreateModelPackage` takes it: SageMaker knows only the
/// creator and the artefact in such a card's overview. What the overview loses is in the custom details too.
pub fn package_card(facts: &CardFacts<'_>) -> Value {
    fitted(facts, &package_overview(facts))
}

/// The fullest card that SageMaker takes.
fn fitted(facts: &CardFacts<'_>, overview: &Value) -> Value {
    let mut filled = Value::Null;
    for rows in ROWS {
        filled = fill(facts, overview, rows);
        if units(&filled.to_string()) <= CARD {
            break;
        }
    }
    filled
}

fn fill(facts: &CardFacts<'_>, overview: &Value, rows: usize) -> Value {
    json!({
        "model_overview": overview,
        "intended_uses": intended_uses(facts),
        "training_details": training(facts, rows),
        "evaluation_details": [evaluation(facts, rows)],
        "additional_information": additional(facts, rows),
    })
}

fn overview(facts: &CardFacts<'_>) -> Value {
    json!({
        "model_description": line(&description(facts), LINE),
        "model_creator": said(facts.submitter, LINE),
        "model_artifact": locations(facts.artifact_uri),
        "algorithm_type": known(facts.algorithm, LINE),
        "problem_type": TASK,
    })
}

fn package_overview(facts: &CardFacts<'_>) -> Value {
    json!({
        "model_creator": said(facts.submitter, LINE),
        "model_artifact": locations(facts.artifact_uri),
    })
}

fn description(facts: &CardFacts<'_>) -> String {
    format!(
        "{}: {}, fine-tuned by run {}.",
        known(facts.model_name, WORD),
        base(facts),
        known(facts.run_id, WORD)
    )
}

fn base(facts: &CardFacts<'_>) -> String {
    format!("{} at commit {}", known(facts.base_model, WORD), known(facts.commit, WORD))
}

fn intended_uses(facts: &CardFacts<'_>) -> Value {
    let purpose =
        format!("To generate text: {}, fine-tuned on {} records.", base(facts), facts.training_rows);
    let factors = if facts.after.is_empty() {
        NOT_EVALUATED.to_owned()
    } else {
        format!(
            "Measured on {} records of {} only; how it does on other data is {NOT_EVALUATED}.",
            facts.evaluation_rows,
            known(facts.evaluation_data_uri, LINE)
        )
    };
    json!({
        "purpose_of_model": line(&purpose, TEXT),
        "intended_uses": paragraph(facts.intended_use, NOT_STATED, TEXT),
        "factors_affecting_model_efficiency": line(&factors, TEXT),
        "risk_rating": "Unknown",
        "explanations_for_risk_rating": format!("The risk of this model is {NOT_EVALUATED}."),
    })
}

fn training(facts: &CardFacts<'_>, rows: usize) -> Value {
    let observations = format!(
        "Fine-tuned on {} from {}, on {} records (sha256 {}).",
        known(facts.trained_on, WORD),
        base(facts),
        facts.training_rows,
        known(facts.training_data_sha256, WORD)
    );
    let job = json!({
        "training_datasets": locations(facts.training_data_uri),
        "training_environment": { "container_image": locations(facts.image_uri) },
        "user_provided_training_metrics": training_metrics(facts, rows),
        "hyper_parameters": hyperparameters(facts, rows),
    });
    json!({
        "objective_function": objective(facts),
        "training_observations": line(&observations, LINE),
        "training_job_details": with(job, "training_arn", arn(facts.training_job_arn, LINE)),
    })
}

/// Fine-tuning a language model lowers its loss; which loss, its algorithm says.
fn objective(facts: &CardFacts<'_>) -> Value {
    let notes = line(&format!("Algorithm: {}.", known(facts.algorithm, SHARE)), LINE);
    json!({ "function": { "function": "Minimize", "facet": "Loss" }, "notes": notes })
}

fn hyperparameters(facts: &CardFacts<'_>, rows: usize) -> Vec<Value> {
    let row = |(name, value): (&String, &String)| json!({ "name": name_of(name), "value": value_of(value) });
    facts.hyperparameters.iter().take(rows.min(HYPERPARAMETERS)).map(row).collect()
}

/// The training job itself reports none to the pipeline: these come from the evaluation, and say so.
fn training_metrics(facts: &CardFacts<'_>, rows: usize) -> Vec<Value> {
    let finite = facts.after.iter().filter(|(_, value)| value.is_finite());
    finite
        .take(rows.min(METRICS))
        .map(|(name, value)| {
            json!({
                "name": name_of(name),
                "value": value,
                "notes": "Measured by the evaluation job, on the evaluation data.",
            })
        })
        .collect()
}

fn evaluation(facts: &CardFacts<'_>, rows: usize) -> Value {
    // Of an ARN, the job's own name tells more than its beginning.
    let job = facts.evaluation_job.rsplit('/').next().unwrap_or_default();
    let entry = json!({
        "name": or(line(job, SHORT), "evaluation"),
        "evaluation_observation": line(&observation(facts), OBSERVATION),
        "datasets": locations(facts.evaluation_data_uri),
        "metadata": metadata(facts, rows),
        "metric_groups": [
            group("base model", facts.before, &BTreeMap::new(), rows),
            group("fine-tuned model", facts.after, facts.before, rows),
        ],
    });
    with(entry, "evaluation_job_arn", arn(facts.evaluation_job, JOB_ARN))
}

fn observation(facts: &CardFacts<'_>) -> String {
    if facts.after.is_empty() {
        return format!("The fine-tuned model is {NOT_EVALUATED}.");
    }
    let compared = if facts.before.is_empty() {
        "the base model is not evaluated"
    } else {
        "compared with the base model"
    };
    format!(
        "Evaluated by {} on {} records of {} (sha256 {}); {compared}.",
        known(facts.evaluation_job, JOB_ARN),
        facts.evaluation_rows,
        known(facts.evaluation_data_uri, LINE),
        known(facts.evaluation_data_sha256, WORD)
    )
}

fn metadata(facts: &CardFacts<'_>, rows: usize) -> Map<String, Value> {
    let mut metadata = details([
        ("evaluation_job", known(facts.evaluation_job, LINE)),
        ("evaluation_data_sha256", known(facts.evaluation_data_sha256, WORD)),
        ("evaluation_rows", facts.evaluation_rows.to_string()),
        ("metrics_uri", known(facts.metrics_uri, LINE)),
    ]);
    let thresholds = thresholds(facts);
    if thresholds.is_empty() {
        metadata.insert("thresholds".to_owned(), NOT_STATED.into());
    }
    for (metric, bounds) in thresholds.iter().take(rows.min(METRICS)) {
        let measured = facts.after.get(*metric).map_or_else(|| NOT_EVALUATED.to_owned(), measured);
        let text = format!("{}; measured: {measured}", known(&bounds.join(" and "), SHARE));
        metadata.insert(format!("threshold: {}", name_of(metric)), line(&text, LINE).into());
    }
    metadata
}

/// Every bound of a metric: the policy's and the request's may stand beside each other.
fn thresholds<'a>(facts: &CardFacts<'a>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut thresholds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (metric, bound) in facts.thresholds {
        thresholds.entry(metric).or_default().push(bound);
    }
    thresholds
}

fn group(name: &str, metrics: &BTreeMap<String, f64>, base: &BTreeMap<String, f64>, rows: usize) -> Value {
    let data: Vec<Value> = if metrics.is_empty() {
        vec![json!({ "name": "metrics", "type": "string", "value": NOT_EVALUATED })]
    } else {
        let rows = metrics.iter().take(rows.min(METRICS));
        rows.map(|(name, value)| metric(name, *value, base.get(name))).collect()
    };
    json!({ "name": name, "metric_data": data })
}

/// JSON has no NaN and no infinity: such a value is told, as text, rather than left out.
fn metric(name: &str, value: f64, base: Option<&f64>) -> Value {
    let metric = if value.is_finite() {
        json!({ "name": name_of(name), "type": "number", "value": value })
    } else {
        json!({ "name": name_of(name), "type": "string", "value": measured(&value) })
    };
    with(metric, "notes", base.map(|base| format!("Base model: {}.", measured(base))))
}

fn measured(value: &f64) -> String {
    // `{:?}` writes very large and very small numbers with an exponent.
    if value.is_finite() { format!("{value:?}") } else { "not a finite number".to_owned() }
}

fn additional(facts: &CardFacts<'_>, rows: usize) -> Value {
    let caveats = format!(
        "Limitations: {}\nSafety: {}\nLicence of the base model: {}",
        paragraph(facts.limitations, NOT_STATED, SHARE),
        paragraph(facts.safety, NOT_EVALUATED, SHARE),
        said(facts.licence, WORD)
    );
    json!({
        "ethical_considerations": paragraph(facts.ethical_considerations, NOT_EVALUATED, TEXT),
        "caveats_and_recommendations": cut(&caveats, TEXT),
        "custom_details": custom(facts, rows),
    })
}

/// What binds the card to its run, also where a card's overview has no room for it.
fn custom(facts: &CardFacts<'_>, rows: usize) -> Map<String, Value> {
    let mut custom = details([
        ("run_id", known(facts.run_id, WORD)),
        ("model_package_group", known(facts.model_name, NAME)),
        ("problem_type", TASK.to_owned()),
        ("algorithm", known(facts.algorithm, LINE)),
        ("base_model", known(facts.base_model, NAME)),
        ("base_model_commit", known(facts.commit, WORD)),
        ("licence", said(facts.licence, NAME)),
        ("artifact_uri", known(facts.artifact_uri, LINE)),
        ("artifact_sha256", known(facts.artifact_sha256, WORD)),
        ("container_image", known(facts.image_uri, LINE)),
        ("training_job", known(facts.training_job_arn, LINE)),
        ("training_data_sha256", known(facts.training_data_sha256, WORD)),
        ("evaluation_data_sha256", known(facts.evaluation_data_sha256, WORD)),
    ]);
    if let Some(left_out) = left_out(facts, rows) {
        custom.insert("left_out".to_owned(), left_out.into());
    }
    custom
}

/// A card that shows only some of the rows says so.
fn left_out(facts: &CardFacts<'_>, rows: usize) -> Option<String> {
    let over = |count: usize, most: usize| count.saturating_sub(rows.min(most));
    let hyperparameters = over(facts.hyperparameters.len(), HYPERPARAMETERS);
    let metrics = over(facts.after.len(), METRICS) + over(facts.before.len(), METRICS);
    let thresholds = over(thresholds(facts).len(), METRICS);
    let counts = [
        (hyperparameters, "hyperparameters"),
        (metrics, "metrics of the evaluation"),
        (thresholds, "thresholds"),
    ];
    let missing: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{what}: {count}"))
        .collect();
    (!missing.is_empty()).then(|| format!("Not shown, for length: {}", missing.join(", ")))
}

fn details<const N: usize>(pairs: [(&str, String); N]) -> Map<String, Value> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
}

/// The object with one more member, if there is a value for it: the schema has no place for a null.
fn with(mut object: Value, key: &str, value: Option<String>) -> Value {
    if let (Some(members), Some(value)) = (object.as_object_mut(), value) {
        members.insert(key.to_owned(), value.into());
    }
    object
}

/// A list of one location, or of none.
fn locations(uri: &str) -> Vec<String> {
    let uri = line(uri, LINE);
    if uri.is_empty() { Vec::new() } else { vec![uri] }
}

/// An ARN, whole: one that is cut names something else.
fn arn(text: &str, limit: usize) -> Option<String> {
    let plain = text.chars().all(|c| c.is_ascii_graphic());
    (plain && text.starts_with("arn:") && text.len() <= limit).then(|| text.to_owned())
}

/// A name: the schema wants at least one character.
fn name_of(text: &str) -> String {
    or(line(text, NAME), "unnamed")
}

/// A hyperparameter's value: the schema wants at least one character here too.
fn value_of(text: &str) -> String {
    or(line(text, NAME), "(empty)")
}

fn known(text: &str, limit: usize) -> String {
    or(line(text, limit), NOT_STATED)
}

fn said(text: Option<&str>, limit: usize) -> String {
    known(text.unwrap_or_default(), limit)
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text }
}

/// Somebody's own words, which keep their lines.
fn paragraph(text: Option<&str>, otherwise: &str, limit: usize) -> String {
    let text: String =
        text.unwrap_or_default().chars().map(|c| if c == '\n' { c } else { plain(c) }).collect();
    or(cut(text.trim(), limit), otherwise)
}

/// The text on one line.
fn line(text: &str, limit: usize) -> String {
    let text: String = text.chars().map(plain).collect();
    cut(text.trim(), limit)
}

/// SageMaker takes a card as one line, and Java's `.` stops at these separators too.
fn plain(c: char) -> char {
    if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }
}

/// At most `limit` units, the last an ellipsis where something is missing.
fn cut(text: &str, limit: usize) -> String {
    if units(text) <= limit {
        return text.to_owned();
    }
    let mut left = limit.saturating_sub(1);
    let mut kept = String::new();
    for c in text.chars() {
        let Some(rest) = left.checked_sub(c.len_utf16()) else { break };
        left = rest;
        kept.push(c);
    }
    kept.push('…');
    kept
}

/// UTF-16 units are never fewer than characters, so a text within its limit is so by either count.
fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use jsonschema::Validator;

    use super::*;

    static WHOLE: LazyLock<Validator> =
        LazyLock::new(|| validator(include_str!("../model-card.schema.json")));
    static PACKAGE: LazyLock<Validator> =
        LazyLock::new(|| validator(include_str!("../model-package-card.schema.json")));

    /// What a `CardFacts` borrows.
    #[derive(Default)]
    struct Lists {
        hyperparameters: BTreeMap<String, String>,
        before: BTreeMap<String, f64>,
        after: BTreeMap<String, f64>,
        thresholds: Vec<(String, String)>,
    }

    impl Lists {
        fn full() -> Self {
            Self {
                hyperparameters: [("epochs", "3"), ("learning_rate", "0.0005"), ("note", "")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
                before: metrics(&[("eval_loss", 3.5), ("perplexity", 33.1)]),
                after: metrics(&[("eval_loss", 2.25), ("perplexity", 9.49)]),
                thresholds: vec![
                    ("eval_loss".to_owned(), "at most 3.2".to_owned()),
                    ("eval_loss".to_owned(), "at most 3".to_owned()),
                    ("toxicity".to_owned(), "at most 0.1".to_owned()),
                ],
            }
        }

        fn many(count: usize, text: &str) -> Self {
            let name = |i: usize| format!("{i} {text}");
            Self {
                hyperparameters: (0..count).map(|i| (name(i), text.to_owned())).collect(),
                before: (0..count).map(|i| (name(i), 1.0)).collect(),
                after: (0..count).map(|i| (name(i), -1e308)).collect(),
                thresholds: (0..count).map(|i| (name(i), text.to_owned())).collect(),
            }
        }

        /// Every text is this text.
        fn facts<'a>(&'a self, text: &'a str, free: Option<&'a str>) -> CardFacts<'a> {
            CardFacts {
                run_id: text,
                model_name: text,
                base_model: text,
                commit: text,
                licence: free,
                artifact_sha256: text,
                artifact_uri: text,
                image_uri: text,
                algorithm: text,
                training_job_arn: text,
                training_data_uri: text,
                training_data_sha256: text,
                training_rows: u64::MAX,
                hyperparameters: &self.hyperparameters,
                trained_on: text,
                evaluation_job: text,
                evaluation_data_uri: text,
                evaluation_data_sha256: text,
                evaluation_rows: 0,
                metrics_uri: text,
                before: &self.before,
                after: &self.after,
                thresholds: &self.thresholds,
                intended_use: free,
                limitations: free,
                ethical_considerations: free,
                safety: free,
                submitter: free,
            }
        }
    }

    fn metrics(pairs: &[(&str, f64)]) -> BTreeMap<String, f64> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    fn full(lists: &Lists) -> CardFacts<'_> {
        CardFacts {
            run_id: "r-20260102-abcdef",
            model_name: "support-replies",
            base_model: "acme/tiny-lm",
            commit: "0123456789abcdef0123456789abcdef01234567",
            licence: Some("apache-2.0"),
            artifact_sha256: "aa11",
            artifact_uri: "s3://work/runs/r/artifact/",
            image_uri: "111122223333.dkr.ecr.eu-west-1.amazonaws.com/trainer@sha256:bb22",
            algorithm: "full fine-tuning",
            training_job_arn: "arn:aws:sagemaker:eu-west-1:111122223333:training-job/r",
            training_data_uri: "s3://data/train.jsonl",
            training_data_sha256: "cc33",
            training_rows: 1200,
            trained_on: "2026-01-02",
            evaluation_job: "arn:aws:sagemaker:eu-west-1:111122223333:processing-job/r-evaluate",
            evaluation_data_uri: "s3://data/held-out.jsonl",
            evaluation_data_sha256: "dd44",
            evaluation_rows: 150,
            metrics_uri: "s3://work/runs/r/metrics.json",
            intended_use: Some("Drafts replies.\nA person reads them."),
            limitations: Some("English only."),
            ethical_considerations: Some("Replies may repeat what the data say."),
            safety: Some("Red-teamed on 2026-01-01."),
            submitter: Some("AIDASUBMITTER"),
            ..lists.facts("", None)
        }
    }

    /// The package's schema does not say which draft it is: it is the other's.
    fn validator(schema: &str) -> Validator {
        let schema: Value = serde_json::from_str(schema).unwrap();
        jsonschema::options().with_draft(jsonschema::Draft::Draft7).build(&schema).unwrap()
    }

    fn assert_valid(facts: &CardFacts<'_>) {
        for (validator, card) in
            [(&WHOLE, card(facts)), (&WHOLE, package_card(facts)), (&PACKAGE, package_card(facts))]
        {
            let errors: Vec<String> =
                validator.iter_errors(&card).map(|e| format!("{}: {e}", e.instance_path())).collect();
            assert!(errors.is_empty(), "{errors:?}");
            let written = card.to_string();
            assert!(written.encode_utf16().count() <= CARD, "{}", written.len());
            assert!(!written.contains(['\n', '\u{85}', '\u{2028}']), "{written}");
            assert_limits("", &card);
        }
    }

    /// What the schema means and does not say: its patterns have no anchors, its `maxItems` stand on objects, and
    /// draft 7 has no `maxContains`.
    fn assert_limits(key: &str, value: &Value) {
        match value {
            Value::Object(members) => members.iter().for_each(|(key, value)| assert_limits(key, value)),
            Value::Array(items) => {
                let most = match key {
                    "hyper_parameters" => 100,
                    "datasets" => 10,
                    "training_datasets" | "container_image" | "model_artifact" => 15,
                    _ => 50,
                };
                assert!(items.len() <= most, "{key}: {}", items.len());
                items.iter().for_each(|item| assert_limits("item", item));
                if key == "evaluation_details" || key == "metric_groups" {
                    for item in items {
                        let name = item["name"].as_str().unwrap();
                        assert!((1..=63).contains(&units(name)), "{key}: {name}");
                    }
                }
            }
            Value::String(text) => {
                assert!(!text.trim().is_empty(), "{key} says nothing");
                let most = match key {
                    "name" => 255,
                    "value" => 255,
                    _ => 2096,
                };
                assert!(units(text) <= most, "{key}: {}", units(text));
            }
            Value::Null => panic!("{key} is null"),
            Value::Number(_) | Value::Bool(_) => {}
        }
    }

    /// Without which "valid" would mean nothing.
    #[test]
    fn the_schemas_refuse_what_aws_refuses() {
        let metric = |value: Value| json!({ "name": "m", "type": "number", "value": value });
        let group = |value| json!([{ "name": "e", "metric_groups": [{ "name": "g", "metric_data": [metric(value)] }] }]);
        for (member, value) in [
            ("intended_uses", json!({ "risk_rating": "Grave" })),
            ("intended_uses", json!({ "intended_uses": "x".repeat(2049) })),
            ("model_overview", json!({ "model_creator": null })),
            ("evaluation_details", group(Value::Null)),
            ("additional_information", json!({ "custom_details": { "rows": 3 } })),
            ("more", json!({})),
        ] {
            for schema in [&WHOLE, &PACKAGE] {
                assert!(!schema.is_valid(&json!({ member: value })), "{member}: {value}");
                assert!(schema.is_valid(&json!({ "evaluation_details": group(json!(1.5)) })));
            }
        }
    }

    #[test]
    fn a_full_card_says_what_the_evidence_says() {
        let lists = Lists::full();
        let facts = full(&lists);
        assert_valid(&facts);
        let card = card(&facts);
        assert!(!card.to_string().contains(NOT_STATED), "{card}");
        assert_eq!(
            card["model_overview"]["model_description"],
            "support-replies: acme/tiny-lm at commit 0123456789abcdef0123456789abcdef01234567, fine-tuned by run \
             r-20260102-abcdef."
        );
        assert_eq!(card["intended_uses"]["risk_rating"], "Unknown");
        assert_eq!(card["intended_uses"]["intended_uses"], "Drafts replies.\nA person reads them.");
        let job = &card["training_details"]["training_job_details"];
        assert_eq!(job["training_arn"], facts.training_job_arn);
        assert_eq!(job["hyper_parameters"][2], json!({ "name": "note", "value": "(empty)" }));
        let evaluation = &card["evaluation_details"][0];
        assert_eq!(evaluation["name"], "r-evaluate");
        assert_eq!(evaluation["evaluation_job_arn"], facts.evaluation_job);
        assert_eq!(
            evaluation["metric_groups"][1]["metric_data"][0],
            json!({ "name": "eval_loss", "type": "number", "value": 2.25, "notes": "Base model: 3.5." })
        );
        let metadata = &evaluation["metadata"];
        assert_eq!(metadata["threshold: eval_loss"], "at most 3.2 and at most 3; measured: 2.25");
        assert_eq!(metadata["threshold: toxicity"], "at most 0.1; measured: not evaluated");
        let additional = &card["additional_information"];
        assert_eq!(
            additional["caveats_and_recommendations"],
            "Limitations: English only.\nSafety: Red-teamed on 2026-01-01.\nLicence of the base model: apache-2.0"
        );
        assert_eq!(additional["custom_details"]["artifact_sha256"], "aa11");
        assert_eq!(additional["custom_details"].get("left_out"), None);
    }

    #[test]
    fn the_card_of_a_package_differs_in_its_overview_alone() {
        let lists = Lists::full();
        let facts = full(&lists);
        let (mut whole, mut package) = (card(&facts), package_card(&facts));
        let overview = package["model_overview"].take();
        assert_eq!(
            overview,
            json!({ "model_creator": "AIDASUBMITTER", "model_artifact": ["s3://work/runs/r/artifact/"] })
        );
        whole["model_overview"].take();
        assert_eq!(whole, package);
        // The whole card is not one for a package: this is why there are two.
        assert!(!PACKAGE.is_valid(&card(&facts)));
    }

    #[test]
    fn what_nobody_knows_is_said_to_be_unknown() {
        let lists = Lists::default();
        for (text, free) in [("", None), ("", Some("")), (" \n\t ", Some(" \n\u{2028} "))] {
            let facts = lists.facts(text, free);
            assert_valid(&facts);
            let card = card(&facts);
            let additional = &card["additional_information"];
            assert_eq!(additional["ethical_considerations"], NOT_EVALUATED);
            assert_eq!(
                additional["caveats_and_recommendations"],
                "Limitations: not stated\nSafety: not evaluated\nLicence of the base model: not stated"
            );
            assert_eq!(additional["custom_details"]["licence"], NOT_STATED);
            assert_eq!(card["intended_uses"]["intended_uses"], NOT_STATED);
            assert_eq!(card["intended_uses"]["factors_affecting_model_efficiency"], NOT_EVALUATED);
            assert_eq!(card["model_overview"]["model_creator"], NOT_STATED);
            assert_eq!(card["model_overview"]["model_artifact"], json!([]));
            let evaluation = &card["evaluation_details"][0];
            assert_eq!(evaluation["name"], "evaluation");
            assert_eq!(evaluation["evaluation_observation"], "The fine-tuned model is not evaluated.");
            assert_eq!(evaluation.get("evaluation_job_arn"), None);
            for group in 0..2 {
                let metric = &evaluation["metric_groups"][group]["metric_data"][0];
                assert_eq!(metric["value"], NOT_EVALUATED);
            }
        }
    }

    #[test]
    fn a_long_text_is_cut_and_leaves_room_for_the_next() {
        let lists = Lists::many(3, &"x".repeat(2_000));
        let long = "y".repeat(2_000);
        let facts = CardFacts { licence: Some("mit"), ..lists.facts(&long, Some(&long)) };
        assert_valid(&facts);
        let card = card(&facts);
        let creator = card["model_overview"]["model_creator"].as_str().unwrap();
        assert_eq!((units(creator), creator.ends_with('…')), (1024, true));
        let ethics = card["additional_information"]["ethical_considerations"].as_str().unwrap();
        assert_eq!(ethics, long, "2,000 characters fit");
        let caveats = card["additional_information"]["caveats_and_recommendations"].as_str().unwrap();
        assert!(caveats.contains("\nSafety: yyy") && caveats.ends_with("base model: mit"), "{caveats}");
    }

    #[test]
    fn a_cut_falls_between_characters() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("ééé", 3), "ééé");
        // A character of two units does not fit in the one that is left.
        assert_eq!(cut("a🦀🦀", 4), "a🦀…");
        assert_eq!(cut("a🦀🦀", 3), "a…");
        for text in
            ["模型".repeat(2_000), "🦀".repeat(2_000), "e\u{301}".repeat(2_000), "\u{202e}ا".repeat(2_000)]
        {
            let lists = Lists::many(3, &text);
            assert_valid(&lists.facts(&text, Some(&text)));
        }
    }

    #[test]
    fn what_is_no_number_is_told_as_text() {
        let odd = [
            ("infinite", f64::INFINITY),
            ("minus", f64::NEG_INFINITY),
            ("nan", f64::NAN),
            ("zero", -0.0),
            ("tiny", f64::MIN_POSITIVE),
        ];
        let lists = Lists { before: metrics(&odd), after: metrics(&odd), ..Lists::full() };
        let facts = full(&lists);
        assert_valid(&facts);
        let card = card(&facts);
        assert_eq!(
            card["evaluation_details"][0]["metric_groups"][1]["metric_data"][0],
            json!({
                "name": "infinite",
                "type": "string",
                "value": "not a finite number",
                "notes": "Base model: not a finite number.",
            })
        );
        let training = &card["training_details"]["training_job_details"]["user_provided_training_metrics"];
        assert_eq!(training.as_array().unwrap().len(), 2, "a training metric must be a number");
    }

    #[test]
    fn an_arn_is_whole_or_absent() {
        let long = format!("arn:aws:sagemaker:eu-west-1:111122223333:processing-job/{}", "x".repeat(300));
        let lists = Lists::full();
        for job in [long.as_str(), "r-evaluate", "arn:aws: spaced", "arn:aws:é"] {
            let facts = CardFacts { evaluation_job: job, ..full(&lists) };
            assert_valid(&facts);
            let card = card(&facts);
            assert_eq!(card["evaluation_details"][0].get("evaluation_job_arn"), None, "{job}");
            assert_eq!(card["evaluation_details"][0]["metadata"]["evaluation_job"], job);
        }
    }

    #[test]
    fn rows_that_do_not_fit_are_counted() {
        let many = Lists::many(120, "short");
        let facts = full(&many);
        assert_valid(&facts);
        assert_eq!(
            card(&facts)["additional_information"]["custom_details"]["left_out"],
            "Not shown, for length: hyperparameters: 20, metrics of the evaluation: 140, thresholds: 70"
        );
        // Every character is written as two.
        let quotes = "\"\\".repeat(2_000);
        let many = Lists::many(5_000, &quotes);
        assert_valid(&many.facts(&quotes, Some(&quotes)));
    }

    #[test]
    fn odd_values_make_a_valid_card() {
        let pieces = [
            "", " ", "\n", "\r\n", "\0", "\u{7f}", "\u{85}", "\u{2028}", "\"", "\\", "…", "é", "🦀", "arn:",
            "/",
        ];
        let numbers = [0.0, -1.5, f64::MAX, f64::MIN, f64::EPSILON, f64::NAN, f64::INFINITY];
        // A generator of our own: the same odd values in every run.
        let mut state: u64 = 7;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        for _ in 0..150 {
            let mut text = || {
                let length = [0, 1, 3, 62, 63, 64, 255, 256, 1_024, 1_025, 2_100][next(11)];
                (0..length).map(|_| pieces[next(pieces.len())]).collect::<String>()
            };
            let (plain, free) = (text(), text());
            let names: Vec<String> = (0..4).map(|_| text()).collect();
            let mut values = || -> BTreeMap<String, f64> {
                names.iter().map(|name| (name.clone(), numbers[next(numbers.len())])).collect()
            };
            let lists = Lists {
                before: values(),
                after: values(),
                hyperparameters: names.iter().map(|name| (name.clone(), free.clone())).collect(),
                thresholds: names.iter().map(|name| (name.clone(), plain.clone())).collect(),
            };
            assert_valid(&lists.facts(&plain, Some(&free)));
        }
    }
}
