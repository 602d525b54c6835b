//! How much is kept of a file, whatever it claims.

/// The bytes of a header that are kept at most. The largest known, of GGUF files with a vocabulary of 260,000
/// tokens and their merges, are below 12 MiB; the format's public limit for safetensors is 100 MB, and a file
/// that makes use of it is refused because it could not be checked.
pub const HEADER_MAX: u64 = 16 << 20;

/// Tensors, or metadata entries, of one file that are kept track of at most: their names are compared.
pub const TENSORS_MAX: usize = 100_000;

/// The bytes that are kept of a file before anything is decided: enough for every magic number, tar's being at
/// byte 257.
pub const HEAD: usize = 512;

/// The bytes that are kept of what seems to be a pickle, to say what it would have run.
pub const PICKLE_MAX: usize = 256 << 10;

/// The bytes of a single string or number in JSON. Tokenizers carry maps of characters of 0.5 MB in one string.
pub const JSON_TOKEN_MAX: usize = 4 << 20;

/// How deep JSON may nest.
pub const JSON_DEPTH_MAX: usize = 128;
