//! The parsed text as a tree of places.

use std::collections::BTreeMap;
use std::ops::Range;

/// A duplicate key of an object.
pub(super) struct Duplicate {
    pub pointer: String,
    pub range: Range<usize>,
    pub first: usize,
}

/// A string literal of the text, key or value, given to the visitor of [`Node::strings`].
pub(super) struct StringPlace<'a> {
    /// Keys and indices that lead to it; of a key, its own name last.
    pub path: &'a [String],
    pub range: Range<usize>,
    pub text: &'a str,
    pub is_key: bool,
}

/// A value and its place.
pub(super) struct Node {
    pub range: Range<usize>,
    pub inner: Inner,
}

pub(super) enum Inner {
    Text(String),
    Other,
    Object(BTreeMap<String, Member>),
    Array(Vec<Node>),
}

pub(super) struct Member {
    pub key_range: Range<usize>,
    pub node: Node,
}

impl Node {
    /// Shows every string below this node to `visit`, keys included, in no particular order.
    pub fn strings(&self, path: &mut Vec<String>, visit: &mut dyn FnMut(&StringPlace<'_>)) {
        match &self.inner {
            Inner::Text(text) => {
                visit(&StringPlace {
                    path,
                    range: self.range.clone(),
                    text,
                    is_key: false,
                });
            }
            Inner::Other => {}
            Inner::Object(members) => {
                for (key, member) in members {
                    path.push(key.clone());
                    let range = member.key_range.clone();
                    visit(&StringPlace {
                        path,
                        range,
                        text: key,
                        is_key: true,
                    });
                    member.node.strings(path, visit);
                    path.pop();
                }
            }
            Inner::Array(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    path.push(index.to_string());
                    node.strings(path, visit);
                    path.pop();
                }
            }
        }
    }
}
