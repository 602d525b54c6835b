use std::collections::BTreeSet;

use container::checkpoint::Checkpoint;
use container::lora::Adapters;
use container::model::Model;
use container::{dataset, weights};

use crate::tree::{Tree, examples};

#[test]
fn no_row_is_both_taught_and_held_out() {
    let rows = |name: &str| {
        let tree = Tree::empty();
        tree.write("rows.jsonl", &std::fs::read_to_string(examples().join("data").join(name)).unwrap());
        dataset::read(&tree.path("")).unwrap()
    };
    let (training, held_out) = (rows("training.jsonl"), rows("evaluation.jsonl"));
    let unique: BTreeSet<&String> = training.iter().chain(&held_out).collect();
    assert_eq!(unique.len(), training.len() + held_out.len());
    assert!(training.len() >= 300 && held_out.len() >= 100);
}

#[test]
fn a_saved_model_computes_what_it_did_and_is_saved_to_the_same_bytes() {
    let tree = Tree::empty();
    let original = Checkpoint::load(&examples().join("models/tiny-lm")).unwrap();
    original.save(&original.weights, &tree.path("again")).unwrap();
    let again = Checkpoint::load(&tree.path("again")).unwrap();
    let logits = |checkpoint: &Checkpoint| {
        let model =
            Model::new(checkpoint.config.clone(), checkpoint.weights.clone(), Adapters::default()).unwrap();
        let tokens = checkpoint.sequence("Q: Who opens the gate?\nA: Emma opens the gate.").unwrap();
        let tokens =
            candle_core::Tensor::new(tokens, &candle_core::Device::Cpu).unwrap().unsqueeze(0).unwrap();
        let hidden = model.hidden(&tokens, None).unwrap().squeeze(0).unwrap();
        model.logits(&hidden).unwrap().to_vec2::<f32>().unwrap()
    };
    assert_eq!(logits(&original), logits(&again));
    weights::save(&tree.path("twice.safetensors"), &again.weights).unwrap();
    let read = |path| std::fs::read(path).unwrap();
    assert!(
        read(tree.path("twice.safetensors")) == read(examples().join("models/tiny-lm/model.safetensors"))
    );
}

#[test]
fn text_survives_the_tokenizer() {
    let checkpoint = Checkpoint::load(&examples().join("models/tiny-lm")).unwrap();
    for text in ["Q: Which gate checks the image?\nA:", "ünïcode 🦀 \t ok", " leading and trailing  "] {
        assert_eq!(checkpoint.text(&checkpoint.sequence(text).unwrap()).unwrap(), text);
    }
}
