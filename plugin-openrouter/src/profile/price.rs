//! A price in a profile: a number or a decimal string. Pure.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A price as a decimal string, such as `0.1`: no sign, no exponent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Price(String);

const PRICE_PATTERN: &str = r"^[0-9]+(\.[0-9]+)?$";

impl Price {
    /// The decimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn from_text(text: &str) -> Option<Self> {
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let is_price = match text.split_once('.') {
            Some((whole, fraction)) => is_number(whole) && is_number(fraction),
            None => is_number(text),
        };
        is_price.then(|| Self(text.to_owned()))
    }

    fn from_number(value: f64) -> Option<Self> {
        // Display writes the shortest decimal that parses back to the same number, never with an exponent.
        // Adding zero turns -0 into 0.
        (value.is_finite() && value >= 0.0).then(|| Self((value + 0.0).to_string()))
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PriceVisitor;

        impl Visitor<'_> for PriceVisitor {
            type Value = Price;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a price of 0 or more in US dollars, such as `0.5` or `\"0.5\"`")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Price, E> {
                Ok(Price(value.to_string()))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Price, E> {
                Err(E::invalid_value(de::Unexpected::Signed(value), &self))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Price, E> {
                Price::from_number(value).ok_or_else(|| E::invalid_value(de::Unexpected::Float(value), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Price, E> {
                Price::from_text(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(PriceVisitor)
    }
}

impl JsonSchema for Price {
    fn schema_name() -> Cow<'static, str> {
        "Price".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A price of 0 or more in US dollars, such as `0.5` or `\"0.5\"`.",
            "type": ["number", "string"],
            "minimum": 0,
            "pattern": PRICE_PATTERN,
        })
    }
}
