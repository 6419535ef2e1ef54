//! Turns a model id as the caller wrote it into an id that the service lists.
//!
//! In: an id that went through [`crate::values::model_id`], and the catalogue. Out: its [`Meaning`].
//! Pure, one pass over the list. It never chooses between models, and never swaps a free model for a paid one or the
//! reverse: the variant after `:` is the caller's choice.

use std::cmp::Reverse;

use crate::models::{Catalogue, Model};
use crate::values::model_id::without_preset;

/// The most ids to show if several models share a name.
const MAX_CANDIDATES: usize = 10;

/// The most ids to suggest if no model has the name.
const MAX_SUGGESTIONS: usize = 3;

/// What a model id means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// The id, or its model without the variant, is listed; or it never is, such as a router, a preset or
    /// `~author/family-latest`. It is sent unchanged.
    Known,
    /// It means another id.
    Resolved {
        /// The id to send, with the caller's variant.
        wire: String,
        /// Which id is sent, and why.
        note: String,
    },
    /// Several models have this name.
    Ambiguous {
        /// Their ids, two to ten, in the service's order.
        candidates: Vec<String>,
    },
    /// No model has this name.
    Unknown {
        /// The most similar ids, at most three, the nearest one first.
        suggestions: Vec<String>,
    },
}

/// What `id` means.
///
/// - In: an id without blanks around it. Without an author it may mean a model of any author.
/// - Out: `Known` also if the catalogue is empty, because it then says nothing about any id.
pub fn meaning(id: &str, catalogue: &Catalogue) -> Meaning {
    if let Some((model, preset)) = without_preset(id) {
        return match meaning(model, catalogue) {
            Meaning::Resolved { wire, note } => Meaning::Resolved {
                wire: format!("{wire}{preset}"),
                note,
            },
            other => other,
        };
    }
    let wanted = Wanted::of(id);
    // `find` would drop a variant in capitals, and `:Free` must not become the billed model.
    let is_listed = id.ends_with(&wanted.variant) && catalogue.find(id).is_some();
    if is_listed || is_never_listed(id) || catalogue.models().is_empty() {
        return Meaning::Known;
    }
    let mut best = None;
    let mut found: Vec<Found> = Vec::new();
    for other in catalogue.models().iter().filter_map(|model| wanted.found_in(model)) {
        let closeness = Some(other.closeness);
        if best.is_none() || closeness < best {
            found.clear();
            best = closeness;
        }
        // A model with an alias is listed twice.
        if closeness == best && found.iter().all(|one| one.wire != other.wire) {
            found.push(other);
        }
    }
    match found.as_slice() {
        [] => Meaning::Unknown {
            suggestions: wanted.nearest(catalogue),
        },
        [only] if only.closeness.is_other_variant => Meaning::Unknown {
            suggestions: vec![only.wire.clone()],
        },
        [only] => Meaning::Resolved {
            note: wanted.note(only),
            wire: only.wire.clone(),
        },
        several => Meaning::Ambiguous {
            candidates: several
                .iter()
                .take(MAX_CANDIDATES)
                .map(|one| one.wire.clone())
                .collect(),
        },
    }
}

/// The id that `name` means, or the most similar one, if there is any.
pub fn nearest(name: &str, catalogue: &Catalogue) -> Option<String> {
    match meaning(name, catalogue) {
        Meaning::Known => None,
        Meaning::Resolved { wire, .. } => Some(wire),
        Meaning::Ambiguous { candidates: ids } | Meaning::Unknown { suggestions: ids } => ids.into_iter().next(),
    }
}

/// Whether only the service can resolve an id: the alias of a family's newest model, a preset or a router.
fn is_never_listed(id: &str) -> bool {
    id.starts_with(['~', '@']) || id.starts_with("openrouter/")
}

/// An id in parts. Folded means in lower case, with dashes for dots.
struct Wanted<'a> {
    id: &'a str,
    /// Folded.
    author: Option<String>,
    /// The part after the slash, as written.
    name: &'a str,
    /// The folded name, with the same length.
    folded: String,
    /// The length of the name without its date or `-latest`.
    stem_bytes: usize,
    /// The digits of its date.
    date: Option<String>,
    /// The length of the name without four digits that may be a date.
    short_bytes: Option<usize>,
    /// In lower case with its colon, or empty.
    variant: String,
}

/// A model that an id may mean.
struct Found<'a> {
    model: &'a Model,
    /// The id to send. If the caller would have to choose another variant, the listed id.
    wire: String,
    closeness: Closeness,
}

/// How well a model matches, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Closeness {
    likeness: Likeness,
    /// Whether this is a variant that the caller did not ask for.
    is_other_variant: bool,
    /// How much of the caller's variant is listed, in bytes.
    variant_bytes: Reverse<usize>,
}

/// Which part of a name equals a model's name, the best match first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    Exact,
    /// It differs in case, in dots for dashes, or in the format of its date.
    Spelling,
    /// It has a date or `-latest` that the model's name lacks.
    Undated,
    /// It is the model's canonical slug without its date.
    OtherName,
    /// It ends in four digits that the model's name lacks.
    Undigited,
}

