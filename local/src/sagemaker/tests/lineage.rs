use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::account::Account;
use super::all_pages;

const PREFIX: &str = "arn:aws:sagemaker:us-east-1:000000000000";

async fn artifact(account: &Account, uri: &str, of_type: &str) -> String {
    let request = json!({"Source": {"SourceUri": uri}, "ArtifactType": of_type});
    account.call("CreateArtifact", request).await["ArtifactArn"].as_str().unwrap().to_owned()
}

async fn action(account: &Account, name: &str) -> String {
    let request = json!({"ActionName": name, "Source": {"SourceUri": "run/1"}, "ActionType": "TrainingJob"});
    account.call("CreateAction", request).await["ActionArn"].as_str().unwrap().to_owned()
}

async fn context(account: &Account, name: &str) -> String {
    let request = json!({"ContextName": name, "Source": {"SourceUri": "run/1"}, "ContextType": "Endpoint"});
    account.call("CreateContext", request).await["ContextArn"].as_str().unwrap().to_owned()
}

async fn associate(account: &Account, source: &str, destination: &str, of_type: &str) {
    let request = json!({"SourceArn": source, "DestinationArn": destination, "AssociationType": of_type});
    assert_eq!(
        account.call("AddAssociation", request).await,
        json!({"SourceArn": source, "DestinationArn": destination})
    );
}

/// Weights go into a training, of which a model comes, which an endpoint has.
struct Chain {
    account: Account,
    weights: String,
    training: String,
    model: String,
    endpoint: String,
}

impl Chain {
    async fn new() -> Self {
        let account = Account::start().await;
        let weights = artifact(&account, "s3://lockstep-work/weights/", "DataSet").await;
        let training = action(&account, "train-1").await;
        let model = artifact(&account, "s3://lockstep-work/model/", "Model").await;
        let endpoint = context(&account, "serve_1").await;
        associate(&account, &weights, &training, "ContributedTo").await;
        associate(&account, &training, &model, "Produced").await;
        associate(&account, &model, &endpoint, "AssociatedWith").await;
        Self { account, weights, training, model, endpoint }
    }

    async fn query(&self, start: &str, rest: Value) -> Value {
        let mut request = json!({"StartArns": [start]});
        request.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        self.account.call("QueryLineage", request).await
    }

