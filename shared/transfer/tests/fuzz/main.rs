//! Fuzz targets of the content inspector: what it holds to, whatever the bytes.
//!
//! Each runs over its seeds in `corpus/`, then over mutations of them: always the same ones, and as many as two
//! seconds allow, so that this belongs to every test run. To look for more, with mutations that differ each time:
//!
//! ```sh
//! LOCKSTEP_FUZZ_SECONDS=600 cargo test --release -p transfer --test fuzz -- --nocapture
//! ```
//!
//! What that finds is to be kept as `corpus/<target>/found-<what>`, and what other programs wrote as
//! `foreign-<what>`. All other seeds are those of `seeds.rs`, written anew by
//! `LOCKSTEP_WRITE_CORPUS=1 cargo test -p transfer --test fuzz`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "all of this file is a test")]

mod mutation;
mod properties;
mod seeds;

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use transfer::content::Inspector;

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};

fn corpus(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target)
}

/// Every target that has seeds of its own.
const TARGETS: [&str; 5] = ["safetensors", "gguf", "json", "text", "pickle"];

/// Holds `property` against the seeds of `targets`, then against mutations of them.
fn fuzz(targets: &[&str], property: impl Fn(&[u8]) -> Result<(), String>) {
    let mut files = Vec::new();
    for target in targets {
        files.extend(fs::read_dir(corpus(target)).unwrap().map(|file| file.unwrap().path()));
    }
    files.sort();
    assert!(files.len() > targets.len(), "no seeds");
    let mut seeds = Vec::new();
    for file in files {
        // Shown if the property panics.
        println!("{}", file.display());
        let bytes = fs::read(&file).unwrap();
        property(&bytes).unwrap();
        seeds.push(bytes);
    }

    let seconds = std::env::var("LOCKSTEP_FUZZ_SECONDS").ok().map(|seconds| seconds.parse().unwrap());
    let config = Config { failure_persistence: None, ..Config::default() };
    let mut runner = match seconds {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(2));
    let mutated = mutation::mutated(seeds);
    let mut mutations = 0;
    while Instant::now() < until && (seconds.is_some() || mutations < 20_000) {
        let tree = mutated.new_tree(&mut runner).unwrap();
        let outcome = runner.run_one(tree, |input| property(&input.0).map_err(TestCaseError::fail));
        if let Err(found) = outcome {
            panic!("{found}");
        }
        mutations += 1;
    }
    println!("{mutations} mutations of {targets:?}");
}

#[test]
fn safetensors() {
    fuzz(&["safetensors"], properties::safetensors);
}

#[test]
fn gguf() {
    fuzz(&["gguf"], properties::gguf);
}

#[test]
fn pickle() {
    fuzz(&["pickle"], properties::pickle);
}

#[test]
fn json() {
    fuzz(&["json"], properties::json);
}

#[test]
fn text() {
    fuzz(&["text"], properties::text);
}

#[test]
fn inspector() {
    fuzz(&TARGETS, properties::inspector);
}

/// Each type that llama.cpp knows, and strings, as the Python package `gguf` 0.19 writes them: aligned to 8 bytes,
/// `add_tensor(type.name, zeros((8, size), uint8), raw_dtype=type)` for each of its `GGML_QUANT_SIZES` but Q8_1,
/// which is a type of calculations and not of files. Of eight blocks, so that padding cannot make up for a size
/// that is wrong by one.
#[test]
fn what_the_reference_writer_writes_passes() {
    let bytes = fs::read(corpus("gguf").join("foreign-every-type")).unwrap();
    let mut inspector = Inspector::new("model.gguf", bytes.len() as u64);
    assert_eq!(inspector.feed(&bytes).and_then(|()| inspector.finish()), Ok(()));
}

#[test]
fn the_committed_corpus_is_that_of_the_seeds() {
    let write = std::env::var_os("LOCKSTEP_WRITE_CORPUS").is_some();
    for (target, seeds) in TARGETS.into_iter().zip(seeds::all()) {
        let folder = corpus(target);
        if write {
            fs::create_dir_all(&folder).unwrap();
        }
        let mut expected = BTreeSet::new();
        for (name, bytes) in seeds {
            let file = folder.join(&name);
            if write {
                fs::write(&file, &bytes).unwrap();
            }
            let committed = fs::read(&file).unwrap_or_default();
            assert!(committed == bytes, "{} has drifted; see this file's head", file.display());
            assert!(expected.insert(name), "two seeds of one name");
        }
        let present: BTreeSet<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with("found-") && !name.starts_with("foreign-"))
            .collect();
        assert_eq!(present, expected, "{target}: a file that is no seed");
    }
}
