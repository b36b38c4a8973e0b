//! What the kinds of children have in common.

use crate::{cache::expectations::Kind, error::Error};
use kube::{Resource, ResourceExt, core::NamespaceResourceScope};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{borrow::Cow, fmt::Debug};

pub trait Child:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Child for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// The kind's name for labels and expectations, the same as the watch of the kind uses.
pub fn kind<K: Child>() -> Kind {
    match K::kind(&()) {
        Cow::Borrowed(kind) => kind,
        Cow::Owned(_) => "Unknown", // kinds of compiled types are static
    }
}

pub fn value_of<K: Child>(object: &K) -> Result<Value, Error> {
    serde_json::to_value(object).map_err(|source| Error::Serialize {
        object: format!("{} {}", kind::<K>(), object.name_any()),
        source,
    })
}
