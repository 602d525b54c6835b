//! A model folder in Hugging Face's layout: configuration, weights and tokenizer that belong together.

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;

use crate::Error;
use crate::model::Config;
use crate::weights::{self, Weights};

/// What a fine-tuned model keeps of its base. A model card is not among it: it describes the base.
const KEPT: [&str; 5] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
];

/// A model as it lies in a folder.
#[derive(Debug)]
pub struct Checkpoint {
    /// Its configuration.
    pub config: Config,
    /// Its weights: exactly those that the configuration lists.
    pub weights: Weights,
    tokenizer: Tokenizer,
    folder: PathBuf,
}

impl Checkpoint {
    /// Reads and checks a folder.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let config = Config::read(&folder.join("config.json"))?;
        let tokenizer = load_tokenizer(&folder.join("tokenizer.json"), &config)?;
        let weights = weights::load(folder, &config.tensors())?;
        Ok(Self { config, weights, tokenizer, folder: folder.to_owned() })
    }

    /// Writes the given weights and what is kept of this checkpoint. The weights come last: a folder without them is
    /// no model to anybody.
    pub fn save(&self, weights: &Weights, folder: &Path) -> Result<(), Error> {
        for name in KEPT {
            let kept = self.folder.join(name);
            if kept.exists() {
                let content = std::fs::read(&kept).map_err(Error::unreadable(&kept))?;
                crate::layout::write(&folder.join(name), &content)?;
            }
        }
        weights::save(&folder.join("model.safetensors"), weights)
    }

    /// The file that decides how text is cut into tokens.
    pub fn tokenizer_file(&self) -> PathBuf {
        self.folder.join("tokenizer.json")
    }

    /// The tokens of a prompt: the sequence's first token, then the text's.
    pub fn prompt(&self, text: &str) -> Result<Vec<u32>, Error> {
        // Special tokens come from config.json, so that training, evaluation and serving agree by construction.
        let encoded =
            self.tokenizer.encode_fast(text, false).map_err(|error| self.refuse(error.to_string()))?;
        Ok(std::iter::once(self.config.bos_token_id).chain(encoded.get_ids().iter().copied()).collect())
    }

    /// The tokens of a whole text, its end included.
    pub fn sequence(&self, text: &str) -> Result<Vec<u32>, Error> {
        let mut tokens = self.prompt(text)?;
        tokens.push(self.config.eos_token_id);
        Ok(tokens)
    }

    /// The text of generated tokens.
    pub fn text(&self, tokens: &[u32]) -> Result<String, Error> {
        self.tokenizer.decode(tokens, true).map_err(|error| self.refuse(error.to_string()))
    }

    fn refuse(&self, detail: String) -> Error {
        Error::TokenizerInvalid { path: self.tokenizer_file(), detail }
    }
}

fn load_tokenizer(path: &Path, config: &Config) -> Result<Tokenizer, Error> {
    let invalid = |detail: String| Error::TokenizerInvalid { path: path.to_owned(), detail };
    let bytes = std::fs::read(path).map_err(Error::unreadable(path))?;
    let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(|error| invalid(error.to_string()))?;
    // Settings that would silently drop text or add tokens.
    tokenizer.with_truncation(None).map_err(|error| invalid(error.to_string()))?;
    tokenizer.with_padding(None);
    let largest = tokenizer.get_vocab(true).into_values().max();
    match largest {
        Some(id) if (id as usize) < config.vocab_size => Ok(tokenizer),
        Some(id) => {
            Err(invalid(format!("knows token {id}, beyond the model's `vocab_size` {}", config.vocab_size)))
        }
        None => Err(invalid("knows no token".to_owned())),
    }
}
