use std::io::{BufRead as _, BufReader};

use crate::tree::{Tree, copy, terminate};

const SHORT: &str = r#"{"epochs": "1", "learning_rate": "0.005", "batch_size": "8", "max_steps": "12", "sagemaker_region": "x"}"#;

#[test]
fn a_job_leaves_a_whole_model_and_lowers_the_held_out_loss() {
    for (method, step) in
        [("full", "epoch 1/1 step 12/12 train_loss="), ("lora", "epoch 1/1 step 12/12 train_loss=")]
    {
        let tree = Tree::training(
            &SHORT.replace("{\"epochs", &format!("{{\"method\": \"{method}\", \"epochs")),
            100,
        );
        let (code, out, err) = tree.run("train");
        assert_eq!(code, Some(0), "{out}{err}");
        assert!(out.lines().any(|line| line.starts_with(step)), "{out}");
        let mut files: Vec<_> = std::fs::read_dir(tree.path("model"))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let expected = [
            "config.json",
            "generation_config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
        ];
        assert_eq!(files, expected);
        assert!(!tree.path("output/failure").exists());

        let judged = Tree::evaluation(40);
        copy(&tree.path("model"), &judged.path("processing/input/candidate"));
        let (code, out, err) = judged.run("evaluate");
        assert_eq!(code, Some(0), "{out}{err}");
        let metrics: serde_json::Value =
            serde_json::from_str(&judged.read("processing/output/metrics/metrics.json")).unwrap();
        let loss = |of: &str| metrics[of]["eval_loss"].as_f64().unwrap();
        assert!(loss("after") < loss("before") - 0.5, "{method}: {metrics}");
    }
}

#[test]
fn the_same_seed_writes_the_same_bytes() {
    let trees = [(); 2].map(|()| Tree::training(SHORT, 40));
    let weights = trees.map(|tree| {
        assert_eq!(tree.run("train").0, Some(0));
        std::fs::read(tree.path("model/model.safetensors")).unwrap()
    });
    assert!(weights[0] == weights[1]);
}

#[test]
fn a_failure_exits_1_and_leaves_its_reason_and_no_model() {
    let refuse = |tree: &Tree, reason: &str| {
        let (code, out, err) = tree.run("train");
        assert_eq!(code, Some(1), "{out}{err}");
        let failure = tree.read("output/failure");
        assert!(failure.contains(reason), "{failure}");
        assert!(err.contains(reason), "{err}");
        assert!(!tree.path("model").exists());
    };
    let invalid = r#"`learning_rate` = "not-a-number" is invalid; give a number from 0 to 1"#;
    refuse(&Tree::training(r#"{"learning_rate": "not-a-number"}"#, 10), invalid);
    refuse(&Tree::training(r#"{"learning_rte": "0.1"}"#, 10), r#"`learning_rte` = "0.1" is unknown"#);
    refuse(&Tree::training(r#"{"sequence_length": "9999"}"#, 10), "at most 256");
    refuse(&Tree::training("[]", 10), "one JSON object whose values are all strings");
    refuse(&Tree::training("{}", 0), "");

    let tree = Tree::training("{}", 10);
    std::fs::remove_file(tree.path("input/data/model/tokenizer.json")).unwrap();
    refuse(&tree, "tokenizer.json: cannot be read");
    let tree = Tree::training("{}", 10);
    tree.write("input/data/model/tokenizer.json", r#"{"version": "1.0"}"#);
    refuse(&tree, "supply the tokenizer.json that belongs to the weights");
    let tree = Tree::training("{}", 10);
    tree.write("input/data/model/model.safetensors", "version https://git-lfs.github.com/spec/v1\n");
    refuse(&tree, "is no valid safetensors file");
    let tree = Tree::training("{}", 10);
    let config =
        tree.read("input/data/model/config.json").replace("\"hidden_size\": 96", "\"hidden_size\": 64");
    tree.write("input/data/model/config.json", &config);
    refuse(&tree, "supply float32 safetensors that match config.json exactly");
    refuse(&Tree::empty(), "hyperparameters.json: cannot be read");
}

#[test]
fn sigterm_ends_it_at_once_without_a_model_or_a_failure() {
    let tree = Tree::training(r#"{"epochs": "10000"}"#, 100);
    let mut child = tree.command("train").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("epoch 1/")));
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(!tree.path("model").exists() && !tree.path("output/failure").exists());
}
