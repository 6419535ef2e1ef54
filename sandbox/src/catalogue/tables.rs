//! The tables behind the catalogue: providers, models, aliases, categories. Data only.

use super::model::{Facts, Kind, Provider};

/// Unix time of every entry and every reply, so that two runs give the same bytes: 2026-01-01T00:00:00Z.
pub(crate) const CREATED_S: u64 = 1_767_225_600;

/// The models that `GET /models?category=…` lists; made up, since the real ranking changes every day.
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

/// Ids that lead to another model, and the strategy that routing reports for them.
pub(crate) const ALIASES: [(&str, &str, &str); 11] = [
    ("openrouter/auto", "openai/gpt-4o-mini", "auto"),
    ("openrouter/auto-beta", "openai/gpt-4o-mini", "auto"),
    ("openrouter/free", "meta-llama/llama-3.3-70b-instruct:free", "free"),
    ("openrouter/fusion", "openai/gpt-5", "fusion"),
    ("openrouter/pareto-code", "qwen/qwen3-coder", "pareto"),
    ("~anthropic/claude-haiku-latest", "anthropic/claude-haiku-4.5", "latest"),
    (
        "~anthropic/claude-sonnet-latest",
        "anthropic/claude-sonnet-4.5",
        "latest",
    ),
    ("~anthropic/claude-opus-latest", "anthropic/claude-opus-4.1", "latest"),
    ("~google/gemini-pro-latest", "google/gemini-2.5-pro", "latest"),
    ("~openai/gpt-latest", "openai/gpt-5", "latest"),
    ("~google/gemini-flash-latest", "google/gemini-2.5-flash", "latest"),
];

/// Models whose canonical slug differs from their id, with that slug.
// Source: examples in the API description of 2026-08-22.
pub(crate) const SLUGS: [(&str, &str); 7] = [
    ("anthropic/claude-3.5-sonnet", "anthropic/claude-3.5-sonnet-20241022"),
    ("anthropic/claude-sonnet-4.5", "anthropic/claude-4.5-sonnet-20250929"),
    ("anthropic/claude-sonnet-4.6", "anthropic/claude-4.6-sonnet"),
    ("anthropic/claude-opus-4.5", "anthropic/claude-4.5-opus-20251124"),
    ("anthropic/claude-opus-4.8", "anthropic/claude-4.8-opus"),
    ("openai/gpt-4.1", "openai/gpt-4.1-2025-04-14"),
    ("openai/gpt-5.2", "openai/gpt-5.2-20251211"),
];

macro_rules! providers {
    ($($slug:literal $name:literal $quantization:literal $zero_retention:literal $latency_s:literal
       $tokens_per_s:literal;)*) => {
        [$(Provider {
            slug: $slug, name: $name, quantization: $quantization, zero_retention: $zero_retention,
            latency_s: $latency_s, tokens_per_s: $tokens_per_s,
        }),*]
    };
}

/// The providers, with made-up but constant speeds.
pub(crate) const PROVIDERS: [Provider; 18] = providers! {
    "anthropic" "Anthropic" "unknown" false 1.2 60.0;
    "amazon-bedrock" "Amazon Bedrock" "unknown" true 1.6 55.0;
    "google-vertex" "Google" "unknown" true 0.9 90.0;
    "google-ai-studio" "Google AI Studio" "unknown" false 0.8 95.0;
    "openai" "OpenAI" "unknown" false 0.6 80.0;
    "azure" "Azure" "unknown" true 0.9 85.0;
    "deepinfra" "DeepInfra" "fp8" true 0.4 40.0;
    "together" "Together" "fp8" true 0.5 90.0;
    "groq" "Groq" "unknown" true 0.2 300.0;
    "fireworks" "Fireworks" "bf16" true 0.5 110.0;
    "novita" "Novita" "fp8" false 0.9 35.0;
    "deepseek" "DeepSeek" "fp8" false 1.5 30.0;
    "mistral" "Mistral" "unknown" false 0.3 120.0;
    "xai" "xAI" "unknown" true 0.9 70.0;
    "alibaba" "Alibaba" "unknown" false 1.1 60.0;
    "cohere" "Cohere" "unknown" true 0.3 100.0;
    "seed" "Seed" "unknown" false 2.0 50.0;
    "sandbox" "Sandbox" "unknown" true 0.0 1000.0;
};

