//! `serve --cache`: the same answer again to the same request.
//!
//! Only usable, complete answers to requests whose temperature is 0 or that ask for it. The key is a hash over the
//! plugin, what it is set to, its tiers as they are now, and the request, so that a change of any of them is a miss.
//! An answer from here is no call: it costs nothing and leaves no row in the ledger.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use plugin_api::{CacheUse, Done, HttpRequest};
use sha2::{Digest, Sha256};
use store::{Answer, Limits, Sqlite, Store, now_ms};

use super::body::Wanted;
use super::headers::{X_CACHE, X_COST_USD, X_GENERATION_ID, X_SERVED_MODEL, X_SERVED_PROVIDER};
use super::record::Record;
use super::reply::{self, Body};
use super::shared::Serving;
use crate::history;

/// What is kept of an answer's headers.
const KEPT: [HeaderName; 4] = [header::CONTENT_TYPE, X_SERVED_MODEL, X_SERVED_PROVIDER, X_GENERATION_ID];
/// Request headers that differ between equal requests.
const IGNORED: [&str; 4] = ["user-agent", "traceparent", "tracestate", "x-request-id"];
/// The largest answer that is kept, in bytes.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// How answers end that a client can use.
const COMPLETE: [&str; 2] = ["stop", "tool_calls"];

/// The answers of this endpoint.
pub struct Cache {
    /// Opened at the first use.
    store: Mutex<Option<Sqlite>>,
    max_age: Duration,
    max_bytes: u64,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Cache {
    pub fn new(max_age: Duration, max_bytes: u64) -> Self {
        Self {
            store: Mutex::default(),
            max_age,
            max_bytes,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    pub fn counted(&self) -> CacheUse {
        CacheUse {
            name: "answers".to_owned(),
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }

    fn since_ms(&self) -> i64 {
        let age_ms = i64::try_from(self.max_age.as_millis()).unwrap_or(i64::MAX);
        now_ms().saturating_sub(age_ms)
    }

    /// Blocks. Without a file, nothing is kept and nothing found.
    fn with<T>(&self, work: impl FnOnce(&mut Sqlite) -> Result<T, store::Error>) -> Option<T> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if store.is_none() {
            let opened =
                history::open().inspect_err(|failure| tracing::warn!("no answer is kept: {}", failure.message));
            *store = opened.ok();
        }
        let outcome = work(store.as_mut()?).inspect_err(|cause| tracing::warn!("no answer is kept: {cause}"));
        if outcome.is_err() {
            *store = None;
        }
        outcome.ok()
    }
}

/// The cache, and what every key in it depends on.
#[derive(Clone)]
pub struct Caching {
    pub cache: Arc<Cache>,
    /// What the plugin is set to, as a hash.
    pub setting: [u8; 32],
}

/// A request that may be answered from the cache, or whose answer may be kept.
pub struct Ticket {
    cache: Arc<Cache>,
    key: [u8; 32],
}

/// A hash over parts, each with its length, so that no two lists of parts are the same bytes.
pub fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

impl Ticket {
    /// - Out: `None` if the answer is neither to be looked for nor kept.
    pub fn of(serving: &Serving, headers: &HeaderMap, wanted: &Wanted, request: &HttpRequest) -> Option<Self> {
        let caching = serving.caching.as_ref().filter(|_| serving.asker.keeps())?;
        let is_wanted = match headers.get(X_CACHE) {
            Some(said) => said.as_bytes().eq_ignore_ascii_case(b"on"),
            None => wanted.is_cold,
        };
        if !is_wanted {
            return None;
        }
        let sent = request
            .headers
            .iter()
            .filter(|(name, _)| !IGNORED.contains(&name.as_str()));
        let sent = sent.flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let body = request.body.as_deref().unwrap_or_default();
        let parts = [
            &caching.setting,
            request.method.as_bytes(),
            request.path.as_bytes(),
            body,
        ];
        Some(Self {
            cache: Arc::clone(&caching.cache),
            key: hash(parts.into_iter().chain(sent)),
        })
    }

    /// The answer, if it is there.
    pub async fn find(&self, record: &mut Record) -> Option<Response<Body>> {
        let (cache, key) = (Arc::clone(&self.cache), self.key);
        let found = move || cache.with(|store| store.answer(&key, cache.since_ms())).flatten();
        let found = tokio::task::spawn_blocking(found).await.ok().flatten();
        let counter = if found.is_some() {
            &self.cache.hits
        } else {
            &self.cache.misses
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let Answer { head, body } = found?;
        let mut response = Response::new(reply::whole(body));
        let headers = response.headers_mut();
        let kept: Vec<Option<String>> = serde_json::from_str(&head).unwrap_or_default();
        for (name, value) in KEPT.into_iter().zip(kept) {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
        headers.insert(X_COST_USD, HeaderValue::from_static("0"));
        headers.insert(X_CACHE, HeaderValue::from_static("hit"));
        record.was_kept();
        record.answered(StatusCode::OK);
        Some(response)
    }

    /// The headers of an answer that is on its way.
    pub fn passes(&self, headers: &mut HeaderMap) -> Kept {
        headers.insert(X_CACHE, HeaderValue::from_static("miss"));
        let kept = KEPT.map(|name| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        });
        Kept {
            cache: Arc::clone(&self.cache),
            key: self.key,
            head: serde_json::json!(kept).to_string(),
            body: Some(Vec::new()),
        }
    }
}

/// An answer that is kept once it is complete.
pub struct Kept {
    cache: Arc<Cache>,
    key: [u8; 32],
    head: String,
    /// `None` if it has become too large.
    body: Option<Vec<u8>>,
}

impl Kept {
    pub fn add(&mut self, piece: &[u8]) {
        let body = self
            .body
            .take()
            .filter(|body| body.len() + piece.len() <= MAX_ANSWER_BYTES);
        self.body = body.map(|mut body| {
            body.extend_from_slice(piece);
            body
        });
    }

    /// Keeps it behind the answer, unless it is one that ended early.
    pub fn complete(self, done: &Done) {
        let Self { cache, key, head, body } = self;
        let Some(body) = body.filter(|body| !body.is_empty() && COMPLETE.contains(&done.finish_reason.as_str())) else {
            return;
        };
        tokio::task::spawn_blocking(move || {
            let limits = Limits {
                since_ms: cache.since_ms(),
                n_bytes: cache.max_bytes,
            };
            cache.with(|store| store.keep_answer(&key, &Answer { head, body }, limits))
        });
    }
}
