//! What refers to what. Before the first apply a bucket has no id yet, so that what is attached to it has nothing
//! but a reference; and whether an attribute waits for another resource, or nobody set it, only the configuration
//! tells.
//!
//! A plan leaves `locals` out. What goes through one is marked opaque: it counts as set, and as attached to nothing.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Modules within modules; Terraform allows no cycle, and a plan that has one is not Terraform's.
const DEEPEST: usize = 32;

/// For each planned resource, its expressions, each with the addresses that it refers to.
pub(crate) fn resolve(plan: &Value) -> Map<String, Value> {
    let planned = planned(plan);
    let resolver = Resolver { root: &plan["configuration"]["root_module"], planned: &planned };
    planned
        .iter()
        .filter_map(|resource| {
            let resolved = resolver.expressions(resource)?;
            Some((resource.address.to_owned(), resolved))
        })
        .collect()
}

/// A resource's instance in the plan.
struct Planned<'a> {
    address: &'a str,
    module: &'a str,
    mode: &'a str,
    kind: &'a str,
    name: &'a str,
    index: &'a Value,
}

fn planned(plan: &Value) -> Vec<Planned<'_>> {
    plan["resource_changes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|change| Planned {
            address: change["address"].as_str().unwrap_or_default(),
            module: change["module_address"].as_str().unwrap_or_default(),
            mode: change["mode"].as_str().unwrap_or_default(),
            kind: change["type"].as_str().unwrap_or_default(),
            name: change["name"].as_str().unwrap_or_default(),
            index: &change["index"],
        })
        .collect()
}

/// What an expression refers to.
#[derive(Default)]
struct Found {
    addresses: BTreeSet<String>,
    is_opaque: bool,
}

struct Resolver<'a> {
    root: &'a Value,
    planned: &'a [Planned<'a>],
}

/// Where an expression stands: in an instance of a module, for an instance of a resource.
#[derive(Clone, Copy)]
struct Place<'a> {
    module: &'a str,
    index: &'a Value,
    for_each: &'a Value,
    depth: usize,
}

impl Resolver<'_> {
    fn expressions(&self, resource: &Planned<'_>) -> Option<Value> {
        let configured =
            self.module(resource.module)?["resources"].as_array()?.iter().find(|configured| {
                configured["mode"] == resource.mode
                    && configured["type"] == resource.kind
                    && configured["name"] == resource.name
            })?;
        let place = Place {
            module: resource.module,
            index: resource.index,
            for_each: &configured["for_each_expression"],
            depth: 0,
        };
        Some(self.tree(&configured["expressions"], place))
    }

    /// The same shape, with an expression's findings where the expression stood.
    fn tree(&self, expressions: &Value, place: Place<'_>) -> Value {
        match expressions {
            Value::Array(blocks) => blocks.iter().map(|block| self.tree(block, place)).collect(),
            Value::Object(fields)
                if fields.contains_key("references") || fields.contains_key("constant_value") =>
            {
                let mut found = Found::default();
                self.follow(expressions, place, &mut found);
                json!({ "refers_to": found.addresses, "opaque": found.is_opaque })
            }
            Value::Object(fields) => {
                fields.iter().map(|(name, field)| (name.clone(), self.tree(field, place))).collect()
            }
            other => other.clone(),
        }
    }

    fn follow(&self, expression: &Value, place: Place<'_>, found: &mut Found) {
        if place.depth > DEEPEST {
            found.is_opaque = true;
            return;
        }
        let references: Vec<&str> =
            expression["references"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let is_by_key = references.iter().any(|reference| {
            ["each.key", "each.value", "count.index"].iter().any(|each| reference.starts_with(each))
        });
        for (nth, reference) in references.iter().enumerate() {
            // After `a.b.c`, Terraform lists `a.b` too, which says less.
            let is_said = nth > 0
                && references[nth - 1]
                    .strip_prefix(reference)
                    .is_some_and(|rest| rest.starts_with('.') || rest.starts_with('['));
            if !is_said {
                self.follow_one(reference, is_by_key, place, found);
            }
        }
    }

    fn follow_one(&self, reference: &str, is_by_key: bool, place: Place<'_>, found: &mut Found) {
        let parts = split(reference);
        match parts.as_slice() {
            ["path" | "terraform" | "self" | "count", ..] | ["each", "key", ..] => {}
            ["each", ..] => {
                let deeper = Place { for_each: &Value::Null, depth: place.depth + 1, ..place };
                let references = place.for_each["references"].as_array().cloned().unwrap_or_default();
                let by_key: Vec<Value> = references.into_iter().chain([Value::from("each.key")]).collect();
                self.follow(&json!({ "references": by_key }), deeper, found);
            }
            ["local", ..] => found.is_opaque = true,
            ["var", name, ..] => self.follow_variable(unindexed(name).0, place, found),
            ["module", call, output, ..] => self.follow_output(call, unindexed(output).0, place, found),
            // The whole module: anything in it.
            ["module", ..] => found.is_opaque = true,
            ["data", kind, name, ..] => self.follow_resource("data", kind, name, is_by_key, place, found),
            [kind, name, ..] => self.follow_resource("managed", kind, name, is_by_key, place, found),
            _ => {}
        }
    }

    fn follow_variable(&self, name: &str, place: Place<'_>, found: &mut Found) {
        // The root's variables have values; nothing refers further.
        let Some((parent, call)) = parent(place.module) else { return };
        let (call, index) = unindexed(call);
        let Some(configured) = self.module(parent).map(|module| &module["module_calls"][call]) else {
            return;
        };
        let index = index.unwrap_or(Value::Null);
        let deeper = Place {
            module: parent,
            index: &index,
            for_each: &configured["for_each_expression"],
            depth: place.depth + 1,
        };
        self.follow(&configured["expressions"][name], deeper, found);
    }

    fn follow_output(&self, call: &str, output: &str, place: Place<'_>, found: &mut Found) {
        let child = if place.module.is_empty() {
            format!("module.{call}")
        } else {
            format!("{}.module.{call}", place.module)
        };
        let Some(module) = self.module(&child) else {
            found.is_opaque = true;
            return;
        };
        let deeper =
            Place { module: &child, index: &Value::Null, for_each: &Value::Null, depth: place.depth + 1 };
        self.follow(&module["outputs"][output]["expression"], deeper, found);
    }

    fn follow_resource(
        &self,
        mode: &str,
        kind: &str,
        name: &str,
        is_by_key: bool,
        place: Place<'_>,
        found: &mut Found,
    ) {
        let (name, index) = unindexed(name);
        let instances: Vec<&Planned<'_>> = self
            .planned
            .iter()
            .filter(|planned| {
                planned.mode == mode
                    && planned.kind == kind
                    && planned.name == name
                    && (planned.module == place.module || without_indexes(planned.module) == place.module)
            })
            .collect();
        let narrowed: Vec<&&Planned<'_>> = match &index {
            Some(index) => instances.iter().filter(|instance| instance.index == index).collect(),
            None if is_by_key => instances.iter().filter(|instance| instance.index == place.index).collect(),
            None => Vec::new(),
        };
        let addresses = |instances: &[&Planned<'_>]| -> BTreeSet<String> {
            instances.iter().map(|instance| instance.address.to_owned()).collect()
        };
        if narrowed.is_empty() && index.is_none() {
            found.addresses.extend(addresses(&instances));
        } else {
            found.addresses.extend(narrowed.iter().map(|instance| instance.address.to_owned()));
        }
    }

    /// The configuration of the module at an address.
    fn module(&self, address: &str) -> Option<&Value> {
        let mut module = self.root;
        let parts = split(address);
        for step in parts.chunks(2) {
            let ["module", call] = step else { return (address.is_empty()).then_some(module) };
            module = &module["module_calls"][unindexed(call).0]["module"];
        }
        module.is_object().then_some(module)
    }
}