const TOOLS: &[&str] = &words!(
    max_tokens temperature top_p stop tools tool_choice seed frequency_penalty presence_penalty response_format
    structured_outputs parallel_tool_calls top_k
);
const REASONS: &[&str] = &words!(
    max_tokens temperature top_p stop tools tool_choice seed response_format structured_outputs reasoning
    reasoning_effort include_reasoning parallel_tool_calls top_k
);
const PLAIN: &[&str] = &words!(max_tokens temperature top_p top_k stop seed frequency_penalty);
const EVERYTHING: &[&str] = &words!(
    temperature top_p top_k min_p top_a frequency_penalty presence_penalty repetition_penalty max_tokens
    max_completion_tokens logit_bias logprobs top_logprobs prediction seed response_format structured_outputs stop
    tools tool_choice parallel_tool_calls include_reasoning reasoning reasoning_effort web_search_options verbosity
);

const SEES: &[&str] = &["text", "image", "file"];
const READS: &[&str] = &["text"];
const HEARS: &[&str] = &["audio"];
const SENSES: &[&str] = &["text", "image", "file", "audio", "video"];

const CLAUDE: &[&str] = &["anthropic", "amazon-bedrock", "google-vertex"];
const GPT: &[&str] = &["openai", "azure"];
const GEMINI: &[&str] = &["google-vertex", "google-ai-studio"];
const OPEN: &[&str] = &["deepinfra", "together", "groq", "fireworks", "novita"];
const DEEPSEEK: &[&str] = &["deepseek", "deepinfra", "novita", "fireworks", "together"];
const MISTRAL: &[&str] = &["mistral", "deepinfra", "together"];
const XAI: &[&str] = &["xai"];
const QWEN: &[&str] = &["alibaba", "deepinfra", "together", "fireworks"];
const COHERE: &[&str] = &["cohere"];
const DEEPINFRA: &[&str] = &["deepinfra"];
const GROQ: &[&str] = &["groq"];
const SEED: &[&str] = &["seed"];

