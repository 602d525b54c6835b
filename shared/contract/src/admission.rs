//! Is a request within policy? Each scalar has its strict direction, sets are subsets, and anything else is a violation.
//!
//! `admit-run` asks before a run begins, and the command line before a request is uploaded.

use std::{cmp::Ordering, collections::BTreeSet, fmt};

use drift::GroupSettings;

use crate::{Estimate, Limits, Policy, Request, S3Uri, Sha256Digest, Threshold, strictest};

/// A request that policy does not let in.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Inadmissible {
    /// It asks for more than policy allows; every violation is listed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Policy(Vec<Violation>),
    /// The run could cost too much.
    #[error("the run could cost {:.2} USD, {cap}: {estimate}; {}", estimate.usd(), cap.remedy())]
    Cost {
        /// At most, from runtimes and prices.
        estimate: Estimate,
        /// What it may.
        cap: Cap,
    },
}

/// What a run may cost: the lower of two, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cap {
    /// US dollars of the request's own `cost_cap_usd`.
    Request(f64),
    /// US dollars of the policy's.
    Policy(f64),
}

impl Cap {
    fn of(request: &Request, policy: &Policy) -> Self {
        request.cost_cap_usd.map_or(Self::Policy(policy.cost_cap_usd), Self::Request)
    }

    fn usd(self) -> f64 {
        match self {
            Self::Request(usd) | Self::Policy(usd) => usd,
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Request(_) => {
                "ask for shorter runtimes, fewer or cheaper instances, or raise `cost_cap_usd` in the request"
            }
            Self::Policy(_) => "ask for shorter runtimes, or fewer or cheaper instances",
        }
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(usd) => write!(formatter, "the request's `cost_cap_usd` allows {usd:.2}"),
            Self::Policy(usd) => write!(formatter, "policy's `cost_cap_usd` allows {usd:.2}"),
        }
    }
}

/// An image's name that names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`image` is `{image}`: {remedy}")]
pub struct ImageNameInvalid {
    /// As written in the request.
    pub image: String,
    /// What to do.
    pub remedy: &'static str,
}

/// An image as a request writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName {
    /// The repository, without the registry.
    pub repository: String,
    /// The tag, if it has one.
    pub tag: Option<String>,
    /// `sha256:` and 64 hex digits, if it is named by digest.
    pub digest: Option<String>,
}

impl ImageName {
    /// Reads `[registry/]repository[:tag][@digest]`.
    ///
    /// # Errors
    /// [`ImageNameInvalid`] when it names no version.
    pub fn parse(image: &str) -> Result<Self, ImageNameInvalid> {
        let refuse = |remedy| Err(ImageNameInvalid { image: image.to_owned(), remedy });
        let (name, digest) = match image.split_once('@') {
            Some((name, digest)) => (name, Some(digest.to_owned())),
            None => (image, None),
        };
        if let Some(digest) = &digest
            && digest
                .strip_prefix("sha256:")
                .and_then(|hex| Sha256Digest::try_from(hex.to_owned()).ok())
                .is_none()
        {
            return refuse("write its digest as sha256: and 64 hex digits");
        }
        // A first part with a dot or a colon is a registry, as container engines read it.
        let (registry, rest) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) => (Some(first), rest),
            _ => (None, name),
        };
        if registry.is_some_and(|registry| !registry.contains(".dkr.ecr.")) {
            return refuse("it must lie in the account's own ECR");
        }
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (rest, None),
        };
        if repository.is_empty() || (tag.is_none() && digest.is_none()) {
            return refuse("write repository:tag or repository@sha256:...");
        }
        Ok(Self { repository: repository.to_owned(), tag, digest })
    }
}