/// The parts of an address or reference between its dots; those inside brackets do not count.
fn split(address: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut is_quoted, mut depth) = (0, false, 0_usize);
    let mut is_escaped = false;
    for (at, character) in address.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '[' if !is_quoted => depth += 1,
            ']' if !is_quoted => depth = depth.saturating_sub(1),
            '.' if !is_quoted && depth == 0 => {
                parts.push(&address[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !address.is_empty() {
        parts.push(&address[start..]);
    }
    parts
}

/// A name, and the index that follows it, where it is a constant.
fn unindexed(part: &str) -> (&str, Option<Value>) {
    match part.split_once('[') {
        Some((name, rest)) => {
            (name, rest.strip_suffix(']').and_then(|index| serde_json::from_str(index).ok()))
        }
        None => (part, None),
    }
}

fn without_indexes(address: &str) -> String {
    split(address).iter().map(|part| unindexed(part).0).collect::<Vec<_>>().join(".")
}

/// The address of the module that calls this one, and the call; none for the root.
fn parent(module: &str) -> Option<(&str, &str)> {
    let parts = split(module);
    let call = *parts.last()?;
    let rest = module.len().checked_sub(call.len() + "module.".len())?;
    Some((module[..rest].trim_end_matches('.'), call))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(address: &str, module: &str, kind: &str, name: &str, index: Value) -> Value {
        let mut change = json!({
            "address": address, "mode": "managed", "type": kind, "name": name,
            "change": { "actions": ["create"] },
        });
        if !module.is_empty() {
            change["module_address"] = module.into();
        }
        if !index.is_null() {
            change["index"] = index;
        }
        change
    }

    fn resource(kind: &str, name: &str, expressions: &Value) -> Value {
        json!({ "mode": "managed", "type": kind, "name": name, "expressions": expressions })
    }

    fn refers_to(plan: &Value, address: &str, attribute: &str) -> Value {
        resolve(plan)[address][attribute]["refers_to"].clone()
    }

    #[test]
    fn a_reference_by_the_same_key_is_to_the_instance_of_that_key() {
        let plan = json!({
            "resource_changes": [
                change("aws_s3_bucket.this[\"a.b\"]", "", "aws_s3_bucket", "this", "a.b".into()),
                change("aws_s3_bucket.this[\"c\"]", "", "aws_s3_bucket", "this", "c".into()),
                change("aws_s3_bucket_versioning.this[\"a.b\"]", "", "aws_s3_bucket_versioning", "this", "a.b".into()),
            ],
            "configuration": { "root_module": { "resources": [
                resource("aws_s3_bucket_versioning", "this", &json!({ "bucket": { "references": ["aws_s3_bucket.this", "each.key"] } })),
            ]}},
        });
        assert_eq!(
            refers_to(&plan, "aws_s3_bucket_versioning.this[\"a.b\"]", "bucket"),
            json!(["aws_s3_bucket.this[\"a.b\"]"])
        );
    }

    #[test]
    fn a_reference_with_an_index_is_to_that_instance_and_not_to_all() {
        let plan = json!({
            "resource_changes": [
                change("aws_s3_bucket.this[\"a\"]", "", "aws_s3_bucket", "this", "a".into()),
                change("aws_s3_bucket.this[\"b\"]", "", "aws_s3_bucket", "this", "b".into()),
                change("aws_s3_bucket_policy.one", "", "aws_s3_bucket_policy", "one", Value::Null),
            ],
            "configuration": { "root_module": { "resources": [
                resource("aws_s3_bucket_policy", "one", &json!({ "bucket": { "references": [
                    "aws_s3_bucket.this[\"b\"].id", "aws_s3_bucket.this[\"b\"]", "aws_s3_bucket.this",
                ] } })),
            ]}},
        });
        assert_eq!(
            refers_to(&plan, "aws_s3_bucket_policy.one", "bucket"),
            json!(["aws_s3_bucket.this[\"b\"]"])
        );
    }

    #[test]
    fn a_variable_is_followed_to_another_modules_output() {
        let plan = json!({
            "resource_changes": [
                change("module.pipeline.aws_kms_key.data", "module.pipeline", "aws_kms_key", "data", Value::Null),
                change("module.registry.aws_ecr_repository.this", "module.registry", "aws_ecr_repository", "this", Value::Null),
            ],
            "configuration": { "root_module": { "module_calls": {
                "pipeline": { "module": { "outputs": { "key": { "expression": { "references": ["aws_kms_key.data.arn", "aws_kms_key.data"] } } } } },
                "registry": {
                    "expressions": { "key": { "references": ["module.pipeline.key", "module.pipeline"] } },
                    "module": { "resources": [
                        resource("aws_ecr_repository", "this", &json!({ "encryption_configuration": [ { "kms_key": { "references": ["var.key"] } } ] })),
                    ] },
                },
            } } },
        });
        let found = resolve(&plan);
        assert_eq!(
            found["module.registry.aws_ecr_repository.this"]["encryption_configuration"][0]["kms_key"],
            json!({ "refers_to": ["module.pipeline.aws_kms_key.data"], "opaque": false })
        );
    }

    #[test]
    fn each_value_is_what_the_resource_is_made_for() {
        let plan = json!({
            "resource_changes": [
                change("aws_s3_bucket.this[0]", "", "aws_s3_bucket", "this", 0.into()),
                change("aws_s3_bucket.this[1]", "", "aws_s3_bucket", "this", 1.into()),
                change("aws_s3_bucket_versioning.this[1]", "", "aws_s3_bucket_versioning", "this", 1.into()),
            ],
            "configuration": { "root_module": { "resources": [{
                "mode": "managed", "type": "aws_s3_bucket_versioning", "name": "this",
                "for_each_expression": { "references": ["aws_s3_bucket.this"] },
                "expressions": { "bucket": { "references": ["each.value.id", "each.value"] } },
            }]}},
        });
        assert_eq!(
            refers_to(&plan, "aws_s3_bucket_versioning.this[1]", "bucket"),
            json!(["aws_s3_bucket.this[1]"])
        );
    }

    #[test]
    fn what_goes_through_a_local_is_opaque_and_what_is_constant_refers_to_nothing() {
        let plan = json!({
            "resource_changes": [change("aws_sqs_queue.q", "", "aws_sqs_queue", "q", Value::Null)],
            "configuration": { "root_module": { "resources": [
                resource("aws_sqs_queue", "q", &json!({ "kms_master_key_id": { "references": ["local.key"] }, "name": { "constant_value": "q" } })),
            ]}},
        });
        let found = resolve(&plan);
        assert_eq!(found["aws_sqs_queue.q"]["kms_master_key_id"], json!({ "refers_to": [], "opaque": true }));
        assert_eq!(found["aws_sqs_queue.q"]["name"], json!({ "refers_to": [], "opaque": false }));
    }

    #[test]
    fn the_module_that_calls_is_found_behind_indexes_with_dots() {
        assert_eq!(parent("module.a[\"x.y\"].module.b[0]"), Some(("module.a[\"x.y\"]", "b[0]")));
        assert_eq!(parent("module.a"), Some(("", "a")));
        assert_eq!(parent(""), None);
    }
}
