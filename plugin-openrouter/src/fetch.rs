//! Asks the service for what is not an answer of a model: lists, the key, the account.
