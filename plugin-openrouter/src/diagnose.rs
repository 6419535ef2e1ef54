//! Looks at everything that a call depends on, and says how it is.
