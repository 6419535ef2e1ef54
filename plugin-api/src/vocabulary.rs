//! Compares the words and messages that cross with their committed description, `vocabulary.txt`.
//!
//! The memory layout has a file of its own, see `abi/layout.rs`. This one holds what is inside the texts and numbers:
//! names of methods, numbers of kinds and levels, and each field of each message. Plugins and hosts in use know the
//! old lines, so within a major version a line may be added, and none may change or disappear.

use std::collections::BTreeSet;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::abi::layout::{assert_only_grows, golden};
use crate::abi::{RawEvent, RawEventKind, export::MANIFEST_SECTIONS};
use crate::{
    Account, CacheUse, ChatEvent, ChatReply, ChatRequest, Config, Credits, CreditsRequest, Details, DiagnoseRequest,
    Done, EmbedRequest, Embeddings, Error, ErrorKind, Finding, Head, Host, HttpAnswer, HttpRequest, Level, Manifest,
    ModelList, ModelsRequest, Notice, Payload, Problem, Provider, Redeem, SignIn, SignInRequest, SignedIn, TierModel,
    ToolCall, VERSION, manifest, method,
};

const FILE: &str = "vocabulary.txt";

/// The numbers that are tried as levels; 0 and 6 lie just outside the range.
const LEVELS: std::ops::RangeInclusive<u32> = 0..=6;

/// The description, and the types met so far, as their readers and as their writers see them.
struct Vocabulary {
    lines: Vec<String>,
    read: SchemaGenerator,
    written: SchemaGenerator,
}

/// The words first, then the types in the order of their names.
fn described() -> String {
    let mut all = Vocabulary {
        lines: Vec::new(),
        read: SchemaSettings::draft2020_12().for_deserialize().into_generator(),
        written: SchemaSettings::draft2020_12().for_serialize().into_generator(),
    };
    all.methods();
    all.events();
    all.numbers();
    all.blobs();
    all.manifest();
    all.types();
    all.lines.join("\n") + "\n"
}

impl Vocabulary {
    fn add(&mut self, line: String) {
        self.lines.push(line);
    }

    /// The name of a type, which is described with everything in it.
    fn of<T: JsonSchema>(&mut self) -> String {
        self.written.subschema_for::<T>();
        spelled(self.read.subschema_for::<T>().as_value())
    }

    fn method<Q: JsonSchema, A: JsonSchema>(&mut self, name: &str) {
        let (request, answer) = (self.of::<Q>(), self.of::<A>());
        self.add(format!("method {name}: {request} -> {answer}"));
    }

    fn opened<Q: JsonSchema>(&mut self, name: &str) {
        let request = self.of::<Q>();
        self.add(format!("method {name}: {request} -> events"));
    }

    fn methods(&mut self) {
        self.method::<ChatRequest, ChatReply>(method::CHAT);
        self.opened::<ChatRequest>(method::STREAM);
        self.method::<(), Vec<TierModel>>(method::TIERS);
        self.method::<Value, Vec<Problem>>(method::CHECK);
        self.method::<Config, ()>(method::CONFIGURE);
        self.method::<DiagnoseRequest, Vec<Finding>>(method::DIAGNOSE);
        self.method::<(), Account>(method::ACCOUNT);
        self.method::<HttpRequest, HttpAnswer>(method::RAW);
        self.opened::<HttpRequest>(method::RAW);
        self.method::<ModelsRequest, ModelList>(method::MODELS);
        self.method::<CreditsRequest, Credits>(method::CREDITS);
        self.method::<(), Vec<CacheUse>>(method::CACHES);
        self.method::<EmbedRequest, Embeddings>(method::EMBED);
        self.method::<SignInRequest, SignIn>(method::SIGN_IN);
        self.method::<Redeem, SignedIn>(method::REDEEM);
        let names: BTreeSet<&str> = self.lines.iter().filter_map(|line| line.split(':').next()).collect();
        let n_declared = include_str!("method.rs").matches("pub const ").count();
        assert_eq!(
            names.len(),
            n_declared,
            "each constant of `method.rs` needs a line in this function"
        );
    }

