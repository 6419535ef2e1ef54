//! What the service itself says that calls cost, beside the ledger: by day and model, with the differences.
//!
//! Pure. What is unknown is absent or `-`, never zero. Days are days in UTC on both sides.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;
use serde_json::{Number, Value, json};
use store::{By, Nanos, Query, Row};

use crate::terminal::{self, Fit, Page};

/// How many completed days services report.
const DAYS: i64 = 30;

/// Days, from the first to the one before the last.
#[derive(Clone, Copy)]
pub struct Days {
    today: Date,
    first: Date,
    end: Date,
}

impl Days {
    /// The whole days in which these moments are; by default those that services report, and today.
    ///
    /// - In: milliseconds since 1970.
    pub fn around(since_ms: Option<i64>, until_ms: Option<i64>) -> Self {
        let day = |moment: Timestamp| moment.to_zoned(TimeZone::UTC).date();
        let of = |ms: i64| Timestamp::from_millisecond(ms).ok().map(day);
        let today = day(Timestamp::now());
        let until = until_ms.and_then(|ms| of(ms.saturating_sub(1)));
        Self {
            today,
            first: since_ms.and_then(of).unwrap_or(today.saturating_sub(DAYS.days())),
            end: until.unwrap_or(today).saturating_add(1.day()),
        }
    }

    /// What to ask the ledger.
    pub fn query(&self) -> Query {
        let midnight = |day: Date| {
            let midnight = day.to_zoned(TimeZone::UTC).ok();
            midnight.map(|midnight| midnight.timestamp().as_millisecond())
        };
        Query {
            by: vec![By::Day, By::Model, By::Plugin],
            since_ms: midnight(self.first),
            until_ms: midnight(self.end),
        }
    }

    fn has(&self, day: &str) -> bool {
        day.parse().is_ok_and(|day: Date| (self.first..self.end).contains(&day))
    }

    /// Whether services report this day, so that a model without a row had no call.
    fn is_reported(&self, day: &str) -> bool {
        let reported = self.today.saturating_sub(DAYS.days())..self.today;
        day.parse().is_ok_and(|day: Date| reported.contains(&day))
    }
}

/// The service's answer. Everything else in it is ignored.
#[derive(Deserialize)]
pub struct Activity {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    date: String,
    model: String,
    #[serde(default)]
    model_permaslug: Option<String>,
    #[serde(default)]
    requests: Option<u64>,
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    usage: Option<Number>,
    #[serde(default)]
    byok_usage_inference: Option<Number>,
}

/// What one side knows.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
struct Figures {
    calls: Option<i64>,
    tokens: Option<i64>,
    cost: Option<i64>,
}

impl Figures {
    const NONE: Self = Self {
        calls: Some(0),
        tokens: Some(0),
        cost: Some(0),
    };

    fn of_item(item: &Item) -> Self {
        let cost = |amount: &Option<Number>| Some(Nanos::parse(&amount.as_ref()?.to_string())?.0);
        let tokens = item.prompt_tokens.zip(item.completion_tokens);
        Self {
            calls: item.requests.and_then(whole),
            tokens: tokens.and_then(|(prompt, completion)| whole(prompt.saturating_add(completion))),
            cost: cost(&item.usage).map(|usage| usage.saturating_add(cost(&item.byok_usage_inference).unwrap_or(0))),
        }
    }

    /// Calls that failed have no row at the service.
    fn of_row(row: &Row) -> Self {
        let sums = &row.sums;
        let tokens = sums.prompt_tokens.zip(sums.completion_tokens);
        let costs = [sums.billed_usd, sums.upstream_usd];
        // An estimate is no bill.
        let is_known = sums.unknown_cost == 0 && sums.estimated_usd.is_none() && costs.iter().any(Option::is_some);
        Self {
            calls: whole(sums.calls - sums.errors),
            tokens: tokens.and_then(|(prompt, completion)| whole(prompt.saturating_add(completion))),
            cost: is_known.then(|| costs.iter().flatten().map(|cost| cost.0).fold(0, i64::saturating_add)),
        }
    }