impl<'a> Wanted<'a> {
    fn of(id: &'a str) -> Self {
        let (author, name, variant) = pieces(id);
        let folded = fold(name);
        let date = date_of(&folded).map(|(stem, digits)| (stem.len(), digits));
        let latest = folded.strip_suffix("-latest").map(str::len);
        let stem_bytes = date.as_ref().map(|(stem, _)| *stem).or(latest);
        Self {
            id,
            author: author.map(fold),
            name,
            stem_bytes: stem_bytes.unwrap_or(folded.len()),
            date: date.map(|(_, digits)| digits),
            short_bytes: four_digits(&folded),
            variant: variant.to_ascii_lowercase(),
            folded,
        }
    }

    /// The folded name without its date or `-latest`.
    fn stem(&self) -> &str {
        &self.folded[..self.stem_bytes]
    }

    fn found_in<'m>(&self, model: &'m Model) -> Option<Found<'m>> {
        let (likeness, base) = self.likeness(model)?;
        let (_, _, listed) = pieces(&model.id);
        let rest = self.variant.strip_prefix(listed);
        let is_other_variant = !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
        Some(Found {
            model,
            wire: match is_other_variant {
                true => model.id.clone(),
                false => format!("{base}{}", self.variant),
            },
            closeness: Closeness {
                likeness,
                is_other_variant,
                variant_bytes: Reverse(if is_other_variant { 0 } else { listed.len() }),
            },
        })
    }

    /// How a model's name matches, and its id without a variant to send then.
    fn likeness<'m>(&self, model: &'m Model) -> Option<(Likeness, &'m str)> {
        let id = base(&model.id);
        let by_id = self.likeness_to(id).map(|likeness| (likeness, id));
        let slug = base(&model.canonical_slug);
        // An alias has the slug of its target.
        if slug == id || id.starts_with('~') {
            return by_id.filter(|(likeness, _)| !id.starts_with('~') || *likeness <= Likeness::Spelling);
        }
        let by_slug = match self.likeness_to(slug) {
            // A dated slug asks for exactly this date, so the slug is sent.
            Some(likeness @ (Likeness::Exact | Likeness::Spelling)) => Some((likeness, slug)),
            Some(likeness) => Some((likeness, id)),
            None => self.is_undated(slug, id).then_some((Likeness::OtherName, id)),
        };
        by_id.into_iter().chain(by_slug).min_by_key(|(likeness, _)| *likeness)
    }

    fn likeness_to(&self, listed: &str) -> Option<Likeness> {
        let (author, name, _) = pieces(listed);
        if !self.is_by(author) {
            return None;
        }
        if name == self.name {
            return Some(Likeness::Exact);
        }
        let folded = fold(name);
        let is_of = |day: &String| date_of(&folded).is_some_and(|(stem, digits)| stem == self.stem() && digits == *day);
        if folded == self.folded || self.date.as_ref().is_some_and(is_of) {
            return Some(Likeness::Spelling);
        }
        if folded == self.stem() {
            return Some(Likeness::Undated);
        }
        let is_short = self.short_bytes.is_some_and(|short| self.folded[..short] == folded);
        is_short.then_some(Likeness::Undigited)
    }

    /// Whether this is a model's slug without its date, and the model's id has no date either.
    fn is_undated(&self, slug: &str, id: &str) -> bool {
        let (author, name, _) = pieces(slug);
        let folded = fold(name);
        self.is_by(author)
            && date_of(&folded).is_some_and(|(stem, _)| stem == self.stem())
            && date_of(&fold(id)).is_none()
    }

    fn is_by(&self, author: Option<&str>) -> bool {
        match &self.author {
            None => true,
            Some(wanted) => author.is_some_and(|author| fold(author.trim_start_matches('~')) == *wanted),
        }
    }

    /// Which id is sent, and why.
    fn note(&self, found: &Found) -> String {
        let why = match found.closeness.likeness {
            Likeness::Exact if self.author.is_none() => "the only model with this name".to_owned(),
            Likeness::Exact | Likeness::Spelling => "the same name in the service's spelling".to_owned(),
            Likeness::Undated => format!("the same name without `{}`", &self.name[self.stem_bytes..]),
            Likeness::OtherName => format!("also known as `{}`", found.model.canonical_slug),
            Likeness::Undigited => {
                let short = self.short_bytes.unwrap_or(self.name.len());
                format!("the same name without `{}`", &self.name[short..])
            }
        };
        format!(
            "the service does not list `{}`; sending `{}`, {why}",
            self.id, found.wire
        )
    }

    /// The most similar ids, the nearest one first, each model in one variant only.
    fn nearest(&self, catalogue: &Catalogue) -> Vec<String> {
        let mut near: Vec<(usize, usize, &str)> = Vec::new();
        for model in catalogue.models() {
            if let Some(distance) = self.distance_to(&model.id) {
                let (_, _, variant) = pieces(&model.id);
                let rank = if variant == self.variant {
                    0
                } else {
                    1 + usize::from(!variant.is_empty())
                };
                near.push((distance, rank, &model.id));
            }
        }
        near.sort_by_key(|(distance, rank, _)| (*distance, *rank));
        let Some((least, ..)) = near.first().copied() else {
            return Vec::new();
        };
        let mut nearest: Vec<&str> = Vec::new();
        for (distance, _, id) in near {
            // After a close match, ids that are merely similar do not help.
            if distance > 2 * least + 1 || nearest.len() == MAX_SUGGESTIONS {
                break;
            }
            if nearest.iter().all(|one| base(one) != base(id)) {
                nearest.push(id);
            }
        }
        nearest.into_iter().map(str::to_owned).collect()
    }

    /// The distance to a listed id; `None` if it is not similar.
    fn distance_to(&self, listed: &str) -> Option<usize> {
        let listed = fold(base(listed));
        let (author, name, _) = pieces(&listed);
        let by_name = distance_of_names(self.stem(), name);
        let Some(wanted) = &self.author else {
            // The author may be separated by something other than a slash, even by a colon.
            let by_id = distance_of_typos(self.stem(), &listed);
            let by_all = distance_of_typos(&fold(self.id), &listed).filter(|_| !self.variant.is_empty());
            return [by_name, by_id, by_all].into_iter().flatten().min();
        };
        // The name says more than the author, whose distance counts at most 2.
        let of_authors = distance_of_authors(wanted, author.unwrap_or_default());
        Some(by_name? + of_authors)
    }
}

