//! The models and providers that the sandbox knows: a small excerpt of the real catalogue.
//!
//! Two tables and the ways to look things up in them. Prices are US dollars for one token, as decimal text.
//! Scripted ids look like models of the provider `Sandbox`.

pub(crate) mod listing;

/// A provider: what `provider.order` names, and what routing filters by.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) slug: &'static str,
    pub(crate) name: &'static str,
    pub(crate) quantization: &'static str,
    /// Keeps nothing of what it is sent.
    pub(crate) zero_retention: bool,
    pub(crate) latency_s: f64,
    pub(crate) tokens_per_s: f64,
}

/// The facts of a model that its variants share.
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
    /// Slugs of [`PROVIDERS`], the usual one first.
    pub(crate) providers: &'static [&'static str],
    pub(crate) parameters: &'static [&'static str],
    pub(crate) inputs: &'static [&'static str],
    pub(crate) tokenizer: &'static str,
    pub(crate) kind: Kind,
    /// Length of its vectors; 0 for a model that makes none.
    pub(crate) dimensions: usize,
}

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Chat,
    Embeddings,
    Rerank,
    Speech,
}

/// One id that can be asked for.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    /// With its variant, if one was named.
    pub(crate) id: String,
    pub(crate) facts: &'static Facts,
    /// What stands in the catalogue about a scripted id.
    pub(crate) description: Option<String>,
    /// US dollars for one token of the prompt and of the answer, where a test set them.
    pub(crate) own_prices_usd: Option<(String, String)>,
}

const VARIANTS: [&str; 8] = [
    "free", "nitro", "floor", "online", "thinking", "exacto", "extended", "batch",
];

/// Which models `GET /models?category=…` lists; made up, as the places in the real ranking move every day.
pub(crate) const CATEGORIES: [(&str, &[&str]); 12] = [
    (
        "programming",
        &[
            "anthropic/claude-sonnet-4.5",
            "openai/gpt-5",
            "qwen/qwen3-coder",
            "x-ai/grok-4",
        ],
    ),
    (
        "roleplay",
        &["deepseek/deepseek-chat", "meta-llama/llama-3.3-70b-instruct"],
    ),
    ("marketing", &["openai/gpt-4o-mini", "google/gemini-2.5-flash"]),
    ("marketing/seo", &["google/gemini-2.5-flash"]),
    ("technology", &["openai/gpt-5", "google/gemini-2.5-pro"]),
    ("science", &["openai/gpt-5", "deepseek/deepseek-r1"]),
    (
        "translation",
        &["google/gemini-2.5-flash", "mistralai/mistral-small-3.2-24b-instruct"],
    ),
    ("legal", &["anthropic/claude-opus-4.1"]),
    ("finance", &["openai/gpt-5-mini"]),
    ("health", &["google/gemini-2.5-pro"]),
    ("trivia", &["openai/gpt-4o-mini"]),
    ("academia", &["anthropic/claude-opus-4.1", "google/gemini-2.5-pro"]),
];

/// Ids that stand for another model, with the strategy that routing then reports.
pub(crate) const ALIASES: [(&str, &str, &str); 6] = [
    ("openrouter/auto", "openai/gpt-4o-mini", "auto"),
    ("openrouter/auto-beta", "openai/gpt-4o-mini", "auto"),
    ("openrouter/free", "meta-llama/llama-3.3-70b-instruct:free", "free"),
    (
        "~anthropic/claude-sonnet-latest",
        "anthropic/claude-sonnet-4.5",
        "latest",
    ),
    ("~openai/gpt-latest", "openai/gpt-5", "latest"),
    ("~google/gemini-flash-latest", "google/gemini-2.5-flash", "latest"),
];

const fn provider(
    slug: &'static str,
    name: &'static str,
    quantization: &'static str,
    zero_retention: bool,
    latency_s: f64,
    tokens_per_s: f64,
) -> Provider {
    Provider {
        slug,
        name,
        quantization,
        zero_retention,
        latency_s,
        tokens_per_s,
    }
}