    fn with(self, other: Self, join: impl Fn(i64, i64) -> i64) -> Self {
        let both = |one: Option<i64>, other: Option<i64>| Some(join(one?, other?));
        Self {
            calls: both(self.calls, other.calls),
            tokens: both(self.tokens, other.tokens),
            cost: both(self.cost, other.cost),
        }
    }

    fn plus(self, other: Self) -> Self {
        self.with(other, i64::saturating_add)
    }

    fn json(self) -> Value {
        let cost = self.cost.map(|cost| Nanos(cost).to_string());
        json!({"calls": self.calls, "tokens": self.tokens, "cost_usd": cost})
    }
}

fn whole(count: u64) -> Option<i64> {
    i64::try_from(count).ok()
}

/// Both sides of a day and a model.
#[derive(Clone, Copy)]
struct Pair {
    here: Figures,
    service: Figures,
}

impl Pair {
    fn difference(&self) -> Figures {
        self.service.with(self.here, i64::saturating_sub)
    }

    fn json(&self) -> Value {
        json!({"here": self.here.json(), "service": self.service.json(), "difference": self.difference().json()})
    }
}

/// Both sides by day and model.
pub struct Compared {
    pairs: BTreeMap<[String; 2], Pair>,
}

impl Compared {
    /// - In: the rows of [`Days::query`], of which those of this plugin count.
    pub fn of(days: Days, plugin: &str, rows: &[Row], activity: &Activity) -> Self {
        let mut service: BTreeMap<[String; 2], Figures> = BTreeMap::new();
        let mut slugs = BTreeMap::new();
        for item in &activity.data {
            // Some services add a time.
            let day = item.date.get(..10).unwrap_or(&item.date);
            if !days.has(day) {
                continue;
            }
            slugs.extend(item.model_permaslug.as_ref().map(|slug| (slug.as_str(), &item.model)));
            let figures = service.entry([day.to_owned(), item.model.clone()]);
            let figures = figures.or_insert(Figures::NONE);
            *figures = figures.plus(Figures::of_item(item));
        }
        let reported: BTreeSet<String> = service.keys().map(|[day, _]| day.clone()).collect();
        let mut here: BTreeMap<[String; 2], Figures> = BTreeMap::new();
        for row in rows {
            let [day, model, row_plugin] = row.key.as_slice() else {
                continue;
            };
            if row_plugin != plugin || row.sums.calls == row.sums.errors {
                continue;
            }
            // An answer may name the dated version of its model.
            let model = slugs.get(model.as_str()).map_or(model, |model| *model);
            let figures = here.entry([day.clone(), model.clone()]).or_insert(Figures::NONE);
            *figures = figures.plus(Figures::of_row(row));
        }
        let keys: BTreeSet<&[String; 2]> = here.keys().chain(service.keys()).collect();
        let pairs = keys.into_iter().map(|key| {
            let is_reported = days.is_reported(&key[0]) || reported.contains(&key[0]);
            let absent = if is_reported { Figures::NONE } else { Figures::default() };
            let pair = Pair {
                here: here.get(key).copied().unwrap_or(Figures::NONE),
                service: service.get(key).copied().unwrap_or(absent),
            };
            (key.clone(), pair)
        });
        Self { pairs: pairs.collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// All rows of the days that the service reports.
    fn total(&self) -> Pair {
        let none = Pair {
            here: Figures::NONE,
            service: Figures::NONE,
        };
        let known = self.pairs.values().filter(|pair| pair.service.calls.is_some());
        known.fold(none, |sum, pair| Pair {
            here: sum.here.plus(pair.here),
            service: sum.service.plus(pair.service),
        })
    }

    /// The answer for programs.
    pub fn json(&self) -> Value {
        let rows = self.pairs.iter().map(|([day, model], pair)| {
            let mut row = pair.json();
            row["day"] = json!(day);
            row["model"] = json!(model);
            row
        });
        json!({"rows": rows.collect::<Vec<Value>>(), "total": self.total().json()})
    }

    /// The answer for people.
    pub fn shown(&self, page: Page) -> terminal::Table {
        const HEAD: [(&str, Fit); 9] = [
            ("DAY", Fit::Whole),
            ("MODEL", Fit::Cut),
            ("CALLS", Fit::Whole),
            ("SERVICE", Fit::Whole),
            ("TOKENS", Fit::Spare),
            ("SERVICE", Fit::Spare),
            ("COST", Fit::Whole),
            ("SERVICE", Fit::Whole),
            ("DIFFERENCE", Fit::Whole),
        ];
        let total = ["total".to_owned(), String::new()];
        let rows = self.pairs.iter().map(|(key, pair)| (key, *pair));
        let rows = rows.chain([(&total, self.total())]);
        let cells = rows.map(|([day, model], pair)| {
            let count = |count: Option<i64>| count.map_or("-".to_owned(), |count| count.to_string());
            let cost = |cost: Option<i64>| cost.map_or("-".to_owned(), |cost| format!("${}", Nanos(cost)));
            let difference = pair.difference().cost.map(|cost| match cost {
                0 => "$0".to_owned(),
                cost if cost < 0 => format!("-${}", Nanos(cost.saturating_neg())),
                cost => format!("+${}", Nanos(cost)),
            });
            vec![
                day.clone(),
                model.clone(),
                count(pair.here.calls),
                count(pair.service.calls),
                count(pair.here.tokens),
                count(pair.service.tokens),
                cost(pair.here.cost),
                cost(pair.service.cost),
                difference.unwrap_or("-".to_owned()),
            ]
        });
        terminal::table(&HEAD, cells.collect::<Vec<_>>(), page)
    }
}

#[cfg(test)]
mod tests {
    use store::Sums;

    use super::*;

    fn row(day: &str, model: &str, plugin: &str, billed: Option<i64>) -> Row {
        Row {
            key: [day, model, plugin].map(str::to_owned).to_vec(),
            sums: Sums {
                calls: 3,
                errors: 1,
                prompt_tokens: Some(10),
                completion_tokens: Some(5),
                billed_usd: billed.map(Nanos),
                unknown_cost: u64::from(billed.is_none()),
                ..Sums::default()
            },
        }
    }

    #[test]
    fn both_sides_meet_by_day_and_model_and_unknown_is_not_zero() {
        let day = |text: &str| text.parse().expect("a day");
        let days = Days {
            today: day("2026-08-22"),
            first: day("2026-07-01"),
            end: day("2026-08-23"),
        };
        let activity = json!({"data": [
            {"date": "2026-08-20 00:00:00", "model": "acme/small", "model_permaslug": "acme/small-2026", "requests": 1,
                "prompt_tokens": 10, "completion_tokens": 5, "usage": 0.000_000_2, "byok_usage_inference": 0},
            {"date": "2026-08-20", "model": "acme/small", "requests": 2, "prompt_tokens": 1, "completion_tokens": 1,
                "usage": 1e-7},
            {"date": "2026-06-01", "model": "acme/small", "usage": 5},
        ]});
        let activity: Activity = serde_json::from_value(activity).expect("the service's form");
        let rows = [
            row("2026-08-20", "acme/small-2026", "one", Some(200)),
            row("2026-08-20", "acme/small", "other", Some(200)),
            row("2026-08-21", "acme/large", "one", None),
            row("2026-07-02", "acme/large", "one", Some(7)),
        ];
        let compared = Compared::of(days, "one", &rows, &activity);
        let json = compared.json();
        let figures = |side: &Value| json!([side["calls"], side["tokens"], side["cost_usd"]]);
        let found: Vec<Value> = json["rows"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| {
                json!([
                    row["day"],
                    figures(&row["here"]),
                    figures(&row["service"]),
                    figures(&row["difference"])
                ])
            })
            .collect();
        assert_eq!(
            json!(found),
            json!([
                [
                    "2026-07-02",
                    [2, 15, "0.000000007"],
                    [null, null, null],
                    [null, null, null]
                ],
                [
                    "2026-08-20",
                    [2, 15, "0.0000002"],
                    [3, 17, "0.0000003"],
                    [1, 2, "0.0000001"]
                ],
                ["2026-08-21", [2, 15, null], [0, 0, "0"], [-2, -15, null]],
            ])
        );
        assert_eq!(figures(&json["total"]["service"]), json!([3, 17, "0.0000003"]));
        assert_eq!(figures(&json["total"]["here"]), json!([4, 30, null]));
    }
}
