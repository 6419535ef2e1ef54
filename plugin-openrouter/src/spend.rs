//! Keeps what calls cost within the budget of the profile.