    /// The ARNs of the vertices, in the order of the answer.
    async fn found(&self, start: &str, rest: Value) -> Vec<String> {
        let answer = self.query(start, rest).await;
        let vertices = answer["Vertices"].as_array().unwrap();
        vertices.iter().map(|vertex| vertex["Arn"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn an_artifact_is_made_changed_listed_and_deleted() {
    let account = Account::start().await;
    let made = account
        .call(
            "CreateArtifact",
            json!({
                "ArtifactName": "weights",
                "Source": {
                    "SourceUri": "s3://lockstep-work/weights/",
                    "SourceTypes": [{"SourceIdType": "S3ETag", "Value": "abc"}],
                },
                "ArtifactType": "DataSet",
                "Properties": {"revision": "1", "licence": "mit"},
                "MetadataProperties": {"CommitId": "c0ffee"},
                "Tags": [{"Key": "run", "Value": "1"}],
            }),
        )
        .await;
    let arn = &made["ArtifactArn"];
    let id = arn.as_str().unwrap().strip_prefix(&format!("{PREFIX}:artifact/")).unwrap();
    assert!(id.len() == 32 && id.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)), "{id}");

    let described = account.call("DescribeArtifact", json!({"ArtifactArn": arn})).await;
    assert_eq!(described["Source"]["SourceTypes"][0]["Value"], "abc");
    assert_eq!(described["MetadataProperties"]["CommitId"], "c0ffee");
    assert_eq!(described["CreatedBy"]["IamIdentity"]["PrincipalId"], "AIDAsubmitter");
    assert!(described.get("Tags").is_none());
    let tags = account.call("ListTags", json!({"ResourceArn": arn})).await;
    assert_eq!(tags["Tags"], json!([{"Key": "run", "Value": "1"}]));

    // The new list of properties is the whole list.
    account
        .call(
            "UpdateArtifact",
            json!({"ArtifactArn": arn, "Properties": {"revision": "2", "gone": "x"}, "PropertiesToRemove": ["gone"]}),
        )
        .await;
    let described = account.call("DescribeArtifact", json!({"ArtifactArn": arn})).await;
    assert_eq!(described["Properties"], json!({"revision": "2"}));
    account.call("UpdateArtifact", json!({"ArtifactArn": arn, "PropertiesToRemove": ["revision"]})).await;
    let described = account.call("DescribeArtifact", json!({"ArtifactArn": arn})).await;
    assert_eq!(described["Properties"], json!({}));

    let uri = json!({"SourceUri": "s3://lockstep-work/weights/"});
    assert_eq!(account.call("DeleteArtifact", json!({"Source": uri})).await["ArtifactArn"], *arn);
    let error = account.refusal("DescribeArtifact", json!({"ArtifactArn": arn})).await;
    assert_eq!(error.code, "ResourceNotFound");
    assert_eq!(account.refusal("ListTags", json!({"ResourceArn": arn})).await.code, "ValidationException");
    let error = account.refusal("DeleteArtifact", json!({"Source": uri})).await;
    assert_eq!(error.code, "ResourceNotFound");
    let error = account.refusal("DeleteArtifact", json!({})).await;
    assert_eq!(error.message, "Either ArtifactArn or Source must be specified.");
}

#[tokio::test]
async fn actions_and_contexts_go_by_their_names() {
    let account = Account::start().await;
    assert_eq!(action(&account, "train-1").await, format!("{PREFIX}:action/train-1"));
    assert_eq!(context(&account, "serve_1").await, format!("{PREFIX}:context/serve_1"));
    let request = json!({
        "ActionName": "train-1", "Status": "Completed", "Description": "done", "Properties": {"loss": "0.5"},
    });
    account.call("UpdateAction", request).await;
    let arn = format!("{PREFIX}:action/train-1");
    let by_name = account.call("DescribeAction", json!({"ActionName": "train-1"})).await;
    assert_eq!(by_name, account.call("DescribeAction", json!({"ActionName": arn})).await);
    assert_eq!(by_name["Status"], "Completed");
    assert_eq!(by_name["Properties"]["loss"], "0.5");
    account.call("UpdateContext", json!({"ContextName": "serve_1", "Description": "serves"})).await;
    let described = account.call("DescribeContext", json!({"ContextName": "serve_1"})).await;
    assert_eq!(described["Description"], "serves");

    for (action, request) in [
        ("CreateAction", json!({"ActionName": "train-1", "Source": {"SourceUri": "x"}, "ActionType": "y"})),
        (
            "CreateContext",
            json!({"ContextName": "serve_1", "Source": {"SourceUri": "x"}, "ContextType": "y"}),
        ),
    ] {
        let error = account.refusal(action, request).await;
        assert_eq!(error.code, "ValidationException", "{action}");
        assert!(error.message.ends_with("already exists."), "{action}: {}", error.message);
    }
    account.call("DeleteAction", json!({"ActionName": "train-1"})).await;
    account.call("DeleteContext", json!({"ContextName": "serve_1"})).await;
    assert_eq!(account.call("ListActions", json!({})).await["ActionSummaries"], json!([]));
    assert_eq!(account.call("ListContexts", json!({})).await["ContextSummaries"], json!([]));
}

#[tokio::test]
async fn there_is_one_artifact_of_a_source_and_of_a_name() {
    let account = Account::start().await;
    let first = artifact(&account, "s3://lockstep-work/a", "Model").await;
    let request = |name: &str, uri: &str| json!({"ArtifactName": name, "Source": {"SourceUri": uri}, "ArtifactType": "DataSet"});
    let error = account.refusal("CreateArtifact", request("a", "s3://lockstep-work/a")).await;
    assert_eq!(error.code, "ValidationException");
    assert_eq!(error.message, format!("Artifact {first} already exists."));
    account.call("CreateArtifact", request("b", "s3://lockstep-work/b")).await;
    let error = account.refusal("CreateArtifact", request("b", "s3://lockstep-work/c")).await;
    assert!(error.message.ends_with("already exists."), "{}", error.message);
    let rename = json!({"ArtifactArn": first, "ArtifactName": "b"});
    assert_eq!(account.refusal("UpdateArtifact", rename).await.code, "ValidationException");
    // Its own name is not taken.
    account.call("UpdateArtifact", json!({"ArtifactArn": first, "ArtifactName": "a"})).await;
    account.call("UpdateArtifact", json!({"ArtifactArn": first, "ArtifactName": "a"})).await;
}

#[tokio::test]
async fn artifacts_are_listed_by_source_by_type_and_by_time_in_pages() {
    let account = Account::start().await;
    let mut arns = BTreeSet::new();
    for n in 0..7 {
        arns.insert(artifact(&account, &format!("s3://lockstep-work/{n}"), "DataSet").await);
    }
    let model = artifact(&account, "s3://lockstep-work/model", "Model").await;
    let request = json!({"ArtifactType": "DataSet", "MaxResults": 3});
    let (listed, pages) = all_pages(&account, "ListArtifacts", "ArtifactSummaries", request).await;
    assert_eq!((listed.len(), pages), (7, 3));
    let listed: BTreeSet<String> =
        listed.iter().map(|summary| summary["ArtifactArn"].as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, arns);

    let of = account.call("ListArtifacts", json!({"SourceUri": "s3://lockstep-work/model"})).await;
    assert_eq!(of["ArtifactSummaries"].as_array().unwrap().len(), 1);
    let summary = &of["ArtifactSummaries"][0];
    assert_eq!(summary["ArtifactArn"], json!(model));
    // The bounds belong to the time that they bound.
    let at = &summary["CreationTime"];
    let request = json!({"ArtifactType": "Model", "CreatedAfter": at, "CreatedBefore": at});
    let then = account.call("ListArtifacts", request).await;
    assert_eq!(then["ArtifactSummaries"], of["ArtifactSummaries"]);
    let later = at.as_f64().unwrap() + 1.0;
    let none = account.call("ListArtifacts", json!({"CreatedAfter": later})).await;
    assert_eq!(none["ArtifactSummaries"], json!([]));
}

#[tokio::test]
async fn what_has_associations_is_not_deleted() {
    let chain = Chain::new().await;
    let account = &chain.account;
    let error = account.refusal("DeleteArtifact", json!({"ArtifactArn": chain.model})).await;
    assert_eq!(error.code, "ValidationException");
    assert!(error.message.contains("2 association(s)"), "{}", error.message);
    assert_eq!(
        account.refusal("DeleteAction", json!({"ActionName": "train-1"})).await.code,
        "ValidationException"
    );
    for (source, destination) in [(&chain.training, &chain.model), (&chain.model, &chain.endpoint)] {
        let request = json!({"SourceArn": source, "DestinationArn": destination});
        account.call("DeleteAssociation", request.clone()).await;
        assert_eq!(account.refusal("DeleteAssociation", request).await.code, "ResourceNotFound");
    }
    account.call("DeleteArtifact", json!({"ArtifactArn": chain.model})).await;
}

#[tokio::test]
async fn associations_are_listed_by_their_ends_and_types_in_pages() {
    let chain = Chain::new().await;
    let account = &chain.account;
    let list = async |request: Value| {
        account.call("ListAssociations", request).await["AssociationSummaries"].as_array().unwrap().clone()
    };
    let into_model = list(json!({"DestinationArn": chain.model})).await;
    assert_eq!(into_model.len(), 1);
    assert_eq!(into_model[0]["SourceArn"], json!(chain.training));
    assert_eq!(into_model[0]["SourceType"], "TrainingJob");
    assert_eq!(into_model[0]["SourceName"], "train-1");
    assert_eq!(into_model[0]["DestinationType"], "Model");
    assert_eq!(into_model[0]["AssociationType"], "Produced");
    assert_eq!(into_model[0]["CreatedBy"]["IamIdentity"]["PrincipalId"], "AIDAsubmitter");
    assert!(into_model[0].get("DestinationName").is_none());
    assert_eq!(list(json!({"SourceArn": chain.model})).await.len(), 1);
    assert_eq!(list(json!({"AssociationType": "ContributedTo"})).await.len(), 1);
    assert_eq!(list(json!({"SourceType": "Model", "DestinationType": "Endpoint"})).await.len(), 1);
    assert_eq!(list(json!({"SourceArn": chain.model, "DestinationArn": chain.weights})).await.len(), 0);
    let unknown = json!({"SourceArn": format!("{PREFIX}:action/nobody")});
    assert_eq!(account.refusal("ListAssociations", unknown).await.code, "ResourceNotFound");

    // Associations of one source are told apart by where they end.
    for n in 0..5 {
        let other = artifact(account, &format!("s3://lockstep-work/{n}"), "Report").await;
        associate(account, &chain.training, &other, "Produced").await;
    }
    for sort_by in ["SourceArn", "DestinationArn", "SourceType", "DestinationType", "CreationTime"] {
        let request = json!({"MaxResults": 3, "SortBy": sort_by, "SortOrder": "Ascending"});
        let (all, pages) = all_pages(account, "ListAssociations", "AssociationSummaries", request).await;
        assert_eq!((all.len(), pages), (8, 3), "{sort_by}");
        let distinct: BTreeSet<String> =
            all.iter().map(|one| format!("{}{}", one["SourceArn"], one["DestinationArn"])).collect();
        assert_eq!(distinct.len(), 8, "{sort_by}");
        if sort_by != "CreationTime" {
            assert!(all.is_sorted_by_key(|one| one[sort_by].as_str().unwrap()), "{sort_by}");
        }
    }
}

#[tokio::test]
async fn an_association_needs_two_ends_that_are_there() {
    let chain = Chain::new().await;
    let refusal = async |source: &str, destination: &str| {
        chain
            .account
            .refusal("AddAssociation", json!({"SourceArn": source, "DestinationArn": destination}))
            .await
    };
    let again = refusal(&chain.weights, &chain.training).await;
    assert_eq!(again.code, "ValidationException");
    assert!(again.message.ends_with("already exists."), "{}", again.message);
    let nobody = format!("{PREFIX}:action/nobody");
    assert_eq!(refusal(&nobody, &chain.model).await.code, "ResourceNotFound");
    assert_eq!(refusal(&chain.model, &nobody).await.code, "ResourceNotFound");
    let trial = format!("{PREFIX}:experiment-trial/trial");
    let error = refusal(&chain.model, &trial).await;
    assert!(error.message.contains("'destinationArn'"), "{}", error.message);
    let error = chain
        .account
        .refusal(
            "AddAssociation",
            json!({"SourceArn": chain.model, "DestinationArn": chain.weights, "AssociationType": "Knows"}),
        )
        .await;
    assert!(error.message.contains("enum value set"), "{}", error.message);
}

#[tokio::test]
async fn a_query_follows_the_chain_in_either_direction() {
    let chain = Chain::new().await;
    let Chain { weights, training, model, endpoint, .. } = &chain;
    let up = json!({"Direction": "Ascendants"});
    assert_eq!(chain.found(endpoint, up.clone()).await, [model, training, weights].map(String::clone));
    assert_eq!(chain.found(weights, up).await, [""; 0]);
    let down = json!({"Direction": "Descendants"});
    assert_eq!(chain.found(training, down).await, [model, endpoint].map(String::clone));
    assert_eq!(chain.found(training, json!({})).await.len(), 3);
    let near = json!({"Direction": "Ascendants", "MaxDepth": 1});
    assert_eq!(chain.found(endpoint, near).await, [model.as_str()]);

    let answer = chain.query(model, json!({"Direction": "Ascendants", "IncludeEdges": true})).await;
    assert_eq!(
        answer["Vertices"],
        json!([
            {"Arn": model, "Type": "Model", "LineageType": "Artifact"},
            {"Arn": training, "Type": "TrainingJob", "LineageType": "Action"},
            {"Arn": weights, "Type": "DataSet", "LineageType": "Artifact"},
        ])
    );
    let mut edges = answer["Edges"].as_array().unwrap().clone();
    edges.sort_by_key(|edge| edge["AssociationType"].to_string());
    assert_eq!(
        edges,
        [
            json!({"SourceArn": weights, "DestinationArn": training, "AssociationType": "ContributedTo"}),
            json!({"SourceArn": training, "DestinationArn": model, "AssociationType": "Produced"}),
        ]
    );
    assert_eq!(chain.query(model, json!({"IncludeEdges": false})).await["Edges"], json!([]));
}

#[tokio::test]
async fn a_query_shows_what_its_filters_want_and_with_edges_the_way_to_it() {
    let chain = Chain::new().await;
    let Chain { account, weights, training, model, endpoint } = &chain;
    let report = artifact(account, "s3://lockstep-work/report", "Report").await;
    associate(account, weights, &report, "ContributedTo").await;
    associate(account, model, &report, "ContributedTo").await;
    // The report is beside the model and nearer to the start, and yet not on the way.
    let models = json!({"Direction": "Descendants", "IncludeEdges": true, "Filters": {"Types": ["Model"]}});
    assert_eq!(chain.found(weights, models.clone()).await, [weights, training, model].map(String::clone));
    assert_eq!(chain.query(weights, models).await["Edges"].as_array().unwrap().len(), 2);

    let filters = |filters: Value| json!({"Direction": "Ascendants", "Filters": filters});
    let sets = filters(json!({"Types": ["DataSet"], "LineageTypes": ["Artifact", "Context"]}));
    assert_eq!(chain.found(endpoint, sets.clone()).await, [weights.as_str()]);
    assert_eq!(
        chain.found(endpoint, filters(json!({"LineageTypes": ["Action"]}))).await,
        [training.as_str()]
    );
    assert_eq!(
        chain.found(endpoint, filters(json!({"Types": ["DataSet"], "LineageTypes": ["Action"]}))).await,
        [""; 0]
    );
    let mut with_edges = sets;
    with_edges["IncludeEdges"] = json!(true);
    let answer = chain.query(endpoint, with_edges).await;
    let shown: Vec<&str> =
        answer["Vertices"].as_array().unwrap().iter().map(|v| v["Arn"].as_str().unwrap()).collect();
    assert_eq!(shown, [endpoint, model, training, weights]);
    assert_eq!(answer["Edges"].as_array().unwrap().len(), 3);

    account.call("UpdateArtifact", json!({"ArtifactArn": weights, "Properties": {"licence": "mit"}})).await;
    let any = filters(json!({"Properties": {"licence": "mit", "revision": "none has it"}}));
    assert_eq!(chain.found(endpoint, any).await, [weights.as_str()]);
    assert_eq!(chain.found(endpoint, filters(json!({"CreatedAfter": 4e9}))).await, [""; 0]);
    assert_eq!(chain.found(endpoint, filters(json!({"ModifiedBefore": 4e9}))).await.len(), 3);
}

#[tokio::test]
async fn a_query_in_pages_gives_every_vertex_and_edge_once_and_ends_in_a_circle() {
    let chain = Chain::new().await;
    associate(&chain.account, &chain.endpoint, &chain.weights, "ContributedTo").await;
    let (mut vertices, mut edges) = (BTreeSet::new(), BTreeSet::new());
    let mut request = json!({"Direction": "Descendants", "IncludeEdges": true, "MaxResults": 1});
    for page in 1.. {
        let answer = chain.query(&chain.weights, request.clone()).await;
        for (into, member) in [(&mut vertices, "Vertices"), (&mut edges, "Edges")] {
            for one in answer[member].as_array().unwrap() {
                assert!(into.insert(one.to_string()), "{one} twice");
            }
        }
        match answer.get("NextToken") {
            Some(token) => request["NextToken"] = token.clone(),
            None => {
                assert_eq!(page, 4);
                break;
            }
        }
    }
    assert_eq!((vertices.len(), edges.len()), (4, 4));
}

#[tokio::test]
async fn a_query_needs_a_start_that_is_there() {
    let chain = Chain::new().await;
    let refusal = async |request: Value| chain.account.refusal("QueryLineage", request).await;
    assert_eq!(refusal(json!({})).await.code, "ValidationException");
    let nobody = json!({"StartArns": [format!("{PREFIX}:artifact/{:032x}", 0)]});
    assert_eq!(refusal(nobody).await.code, "ResourceNotFound");
    let two = json!({"StartArns": [chain.model, chain.weights]});
    assert!(refusal(two).await.message.contains("less than or equal to 1"));
    let far = json!({"StartArns": [chain.model], "MaxDepth": 11, "Direction": "Up"});
    assert!(refusal(far).await.message.starts_with("2 validation errors detected"));
    let filters = json!({"StartArns": [chain.model], "Filters": {"LineageTypes": ["Trial"]}});
    assert!(refusal(filters).await.message.contains("'filters.lineageTypes.1.member'"));
}

#[tokio::test]
async fn unknown_names_and_bad_values_are_refused() {
    let account = Account::start().await;
    let arn = artifact(&account, "s3://lockstep-work/a", "Model").await;
    for (action, request) in [
        ("DescribeArtifact", json!({"ArtifactArn": format!("{PREFIX}:artifact/0")})),
        ("UpdateArtifact", json!({"ArtifactArn": format!("{PREFIX}:artifact/0")})),
        ("DeleteArtifact", json!({"ArtifactArn": format!("{PREFIX}:artifact/0")})),
        ("DescribeAction", json!({"ActionName": "nobody"})),
        // An entity of another kind.
        ("DescribeAction", json!({"ActionName": arn})),
        ("UpdateAction", json!({"ActionName": "nobody"})),
        ("DeleteAction", json!({"ActionName": "nobody"})),
        ("DescribeContext", json!({"ContextName": "nobody"})),
        ("UpdateContext", json!({"ContextName": "nobody"})),
        ("DeleteContext", json!({"ContextName": "nobody"})),
    ] {
        assert_eq!(
            account.refusal(action, request.clone()).await.code,
            "ResourceNotFound",
            "{action} {request}"
        );
    }
    let source = json!({"SourceUri": "x"});
    let properties: serde_json::Map<String, Value> = (0..31).map(|n| (n.to_string(), json!("x"))).collect();
    for (action, request, at) in [
        ("CreateArtifact", json!({"ArtifactType": "Model"}), "'source'"),
        (
            "CreateArtifact",
            json!({"ArtifactType": "Model", "Source": {"SourceUri": ""}}),
            "'source.sourceUri'",
        ),
        (
            "CreateArtifact",
            json!({"ArtifactType": "x", "Source": {"SourceUri": "y", "SourceTypes": [{"SourceIdType": "SHA1", "Value": "x"}]}}),
            "'source.sourceTypes.1.member.sourceIdType'",
        ),
        (
            "CreateArtifact",
            json!({"ArtifactType": "x", "Source": {"SourceUri": "y"}, "Properties": properties}),
            "'properties'",
        ),
        (
            "CreateAction",
            json!({"ActionName": "no_dash", "Source": source, "ActionType": "x"}),
            "'actionName'",
        ),
        (
            "CreateAction",
            json!({"ActionName": "a", "Source": source, "ActionType": "x", "Status": "Done"}),
            "'status'",
        ),
        (
            "CreateContext",
            json!({"ContextName": "ends-", "Source": source, "ContextType": "x"}),
            "'contextName'",
        ),
        ("DescribeArtifact", json!({"ArtifactArn": "weights"}), "'artifactArn'"),
        ("ListArtifacts", json!({"SortBy": "Name"}), "'sortBy'"),
        ("ListActions", json!({"MaxResults": 101}), "'maxResults'"),
    ] {
        let error = account.refusal(action, request).await;
        assert_eq!(error.code, "ValidationException", "{action}");
        assert!(error.message.contains(at), "{action}: {}", error.message);
    }
}

#[tokio::test]
async fn an_account_has_a_limit_of_contexts() {
    let account = Account::start().await;
    for n in 0..500 {
        context(&account, &format!("c{n}")).await;
    }
    let request = json!({"ContextName": "more", "Source": {"SourceUri": "x"}, "ContextType": "x"});
    assert_eq!(account.refusal("CreateContext", request).await.code, "ResourceLimitExceeded");
}
