//! What SageMaker refuses before it looks at anything else, in its own words.
//!
//! A request's shape is declared beside the operation that takes it; one walk finds every violation and reports
//! them together, as the service does.

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::instance_types::{self, Use};
use crate::service::AwsError;

/// A JSON object: a request's or an answer's members.
pub(super) type Object = Map<String, Value>;

/// What a value must look like.
#[derive(Debug)]
pub(super) enum Shape {
    /// A string of so many characters that matches the whole pattern.
    Text { min: usize, max: usize, pattern: Option<&'static str> },
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// An instance type that exists for this use.
    InstanceType(Use),
    /// A whole number.
    Integer { min: i64, max: i64 },
    /// Any number that is not below this.
    Number { min: f64 },
    /// True or false.
    Flag,
    /// A list of so many of one shape.
    List { min: usize, max: usize, of: &'static Shape },
    /// A map of at most so many.
    Table { max: usize, key: &'static Shape, value: &'static Shape },
    /// An object.
    Structure(&'static [Member]),
    /// Anything: what the local account keeps and gives back without reading it.
    Free,
}

/// A member of an object.
#[derive(Debug)]
pub(super) struct Member {
    name: &'static str,
    required: bool,
    shape: &'static Shape,
}

/// A member that has to be there.
pub(super) const fn must(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, required: true, shape }
}

/// A member that may be there.
pub(super) const fn may(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, required: false, shape }
}

/// Shapes that several operations share.
pub(super) mod shapes {
    use super::{Shape, may, must};

