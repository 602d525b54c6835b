//! What a file of a repository claims to hold, which policy lets in or not and the transfer checks.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a file claims to be, by its name; the bytes must bear it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContentKind {
    /// Weights: header, shapes and offsets are validated.
    Safetensors,
    /// Weights of llama.cpp and its kin: header, shapes and offsets are validated.
    Gguf,
    /// JSON, read to its end for keys that make loaders run code.
    Json,
    /// UTF-8 text.
    Text,
}

impl ContentKind {
    /// The kind that a path claims; `None` for one that nobody here can check. YAML is among those, since its
    /// tags can name Python objects, and so is sentencepiece's `.model`, a protocol buffer.
    pub fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("safetensors") => Some(Self::Safetensors),
            Some("gguf") => Some(Self::Gguf),
            Some("json") => Some(Self::Json),
            // `.bpe` and `.vocab` are lists of a tokenizer; `.jinja` is a chat template, which is rendered in a
            // sandbox wherever it comes from.
            Some("txt" | "md" | "jsonl" | "bpe" | "vocab" | "jinja" | "csv" | "tsv") => Some(Self::Text),
            _ => matches!(
                name,
                ".gitattributes" | ".gitignore" | "LICENSE" | "LICENCE" | "NOTICE" | "COPYING" | "README"
            )
            .then_some(Self::Text),
        }
    }
}

impl fmt::Display for ContentKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::Gguf => "gguf",
            Self::Json => "json",
            Self::Text => "text",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_check_exists_for_has_no_kind() {
        for (path, kind) in [
            ("model-00001-of-00002.safetensors", Some(ContentKind::Safetensors)),
            ("q4/model.gguf", Some(ContentKind::Gguf)),
            ("model.safetensors.index.json", Some(ContentKind::Json)),
            ("merges.txt", Some(ContentKind::Text)),
            ("data/train.jsonl", Some(ContentKind::Text)),
            (".gitattributes", Some(ContentKind::Text)),
            ("LICENSE", Some(ContentKind::Text)),
            ("LICENSE.txt/pytorch_model.bin", None),
            ("tokenizer.model", None),
            ("config.yaml", None),
            ("modeling_tiny.py", None),
            ("safetensors", None),
            ("model.SAFETENSORS", None),
            ("", None),
        ] {
            assert_eq!(ContentKind::of(path), kind, "{path}");
        }
    }

    #[test]
    fn a_kind_is_shown_as_policy_writes_it() {
        for kind in [ContentKind::Safetensors, ContentKind::Gguf, ContentKind::Json, ContentKind::Text] {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
    }
}
