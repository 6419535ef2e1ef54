//! An answer that is given again to the same request.

/// The status and the headers as its writer spells them, and the bytes of the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub head: String,
    pub body: Vec<u8>,
}

/// Which answers stay.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From this moment on.
    pub since_ms: i64,
    /// As many as fit, the ones used last first.
    pub n_bytes: u64,
}
