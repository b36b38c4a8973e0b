//! Manifests as users write them: read from a file or standard input, and validated against the resource definition like
//! in the API server, but without one.

pub mod crd_validation;
pub mod input;