/// The providers, with made-up but constant speeds.
pub(crate) const PROVIDERS: [Provider; 17] = [
    provider("anthropic", "Anthropic", "unknown", false, 1.2, 60.0),
    provider("amazon-bedrock", "Amazon Bedrock", "unknown", true, 1.6, 55.0),
    provider("google-vertex", "Google", "unknown", true, 0.9, 90.0),
    provider("google-ai-studio", "Google AI Studio", "unknown", false, 0.8, 95.0),
    provider("openai", "OpenAI", "unknown", false, 0.6, 80.0),
    provider("azure", "Azure", "unknown", true, 0.9, 85.0),
    provider("deepinfra", "DeepInfra", "fp8", true, 0.4, 40.0),
    provider("together", "Together", "fp8", true, 0.5, 90.0),
    provider("groq", "Groq", "unknown", true, 0.2, 300.0),
    provider("fireworks", "Fireworks", "bf16", true, 0.5, 110.0),
    provider("novita", "Novita", "fp8", false, 0.9, 35.0),
    provider("deepseek", "DeepSeek", "fp8", false, 1.5, 30.0),
    provider("mistral", "Mistral", "unknown", false, 0.3, 120.0),
    provider("xai", "xAI", "unknown", true, 0.9, 70.0),
    provider("alibaba", "Alibaba", "unknown", false, 1.1, 60.0),
    provider("cohere", "Cohere", "unknown", true, 0.3, 100.0),
    provider("sandbox", "Sandbox", "unknown", true, 0.0, 1000.0),
];

const TOOLS: &[&str] = &[
    "max_tokens",
    "temperature",
    "top_p",
    "stop",
    "tools",
    "tool_choice",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "response_format",
    "structured_outputs",
    "parallel_tool_calls",
    "top_k",
];
const REASONS: &[&str] = &[
    "max_tokens",
    "temperature",
    "top_p",
    "stop",
    "tools",
    "tool_choice",
    "seed",
    "response_format",
    "structured_outputs",
    "reasoning",
    "reasoning_effort",
    "include_reasoning",
    "parallel_tool_calls",
    "top_k",
];
const PLAIN: &[&str] = &[
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "seed",
    "frequency_penalty",
];
const EVERYTHING: &[&str] = &[
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "top_a",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "max_tokens",
    "max_completion_tokens",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "prediction",
    "seed",
    "response_format",
    "structured_outputs",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "include_reasoning",
    "reasoning",
    "reasoning_effort",
    "web_search_options",
    "verbosity",
];

const SEES: &[&str] = &["text", "image", "file"];
const READS: &[&str] = &["text"];
const SENSES: &[&str] = &["text", "image", "file", "audio", "video"];

const CLAUDE: &[&str] = &["anthropic", "amazon-bedrock", "google-vertex"];
const GPT: &[&str] = &["openai", "azure"];
const GEMINI: &[&str] = &["google-vertex", "google-ai-studio"];
const OPEN: &[&str] = &["deepinfra", "together", "groq", "fireworks", "novita"];

/// Length of the vectors of a scripted id.
const SCRIPTED_DIMENSIONS: usize = 256;

/// What every scripted id has in common. It is asked for anything, so that any endpoint can be made to fail.
static SCRIPTED: Facts = Facts {
    id: "sandbox/scripted",
    name: "Sandbox",
    context_tokens: 131_072,
    max_output_tokens: 65_536,
    prompt_usd: "0.000001",
    completion_usd: "0.000002",
    providers: &["sandbox"],
    parameters: EVERYTHING,
    inputs: SENSES,
    tokenizer: "Other",
    kind: Kind::Chat,
    dimensions: SCRIPTED_DIMENSIONS,
};

macro_rules! facts {
    ($($id:literal $name:literal $context:literal $output:literal $prompt:literal $completion:literal
       $providers:ident $parameters:ident $inputs:ident $tokenizer:literal $kind:ident
       $dimensions:literal;)*) => {
        &[$(Facts {
            id: $id, name: $name, context_tokens: $context, max_output_tokens: $output, prompt_usd: $prompt,
            completion_usd: $completion, providers: $providers, parameters: $parameters, inputs: $inputs,
            tokenizer: $tokenizer, kind: Kind::$kind, dimensions: $dimensions,
        }),*]
    };
}

const DEEPSEEK: &[&str] = &["deepseek", "deepinfra", "novita", "fireworks", "together"];
const MISTRAL: &[&str] = &["mistral", "deepinfra", "together"];
const XAI: &[&str] = &["xai"];
const QWEN: &[&str] = &["alibaba", "deepinfra", "together", "fireworks"];
const COHERE: &[&str] = &["cohere"];
const DEEPINFRA: &[&str] = &["deepinfra"];

