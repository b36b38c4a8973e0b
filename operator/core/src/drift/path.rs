//! The path of a field in an object.

use std::fmt;

use serde_json::Value;

/// One step of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    Field(&'a str),
    /// The entry of a list with this value under this key.
    Entry(&'static str, &'a Value),
}

/// The path of a field, such as `spec.template.spec.containers[shard].image`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path<'a>(pub Vec<Step<'a>>);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if name.contains(['.', '/']) => write!(f, "[{name}]")?,
                Step::Field(name) if i == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Entry(_, Value::String(value)) => write!(f, "[{value}]")?,
                Step::Entry(_, value) => write!(f, "[{value}]")?,
            }
        }
        Ok(())
    }
}