    /// Names of jobs, packages, endpoints: the pattern allows no dash at the end.
    pub(in super::super) const NAME: Shape =
        Shape::Text { min: 1, max: 63, pattern: Some("[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}") };
    pub(in super::super) const NAME_OR_ARN: Shape = Shape::Text {
        min: 1,
        max: 176,
        pattern: Some(
            "(arn:aws[a-z\\-]*:sagemaker:[a-z0-9\\-]*:[0-9]{12}:[a-z\\-]*\\/)?([a-zA-Z0-9]([a-zA-Z0-9-]){0,62})(\\/[0-9]{1,9})?",
        ),
    };
    pub(in super::super) const ROLE_ARN: Shape = Shape::Text {
        min: 20,
        max: 2048,
        pattern: Some("arn:aws[a-z\\-]*:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+"),
    };
    pub(in super::super) const S3_URI: Shape =
        Shape::Text { min: 0, max: 1024, pattern: Some("(https|s3)://([^/]+)/?(.*)") };
    pub(in super::super) const KMS_KEY: Shape =
        Shape::Text { min: 0, max: 2048, pattern: Some("[a-zA-Z0-9:/_-]*") };
    pub(in super::super) const IMAGE: Shape = Shape::Text { min: 0, max: 255, pattern: Some("[\\S]+") };
    pub(in super::super) const ANY_TEXT: Shape = Shape::Text { min: 0, max: 100_000, pattern: None };
    pub(in super::super) const DESCRIPTION: Shape = Shape::Text { min: 0, max: 1024, pattern: None };
    /// Names of what lineage and experiments are made of.
    pub(in super::super) const ENTITY_NAME: Shape =
        Shape::Text { min: 1, max: 120, pattern: Some("[a-zA-Z0-9](-*[a-zA-Z0-9]){0,119}") };
    pub(in super::super) const ENTITY_NAME_OR_ARN: Shape = Shape::Text {
        min: 1,
        max: 256,
        pattern: Some(
            "(arn:aws[a-z\\-]*:sagemaker:[a-z0-9\\-]*:[0-9]{12}:(experiment|experiment-trial|experiment-trial-component|artifact|action|context)\\/)?([a-zA-Z0-9](-*[a-zA-Z0-9]){0,119})",
        ),
    };
    pub(in super::super) const ENTITY_DESCRIPTION: Shape = Shape::Text { min: 0, max: 3072, pattern: None };
    pub(in super::super) const METADATA_PROPERTIES: Shape = Shape::Structure(&[
        may("CommitId", &DESCRIPTION),
        may("Repository", &DESCRIPTION),
        may("GeneratedBy", &DESCRIPTION),
        may("ProjectId", &DESCRIPTION),
    ]);
    /// Seconds since the epoch.
    pub(in super::super) const TIME: Shape = Shape::Number { min: f64::MIN };
    pub(in super::super) const ENVIRONMENT: Shape = Shape::Table {
        max: 100,
        key: &Shape::Text { min: 0, max: 1024, pattern: Some("[a-zA-Z_][a-zA-Z0-9_]*") },
        value: &Shape::Text { min: 0, max: 1024, pattern: None },
    };
    pub(in super::super) const ARGUMENTS: Shape =
        Shape::List { min: 1, max: 100, of: &Shape::Text { min: 0, max: 256, pattern: None } };
    pub(in super::super) const VPC_CONFIG: Shape = Shape::Structure(&[
        must("SecurityGroupIds", &Shape::List { min: 1, max: 5, of: &VPC_ID }),
        must("Subnets", &Shape::List { min: 1, max: 16, of: &VPC_ID }),
    ]);
    const VPC_ID: Shape = Shape::Text { min: 0, max: 32, pattern: Some("[-0-9a-zA-Z]+") };
    pub(in super::super) const TAGS: Shape = Shape::List {
        min: 0,
        max: 50,
        of: &Shape::Structure(&[
            must("Key", &Shape::Text { min: 1, max: 128, pattern: Some(TAG_TEXT) }),
            must("Value", &Shape::Text { min: 0, max: 256, pattern: Some(TAG_TEXT) }),
        ]),
    };
    /// AWS writes `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`; letters beyond ASCII are let through here.
    const TAG_TEXT: &str = "[^!\"#$%&'()*,;<>?\\[\\\\\\]^`{|}~]*";
    pub(in super::super) const MODEL_DATA_SOURCE: Shape = Shape::Structure(&[may(
        "S3DataSource",
        &Shape::Structure(&[
            must("S3Uri", &S3_URI),
            must("S3DataType", &Shape::OneOf(&["S3Prefix", "S3Object"])),
            must("CompressionType", &Shape::OneOf(&["None", "Gzip"])),
        ]),
    )]);
    pub(in super::super) const SORT_ORDER: Shape = Shape::OneOf(&["Ascending", "Descending"]);
    pub(in super::super) const MAX_RESULTS: Shape = Shape::Integer { min: 1, max: 100 };
    pub(in super::super) const NAME_CONTAINS: Shape =
        Shape::Text { min: 0, max: 63, pattern: Some("[a-zA-Z0-9\\-]*") };
}

/// A request's members, if it has this shape; else everything that is wrong with it.
pub(super) fn check(members: &'static [Member], body: &Value) -> Result<Object, AwsError> {
    let empty = Object::new();
    let object = match body {
        Value::Null => &empty,
        Value::Object(object) => object,
        other => {
            return Err(AwsError::client(
                "SerializationException",
                format!("The request must be a JSON object, not {}", kind(other)),
            ));
        }
    };
    let mut violations = Vec::new();
    structure(members, object, "", &mut violations)?;
    if violations.is_empty() {
        // A null member means an absent one, as it does in AWS.
        return Ok(object
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect());
    }
    let count = violations.len();
    let plural = if count == 1 { "" } else { "s" };
    Err(validation(format!("{count} validation error{plural} detected: {}", violations.join("; "))))
}

/// SageMaker's name for nearly every refusal.
pub(super) fn validation(message: impl Into<String>) -> AwsError {
    AwsError::client("ValidationException", message)
}

/// SageMaker's refusal where the operation declares one for what is not there.
pub(super) fn not_found(message: impl Into<String>) -> AwsError {
    AwsError::client("ResourceNotFound", message)
}

fn structure(
    members: &'static [Member],
    object: &Object,
    path: &str,
    violations: &mut Vec<String>,
) -> Result<(), AwsError> {
    for member in members {
        let path = join(path, member.name);
        match object.get(member.name) {
            None | Some(Value::Null) if member.required => {
                violations.push(format!(
                    "Value null at '{path}' failed to satisfy constraint: Member must not be null"
                ));
            }
            None | Some(Value::Null) => {}
            Some(value) => walk(member.shape, value, &path, violations)?,
        }
    }
    Ok(())
}

fn walk(
    shape: &'static Shape,
    value: &Value,
    path: &str,
    violations: &mut Vec<String>,
) -> Result<(), AwsError> {
    let mut fails = |rendered: &str, constraint: String| {
        violations.push(format!(
            "Value '{rendered}' at '{path}' failed to satisfy constraint: Member must {constraint}"
        ));
    };
    match (shape, value) {
        (Shape::Free, _) | (Shape::Flag, Value::Bool(_)) => {}
        (Shape::Text { min, max, pattern }, Value::String(text)) => {
            let length = text.chars().count();
            if length > *max {
                fails(text, format!("have length less than or equal to {max}"));
            }
            if length < *min {
                fails(text, format!("have length greater than or equal to {min}"));
            }
            if let Some(pattern) = pattern
                && !matches_whole(pattern, text)
            {
                fails(text, format!("satisfy regular expression pattern: {pattern}"));
            }
        }
        (Shape::OneOf(values), Value::String(text)) => {
            if !values.contains(&text.as_str()) {
                fails(text, format!("satisfy enum value set: [{}]", values.join(", ")));
            }
        }
        (Shape::InstanceType(usage), Value::String(text)) => {
            if !instance_types::exists(*usage, text) {
                fails(text, format!("satisfy enum value set: [{}]", instance_types::all(*usage).join(", ")));
            }
        }
        (Shape::Integer { min, max }, Value::Number(number)) => {
            let number =
                number.as_i64().or_else(|| number.as_f64().map(|float| float as i64)).unwrap_or(i64::MAX);
            if number > *max {
                fails(&number.to_string(), format!("have value less than or equal to {max}"));
            }
            if number < *min {
                fails(&number.to_string(), format!("have value greater than or equal to {min}"));
            }
        }
        (Shape::Number { min }, Value::Number(number)) => {
            if number.as_f64().is_none_or(|number| number < *min) {
                fails(&number.to_string(), format!("have value greater than or equal to {min}"));
            }
        }
        (Shape::List { min, max, of }, Value::Array(items)) => {
            let rendered = Value::Array(items.clone()).to_string();
            if items.len() > *max {
                fails(&rendered, format!("have length less than or equal to {max}"));
            }
            if items.len() < *min {
                fails(&rendered, format!("have length greater than or equal to {min}"));
            }
            for (index, item) in items.iter().enumerate() {
                walk(of, item, &format!("{path}.{}.member", index + 1), violations)?;
            }
        }
        (Shape::Table { max, key, value }, Value::Object(entries)) => {
            if entries.len() > *max {
                fails(
                    &format!("{} entries", entries.len()),
                    format!("have length less than or equal to {max}"),
                );
            }
            for (name, entry) in entries {
                walk(key, &Value::String(name.clone()), &format!("{path}.{name}.key"), violations)?;
                walk(value, entry, &format!("{path}.{name}.member"), violations)?;
            }
        }
        (Shape::Structure(members), Value::Object(object)) => structure(members, object, path, violations)?,
        (wanted, found) => {
            return Err(AwsError::client(
                "SerializationException",
                format!("{} can not be converted to {} at '{path}'", kind(found), wanted.noun()),
            ));
        }
    }
    Ok(())
}

impl Shape {
    fn noun(&self) -> &'static str {
        match self {
            Self::Text { .. } | Self::OneOf(_) | Self::InstanceType(_) => "a String",
            Self::Integer { .. } => "an Integer",
            Self::Number { .. } => "a Float",
            Self::Flag => "a Boolean",
            Self::List { .. } => "a List",
            Self::Table { .. } => "a Map",
            Self::Structure(_) => "a Structure",
            Self::Free => "anything",
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    }
}

/// Paths begin every part in lower case: `resourceConfig.instanceType`.
fn join(path: &str, name: &str) -> String {
    let mut lower: String = name.chars().take(1).flat_map(char::to_lowercase).collect();
    lower.push_str(&name[lower.len()..]);
    if path.is_empty() { lower } else { format!("{path}.{lower}") }
}

fn matches_whole(pattern: &str, text: &str) -> bool {
    // A pattern of ours that does not compile is a mistake that the test below finds, never a caller's.
    Regex::new(&format!("^(?s:{pattern})$")).is_ok_and(|regex| regex.is_match(text))
}

/// A string member of a checked request.
pub(super) fn text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

/// A string that the shape made sure of.
pub(super) fn required<'a>(object: &'a Object, name: &str) -> &'a str {
    text(object, name).unwrap_or_default()
}