/// One thing that policy does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    field: &'static str,
    value: String,
    allowed: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` is `{}`, policy allows {}", self.field, self.value, self.allowed)
    }
}

/// What the request is judged against, beside the policy.
#[derive(Debug)]
pub struct Circumstances<'a> {
    /// Endpoints that the infrastructure declares.
    pub endpoints: BTreeSet<&'a str>,
    /// `aws:userid` of the submitter, if known.
    pub submitter: Option<&'a str>,
    /// The bucket that data must lie in.
    pub work_bucket: &'a str,
    /// The repository of the image.
    pub repository: &'a str,
}

/// Judges a request; answers what it could cost.
///
/// # Errors
/// [`Inadmissible::Policy`] with every violation, or [`Inadmissible::Cost`].
pub fn judge(
    request: &Request,
    policy: &Policy,
    around: &Circumstances<'_>,
) -> Result<Estimate, Inadmissible> {
    let mut violations = Vec::new();
    let mut refuse = |field, value: &dyn ToString, allowed: String| {
        violations.push(Violation { field, value: value.to_string(), allowed });
    };

    let owner = request.source.repo.split('/').next().unwrap_or_default();
    if !policy.hub.owners.contains(owner) {
        refuse("source.repo", &request.source.repo, format!("the owners {:?}", policy.hub.owners));
    }
    if !policy.images.repositories.contains(around.repository) {
        refuse("image", &request.image, format!("the repositories {:?}", policy.images.repositories));
    }

    // What a promoted run was trained on, and with, is judged by its evidence: nothing is trained here.
    let trains = request.promotion.is_none();
    let jobs = [
        (trains, "training.instance_type", &request.training.instance_type),
        (true, "evaluation.instance_type", &request.evaluation.instance_type),
    ];
    for (_, field, instance_type) in jobs.into_iter().filter(|(runs, ..)| *runs) {
        if !policy.training.instance_types.contains(instance_type) {
            refuse(field, instance_type, format!("the types {:?}", policy.training.instance_types));
        }
    }
    let (training, evaluation, limits) = (&request.training, &request.evaluation, &policy.training);
    let most = limits.max_instance_count;
    let longest = limits.max_runtime_seconds;
    let ceilings = [
        (trains, "training.instance_count", training.instance_count, most),
        (true, "evaluation.instance_count", evaluation.instance_count, most),
        (
            true,
            "endpoint.instance_count",
            request.endpoint.instance_count,
            policy.endpoints.max_instance_count,
        ),
        (trains, "training.max_runtime_seconds", request.training_wait_seconds(), longest),
        (true, "evaluation.max_runtime_seconds", evaluation.max_runtime_seconds, longest),
    ];
    for (_, field, value, ceiling) in ceilings.into_iter().filter(|(runs, ..)| *runs) {
        if value > ceiling {
            refuse(field, &value, format!("at most {ceiling}"));
        }
    }
    if trains && training.spot.is_some() && !policy.training.spot_allowed {
        refuse("training.spot", &"set", "no spot capacity".to_owned());
    }

    let endpoint = &request.endpoint;
    if !policy.endpoints.names.contains(&endpoint.name) || !around.endpoints.contains(endpoint.name.as_str())
    {
        refuse(
            "endpoint.name",
            &endpoint.name,
            format!("the declared endpoints {:?}", policy.endpoints.names),
        );
    }
    if !policy.endpoints.instance_types.contains(&endpoint.instance_type) {
        let allowed = format!("the types {:?}", policy.endpoints.instance_types);
        refuse("endpoint.instance_type", &endpoint.instance_type, allowed);
    }
    if endpoint.capture_percent < policy.endpoints.min_capture_percent {
        let allowed = format!("at least {}", policy.endpoints.min_capture_percent);
        refuse("endpoint.capture_percent", &endpoint.capture_percent, allowed);
    }

    if policy.endpoints.smoke_test_required && endpoint.smoke_test.is_none() {
        refuse("endpoint.smoke_test", &"absent", "only requests that bring one".to_owned());
    }

    let data = [
        (trains, "training.data.uri", &training.data.uri, &policy.data.training_prefixes),
        (true, "evaluation.data.uri", &evaluation.data.uri, &policy.data.evaluation_prefixes),
    ];
    for (_, field, uri, prefixes) in data.into_iter().filter(|(is_read, ..)| *is_read) {
        if !lies_under(uri, around.work_bucket, prefixes) {
            refuse(field, uri, format!("s3://{}/ below {prefixes:?}", around.work_bucket));
        }
    }
    if let Some(submitter) = around.submitter
        && policy.data.evaluation_writers.iter().any(|pattern| matches_userid(pattern, submitter))
    {
        let allowed = "no submitter who may write the evaluation data".to_owned();
        refuse("submitter", &submitter, allowed);
    }

    for own in &request.evaluation.thresholds {
        for limit in policy.thresholds.iter().filter(|limit| limit.metric == own.metric) {
            if !own.bound.at_least_as_strict_as(limit.bound) {
                let value = format!("{} {}", own.metric, own.bound);
                refuse(
                    "evaluation.thresholds",
                    &value,
                    format!("{} {} or stricter", limit.metric, limit.bound),
                );
            }
        }
    }

    if let (Some(own), Some(limit)) = (&evaluation.groups, policy.evaluation.as_ref().map(|all| &all.groups))
    {
        if own.column != limit.column {
            refuse("evaluation.groups.column", &own.column, format!("only `{}`", limit.column));
        }
        if own.min_samples < limit.min_samples {
            let allowed = format!("at least {}", limit.min_samples);
            refuse("evaluation.groups.min_samples", &own.min_samples, allowed);
        }
        for bound in &own.bounds {
            let looser = limit.bounds.iter().filter(|known| {
                known.metric == bound.metric
                    && known.limit.is_like(bound.limit)
                    && !bound.limit.at_least_as_strict_as(known.limit)
            });
            for known in looser {
                let value = format!("{} with {}", bound.metric, bound.limit);
                refuse("evaluation.groups.bounds", &value, format!("{} or stricter", known.limit));
            }
        }
    }

    if let Some(limits) = &request.limits {
        let waits = [
            ("limits.scan_seconds", limits.scan_seconds, policy.limits.max_scan_seconds),
            ("limits.approval_seconds", limits.approval_seconds, policy.approval.max_seconds),
        ];
        for (field, value, ceiling) in waits {
            if let Some(value) = value
                && value > ceiling
            {
                refuse(field, &value, format!("at most {ceiling}"));
            }
        }
    }

    // Written so that a cap that is no number refuses.
    if let Some(own) = request.cost_cap_usd
        && !matches!(own.partial_cmp(&policy.cost_cap_usd), Some(Ordering::Less | Ordering::Equal))
    {
        refuse("cost_cap_usd", &own, format!("at most {}", policy.cost_cap_usd));
    }
    let estimate = Estimate::of(request, policy).unwrap_or_else(|unpriced| {
        for unknown in unpriced {
            refuse(unknown.field, &unknown.instance_type, "only types whose price it knows".to_owned());
        }
        Estimate::default()
    });

    if !violations.is_empty() {
        return Err(Inadmissible::Policy(violations));
    }
    let cap = Cap::of(request, policy);
    // Written so that a cap or a price that is no number refuses.
    if estimate.usd() <= cap.usd() { Ok(estimate) } else { Err(Inadmissible::Cost { estimate, cap }) }
}

fn lies_under(uri: &S3Uri, bucket: &str, prefixes: &[String]) -> bool {
    uri.bucket() == bucket
        && prefixes.iter().any(|prefix| uri.key().len() > prefix.len() && uri.key().starts_with(prefix))
}

/// `aws:userid` patterns as IAM has them: `*` stands for any text.
fn matches_userid(pattern: &str, userid: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == userid,
        Some((head, tail)) => userid.strip_prefix(head).is_some_and(|rest| {
            tail.is_empty()
                || (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches_userid(tail, &rest[at..]))
        }),
    }
}

/// The policy's thresholds and the request's own; both apply, so of two on one side the stricter.
pub fn thresholds(request: &Request, policy: &Policy) -> Vec<Threshold> {
    strictest(policy.thresholds.iter().chain(&request.evaluation.thresholds).cloned())
}

/// Seconds that a temporary endpoint may take at most: gigabytes of weights and an image, and then the questions.
pub(crate) const SMOKE_TEST_SECONDS: u32 = 3600;

/// The groups of the policy and of the request; both apply, so of two limits the stricter.
pub fn groups(request: &Request, policy: &Policy) -> Option<GroupSettings> {
    let demanded = policy.evaluation.as_ref().map(|evaluation| &evaluation.groups);
    match (request.evaluation.groups.clone(), demanded) {
        (Some(own), Some(demanded)) => Some(own.and(demanded)),
        (own, demanded) => own.or_else(|| demanded.cloned()),
    }
}

/// How long each wait may take. No wait is shorter than the heartbeat, because Step Functions demands a
/// heartbeat below the timeout; the heartbeat lasts three sweeps.
pub fn limits(request: &Request, policy: &Policy, sweep_seconds: u32) -> Limits {
    let heartbeat_seconds = sweep_seconds.max(1) * 3;
    let at_least = |seconds: u32| seconds.max(heartbeat_seconds + 1);
    let asked = request.limits.as_ref();
    // SageMaker enforces the runtimes itself; what is added is for starting, staging and stopping.
    let overhead = 1800;
    Limits {
        scan_seconds: at_least(asked.and_then(|l| l.scan_seconds).unwrap_or(policy.limits.max_scan_seconds)),
        training_seconds: at_least(request.training_wait_seconds() + overhead),
        evaluation_seconds: at_least(request.evaluation.max_runtime_seconds + overhead),
        approval_seconds: at_least(
            asked.and_then(|l| l.approval_seconds).unwrap_or(policy.approval.max_seconds),
        ),
        smoke_test_seconds: at_least(SMOKE_TEST_SECONDS),
        // SageMaker's own timeout of an update ends before.
        deployment_seconds: at_least(9 * 3600),
        heartbeat_seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn request() -> Value {
        serde_json::from_str(testkit::REQUEST).unwrap()
    }

    fn policy() -> Value {
        serde_json::from_str(testkit::POLICY).unwrap()
    }

    fn judged(request: Value, policy: Value, submitter: Option<&str>) -> Result<Estimate, Inadmissible> {
        let request: Request = serde_json::from_value(request).unwrap();
        let policy: Policy = serde_json::from_value(policy).unwrap();
        judge(
            &request,
            &policy,
            &Circumstances {
                endpoints: BTreeSet::from(["tiny-lm"]),
                submitter,
                work_bucket: "work",
                repository: "lockstep/model-container",
            },
        )
    }

    #[test]
    fn names_are_read_as_container_engines_read_them() {
        let name = ImageName::parse("lockstep/model-container:1.0").unwrap();
        assert_eq!(
            (name.repository.as_str(), name.tag.as_deref()),
            ("lockstep/model-container", Some("1.0"))
        );
        let long = format!("1.dkr.ecr.us-east-1.amazonaws.com/a/b@sha256:{}", "0".repeat(64));
        assert_eq!(ImageName::parse(&long).unwrap().repository, "a/b");
        for bad in ["lockstep/model-container", "ghcr.io/a/b:1", "a@sha256:12", ":1", ""] {
            assert!(ImageName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_request_within_policy_passes_with_its_cost() {
        let estimate = judged(request(), policy(), Some("AIDASUBMITTER")).unwrap();
        assert!(estimate.usd() > 0.0 && estimate.usd() < 50.0, "{estimate}");
        let names: Vec<&str> = estimate.items.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(names, ["training", "evaluation"]);
    }

    #[test]
    fn every_way_to_ask_for_too_much_is_a_violation_of_its_own_field() {
        for (pointer, value, field) in [
            ("/source/repo", json!("stranger/model"), "source.repo"),
            ("/training/instance_type", json!("ml.p5.48xlarge"), "training.instance_type"),
            ("/evaluation/instance_type", json!("ml.p5.48xlarge"), "evaluation.instance_type"),
            ("/training/instance_count", json!(3), "training.instance_count"),
            ("/training/max_runtime_seconds", json!(86401), "training.max_runtime_seconds"),
            ("/endpoint/name", json!("other"), "endpoint.name"),
            ("/endpoint/instance_type", json!("ml.g5.xlarge"), "endpoint.instance_type"),
            ("/endpoint/instance_count", json!(3), "endpoint.instance_count"),
            ("/endpoint/capture_percent", json!(1), "endpoint.capture_percent"),
            ("/training/data/uri", json!("s3://work/datasets/evaluation/x.jsonl"), "training.data.uri"),
            ("/evaluation/data/uri", json!("s3://other/datasets/evaluation/x.jsonl"), "evaluation.data.uri"),
            (
                "/evaluation/thresholds",
                json!([{"metric": "perplexity", "below": 50}]),
                "evaluation.thresholds",
            ),
            (
                "/evaluation/thresholds",
                json!([{"metric": "perplexity", "above": 1}]),
                "evaluation.thresholds",
            ),
            ("/limits", json!({"scan_seconds": 999999}), "limits.scan_seconds"),
            ("/limits", json!({"approval_seconds": 9999999}), "limits.approval_seconds"),
        ] {
            let mut asked = request();
            *asked.pointer_mut(pointer).unwrap() = value;
            let refusal = judged(asked, policy(), None).unwrap_err();
            assert!(matches!(refusal, Inadmissible::Policy(_)), "{pointer}: {refusal}");
            assert!(refusal.to_string().contains(field), "{pointer}: {refusal}");
        }
    }

    #[test]
    fn a_promotion_is_judged_and_priced_without_its_training() {
        let mut asked = request();
        let run = "0a".repeat(16);
        asked["training"]["instance_type"] = json!("ml.p5.48xlarge");
        asked["training"]["data"]["uri"] = json!("s3://elsewhere/datasets/training/x.jsonl");
        assert!(judged(asked.clone(), policy(), None).is_err());
        asked["promotion"] = json!({"run_id": run, "evidence": format!("s3://intake/promotions/u/{run}/evidence.json"),
            "evidence_sha256": "0".repeat(64)});
        let estimate = judged(asked.clone(), policy(), None).unwrap();
        assert!(estimate.usd() < judged(request(), policy(), None).unwrap().usd());
        assert!(estimate.items.iter().all(|item| item.name != "training"), "{estimate}");
        asked["evaluation"]["instance_type"] = json!("ml.p5.48xlarge");
        asked["evaluation"]["data"]["uri"] = json!("s3://elsewhere/datasets/evaluation/x.jsonl");
        let refusal = judged(asked, policy(), None).unwrap_err().to_string();
        assert!(
            refusal.contains("evaluation.instance_type") && refusal.contains("evaluation.data.uri"),
            "{refusal}"
        );
        assert!(!refusal.contains("training."), "{refusal}");
    }

    #[test]
    fn groups_that_policy_demands_are_measured_and_may_only_be_bound_more_strictly() {
        let mut rules = policy();
        let groups = |column: &str, min_samples: u64, most: f64| json!({"column": column, "min_samples": min_samples, "bounds": [{"metric": "eval_loss", "max_difference": most}]});
        rules["evaluation"] = json!({"groups": groups("region", 30, 0.5)});
        let applied = |groups: Option<Value>| {
            let mut asked = request();
            if let Some(groups) = groups {
                asked["evaluation"]["groups"] = groups;
            }
            judged(asked.clone(), rules.clone(), None).map_err(|refusal| refusal.to_string())?;
            let policy = serde_json::from_value::<Policy>(rules.clone()).unwrap();
            Ok(super::groups(&serde_json::from_value(asked).unwrap(), &policy).unwrap())
        };
        let demanded: GroupSettings = serde_json::from_value(groups("region", 30, 0.5)).unwrap();
        assert_eq!(applied(None), Ok(demanded));
        let stricter = groups("region", 40, 0.25);
        assert_eq!(applied(Some(stricter.clone())), Ok(serde_json::from_value(stricter).unwrap()));
        for (asked, field) in [
            (groups("language", 30, 0.5), "evaluation.groups.column"),
            (groups("region", 29, 0.5), "evaluation.groups.min_samples"),
            (groups("region", 30, 0.51), "evaluation.groups.bounds"),
        ] {
            let refusal: String = applied(Some(asked)).unwrap_err();
            assert!(refusal.contains(field), "{field}: {refusal}");
        }
    }

    #[test]
    fn of_two_bounds_on_one_side_the_stricter_applies() {
        let mut asked = request();
        asked["evaluation"]["thresholds"] =
            json!([{"metric": "perplexity", "below": 5.0}, {"metric": "perplexity", "above": 1.0}]);
        let (asked, policy) =
            (serde_json::from_value(asked).unwrap(), serde_json::from_value::<Policy>(policy()).unwrap());
        let all = thresholds(&asked, &policy);
        let stated = crate::bounds(&all);
        assert_eq!((stated["perplexity"].as_str(), stated["eval_loss"].as_str()), ("< 5 and > 1", "< 1.5"));
    }

    #[test]
    fn every_violation_is_told_at_once() {
        let mut asked = request();
        asked["source"]["repo"] = json!("stranger/model");
        asked["endpoint"]["name"] = json!("other");
        let message = judged(asked, policy(), None).unwrap_err().to_string();
        assert!(message.contains("source.repo") && message.contains("endpoint.name"), "{message}");
    }

    #[test]
    fn who_may_write_the_evaluation_data_may_not_submit() {
        let mut rules = policy();
        rules["data"]["evaluation_writers"] = json!(["AIDASTEWARD", "AROATEAM:*"]);
        for submitter in ["AIDASTEWARD", "AROATEAM:jo"] {
            let refusal = judged(request(), rules.clone(), Some(submitter)).unwrap_err().to_string();
            assert!(refusal.contains("submitter"), "{refusal}");
        }
        judged(request(), rules, Some("AIDASUBMITTER")).unwrap();
    }

    #[test]
    fn a_type_without_a_price_is_refused_and_the_cap_holds() {
        let mut rules = policy();
        rules["prices_usd_per_hour"] = json!({"ml.m5.large": 0.1});
        assert!(matches!(judged(request(), rules, None), Err(Inadmissible::Policy(_))));
        let mut rules = policy();
        rules["cost_cap_usd"] = json!(0.01);
        assert!(matches!(judged(request(), rules, None), Err(Inadmissible::Cost { .. })));
    }

    #[test]
    fn a_requests_own_cap_is_the_lower_one_and_names_what_it_is_made_of() {
        let with = |cap: f64| {
            let mut asked = request();
            asked["cost_cap_usd"] = json!(cap);
            judged(asked, policy(), None)
        };
        let estimate = with(50.0).unwrap();
        let refusal = with(50.01).unwrap_err();
        assert!(matches!(refusal, Inadmissible::Policy(_)), "{refusal}");
        let message = refusal.to_string();
        assert!(message.contains("`cost_cap_usd` is `50.01`") && message.contains("at most 50"), "{message}");

        with(estimate.usd()).unwrap();
        let refusal = with(0.01).unwrap_err();
        assert!(matches!(refusal, Inadmissible::Cost { cap: Cap::Request(_), .. }), "{refusal}");
        let message = refusal.to_string();
        let cost = format!("could cost {:.2} USD", estimate.usd());
        for told in
            [cost.as_str(), "`cost_cap_usd` allows 0.01", "training", "evaluation", "shorter runtimes"]
        {
            assert!(message.contains(told), "{told}: {message}");
        }
    }

    #[test]
    fn the_heartbeat_lasts_three_sweeps_and_stays_below_every_timeout() {
        let request: Request = serde_json::from_value(request()).unwrap();
        let policy: Policy = serde_json::from_value(policy()).unwrap();
        let limits = limits(&request, &policy, 3600);
        assert_eq!(limits.heartbeat_seconds, 3 * 3600);
        for seconds in [
            limits.scan_seconds,
            limits.training_seconds,
            limits.evaluation_seconds,
            limits.approval_seconds,
            limits.smoke_test_seconds,
            limits.deployment_seconds,
        ] {
            assert!(seconds > limits.heartbeat_seconds);
        }
    }
}