/// An id's author, its name and its variant with the colon.
fn pieces(id: &str) -> (Option<&str>, &str, &str) {
    let base = base(id);
    let variant = &id[base.len()..];
    match base.split_once('/') {
        Some((author, name)) => (Some(author), name, variant),
        None => (None, base, variant),
    }
}

/// An id without its variant.
fn base(id: &str) -> &str {
    id.split(':').next().unwrap_or(id)
}

fn fold(name: &str) -> String {
    name.to_ascii_lowercase().replace('.', "-")
}

/// Splits a date off the end of a folded name: the part before it and its eight digits.
/// Both `-20240806` and `-2024-08-06` are dates.
fn date_of(folded: &str) -> Option<(&str, String)> {
    ["-20240806".len(), "-2024-08-06".len()].into_iter().find_map(|bytes| {
        let (stem, date) = folded.split_at_checked(folded.len().checked_sub(bytes)?)?;
        let parts: Vec<&str> = date.split('-').collect();
        let digits = match parts.as_slice() {
            ["", digits] => (*digits).to_owned(),
            ["", year, month, day] if (year.len(), month.len()) == (4, 2) => [*year, *month, *day].concat(),
            _ => return None,
        };
        let is_date = digits.starts_with("20") && is_month(digits.get(4..6)?) && is_day(digits.get(6..)?);
        is_date.then_some((stem, digits))
    })
}

/// The length of a folded name without a short date at its end: month and day, or year and month.
fn four_digits(folded: &str) -> Option<usize> {
    let (stem, digits) = folded.rsplit_once('-').filter(|(_, digits)| digits.len() == 4)?;
    let (first, second) = digits.split_at_checked(2)?;
    let is_date = (is_month(first) && is_day(second)) || (first.starts_with('2') && is_month(second));
    (is_date && first.bytes().all(|byte| byte.is_ascii_digit())).then_some(stem.len())
}

fn is_month(digits: &str) -> bool {
    is_within(digits, 12)
}

fn is_day(digits: &str) -> bool {
    is_within(digits, 31)
}

/// Whether two digits are a number from 1 to `most`.
fn is_within(digits: &str, most: u8) -> bool {
    digits.len() == 2
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && digits.parse().is_ok_and(|number| (1..=most).contains(&number))
}

/// The distance between two folded names; `None` if they are not similar.
fn distance_of_names(wanted: &str, listed: &str) -> Option<usize> {
    // An omitted part is more likely than many typos.
    if wanted.len() > 2 && listed.contains(wanted) {
        return Some((listed.len() - wanted.len()).div_ceil(4));
    }
    distance_of_typos(wanted, listed)
}

/// The distance between two authors, at most 2.
fn distance_of_authors(wanted: &str, listed: &str) -> usize {
    if wanted.len().abs_diff(listed.len()) > 2 {
        return 2;
    }
    strsim::osa_distance(wanted, listed).min(2)
}

/// The number of typos between two texts; `None` if they change more than a third of it.
fn distance_of_typos(wanted: &str, listed: &str) -> Option<usize> {
    let bytes = wanted.len().max(listed.len());
    let limit = (bytes / 3).max(usize::from(bytes > 1));
    // The comparison costs the product of both lengths, and an id may be as long as a request.
    let is_alike_in_length = wanted.len().abs_diff(listed.len()) <= limit;
    let distance = is_alike_in_length.then(|| strsim::osa_distance(wanted, listed));
    distance.filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests;
