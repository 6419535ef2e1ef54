//! What the service says about the key and its credit.
