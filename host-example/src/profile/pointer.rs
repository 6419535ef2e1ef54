//! JSON pointers. Pure.

/// Where the profiles stand in the file.
pub(super) const PROFILES: &str = "/auth/profiles";

/// `pointer` with one more segment.
pub(super) fn join(pointer: &str, segment: &str) -> String {
    format!("{pointer}/{}", segment.replace('~', "~0").replace('/', "~1"))
}

/// The segments of a JSON pointer, in plain text.
pub(super) fn segments(pointer: &str) -> impl Iterator<Item = String> {
    pointer
        .split('/')
        .skip(1)
        .map(|segment| segment.replace("~1", "/").replace("~0", "~"))
}