// Source: the public catalogue; prices move, and nothing depends on their being of today.
static MODELS: &[Facts] = facts! {
    "anthropic/claude-haiku-4.5" "Anthropic: Claude Haiku 4.5" 200_000 64_000 "0.000001" "0.000005" CLAUDE REASONS SEES "Claude" Chat 0;
    "anthropic/claude-sonnet-4.5" "Anthropic: Claude Sonnet 4.5" 1_000_000 64_000 "0.000003" "0.000015" CLAUDE REASONS SEES "Claude" Chat 0;
    "anthropic/claude-opus-4" "Anthropic: Claude Opus 4" 200_000 32_000 "0.000015" "0.000075" CLAUDE REASONS SEES "Claude" Chat 0;
    "anthropic/claude-opus-4.1" "Anthropic: Claude Opus 4.1" 200_000 32_000 "0.000015" "0.000075" CLAUDE REASONS SEES "Claude" Chat 0;
    "openai/gpt-4o" "OpenAI: GPT-4o" 128_000 16_384 "0.0000025" "0.00001" GPT TOOLS SEES "GPT" Chat 0;
    "openai/gpt-4o-mini" "OpenAI: GPT-4o-mini" 128_000 16_384 "0.00000015" "0.0000006" GPT TOOLS SEES "GPT" Chat 0;
    "openai/gpt-4.1" "OpenAI: GPT-4.1" 1_047_576 32_768 "0.000002" "0.000008" GPT TOOLS SEES "GPT" Chat 0;
    "openai/gpt-5" "OpenAI: GPT-5" 400_000 128_000 "0.00000125" "0.00001" GPT REASONS SEES "GPT" Chat 0;
    "openai/gpt-5-mini" "OpenAI: GPT-5 Mini" 400_000 128_000 "0.00000025" "0.000002" GPT REASONS SEES "GPT" Chat 0;
    "google/gemini-2.5-flash" "Google: Gemini 2.5 Flash" 1_048_576 65_535 "0.0000003" "0.0000025" GEMINI REASONS SENSES "Gemini" Chat 0;
    "google/gemini-2.5-pro" "Google: Gemini 2.5 Pro" 1_048_576 65_536 "0.00000125" "0.00001" GEMINI REASONS SENSES "Gemini" Chat 0;
    "meta-llama/llama-3.3-70b-instruct" "Meta: Llama 3.3 70B Instruct" 131_072 16_384 "0.00000013" "0.00000038" OPEN TOOLS READS "Llama3" Chat 0;
    "meta-llama/llama-3.3-70b-instruct:free" "Meta: Llama 3.3 70B Instruct (free)" 65_536 16_384 "0" "0" OPEN TOOLS READS "Llama3" Chat 0;
    "deepseek/deepseek-chat" "DeepSeek: DeepSeek V3" 163_840 163_840 "0.0000003" "0.0000012" DEEPSEEK TOOLS READS "DeepSeek" Chat 0;
    "deepseek/deepseek-r1" "DeepSeek: R1" 163_840 163_840 "0.0000007" "0.0000024" DEEPSEEK REASONS READS "DeepSeek" Chat 0;
    "mistralai/mistral-small-3.2-24b-instruct" "Mistral: Mistral Small 3.2 24B" 131_072 131_072 "0.00000006" "0.00000018" MISTRAL TOOLS SEES "Mistral" Chat 0;
    "x-ai/grok-4" "xAI: Grok 4" 256_000 256_000 "0.000003" "0.000015" XAI REASONS SEES "Grok" Chat 0;
    "qwen/qwen3-coder" "Qwen: Qwen3 Coder 480B A35B" 262_144 262_144 "0.00000022" "0.00000095" QWEN TOOLS READS "Qwen3" Chat 0;
    "google/gemma-3-4b-it" "Google: Gemma 3 4B" 131_072 8_192 "0.00000002" "0.00000004" DEEPINFRA PLAIN SEES "Gemini" Chat 0;
    "openai/text-embedding-3-small" "OpenAI: Text Embedding 3 Small" 8_192 0 "0.00000002" "0" GPT PLAIN READS "GPT" Embeddings 1_536;
    "openai/text-embedding-3-large" "OpenAI: Text Embedding 3 Large" 8_192 0 "0.00000013" "0" GPT PLAIN READS "GPT" Embeddings 3_072;
    "cohere/rerank-v3.5" "Cohere: Rerank v3.5" 4_096 0 "0.000001" "0" COHERE PLAIN READS "Cohere" Rerank 0;
    "openai/gpt-4o-mini-tts" "OpenAI: GPT-4o-mini TTS" 2_000 0 "0.0000006" "0" GPT PLAIN READS "GPT" Speech 0;
};

/// The real models, in the order of the table; the routers among the ids are in [`ALIASES`].
pub(crate) fn models() -> impl Iterator<Item = Model> {
    MODELS.iter().map(|facts| Model {
        id: facts.id.to_owned(),
        facts,
        description: None,
        own_prices_usd: None,
    })
}

