//! What there is to know of a provider and of a model.
//!
//! Prices are US dollars for one token, as decimal text.

/// A provider: what `provider.order` names, and what routing filters by.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) slug: &'static str,
    pub(crate) name: &'static str,
    pub(crate) quantization: &'static str,
    /// Whether it stores no requests.
    pub(crate) zero_retention: bool,
    pub(crate) latency_s: f64,
    pub(crate) tokens_per_s: f64,
}

/// The facts that all variants of a model share.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) context_tokens: u64,
    pub(crate) max_output_tokens: u64,
    /// US dollars for one token of the prompt.
    pub(crate) prompt_usd: &'static str,
    /// US dollars for one token of the answer.
    pub(crate) completion_usd: &'static str,
    /// Slugs of the providers, the usual one first.
    pub(crate) providers: &'static [&'static str],
    pub(crate) parameters: &'static [&'static str],
    pub(crate) inputs: &'static [&'static str],
    pub(crate) tokenizer: &'static str,
    pub(crate) kind: Kind,
    /// Length of its vectors; 0 unless it makes embeddings.
    pub(crate) dimensions: usize,
}

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Chat,
    /// Answers chats, and makes pictures.
    Painter,
    Embeddings,
    Rerank,
    Speech,
    Transcripts,
    Pictures,
    Videos,
}

/// A model under one of its ids.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    /// With the variant, if the request names one.
    pub(crate) id: String,
    pub(crate) facts: &'static Facts,
    /// What the catalogue says about a scripted id.
    pub(crate) description: Option<String>,
    /// US dollars for one token of the prompt and of the answer, where a test set them.
    pub(crate) own_prices_usd: Option<(String, String)>,
}

impl Kind {
    /// What a model of this kind is called, what it makes as `architecture.output_modalities` names it, and the path of
    /// its requests.
    pub(crate) fn words(self) -> (&'static str, &'static [&'static str], &'static str) {
        match self {
            Self::Chat => ("a chat model", &["text"], "/api/v1/chat/completions"),
            Self::Painter => ("a chat model", &["image", "text"], "/api/v1/chat/completions"),
            Self::Embeddings => ("an embedding model", &["embeddings"], "/api/v1/embeddings"),
            Self::Rerank => ("a rerank model", &["rerank"], "/api/v1/rerank"),
            Self::Speech => ("a speech model", &["speech"], "/api/v1/audio/speech"),
            Self::Transcripts => (
                "a transcription model",
                &["transcription"],
                "/api/v1/audio/transcriptions",
            ),
            Self::Pictures => ("an image model", &["image"], "/api/v1/images"),
            Self::Videos => ("a video model", &["video"], "/api/v1/videos"),
        }
    }
}

impl Provider {
    /// Whether `name` of a request means this provider: its slug, a variant of it, or its display name.
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        let base = name.split('/').next().unwrap_or_default();
        base == self.slug || name.eq_ignore_ascii_case(self.name)
    }
}