    /// Each kind of event: the type it is read as, and the type that is written.
    fn events(&mut self) {
        // It has the required fields of every kind; readers ignore the others.
        let json = json!({
            "id": "", "name": "", "arguments": "", "code": "", "message": "", "status": 200
        });
        for (kind, code) in RawEventKind::KNOWN {
            let raw = RawEvent {
                kind: *kind,
                index: 0,
                text: "text".into(),
                json: json.to_string().into(),
            };
            let event = ChatEvent::try_from(raw).unwrap_or_else(|_| {
                panic!(
                    "readers of `{code}` insist on a field that peers in use do not write\n\
                     hint: make it optional with `#[serde(default)]`; only a new kind may add to the sample here"
                )
            });
            let is = match &event {
                ChatEvent::Text(_) => "Text, as text".to_owned(),
                ChatEvent::Reasoning(_) => "Reasoning, as text".to_owned(),
                ChatEvent::KeepAlive(_) => "KeepAlive, as text".to_owned(),
                ChatEvent::Raw(_) => "Raw, as text".to_owned(),
                ChatEvent::ToolCall(_) => self.of::<ToolCall>(),
                ChatEvent::Notice(_) => self.of::<Notice>(),
                ChatEvent::Done(_) => self.of::<Done>(),
                ChatEvent::Head(_) => self.of::<Head>(),
                ChatEvent::Other { .. } => panic!("`{code}` is known, but read as an unknown kind"),
            };
            let written = RawEvent::from(event);
            assert_eq!(
                written.kind, *kind,
                "`{code}` is written as another kind than it is read"
            );
            self.add(format!("event {} {code}: {is}", kind.number()));
        }
    }

    fn numbers(&mut self) {
        for (kind, code) in ErrorKind::KNOWN {
            self.add(format!("error {} {code}", kind.number()));
        }
        let details = self.of::<Details>();
        self.add(format!("details of an error: {details}"));
        for number in LEVELS {
            let level = Level::from_number(number);
            let back = level.number();
            self.add(format!("level {number}: {level:?}, written as {back}"));
        }
    }

    /// What crosses as bytes beside the JSON.
    fn blobs(&mut self) {
        let blobs_of = |payload: Result<Payload, Error>| {
            let payload = payload.expect("the sample can be written as JSON");
            payload.blobs().map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        let embeddings = Embeddings {
            vectors: vec![vec![1.0, 2.0], vec![0.5, -1.0]],
            dimensions: 2,
            ..Embeddings::default()
        };
        let answer = HttpAnswer {
            body: vec![7].into(),
            ..HttpAnswer::default()
        };
        let samples = [
            ("Embeddings [[1, 2], [0.5, -1]]", blobs_of(embeddings.into_payload())),
            (
                "HttpRequest with body [7]",
                blobs_of(HttpRequest::post("/", [7]).into_payload()),
            ),
            (
                "HttpRequest without body",
                blobs_of(HttpRequest::new("GET", "/").into_payload()),
            ),
            ("HttpAnswer with body [7]", blobs_of(answer.into_payload())),
        ];
        for (what, blobs) in samples {
            self.add(format!("blobs of {what}: {blobs:?}"));
        }
    }

    /// The manifest as it is stored in a library's file.
    fn manifest(&mut self) {
        struct Silent;
        impl Provider for Silent {
            const MANIFEST: &'static str = "MANIFEST";
            fn create(_host: Host, _config: &str) -> Result<Self, Error> {
                Ok(Self)
            }
        }
        let sealed = manifest::sealed::<Silent>().replace(VERSION, "VERSION");
        let manifest = self.of::<Manifest>();
        self.add(format!(
            "section of {manifest}: {}, {sealed}",
            MANIFEST_SECTIONS.join(" or ")
        ));
    }

    fn types(&mut self) {
        for (name, read) in sorted(self.read.definitions()) {
            let written = self.written.definitions().get(name).cloned().unwrap_or_default();
            self.lines.extend(lines_of(name, read, &written));
        }
    }
}

fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut sorted: Vec<_> = map.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    sorted
}

/// The description of one type: a line for each of its fields, or for each of its words.
fn lines_of(name: &str, read: &Value, written: &Value) -> Vec<String> {
    let words = words_of(read);
    if !words.is_empty() {
        return words.into_iter().map(|word| format!("{name}: {word}")).collect();
    }
    let (Some(to_read), Some(to_write)) = (read["properties"].as_object(), written["properties"].as_object()) else {
        return vec![format!("{name}: {}", spelled(read))];
    };
    let fields: BTreeSet<&String> = to_read.keys().chain(to_write.keys()).collect();
    let mut lines: Vec<String> = fields
        .into_iter()
        .map(|field| {
            let is_in = |schema: &Value| {
                let required = schema["required"].as_array();
                required.is_some_and(|required| required.iter().any(|name| name == field))
            };
            let reading = match (to_read.get(field), is_in(read)) {
                (None, _) => "never read".to_owned(),
                (_, true) => REQUIRED.to_owned(),
                (Some(schema), false) => match schema.get("default") {
                    // Those of objects follow from their own fields.
                    Some(default) if !default.is_null() && !default.is_object() => {
                        format!("optional, {default} if absent")
                    }
                    _ => "optional".to_owned(),
                },
            };
            let writing = match (to_write.get(field), is_in(written)) {
                (None, _) => "never written",
                (_, true) => "always written",
                (_, false) => "not always written",
            };
            let kind = spelled(to_read.get(field).or(to_write.get(field)).unwrap_or(&Value::Null));
            format!("{name}.{field}: {kind}; {reading}; {writing}")
        })
        .collect();
    if read.get("additionalProperties").is_some() {
        lines.push(format!("{name}.*: {}", spelled(&read["additionalProperties"])));
    }
    lines
}

