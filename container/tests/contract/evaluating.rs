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
