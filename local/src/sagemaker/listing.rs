//! The pages of every `List*` operation.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::validation::{Object, text, validation};
use crate::service::AwsError;

/// How one family of resources is listed.
#[derive(Debug)]
pub(super) struct Listing {
    /// The answer's member that holds the page.
    pub(super) items: &'static str,
    /// The summary's member that names the resource.
    pub(super) name: &'static str,
    /// The summary's member that holds its status, where there is one.
    pub(super) status: Option<&'static str>,
    /// Whether the newest comes first unless asked otherwise.
    pub(super) newest_first: bool,
}

/// Filters, sorts and cuts the summaries of everything there is.
pub(super) fn page(request: &Object, summaries: Vec<Object>, listing: &Listing) -> Result<Value, AwsError> {
    let sort_by = text(request, "SortBy").unwrap_or("CreationTime");
    let descending = text(request, "SortOrder").map_or(listing.newest_first, |order| order == "Descending");
    let mut keyed: Vec<(String, Object)> = summaries
        .into_iter()
        .filter(|summary| wanted(request, summary, listing))
        .map(|summary| (sort_key(&summary, sort_by, listing), summary))
        .collect();
    keyed.sort_by(|(a, _), (b, _)| if descending { b.cmp(a) } else { a.cmp(b) });

    if let Some(after) = after(request)? {
        keyed.retain(|(key, _)| if descending { *key < after } else { *key > after });
    }
    let limit = request.get("MaxResults").and_then(Value::as_u64).map_or(10, |limit| limit as usize);
    let more = keyed.len() > limit;
    keyed.truncate(limit);
    let next = if more { keyed.last().map(|(key, _)| token(key)) } else { None };
    let mut answer =
        json!({listing.items: keyed.into_iter().map(|(_, summary)| summary).collect::<Vec<_>>()});
    if let Some(next) = next {
        answer["NextToken"] = Value::String(next);
    }
    Ok(answer)
}

/// The token of the page that comes after this key. What is created in between neither repeats nor hides anything.
pub(super) fn token(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// The key that the page comes after, where the request has a token.
pub(super) fn after(request: &Object) -> Result<Option<String>, AwsError> {
    let Some(token) = text(request, "NextToken") else { return Ok(None) };
    let key = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    key.map(Some)
        .ok_or_else(|| validation("Invalid pagination token: NextToken must come from an earlier answer"))
}

fn wanted(request: &Object, summary: &Object, listing: &Listing) -> bool {
    let time = |object: &Object, name: &str| object.get(name).and_then(Value::as_f64);
    let within = |member: &str| {
        let at = time(summary, member);
        let after =
            time(request, &format!("{member}After")).is_none_or(|bound| at.is_none_or(|at| at > bound));
        let before =
            time(request, &format!("{member}Before")).is_none_or(|bound| at.is_none_or(|at| at < bound));
        after && before
    };
    // Lineage and experiments name the bounds otherwise, and count them in.
    let created = time(summary, "CreationTime");
    let since = time(request, "CreatedAfter").is_none_or(|bound| created.is_none_or(|at| at >= bound));
    let until = time(request, "CreatedBefore").is_none_or(|bound| created.is_none_or(|at| at <= bound));
    // Names are compared without regard to case, as the service does.
    let name = text(summary, listing.name).unwrap_or_default().to_lowercase();
    text(request, "NameContains").is_none_or(|part| name.contains(&part.to_lowercase()))
        && listing.status.is_none_or(|member| {
            text(request, "StatusEquals").is_none_or(|status| text(summary, member) == Some(status))
        })
        && within("CreationTime")
        && within("LastModifiedTime")
        && since
        && until
}

fn sort_key(summary: &Object, sort_by: &str, listing: &Listing) -> String {
    let name = text(summary, listing.name).unwrap_or_default();
    // What tells resources of one name apart: a version, which sorts as a number, or where an association ends.
    let version = ["ModelPackageVersion", "ModelCardVersion"]
        .iter()
        .find_map(|member| summary.get(*member).and_then(Value::as_u64))
        .unwrap_or(0);
    let end = text(summary, "DestinationArn").unwrap_or_default();
    let created = summary.get("CreationTime").and_then(Value::as_f64).unwrap_or(0.0);
    let tail = format!("{name}\u{0}{version:09}\u{0}{end}");
    match sort_by {
        "Name" | "Version" => tail,
        "Status" => {
            let status = listing.status.and_then(|member| text(summary, member)).unwrap_or_default();
            format!("{status}\u{0}{tail}")
        }
        "SourceArn" | "DestinationArn" | "SourceType" | "DestinationType" => {
            format!("{}\u{0}{tail}", text(summary, sort_by).unwrap_or_default())
        }
        _ => format!("{:020.3}\u{0}{tail}", created),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: Listing =
        Listing { items: "Items", name: "JobName", status: Some("JobStatus"), newest_first: false };

    fn summaries() -> Vec<Object> {
        (0..25)
            .map(|n| {
                let status = if n % 2 == 0 { "Completed" } else { "Failed" };
                json!({"JobName": format!("job-{n:02}"), "JobStatus": status, "CreationTime": 1000.0 + f64::from(n)})
                    .as_object()
                    .cloned()
                    .unwrap()
            })
            .collect()
    }

    fn ask(request: Value) -> Value {
        page(request.as_object().unwrap(), summaries(), &LISTING).unwrap()
    }

    fn names(answer: &Value) -> Vec<String> {
        answer["Items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["JobName"].as_str().unwrap().into())
            .collect()
    }

    #[test]
    fn pages_hold_everything_once_in_either_order() {
        for order in ["Ascending", "Descending"] {
            let mut all = Vec::new();
            let mut request = json!({"SortOrder": order, "MaxResults": 7});
            loop {
                let answer = ask(request.clone());
                all.extend(names(&answer));
                match answer.get("NextToken") {
                    Some(token) => request["NextToken"] = token.clone(),
                    None => break,
                }
            }
            assert_eq!(all.len(), 25);
            let mut sorted = all.clone();
            sorted.sort();
            if order == "Descending" {
                sorted.reverse();
            }
            assert_eq!(all, sorted);
        }
    }

    #[test]
    fn filters_combine() {
        let answer = ask(json!({"NameContains": "JOB-1", "StatusEquals": "Failed", "MaxResults": 100}));
        assert_eq!(names(&answer), ["job-11", "job-13", "job-15", "job-17", "job-19"]);
        let answer = ask(json!({"CreationTimeAfter": 1022.0}));
        assert_eq!(names(&answer), ["job-23", "job-24"]);
    }

    #[test]
    fn a_token_of_someones_own_making_is_refused() {
        let request = json!({"NextToken": "not a token"});
        let error = page(request.as_object().unwrap(), summaries(), &LISTING).unwrap_err();
        assert_eq!(error.code, "ValidationException");
    }
}
