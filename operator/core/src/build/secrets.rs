//! The Secret of the managed database. It is created once and never changed.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use poker_operator_api::Component;
use sha2::{Digest, Sha256};

use super::meta::Context;
use crate::hash::hex;
use crate::limits::PORT_POSTGRES;

pub const URL_KEY: &str = "url";
pub const PASSWORD_KEY: &str = "password";
pub const DATABASE_USER: &str = "poker";
pub const DATABASE_NAME: &str = "poker";

/// A Secret with a new password. `random` must not be used for anything else.
pub fn database_secret(context: &Context, random: &[u8; 32]) -> Secret {
    let password = hex(&Sha256::digest(random)[..16]);
    let name = context.names.component(Component::Database);
    let host = context.names.host(&name);
    let url = format!("postgres://{DATABASE_USER}:{password}@{host}:{PORT_POSTGRES}/{DATABASE_NAME}");
    let data = BTreeMap::from([
        (PASSWORD_KEY.to_owned(), ByteString(password.into_bytes())),
        (URL_KEY.to_owned(), ByteString(url.into_bytes())),
    ]);
    Secret {
        metadata: context.meta(name, context.selector(Component::Database)),
        type_: Some("Opaque".to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}
