//! The whole environment: applied, planned again, watched, destroyed, and applied once more.

use std::collections::BTreeSet;

use integration_tests::root;
use local::{Account, Faults, Options, Profile, Silent, terraform, wire::Wire};
use serde_json::{Value, json};

/// What a second plan differs in, because the local account does not answer it back: the table of infra/README.md.
const NOT_ANSWERED_BACK: [&str; 4] =
    ["aws_cloudwatch_metric_alarm", "aws_flow_log", "aws_sfn_state_machine", "aws_vpc_endpoint"];

async fn account() -> Account {
    let options = Options {
        root: root(),
        profile: Profile::Debug,
        faults: Faults::default(),
        var_file: Some(root().join("integration-tests/whole.tfvars")),
    };
    let account = Account::start(options, &Silent).await.expect("the account starts");
    account.apply(&Silent).await.expect("the environment is applied");
    account
}

#[test]
fn the_environment_is_applied_watched_destroyed_and_applied_again() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let account = account().await;
        let root = Wire::new(account.endpoint(), local::REGION, "test");
        a_second_plan_changes_nothing_but_what_the_account_does_not_answer_back(&account).await;
        every_alarm_fires_on_its_own_metric(&account, &root).await;
        a_planted_secret_is_in_no_state(&account);
        terraform::destroy(account.terraform(), &Silent).await.expect("the environment is destroyed");
        nothing_is_left(&root).await;
        terraform::apply_again(account.terraform(), &Silent).await.expect("the environment is applied again");
        account.shutdown().await;
    });
}

async fn a_second_plan_changes_nothing_but_what_the_account_does_not_answer_back(account: &Account) {
    let changes = terraform::plan(account.terraform(), &Silent).await.expect("a plan");
    let other: Vec<_> =
        changes.iter().filter(|change| !NOT_ANSWERED_BACK.contains(&change.kind.as_str())).collect();
    assert!(other.is_empty(), "{other:#?}");
    let seen: BTreeSet<&str> = changes.iter().map(|change| change.kind.as_str()).collect();
    let readme = std::fs::read_to_string(root().join("infra/README.md")).expect("the README");
    for kind in NOT_ANSWERED_BACK {
        assert!(seen.contains(kind), "{kind} does not differ any more: take it off the list");
        assert!(readme.contains(&format!("`{kind}`")), "infra/README.md does not say that {kind} differs");
    }
}

/// Each alarm is given its own sample in as many periods as it wants, and is then in ALARM.
async fn every_alarm_fires_on_its_own_metric(account: &Account, root: &Wire) {
    let outputs = account.outputs().expect("outputs");
    let alarms = outputs.others["alarms"].as_object().expect("alarms").clone();
    assert!(alarms.len() > 20, "{} alarms", alarms.len());
    let mut quiet = Vec::new();
    for (key, alarm) in &alarms {
        let text = |member: &str| alarm[member].as_str().unwrap_or_default().to_owned();
        let periods = alarm["periods"].as_u64().unwrap_or(1);
        let seconds = alarm["period"].as_i64().unwrap_or(60);
        for period in 0..periods {
            let time = jiff::Timestamp::now()
                .checked_sub(jiff::SignedDuration::from_secs(seconds * i64::try_from(period).unwrap_or(0)))
                .expect("a time")
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string();
            let mut parameters = vec![
                ("Namespace".to_owned(), text("namespace")),
                ("MetricData.member.1.MetricName".to_owned(), text("metric")),
                ("MetricData.member.1.Timestamp".to_owned(), time),
                ("MetricData.member.1.Value".to_owned(), alarm["sample"]["value"].to_string()),
            ];
            for (place, (name, value)) in alarm["dimensions"].as_object().into_iter().flatten().enumerate() {
                let place = place + 1;
                let member = format!("MetricData.member.1.Dimensions.member.{place}");
                parameters.push((format!("{member}.Name"), name.clone()));
                parameters.push((format!("{member}.Value"), value.as_str().unwrap_or_default().to_owned()));
            }
            let parameters: Vec<(&str, &str)> =
                parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            root.query("monitoring", "2010-08-01", "PutMetricData", &parameters).await.expect("a datum");
        }
        if !is_in_alarm(root, &text("name")).await {
            quiet.push(key);
        }
    }
    assert!(quiet.is_empty(), "these alarms do not fire on their own sample: {quiet:?}");
}

async fn is_in_alarm(root: &Wire, name: &str) -> bool {
    for _ in 0..50 {
        let parameters = [("AlarmNames.member.1", name)];
        let answer =
            root.query("monitoring", "2010-08-01", "DescribeAlarms", &parameters).await.expect("alarms");
        if answer.contains("<StateValue>ALARM</StateValue>") {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    false
}

/// The Hub's token goes through Terraform without being kept, and the users' secrets never come near it.
fn a_planted_secret_is_in_no_state(account: &Account) {
    for file in ["terraform.tfstate", "terraform-apply.log", "terraform-plan.log"] {
        let text = std::fs::read_to_string(account.state_dir().join(file)).expect("Terraform's files");
        assert!(!text.contains("hf_a_planted_canary"), "the token is in {file}");
    }
}

async fn nothing_is_left(root: &Wire) {
    let functions =
        root.json("states", "AWSStepFunctions.ListStateMachines", &json!({})).await.expect("a list");
    assert_eq!(functions["stateMachines"].as_array().map(Vec::len), Some(0), "{functions}");
    let tables = root.json("dynamodb", "DynamoDB_20120810.ListTables", &json!({})).await.expect("a list");
    assert_eq!(tables["TableNames"].as_array().map(Vec::len), Some(0), "{tables}");
    let secrets =
        root.json("secretsmanager", "secretsmanager.ListSecrets", &json!({})).await.expect("a list");
    let kept = secrets["SecretList"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|secret| secret["DeletedDate"].is_null());
    assert_eq!(kept.collect::<Vec<&Value>>().len(), 0, "{secrets}");
    let roles = root.query("iam", "2010-05-08", "ListRoles", &[]).await.expect("a list");
    assert!(!roles.contains("<RoleName>lockstep-"), "{roles}");
    let queues = root.json("sqs", "AmazonSQS.ListQueues", &json!({})).await.expect("a list");
    assert!(!queues.to_string().contains("dead-letters"), "{queues}");
    let vpcs = root.query("ec2", "2016-11-15", "DescribeVpcs", &[]).await.expect("a list");
    assert!(!vpcs.contains("10.42.0.0/16"), "{vpcs}");
}
