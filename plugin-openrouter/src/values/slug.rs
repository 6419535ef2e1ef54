//! Turns provider names into the slugs that OpenRouter routes by. Pure.

use std::borrow::Cow;

/// Display names whose slugs do not follow from the rule in [`provider_slug`].
const SLUGS: [(&str, &str); 33] = [
    ("AionLabs", "aion-labs"),
    ("AtlasCloud", "atlas-cloud"),
    ("AWS", "amazon-bedrock"),
    ("AWS Bedrock", "amazon-bedrock"),
    ("Azure OpenAI", "azure"),
    ("Bedrock", "amazon-bedrock"),
    ("Claude Platform on AWS", "claude-on-aws"),
    ("Cloudflare Workers AI", "cloudflare"),
    ("FakeProvider", "fake-provider"),
    ("Fireworks AI", "fireworks"),
    ("Google", "google-vertex"),
    ("Google Vertex AI", "google-vertex"),
    ("Inference.net", "inference-net"),
    ("InferenceNet", "inference-net"),
    ("Io.net", "io-net"),
    ("Mancer 2", "mancer"),
    ("Microsoft Azure", "azure"),
    ("Mistral AI", "mistral"),
    ("Moonshot", "moonshotai"),
    ("Moonshot AI", "moonshotai"),
    ("Novita AI", "novita"),
    ("NovitaAI", "novita"),
    ("OpenInference", "open-inference"),
    ("Thinking Machines", "thinkingmachines"),
    ("Together AI", "together"),
    ("Vertex", "google-vertex"),
    ("Vertex AI", "google-vertex"),
    ("Voyage AI", "voyageai"),
    ("VoyageAI by MongoDB", "voyageai"),
    ("Weights & Biases", "wandb"),
    ("x.AI", "xai"),
    ("Z AI", "z-ai"),
    ("Z.AI", "z-ai"),
];

/// Turns a provider's name into the slug that OpenRouter routes by.
///
/// - In: a slug, which passes unchanged, or a display name, with or without `/variant`.
/// - Out: `amazon-bedrock` for `AWS Bedrock`. A name that is not in the table is lowercased with `-`
///   for spaces, so that new providers work.
/// - Source: OpenRouter's API description, `ProviderName` and the slugs of `/byok`, August 2026.
pub fn provider_slug(name: &str) -> Cow<'_, str> {
    let name = name.trim();
    let is_slug_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-/.".contains(&byte);
    if name.bytes().all(is_slug_byte) {
        return Cow::Borrowed(name);
    }
    let (base, variant) = match name.find('/') {
        Some(at) => name.split_at(at),
        None => (name, ""),
    };
    let known = SLUGS.iter().find(|(display, _)| display.eq_ignore_ascii_case(base));
    let slug = match known {
        Some((_, slug)) => (*slug).to_owned(),
        None => base.to_lowercase().split_whitespace().collect::<Vec<_>>().join("-"),
    };
    Cow::Owned(slug + variant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_passes_unchanged() {
        for slug in "openai novita/fp8 google-vertex/us-east5 deepinfra/turbo z.ai".split(' ') {
            assert!(
                matches!(provider_slug(slug), Cow::Borrowed(same) if same == slug),
                "{slug}"
            );
        }
        assert_eq!(provider_slug(" openai "), "openai");
    }

    #[test]
    fn every_display_name_of_the_api_has_its_slug() {
        // Source: OpenRouter's API description.
        let table = "
            Modal=modal; AkashML=akashml; AI21=ai21; AionLabs=aion-labs; Alibaba=alibaba; Ambient=ambient;
            Baidu=baidu; Amazon Bedrock=amazon-bedrock; Amazon Nova=amazon-nova; Anthropic=anthropic;
            Arcee AI=arcee-ai; AtlasCloud=atlas-cloud; Avian=avian; Azure=azure; BaseTen=baseten; BytePlus=byteplus;
            Black Forest Labs=black-forest-labs; Cerebras=cerebras; Chutes=chutes; Cirrascale=cirrascale;
            Claude Platform on AWS=claude-on-aws; Clarifai=clarifai; Cloudflare=cloudflare; Cohere=cohere;
            CoreWeave=coreweave; Crucible=crucible; Crusoe=crusoe; Darkbloom=darkbloom; Databricks=databricks;
            Decart=decart; Deepgram=deepgram; DeepInfra=deepinfra; DeepSeek=deepseek; DekaLLM=dekallm;
            DigitalOcean=digitalocean; Featherless=featherless; Fireworks=fireworks; Fish Audio=fish-audio;
            Friendli=friendli; GMICloud=gmicloud; Google=google-vertex; Google AI Studio=google-ai-studio; Groq=groq;
            HeyGen=heygen; Inception=inception; Inceptron=inceptron; InferenceNet=inference-net; Ionstream=ionstream;
            Infermatic=infermatic; Io Net=io-net; Inferact vLLM=inferact-vllm; Inflection=inflection; Liquid=liquid;
            Makora=makora; Mara=mara; Mancer 2=mancer; Meta=meta; Minimax=minimax; ModelRun=modelrun; Mistral=mistral;
            Modular=modular; Moonshot AI=moonshotai; Morph=morph; VoyageAI by MongoDB=voyageai; NCompass=ncompass;
            Nebius=nebius; Nex AGI=nex-agi; NextBit=nextbit; Novita=novita; Nvidia=nvidia; OpenAI=openai;
            OpenInference=open-inference; Parasail=parasail; Poolside=poolside; Perceptron=perceptron;
            Perplexity=perplexity; Phala=phala; Recraft=recraft; Reka=reka; Relace=relace;
            Sail Research=sail-research; Sakana AI=sakana-ai; SambaNova=sambanova; Seed=seed; SiliconFlow=siliconflow;
            Sourceful=sourceful; StepFun=stepfun; Stealth=stealth; StreamLake=streamlake; Switchpoint=switchpoint;
            Tencent=tencent; Tenstorrent=tenstorrent; Thinking Machines=thinkingmachines; Together=together;
            Upstage=upstage; Venice=venice; Wafer=wafer; WandB=wandb; Quiver=quiver; Krea=krea; Runway=runway;
            Xiaomi=xiaomi; xAI=xai; Z.AI=z-ai; FakeProvider=fake-provider";
        let pairs: Vec<_> = table
            .split(';')
            .map(|pair| pair.trim().split_once('=').expect("each entry is name=slug"))
            .collect();
        assert_eq!(pairs.len(), 105);
        for (name, slug) in pairs {
            assert_eq!(provider_slug(name), slug, "{name}");
            assert_eq!(provider_slug(slug), slug);
        }
    }

    #[test]
    fn other_names_follow_the_table_or_the_rule() {
        for (name, slug) in [
            ("AWS Bedrock", "amazon-bedrock"),
            ("Bedrock", "amazon-bedrock"),
            ("aws bedrock", "amazon-bedrock"),
            ("TOGETHER AI", "together"),
            ("Google/us-east5", "google-vertex/us-east5"),
            ("Novita/fp8", "novita/fp8"),
            ("Moonshot", "moonshotai"),
            ("MoonshotAI", "moonshotai"),
            ("Brand  New Cloud", "brand-new-cloud"),
            ("Grüße", "grüße"),
            ("", ""),
        ] {
            assert_eq!(provider_slug(name), slug, "{name}");
        }
    }
}