/// A boolean member, false when absent.
pub(super) fn flag(object: &Object, name: &str) -> bool {
    object.get(name).and_then(Value::as_bool).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SAMPLE: &[Member] = &[
        must("TrainingJobName", &shapes::NAME),
        must("RoleArn", &shapes::ROLE_ARN),
        may(
            "ResourceConfig",
            &Shape::Structure(&[must("InstanceType", &Shape::InstanceType(Use::Training))]),
        ),
        may("VpcConfig", &shapes::VPC_CONFIG),
        may("Tags", &shapes::TAGS),
        may("Count", &Shape::Integer { min: 1, max: 5 }),
    ];

    fn message(body: Value) -> String {
        check(SAMPLE, &body).unwrap_err().message
    }

    #[test]
    fn every_violation_is_reported_in_one_answer_and_in_the_words_of_the_service() {
        let error = message(json!({"TrainingJobName": "ends-", "Count": 9}));
        assert_eq!(
            error,
            "3 validation errors detected: Value 'ends-' at 'trainingJobName' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}; Value null at 'roleArn' failed to \
             satisfy constraint: Member must not be null; Value '9' at 'count' failed to satisfy constraint: Member must \
             have value less than or equal to 5"
        );
    }

    #[test]
    fn nested_members_are_named_by_their_path() {
        let base = json!({"TrainingJobName": "a", "RoleArn": "arn:aws:iam::000000000000:role/lockstep-job"});
        let with = |name: &str, value: Value| {
            let mut body = base.clone();
            body[name] = value;
            message(body)
        };
        assert!(
            with("ResourceConfig", json!({"InstanceType": "ml.huge"}))
                .starts_with("1 validation error detected: Value 'ml.huge' at 'resourceConfig.instanceType'")
        );
        assert!(
            with("VpcConfig", json!({"SecurityGroupIds": [], "Subnets": ["subnet-1"]}))
                .contains("Value '[]' at 'vpcConfig.securityGroupIds' failed to satisfy constraint: Member must have length greater than or equal to 1")
        );
        assert!(
            with("Tags", json!([{"Key": "ok", "Value": "ok"}, {"Key": "no<", "Value": "x"}]))
                .contains("at 'tags.2.member.key'")
        );
        assert!(with("Tags", json!({"Key": "ok"})).contains("START_OBJECT can not be converted to a List"));
    }

    #[test]
    fn a_null_member_is_an_absent_one() {
        let body = json!({"TrainingJobName": "a", "RoleArn": "arn:aws:iam::000000000000:role/lockstep-job", "Tags": null});
        assert!(!check(SAMPLE, &body).unwrap().contains_key("Tags"));
    }

    #[test]
    fn the_patterns_of_shared_shapes_compile() {
        for shape in [
            &shapes::NAME,
            &shapes::NAME_OR_ARN,
            &shapes::ROLE_ARN,
            &shapes::S3_URI,
            &shapes::KMS_KEY,
            &shapes::IMAGE,
            &shapes::NAME_CONTAINS,
            &shapes::ENTITY_NAME,
            &shapes::ENTITY_NAME_OR_ARN,
        ] {
            let Shape::Text { pattern: Some(pattern), .. } = shape else { panic!("{shape:?}") };
            assert!(Regex::new(&format!("^(?s:{pattern})$")).is_ok(), "{pattern}");
        }
        assert!(matches_whole(
            "arn:aws[a-z\\-]*:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+",
            "arn:aws:iam::000000000000:role/x"
        ));
    }
}
