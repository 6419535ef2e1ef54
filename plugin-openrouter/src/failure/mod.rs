//! Classifies failures and decides about retries.
//!
//! In: statuses, bodies and error objects of the service. Out: one typed [`Error`](plugin_api::Error), the class of the
//! failure, and whether another attempt follows. Pure: the caller passes in the time and the random numbers.

mod shapes;
mod report;
pub mod retry;
pub mod refused_model;
pub mod table;

pub use self::report::{
    attempt_of, from_error_object, from_response, is_the_services_own, page, request_id, router_attempts, too_large,
    until_then,
};
pub use self::shapes::{has_failed, has_words};
pub use self::table::{meaning_of_status, sentence_of_status};
