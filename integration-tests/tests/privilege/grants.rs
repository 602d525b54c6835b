//! What a role is granted, one action of one statement at a time, and which grant a call needs.

use serde_json::{Value, json};

/// An action that a statement of a role's policy allows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The statement's `Sid`.
    pub sid: String,
    /// Such as `s3:GetObject`.
    pub action: String,
}

impl std::fmt::Display for Grant {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} ({})", self.action, self.sid)
    }
}

/// A call that was judged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The permission that it needed.
    pub action: String,
    /// What it acts on.
    pub resource: String,
}

/// A role's policy, as Terraform deployed it.
#[derive(Clone, Debug)]
pub struct Policy(Vec<Value>);

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    }
}

/// `*` is any text, `?` any character, and actions know no case.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once(['*', '?']) {
        None => pattern == text,
        Some((start, rest)) => {
            let Some(left) = text.strip_prefix(start) else { return false };
            let mut steps = left.char_indices().map(|(place, _)| place).chain([left.len()]);
            if pattern.as_bytes()[start.len()] == b'?' {
                return left.chars().next().is_some_and(|first| matches(rest, &left[first.len_utf8()..]));
            }
            steps.any(|place| matches(rest, &left[place..]))
        }
    }
}

impl Policy {
    /// Of a policy document.
    pub fn of(document: &Value) -> Self {
        Self(document["Statement"].as_array().cloned().unwrap_or_default())
    }

    /// Everything that it allows.
    pub fn grants(&self) -> impl Iterator<Item = Grant> {
        self.0.iter().filter(|statement| statement["Effect"] == "Allow").flat_map(|statement| {
            texts(&statement["Action"]).into_iter().map(|action| Grant {
                sid: statement["Sid"].as_str().unwrap_or_default().to_owned(),
                action: action.to_owned(),
            })
        })
    }

    /// The resources that a grant reaches.
    pub fn resources(&self, sid: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|statement| statement["Sid"] == sid)
            .flat_map(|statement| texts(&statement["Resource"]))
            .collect()
    }

    /// The grants that would let a call through, were their conditions met.
    pub fn letting(&self, call: &Call) -> Vec<Grant> {
        self.grants()
            .filter(|grant| matches(&grant.action.to_lowercase(), &call.action.to_lowercase()))
            .filter(|grant| self.resources(&grant.sid).iter().any(|pattern| matches(pattern, &call.resource)))
            .collect()
    }

    /// The document with those grants alone that `keep` wants.
    pub fn only(&self, keep: impl Fn(&Grant) -> bool) -> Value {
        let statements: Vec<Value> = self
            .0
            .iter()
            .filter_map(|statement| {
                let sid = statement["Sid"].as_str().unwrap_or_default();
                let kept: Vec<&str> = texts(&statement["Action"])
                    .into_iter()
                    .filter(|action| {
                        statement["Effect"] != "Allow"
                            || keep(&Grant { sid: sid.to_owned(), action: (*action).to_owned() })
                    })
                    .collect();
                let mut statement = statement.clone();
                statement["Action"] = json!(kept);
                (!kept.is_empty()).then_some(statement)
            })
            .collect();
        if statements.is_empty() {
            // A policy must say something.
            return json!({"Version": "2012-10-17", "Statement": [
                { "Sid": "Nothing", "Effect": "Deny", "Action": "none:None", "Resource": "*" },
            ]});
        }
        json!({ "Version": "2012-10-17", "Statement": statements })
    }
}

#[test]
fn a_grant_is_found_by_action_and_resource_and_taken_away_alone() {
    let policy = Policy::of(&json!({"Statement": [
        { "Sid": "Read", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::b/runs/*/plan.json" },
        { "Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": ["arn:aws:s3:::b"] },
    ]}));
    let call = |action: &str, resource: &str| Call { action: action.into(), resource: resource.into() };
    let read = Grant { sid: "Read".into(), action: "s3:GetObject".into() };
    assert_eq!(
        policy.letting(&call("s3:GetObject", "arn:aws:s3:::b/runs/1/plan.json")),
        std::slice::from_ref(&read)
    );
    assert_eq!(policy.letting(&call("s3:GetObject", "arn:aws:s3:::b/runs/1/other")), []);
    assert_eq!(policy.letting(&call("s3:DeleteObject", "arn:aws:s3:::b/runs/1/plan.json")), []);
    let without = Policy::of(&policy.only(|grant| *grant != read));
    assert_eq!(without.grants().count(), 2);
    assert_eq!(without.letting(&call("s3:GetObject", "arn:aws:s3:::b/runs/1/plan.json")), []);
}

#[test]
fn patterns_match_as_iam_matches_them() {
    assert!(matches("*", "") && matches("a*c", "abbc") && matches("a?c", "abc") && matches("a*", "a"));
    assert!(!matches("a?c", "ac") && !matches("a*c", "abd") && !matches("a", "ab"));
}
