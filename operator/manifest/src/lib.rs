//! Manifests as people write them: read from a file or standard input, and validated against the resource
//! definition as the API server would, without one.

pub mod crd_validation;
pub mod input;