/// The facts of every scripted id. It accepts any kind of request, so that any endpoint can be made to fail.
pub(super) static SCRIPTED: Facts = Facts {
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
    dimensions: 256,
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

// Source: the public catalogue. Prices move; nothing depends on today's.
pub(super) static MODELS: &[Facts] = facts! {
    "anthropic/claude-3-opus" "Anthropic: Claude 3 Opus" 200_000 4_096 "0.000015" "0.000075" CLAUDE TOOLS SEES "Claude" Chat 0;
    "anthropic/claude-3.5-sonnet" "Anthropic: Claude 3.5 Sonnet" 200_000 8_192 "0.000006" "0.00003" CLAUDE TOOLS SEES "Claude" Chat 0;
    "anthropic/claude-haiku-4.5" "Anthropic: Claude Haiku 4.5" 200_000 64_000 "0.000001" "0.000005" CLAUDE REASONS SEES "Claude" Chat 0;
    "anthropic/claude-sonnet-4" "Anthropic: Claude Sonnet 4" 200_000 64_000 "0.000003" "0.000015" CLAUDE REASONS SEES "Claude" Chat 0;
    "anthropic/claude-sonnet-4.5" "Anthropic: Claude Sonnet 4.5" 1_000_000 64_000 "0.000003" "0.000015" CLAUDE REASONS SEES "Claude" Chat 0;
    "anthropic/claude-sonnet-4.6" "Anthropic: Claude Sonnet 4.6" 1_000_000 128_000 "0.000003" "0.000015" CLAUDE REASONS SEES "Claude" Chat 0;
    "anthropic/claude-sonnet-5" "Anthropic: Claude Sonnet 5" 1_000_000 128_000 "0.000003" "0.000015" CLAUDE REASONS SEES "Claude" Chat 0;
    "anthropic/claude-opus-4" "Anthropic: Claude Opus 4" 200_000 32_000 "0.000015" "0.000075" CLAUDE REASONS SEES "Claude" Chat 0;
    "anthropic/claude-opus-4.1" "Anthropic: Claude Opus 4.1" 200_000 32_000 "0.000015" "0.000075" CLAUDE REASONS SEES "Claude" Chat 0;
    "anthropic/claude-opus-4.5" "Anthropic: Claude Opus 4.5" 200_000 64_000 "0.000005" "0.000025" CLAUDE REASONS SEES "Claude" Chat 0;
    "anthropic/claude-opus-4.8" "Anthropic: Claude Opus 4.8" 1_000_000 128_000 "0.000005" "0.000025" CLAUDE REASONS SEES "Claude" Chat 0;
    "openai/gpt-4" "OpenAI: GPT-4" 8_191 4_096 "0.00003" "0.00006" GPT TOOLS READS "GPT" Chat 0;
    "openai/gpt-4o" "OpenAI: GPT-4o" 128_000 16_384 "0.0000025" "0.00001" GPT TOOLS SEES "GPT" Chat 0;
    "openai/gpt-4o-2024-05-13" "OpenAI: GPT-4o (2024-05-13)" 128_000 4_096 "0.000005" "0.000015" GPT TOOLS SEES "GPT" Chat 0;
    "openai/gpt-4o-mini" "OpenAI: GPT-4o-mini" 128_000 16_384 "0.00000015" "0.0000006" GPT TOOLS SEES "GPT" Chat 0;
    "openai/gpt-4o-mini-2024-07-18" "OpenAI: GPT-4o-mini (2024-07-18)" 128_000 16_384 "0.00000015" "0.0000006" GPT TOOLS SEES "GPT" Chat 0;
    "openai/gpt-4.1" "OpenAI: GPT-4.1" 1_047_576 32_768 "0.000002" "0.000008" GPT TOOLS SEES "GPT" Chat 0;
    "openai/gpt-4.1-mini" "OpenAI: GPT-4.1 Mini" 1_047_576 32_768 "0.0000004" "0.0000016" GPT TOOLS SEES "GPT" Chat 0;
    "openai/gpt-5" "OpenAI: GPT-5" 400_000 128_000 "0.00000125" "0.00001" GPT REASONS SEES "GPT" Chat 0;
    "openai/gpt-5-mini" "OpenAI: GPT-5 Mini" 400_000 128_000 "0.00000025" "0.000002" GPT REASONS SEES "GPT" Chat 0;
    "openai/gpt-5-image" "OpenAI: GPT-5 Image" 400_000 128_000 "0.00001" "0.00001" GPT REASONS SEES "GPT" Painter 0;
    "openai/gpt-5.2" "OpenAI: GPT-5.2" 400_000 128_000 "0.00000175" "0.000014" GPT REASONS SEES "GPT" Chat 0;
    "openai/gpt-5.4" "OpenAI: GPT-5.4" 400_000 128_000 "0.0000025" "0.000015" GPT REASONS SEES "GPT" Chat 0;
    "google/gemini-2.5-flash" "Google: Gemini 2.5 Flash" 1_048_576 65_535 "0.0000003" "0.0000025" GEMINI REASONS SENSES "Gemini" Chat 0;
    "google/gemini-2.5-flash-image" "Google: Gemini 2.5 Flash Image" 32_768 32_768 "0.0000003" "0.0000025" GEMINI PLAIN SENSES "Gemini" Painter 0;
    "google/gemini-2.5-pro" "Google: Gemini 2.5 Pro" 1_048_576 65_536 "0.00000125" "0.00001" GEMINI REASONS SENSES "Gemini" Chat 0;
    "meta-llama/llama-3.3-70b-instruct" "Meta: Llama 3.3 70B Instruct" 131_072 16_384 "0.00000013" "0.00000038" OPEN TOOLS READS "Llama3" Chat 0;
    "meta-llama/llama-3.3-70b-instruct:free" "Meta: Llama 3.3 70B Instruct (free)" 65_536 16_384 "0" "0" OPEN TOOLS READS "Llama3" Chat 0;
    "deepseek/deepseek-chat" "DeepSeek: DeepSeek V3" 163_840 163_840 "0.0000003" "0.0000012" DEEPSEEK TOOLS READS "DeepSeek" Chat 0;
    "deepseek/deepseek-r1" "DeepSeek: R1" 163_840 163_840 "0.0000007" "0.0000024" DEEPSEEK REASONS READS "DeepSeek" Chat 0;
    "deepseek/deepseek-r1-0528" "DeepSeek: R1 0528" 163_840 163_840 "0.0000005" "0.00000215" DEEPSEEK REASONS READS "DeepSeek" Chat 0;
    "mistralai/mistral-small-3.2-24b-instruct" "Mistral: Mistral Small 3.2 24B" 131_072 131_072 "0.00000006" "0.00000018" MISTRAL TOOLS SEES "Mistral" Chat 0;
    "x-ai/grok-4" "xAI: Grok 4" 256_000 256_000 "0.000003" "0.000015" XAI REASONS SEES "Grok" Chat 0;
    "qwen/qwen3-coder" "Qwen: Qwen3 Coder 480B A35B" 262_144 262_144 "0.00000022" "0.00000095" QWEN TOOLS READS "Qwen3" Chat 0;
    "google/gemma-3-4b-it" "Google: Gemma 3 4B" 131_072 8_192 "0.00000002" "0.00000004" DEEPINFRA PLAIN SEES "Gemini" Chat 0;
    "sao10k/l3-stheno-8b" "Sao10K: Llama 3 8B Stheno" 8_192 8_192 "0.00000005" "0.00000005" DEEPINFRA PLAIN READS "Llama3" Chat 0;
    "openai/text-embedding-3-small" "OpenAI: Text Embedding 3 Small" 8_192 0 "0.00000002" "0" GPT PLAIN READS "GPT" Embeddings 1_536;
    "openai/text-embedding-3-large" "OpenAI: Text Embedding 3 Large" 8_192 0 "0.00000013" "0" GPT PLAIN READS "GPT" Embeddings 3_072;
    "openai/text-embedding-ada-002" "OpenAI: Text Embedding Ada 002" 8_192 0 "0.0000001" "0" GPT PLAIN READS "GPT" Embeddings 1_536;
    "cohere/rerank-v3.5" "Cohere: Rerank v3.5" 4_096 0 "0.000001" "0" COHERE PLAIN READS "Cohere" Rerank 0;
    "openai/gpt-4o-mini-tts" "OpenAI: GPT-4o-mini TTS" 2_000 0 "0.0000006" "0" GPT PLAIN READS "GPT" Speech 0;
    "mistralai/voxtral-mini-tts-2603" "Mistral: Voxtral Mini TTS" 4_096 0 "0.000016" "0" MISTRAL PLAIN READS "Mistral" Speech 0;
    "openai/whisper-large-v3" "OpenAI: Whisper Large V3" 448 0 "0.0000005" "0" GROQ PLAIN HEARS "Other" Transcripts 0;
    "bytedance-seed/seedream-4.5" "ByteDance Seed: Seedream 4.5" 4_096 0 "0" "0.00000958" SEED PLAIN SEES "Other" Pictures 0;
    "openai/dall-e-3" "OpenAI: DALL-E 3" 4_096 0 "0" "0.00000958" GPT PLAIN READS "Other" Pictures 0;
    "google/veo-3.1" "Google: Veo 3.1" 4_096 0 "0" "0.0001" GEMINI PLAIN SEES "Other" Videos 0;
};
