//! The models that the service has, with their prices and abilities.
