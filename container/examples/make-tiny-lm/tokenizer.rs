//! A byte-level BPE tokenizer, learnt from the general corpus alone, as a base model's would be.

use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Result, Tokenizer};

/// Begins and ends every text.
const BOUNDARY: &str = "<|endoftext|>";

/// Lets Hugging Face's loaders find the rest.
pub(crate) const CONFIG: &str = r#"{
  "tokenizer_class": "PreTrainedTokenizerFast",
  "bos_token": "<|endoftext|>",
  "eos_token": "<|endoftext|>",
  "clean_up_tokenization_spaces": false,
  "model_max_length": 256
}
"#;

pub(crate) fn train(texts: &[String], size: usize) -> Result<Tokenizer> {
    let mut tokenizer = Tokenizer::new(BPE::default());
    let bytes = ByteLevel::new(false, true, true);
    tokenizer.with_pre_tokenizer(Some(bytes)).with_decoder(Some(bytes));
    let trainer = BpeTrainer::builder()
        .vocab_size(size)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(vec![AddedToken::from(BOUNDARY, true)])
        .build();
    tokenizer.train(&mut TrainerWrapper::from(trainer), texts.iter())?;
    let template = TemplateProcessing::builder()
        .try_single(format!("{BOUNDARY} $A"))?
        .special_tokens(vec![(BOUNDARY, 0)])
        .build()?;
    tokenizer.with_post_processor(Some(template));
    Ok(tokenizer)
}
