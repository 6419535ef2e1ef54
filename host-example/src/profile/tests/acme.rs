//! A provider with the kinds of options that a real one has.

use serde_json::json;

use super::super::ProviderSchema;

/// The provider `acme`, whose keys begin with `sk-acme-`.
pub(super) fn acme() -> ProviderSchema {
    ProviderSchema {
        provider: "acme".to_owned(),
        options_schema: json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Options", "type": "object", "additionalProperties": false,
            "properties": {
                "model": { "$ref": "#/$defs/ModelId", "description": "Model for calls that name no tier." },
                "fallbackModels": { "type": "array", "items": { "$ref": "#/$defs/ModelId" }, "maxItems": 3 },
                "tiers": { "type": "object", "additionalProperties": { "$ref": "#/$defs/Tier" } },
                "providerPreferences": { "$ref": "#/$defs/Preferences" },
                "timeouts": { "type": ["object", "null"], "additionalProperties": false, "properties": {
                    "connectMs": { "type": "integer", "format": "uint32", "minimum": 1000, "maximum": 3600000 },
                    "idleMs": { "type": ["integer", "null"], "minimum": 1 }
                } },
                "cache": { "oneOf": [
                    { "type": "object", "additionalProperties": false, "required": ["type"],
                      "properties": { "type": { "const": "none" } } },
                    { "type": "object", "additionalProperties": false, "required": ["type", "maxBytes"],
                      "properties": { "type": { "const": "disk" }, "maxBytes": { "type": "integer" } } }
                ] }
            },
            "$defs": {
                "ModelId": { "description": "A model id such as `author/model`.", "type": "string",
                    "pattern": "^[~@]?[\\w.-]+/[\\w.:-]+$" },
                "Tier": { "description": "One tier.",
                    "anyOf": [{ "$ref": "#/$defs/ModelId" }, { "$ref": "#/$defs/TierOptions" }] },
                "TierOptions": { "type": "object", "additionalProperties": false, "required": ["model"], "properties": {
                    "model": { "$ref": "#/$defs/ModelId" },
                    "parameters": { "$ref": "#/$defs/Parameters" },
                    "providerPreferences": { "$ref": "#/$defs/Preferences" }
                } },
                "Parameters": { "type": "object", "additionalProperties": false, "properties": {
                    "temperature": { "type": "number", "minimum": 0.0, "maximum": 2.0 },
                    "maxTokens": { "type": "integer", "minimum": 1 },
                    "stop": { "type": "array", "items": { "type": "string" } }
                } },
                "Preferences": { "type": "object", "additionalProperties": false, "properties": {
                    "order": { "type": "array", "items": { "type": "string" } },
                    "allowFallbacks": { "type": "boolean" },
                    "dataCollection": { "oneOf": [
                        { "description": "May be kept.", "const": "allow" },
                        { "description": "Never kept.", "const": "deny" }
                    ] },
                    "sort": { "anyOf": [
                        { "type": "string", "enum": ["price", "throughput", "latency"] },
                        { "$ref": "#/$defs/Sort" }
                    ] },
                    "maxPrice": { "type": "object", "additionalProperties": false,
                        "properties": { "prompt": { "type": ["string", "number"] } } }
                } },
                "Sort": { "type": "object", "additionalProperties": false, "required": ["by"], "properties": {
                    "by": { "enum": ["price", "throughput", "latency"] },
                    "partition": { "type": "string" }
                } }
            }
        }),
        key_prefixes: vec!["sk-acme-".to_owned()],
    }
}
