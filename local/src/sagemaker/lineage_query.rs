//! What lies up or down from an entity, however many associations away.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::association::ENTITY_ARN;
use super::lineage::Entity;
use super::listing::{after, token};
use super::validation::{Member, Object, Shape, check, flag, may, shapes, text, validation};
use super::{Inner, State, set, some};
use crate::service::AwsError;

const QUERY: &[Member] = &[
    may("StartArns", &Shape::List { min: 0, max: 1, of: &ENTITY_ARN }),
    may("Direction", &Shape::OneOf(&["Both", "Ascendants", "Descendants"])),
    may("IncludeEdges", &Shape::Flag),
    may(
        "Filters",
        &Shape::Structure(&[
            may(
                "Types",
                &Shape::List { min: 0, max: 5, of: &Shape::Text { min: 0, max: 40, pattern: None } },
            ),
            may(
                "LineageTypes",
                &Shape::List {
                    min: 0,
                    max: 4,
                    of: &Shape::OneOf(&["TrialComponent", "Artifact", "Context", "Action"]),
                },
            ),
            may("CreatedBefore", &shapes::TIME),
            may("CreatedAfter", &shapes::TIME),
            may("ModifiedBefore", &shapes::TIME),
            may("ModifiedAfter", &shapes::TIME),
            may("Properties", &Shape::Table { max: 5, key: &FILTER_TEXT, value: &FILTER_TEXT }),
        ]),
    ),
    may("MaxDepth", &Shape::Integer { min: i64::MIN, max: DEEPEST }),
    may("MaxResults", &Shape::Integer { min: 1, max: MOST_VERTICES }),
    may("NextToken", &Shape::Text { min: 0, max: 8192, pattern: None }),
];
const FILTER_TEXT: Shape = Shape::Text { min: 0, max: 256, pattern: None };

/// No query looks further than this many associations.
const DEEPEST: i64 = 10;

/// No page holds more than this many vertices.
const MOST_VERTICES: i64 = 50;

/// How many associations away from the start each entity lies.
type Distances = BTreeMap<String, i64>;

impl Inner {
    pub(super) fn query_lineage(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(QUERY, body)?;
        let start = request.get("StartArns").and_then(|arns| arns.get(0)).and_then(Value::as_str);
        let Some(start) = start else {
            return Err(validation("StartArns must name the entity that the query starts from."));
        };
        let direction = text(&request, "Direction").unwrap_or("Both");
        let number =
            |member: &str, default: i64| request.get(member).and_then(Value::as_i64).unwrap_or(default);
        let state = self.state();
        state.entity(start)?;
        let distances = state.distances(start, direction, number("MaxDepth", DEEPEST));

        let nothing = Object::new();
        let filters = request.get("Filters").and_then(Value::as_object).unwrap_or(&nothing);
        let mut shown = BTreeSet::new();
        for arn in distances.keys().filter(|arn| *arn != start) {
            if is_wanted(filters, &state.entity(arn)?) {
                shown.insert(arn.as_str());
            }
        }
        let include_edges = flag(&request, "IncludeEdges");
        if include_edges {
            state.add_paths(&mut shown, &distances, direction);
        }

        // The nearest first. An edge comes with the later of its two ends, so that the pages hold each once.
        let key = |arn: &str| format!("{:02}\u{0}{arn}", distances.get(arn).copied().unwrap_or(0));
        let mut ordered: Vec<(String, &str)> = shown.iter().map(|arn| (key(arn), *arn)).collect();
        ordered.sort();
        let begin = after(&request)?;
        ordered.retain(|(key, _)| begin.as_ref().is_none_or(|begin| key > begin));
        let limit = usize::try_from(number("MaxResults", MOST_VERTICES)).unwrap_or(1);
        let more = ordered.len() > limit;
        ordered.truncate(limit);
        let keys: BTreeSet<&str> = ordered.iter().map(|(key, _)| key.as_str()).collect();

        let mut vertices = Vec::new();
        for (_, arn) in &ordered {
            let entity = state.entity(arn)?;
            let mut vertex = Object::new();
            set(&mut vertex, "Arn", *arn);
            set(&mut vertex, "Type", entity.of_type);
            if let Some(lineage_type) = entity.lineage_type {
                set(&mut vertex, "LineageType", lineage_type);
            }
            vertices.push(vertex);
        }
        let edges: Vec<Object> = state
            .lineage
            .associations
            .iter()
            .filter(|((source, destination), _)| {
                include_edges
                    && shown.contains(source.as_str())
                    && shown.contains(destination.as_str())
                    && keys.contains(key(source).max(key(destination)).as_str())
            })
            .map(|(_, association)| some(association, &["SourceArn", "DestinationArn", "AssociationType"]))
            .collect();
        let mut answer = json!({"Vertices": vertices, "Edges": edges});
        if more && let Some((last, _)) = ordered.last() {
            answer["NextToken"] = json!(token(last));
        }
        Ok(answer)
    }
}

