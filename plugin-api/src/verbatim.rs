//! JSON that is kept exactly as it was written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Any JSON value, byte for byte as it was received, for services that want something back unchanged.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Verbatim(Box<RawValue>);

impl Verbatim {
    /// Keeps `json`; `None` if it is not valid JSON.
    pub fn parse(json: String) -> Option<Self> {
        RawValue::from_string(json).ok().map(Self)
    }

    /// The JSON text.
    pub fn get(&self) -> &str {
        self.0.get()
    }
}

impl From<Box<RawValue>> for Verbatim {
    fn from(json: Box<RawValue>) -> Self {
        Self(json)
    }
}

impl PartialEq for Verbatim {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Verbatim {}

impl fmt::Debug for Verbatim {
    /// Prints the size only: it may be part of a conversation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verbatim({} bytes)", self.get().len())
    }
}

impl JsonSchema for Verbatim {
    fn schema_name() -> Cow<'static, str> {
        "Verbatim".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "description": "Any JSON, kept exactly as it was written." })
    }
}