/// The model that `id` names, with or without a variant. Aliases and scripted ids are not looked at.
pub(crate) fn find(id: &str) -> Option<Model> {
    let exact = MODELS.iter().find(|facts| facts.id == id);
    let facts = exact.or_else(|| {
        let base = base_of(id)?;
        MODELS.iter().find(|facts| facts.id == base)
    })?;
    Some(Model {
        id: id.to_owned(),
        facts,
        description: None,
        own_prices_usd: None,
    })
}

/// A model for an id that only a script knows.
pub(crate) fn scripted(id: &str, description: &str) -> Model {
    Model {
        id: id.to_owned(),
        facts: &SCRIPTED,
        description: Some(description.to_owned()),
        own_prices_usd: None,
    }
}

/// `id` without its variant, if it has a known one.
pub(crate) fn base_of(id: &str) -> Option<&str> {
    let (base, variant) = id.rsplit_once(':')?;
    VARIANTS.contains(&variant).then_some(base)
}

impl Model {
    pub(crate) fn is_free(&self) -> bool {
        self.id.ends_with(":free")
    }

    /// Whether requests of `kind` may name it.
    pub(crate) fn does(&self, kind: Kind) -> bool {
        self.facts.kind == kind || self.is_scripted()
    }

    pub(crate) fn is_scripted(&self) -> bool {
        self.facts.id == SCRIPTED.id
    }

    pub(crate) fn author(&self) -> &str {
        self.id.split('/').next().unwrap_or_default()
    }

    /// US dollars for one token of the prompt and of the answer, as text.
    pub(crate) fn prices_usd(&self) -> (&str, &str) {
        if let Some((prompt, completion)) = &self.own_prices_usd {
            return (prompt, completion);
        }
        if self.is_free() {
            return ("0", "0");
        }
        (self.facts.prompt_usd, self.facts.completion_usd)
    }

    pub(crate) fn providers(&self) -> impl Iterator<Item = &'static Provider> {
        let slugs = self.facts.providers;
        slugs
            .iter()
            .filter_map(|slug| PROVIDERS.iter().find(|provider| provider.slug == *slug))
    }
}

impl Kind {
    /// The word for what comes out, as `architecture.output_modalities` has it.
    pub(crate) fn output(self) -> &'static str {
        match self {
            Self::Chat => "text",
            Self::Embeddings => "embeddings",
            Self::Rerank => "rerank",
            Self::Speech => "speech",
        }
    }

    /// What a model of this kind is called, and where it is asked.
    pub(crate) fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Chat => ("a chat model", "/api/v1/chat/completions"),
            Self::Embeddings => ("an embedding model", "/api/v1/embeddings"),
            Self::Rerank => ("a rerank model", "/api/v1/rerank"),
            Self::Speech => ("a speech model", "/api/v1/audio/speech"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_only_look_like_ids_are_unknown() {
        for id in [
            "anthropic/claude-sonnet-4-5",
            "anthropic/claude-haiku-4",
            "gpt-4o",
            "openai/gpt-4o:cheap",
        ] {
            assert!(find(id).is_none(), "{id}");
        }
    }

    #[test]
    fn a_variant_of_a_known_id_is_known() {
        let model = find("openai/gpt-4o:nitro").expect("`nitro` is a variant");
        assert_eq!(
            (model.id.as_str(), model.facts.id),
            ("openai/gpt-4o:nitro", "openai/gpt-4o")
        );
    }

    #[test]
    fn a_free_variant_costs_nothing() {
        let model = find("deepseek/deepseek-chat:free").expect("`free` is a variant");
        assert_eq!(model.prices_usd(), ("0", "0"));
    }

    #[test]
    fn every_model_has_providers_and_prices() {
        for model in models() {
            assert_eq!(model.providers().count(), model.facts.providers.len(), "{}", model.id);
            let (prompt, completion) = model.prices_usd();
            assert!(
                prompt.parse::<f64>().is_ok() && completion.parse::<f64>().is_ok(),
                "{}",
                model.id
            );
        }
    }

    #[test]
    fn every_category_names_models() {
        for (category, ids) in CATEGORIES {
            assert!(ids.iter().all(|id| find(id).is_some()), "{category}");
        }
    }

    #[test]
    fn every_alias_leads_to_a_model() {
        for (alias, target, _) in ALIASES {
            assert!(find(target).is_some(), "{alias}");
        }
    }

    #[test]
    fn a_provider_answers_to_its_slug_its_variants_and_its_name() {
        let provider = &PROVIDERS[2];
        assert!(
            ["google-vertex", "google-vertex/us-east5", "Google"]
                .iter()
                .all(|name| provider.answers_to(name))
        );
        assert!(!provider.answers_to("google-ai-studio"));
    }
}