impl State {
    /// From which entity to which a query may go.
    fn steps<'a>(&'a self, direction: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let both = |(source, destination): &'a (String, String)| {
            let (source, destination) = (source.as_str(), destination.as_str());
            [(source, destination, "Ascendants"), (destination, source, "Descendants")]
        };
        self.lineage
            .associations
            .keys()
            .flat_map(both)
            .filter(move |(_, _, against)| direction != *against)
            .map(|(from, to, _)| (from, to))
    }

    /// Everything that can be reached, the start included. In both directions means both from each entity on the way.
    fn distances(&self, start: &str, direction: &str, deepest: i64) -> Distances {
        let mut distances = Distances::from([(start.to_owned(), 0)]);
        for depth in 1..=deepest {
            let next: BTreeSet<&str> = self
                .steps(direction)
                .filter(|(from, to)| {
                    distances.get(*from) == Some(&(depth - 1)) && !distances.contains_key(*to)
                })
                .map(|(_, to)| to)
                .collect();
            distances.extend(next.into_iter().map(|arn| (arn.to_owned(), depth)));
        }
        distances
    }

    /// Adds what lies on a shortest path from the start to anything shown.
    fn add_paths<'a>(&self, shown: &mut BTreeSet<&'a str>, distances: &'a Distances, direction: &str) {
        for depth in (1..=distances.values().copied().max().unwrap_or(0)).rev() {
            for (from, to) in self.steps(direction) {
                if shown.contains(to)
                    && distances.get(to) == Some(&depth)
                    && let Some((from, nearer)) = distances.get_key_value(from)
                    && *nearer == depth - 1
                {
                    shown.insert(from);
                }
            }
        }
    }
}

/// Whether an entity is what the filters ask for: one of the wanted, for each filter.
fn is_wanted(filters: &Object, entity: &Entity<'_>) -> bool {
    let one_of = |member: &str, value: Option<&str>| match filters.get(member).and_then(Value::as_array) {
        Some(wanted) if !wanted.is_empty() => wanted.iter().any(|wanted| wanted.as_str() == value),
        _ => true,
    };
    let time = |object: &Object, member: &str| object.get(member).and_then(Value::as_f64);
    let within = |what: &str, member: &str| {
        let at = time(entity.record, member).unwrap_or_default();
        time(filters, &format!("{what}After")).is_none_or(|bound| at >= bound)
            && time(filters, &format!("{what}Before")).is_none_or(|bound| at <= bound)
    };
    let properties = match filters.get("Properties").and_then(Value::as_object) {
        Some(wanted) if !wanted.is_empty() => {
            let given = entity.record.get("Properties").and_then(Value::as_object);
            wanted.iter().any(|(key, value)| given.is_some_and(|given| given.get(key) == Some(value)))
        }
        _ => true,
    };
    one_of("Types", Some(entity.of_type))
        && one_of("LineageTypes", entity.lineage_type)
        && within("Created", "CreationTime")
        && within("Modified", "LastModifiedTime")
        && properties
}
