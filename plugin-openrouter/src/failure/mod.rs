//! What went wrong, and what follows.
//!
//! In: statuses, bodies and error objects of the service. Out: one typed [`Error`](plugin_api::Error), the class of the
//! failure, and the decision whether another attempt follows. Pure: time and chance are handed in.

mod report;
pub mod retry;
pub mod table;

pub use self::report::{
    attempt_of, error_object, from_error_object, from_response, is_the_services_own, page, router_attempts,
};
