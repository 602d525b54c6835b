//! A container's program for the tests: this very test program, which a script starts as one ignored test.

#![allow(clippy::disallowed_methods, reason = "it is the container: its exit code is what the job sees")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Writes the program that stands for an image's.
pub(super) fn program(folder: &Path) -> PathBuf {
    let script = folder.join("model-container");
    let tests = std::env::current_exe().unwrap();
    let text = format!(
        "#!/bin/sh\nFAKE_COMMAND=\"$1\" exec '{}' --exact sagemaker::tests::container::container --ignored --nocapture --test-threads=1\n",
        tests.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script
}

#[test]
#[ignore = "the container of the tests beside it, which start it as a program"]
fn container() {
    let Ok(root) = std::env::var("SM_ML_ROOT").map(PathBuf::from) else { return };
    match std::env::var("FAKE_COMMAND").unwrap().as_str() {
        "train" => train(&root),
        "evaluate" => evaluate(&root),
        "serve" => serve(&root),
        other => panic!("{other}"),
    }
    std::process::exit(0);
}

fn mode() -> String {
    std::env::var("FAKE_MODE").unwrap_or_default()
}

fn train(root: &Path) {
    println!("training as {}", std::env::var("TRAINING_JOB_NAME").unwrap());
    match mode().as_str() {
        "fail" => {
            fs::write(root.join("output/failure"), "learning_rate 'x' is not a number").unwrap();
            std::process::exit(1);
        }
        "endless" => {
            fs::write(root.join("model/partial.bin"), "partial").unwrap();
            std::thread::sleep(Duration::from_secs(600));
        }
        "spot" => {
            let checkpoints = root.join("checkpoints");
            let step = fs::read_to_string(checkpoints.join("step")).unwrap_or_default();
            println!("begins at {step:?}");
            if step.is_empty() {
                fs::write(checkpoints.join("step"), "7").unwrap();
                std::thread::sleep(Duration::from_secs(600));
            }
            fs::write(root.join("model/step"), step).unwrap();
        }
        "network" => {
            let interfaces = fs::read_to_string("/proc/self/net/dev").unwrap();
            fs::write(root.join("model/interfaces"), interfaces).unwrap();
        }
        _ => {
            let parameters = fs::read_to_string(root.join("input/config/hyperparameters.json")).unwrap();
            fs::write(root.join("model/config.json"), parameters).unwrap();
            let data = fs::read(root.join("input/data/training/tiny.jsonl")).unwrap();
            fs::create_dir_all(root.join("model/deep")).unwrap();
            fs::write(root.join("model/deep/model.safetensors"), data).unwrap();
            fs::copy(root.join("input/data/model/vocabulary/words.txt"), root.join("model/words.txt"))
                .unwrap();
        }
    }
}

fn evaluate(root: &Path) {
    if mode() == "fail" {
        fs::write(root.join("output/message"), "no samples in the held-out data").unwrap();
        std::process::exit(1);
    }
    let data = fs::read_to_string(root.join("processing/input/data/held-out.jsonl")).unwrap();
    fs::write(root.join("processing/output/metrics/metrics.json"), data).unwrap();
}

fn serve(root: &Path) {
    let port: u16 = std::env::var("SAGEMAKER_BIND_TO_PORT").unwrap().parse().unwrap();
    let weights = fs::read_to_string(root.join("model/model.safetensors")).unwrap();
    if weights == "broken" {
        eprintln!("the weights are broken");
        std::process::exit(3);
    }
    let listener = TcpListener::bind((std::env::var("MODEL_CONTAINER_HOST").unwrap(), port)).unwrap();
    for stream in listener.incoming() {
        let weights = weights.clone();
        std::thread::spawn(move || converse(stream.unwrap(), &weights));
    }
}

fn converse(stream: TcpStream, weights: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let (status, answer) = if head.starts_with("GET /ping") {
            (200, String::new())
        } else if body == b"slow" {
            std::thread::sleep(Duration::from_secs(1));
            (200, format!(r#"[{{"generated_text": "{weights}"}}]"#))
        } else if body == b"bad" {
            (400, r#"{"error": "inputs is missing"}"#.to_owned())
        } else {
            (200, format!(r#"[{{"generated_text": "{weights}"}}]"#))
        };
        let mut stream = &stream;
        let _ = write!(
            stream,
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
    }
}
