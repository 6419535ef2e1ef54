//! The form of `/chat/completions`, as a whole reply and as a stream.

mod body;
mod frames;

pub(super) use self::{
    body::{body_from, choices},
    frames::steps_from,
};

#[cfg(test)]
mod tests;
