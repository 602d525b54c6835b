//! What one server takes at most, from its environment: CreateModel's `Environment` sets it.

use std::num::NonZeroUsize;
use std::str::FromStr;

use crate::Error;

/// Sizes and numbers beyond which a request is refused.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Tokens of a prompt; none for what the model's context allows.
    pub prompt_tokens: Option<NonZeroUsize>,
    /// Tokens to generate; none for what the model's context allows.
    pub new_tokens: Option<NonZeroUsize>,
    /// Requests that compute at the same time.
    pub concurrency: NonZeroUsize,
    /// Requests that wait for their turn.
    pub queue: usize,
}

impl Limits {
    /// From `MODEL_CONTAINER_MAX_BODY_BYTES` (1 MiB), `MODEL_CONTAINER_MAX_PROMPT_TOKENS` and
    /// `MODEL_CONTAINER_MAX_NEW_TOKENS` (the model's context), `MODEL_CONTAINER_CONCURRENCY` (the processors) and
    /// `MODEL_CONTAINER_QUEUE` (64).
    ///
    /// # Errors
    /// [`Error::EnvironmentInvalid`] for a value that is no such number.
    pub fn from_environment() -> Result<Self, Error> {
        const POSITIVE: &str = "a whole number of 1 or more";
        let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let body: Option<NonZeroUsize> = parse("MODEL_CONTAINER_MAX_BODY_BYTES", POSITIVE)?;
        Ok(Self {
            body_bytes: body.map_or(1 << 20, NonZeroUsize::get),
            prompt_tokens: parse("MODEL_CONTAINER_MAX_PROMPT_TOKENS", POSITIVE)?,
            new_tokens: parse("MODEL_CONTAINER_MAX_NEW_TOKENS", POSITIVE)?,
            concurrency: parse("MODEL_CONTAINER_CONCURRENCY", POSITIVE)?.unwrap_or(processors),
            queue: parse("MODEL_CONTAINER_QUEUE", "a whole number of 0 or more")?.unwrap_or(64),
        })
    }
}

/// A variable's value, if it is set.
pub(crate) fn parse<T: FromStr>(name: &'static str, remedy: &'static str) -> Result<Option<T>, Error> {
    let Some(value) = std::env::var_os(name) else { return Ok(None) };
    let value = value.to_string_lossy().into_owned();
    value.parse().map(Some).map_err(|_| Error::EnvironmentInvalid { name, value, remedy })
}
