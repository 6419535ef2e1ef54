//! Answers one received request with a plan of the reply.
//!
//! In: a [`plan::Received`] request. Out: a [`plan::Plan`], which [`crate::server`] carries out. Nothing waits here.
//! [`route`] finds who answers; [`chat`] tries the models that [`routing`] allows until one serves; [`other`] answers
//! what is not chat.

pub(crate) mod plan;
mod route;
mod chat;
mod other;
mod sign_in;
mod codes;
mod routing;
mod account;
pub(crate) mod state;

pub(crate) use self::route::plan_for;

#[cfg(test)]
mod tests;