/// The mark of a field that readers require.
const REQUIRED: &str = "required";

/// The values of an enumeration of texts.
fn words_of(schema: &Value) -> Vec<String> {
    let listed = schema["enum"].as_array().into_iter().flatten().cloned();
    let documented = schema["oneOf"].as_array().into_iter().flatten();
    let documented = documented.flat_map(|one| match one.get("const") {
        Some(word) => vec![word.clone()],
        None => one["enum"].as_array().cloned().unwrap_or_default(),
    });
    listed.chain(documented).map(|word| word.to_string()).collect()
}

/// A schema in one line. Whatever has no short form is written as JSON.
fn spelled(schema: &Value) -> String {
    let Some(object) = schema.as_object() else {
        return "any".to_owned();
    };
    let mut rest = object.clone();
    for note in ["description", "title", "default"] {
        rest.remove(note);
    }
    let mut take = |key| rest.remove(key);
    let alternatives = |list: &Value| {
        let list = list.as_array().cloned().unwrap_or_default();
        list.iter().map(spelled).collect::<Vec<_>>().join(" or ")
    };
    let name = if let Some(reference) = take("$ref") {
        let reference = reference.as_str().unwrap_or_default();
        reference.rsplit('/').next().unwrap_or_default().to_owned()
    } else if let Some(list) = take("anyOf") {
        alternatives(&list)
    } else if let Some(items) = take("items") {
        take("type");
        format!("[{}]", spelled(&items))
    } else if let Some(items) = take("prefixItems") {
        take("type");
        format!("({})", alternatives(&items).replace(" or ", ", "))
    } else if let Some(values) = take("additionalProperties") {
        take("type");
        format!("{{text: {}}}", spelled(&values))
    } else {
        let kind = match take("type") {
            Some(Value::Array(kinds)) => {
                let kinds: Vec<_> = kinds.iter().filter_map(Value::as_str).collect();
                kinds.join(" or ")
            }
            Some(kind) => kind.as_str().unwrap_or_default().to_owned(),
            None => "any".to_owned(),
        };
        match take("format") {
            Some(format) => format!("{kind} ({})", format.as_str().unwrap_or_default()),
            None => kind,
        }
    };
    let rest = sorted(&rest).into_iter().map(|(key, value)| format!(" {key}={value}"));
    name + &rest.collect::<String>()
}

/// New lines that would break an older peer: a field that readers require, in a message that is in use.
fn refused_additions<'a>(golden: &str, now: &'a str) -> Vec<&'a str> {
    fn owner(line: &str) -> &str {
        line.split_once('.').map_or(line, |(owner, _)| owner)
    }
    let known: BTreeSet<&str> = golden.lines().collect();
    let in_use: BTreeSet<&str> = golden.lines().map(owner).collect();
    let added = now.lines().filter(|line| !known.contains(line));
    added
        .filter(|line| line.contains(&format!("; {REQUIRED};")) && in_use.contains(owner(line)))
        .collect()
}

#[test]
fn the_vocabulary_only_grows() {
    let now = described();
    let refused = refused_additions(&golden(FILE), &now);
    assert!(
        refused.is_empty(),
        "readers insist on fields that peers in use do not write: {refused:#?}\n\
         hint: make each optional with `#[serde(default)]`, and say in its documentation what its absence means"
    );
    assert_only_grows(FILE, &now, "the_vocabulary_only_grows");
}

#[test]
fn a_new_field_must_be_optional_unless_its_type_is_new() {
    let golden = "method chat: A -> B\nA.text: string; required; always written\n";
    let with = |line: &str| format!("{golden}{line}\n");
    for fine in [
        "A.more: string; optional; always written",
        "C.text: string; required; always written",
    ] {
        assert_eq!(refused_additions(golden, &with(fine)), [""; 0]);
    }
    let refused = "A.more: string; required; always written";
    assert_eq!(refused_additions(golden, &with(refused)), [refused]);
}
