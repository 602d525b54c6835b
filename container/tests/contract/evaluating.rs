use crate::tree::Tree;

#[test]
fn equal_models_score_equal() {
    let tree = Tree::evaluation(20);
    let (code, out, err) = tree.run("evaluate");
    assert_eq!(code, Some(0), "{out}{err}");
    let metrics: serde_json::Value =
        serde_json::from_str(&tree.read("processing/output/metrics/metrics.json")).unwrap();
    assert_eq!(metrics["schema"], "lockstep/metrics/v1");
    assert_eq!(metrics["before"], metrics["after"]);
    let [loss, perplexity] = ["eval_loss", "perplexity"].map(|name| metrics["after"][name].as_f64().unwrap());
    assert!((loss.exp() - perplexity).abs() < 1e-9 * perplexity && loss > 1.0);
    assert_eq!(metrics["after"]["samples"], 20);
    assert!(metrics["after"]["tokens"].as_u64().unwrap() > 20 * 10);
}

/// Half of the rows are gibberish, and that half is one group: the model is worse there, and the whole lies in between.
#[test]
fn each_group_is_scored_on_its_own_rows() {
    let tree = Tree::evaluation(20);
    let rows: Vec<String> = tree
        .read("processing/input/data/rows.jsonl")
        .lines()
        .enumerate()
        .map(|(index, line)| {
            let mut row: serde_json::Value = serde_json::from_str(line).unwrap();
            row["region"] = if index % 2 == 0 { "north" } else { "south" }.into();
            if index % 2 == 1 {
                let text: String = row["text"].as_str().unwrap().chars().rev().collect();
                row["text"] = text.into();
            }
            row.to_string()
        })
        .collect();
    tree.write("processing/input/data/rows.jsonl", &rows.join("\n"));
    let score = |argument: Option<&str>| -> serde_json::Value {
        let output = tree.command("evaluate").args(argument).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(&tree.read("processing/output/metrics/metrics.json")).unwrap()
    };
    let plain = score(None);
    assert!(plain.get("groups").is_none());
    let metrics = score(Some("--group-column=region"));
    let groups = &metrics["groups"];
    assert_eq!((&groups["column"], &groups["before"]), (&"region".into(), &groups["after"]));
    let number = |value: &serde_json::Value, name: &str| value[name].as_f64().unwrap();
    let (north, south) = (&groups["after"]["north"], &groups["after"]["south"]);
    assert!(number(south, "eval_loss") > number(north, "eval_loss") + 0.5, "{groups}");
    assert_eq!((&north["samples"], &south["samples"]), (&10.into(), &10.into()));
    let sum = |name: &str| {
        number(north, name) * number(north, "tokens") + number(south, name) * number(south, "tokens")
    };
    let mean = sum("eval_loss") / number(&metrics["after"], "tokens");
    assert!((mean - number(&metrics["after"], "eval_loss")).abs() < 1e-9);
    // However the rows are batched, the whole is the same to a float's precision.
    assert!((number(&plain["after"], "eval_loss") - number(&metrics["after"], "eval_loss")).abs() < 1e-4);
    // A field that no row has makes no group; the gate refuses what is empty.
    assert_eq!(score(Some("--group-column=language"))["groups"]["after"], serde_json::json!({}));
}

/// Traffic is compared with these, so they have the form in which SageMaker captures it.
#[test]
fn what_the_candidate_answers_is_kept_as_captured_traffic_is() {
    let tree = Tree::evaluation(5);
    let (code, out, err) = tree.run("evaluate");
    assert_eq!(code, Some(0), "{out}{err}");
    let lines = tree.read("processing/output/metrics/predictions.jsonl");
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5);
    for line in lines {
        let data = |side: &str| {
            let payload = &line["captureData"][side];
            assert_eq!(
                (&payload["encoding"], &payload["observedContentType"]),
                (&"JSON".into(), &"application/json".into())
            );
            serde_json::from_str::<serde_json::Value>(payload["data"].as_str().unwrap()).unwrap()
        };
        assert!(!data("endpointInput")["inputs"].as_str().unwrap().is_empty());
        assert!(data("endpointOutput")[0]["generated_text"].is_string());
    }
}

#[test]
fn a_failure_exits_1_and_leaves_a_message_and_no_metrics() {
    let refuse = |tree: &Tree, reason: &str| {
        let (code, out, err) = tree.run("evaluate");
        assert_eq!(code, Some(1), "{out}{err}");
        let message = tree.read("output/message");
        assert!(message.contains(reason), "{message}");
        assert!(!tree.path("processing/output/metrics/metrics.json").exists());
    };
    let tree = Tree::evaluation(5);
    let tokenizer = tree.read("processing/input/candidate/tokenizer.json");
    tree.write("processing/input/candidate/tokenizer.json", &(tokenizer + "\n"));
    refuse(&tree, "the two losses cannot be compared");

    let tree = Tree::evaluation(5);
    poison(&tree, f32::NAN);
    refuse(&tree, "holds a value that is not finite");
    // Finite weights whose metrics are not.
    let tree = Tree::evaluation(5);
    poison(&tree, 1e25);
    refuse(&tree, "metric `perplexity` of the candidate model is inf");
    let tree = Tree::evaluation(5);
    poison(&tree, f32::MAX);
    refuse(&tree, "metric `eval_loss` of the candidate model is NaN");

    let tree = Tree::evaluation(5);
    tree.write("processing/input/data/rows.jsonl", "{\"prompt\": \"x\"}\n");
    refuse(&tree, "line 1 is no row (missing field `text`");
}

/// Sets the candidate's final norm, whatever else it holds, to one value.
fn poison(tree: &Tree, value: f32) {
    let path = tree.path("processing/input/candidate/model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let header = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let offsets = json["model.norm.weight"]["data_offsets"].as_array().unwrap();
    let [from, to] = [0, 1].map(|i| 8 + header + usize::try_from(offsets[i].as_u64().unwrap()).unwrap());
    for float in bytes[from..to].chunks_mut(4) {
        float.copy_from_slice(&value.to_le_bytes());
    }
    std::fs::write(&path, bytes).unwrap();
}
