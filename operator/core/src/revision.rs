//! The revision: what tells two pod templates apart.

use sha2::{Digest, Sha256};

use crate::build::{self, Context};

/// 8 hex digits over the pod templates of gateways and shards, with their own revision left out.
/// Whatever would replace a pod makes a new revision, so no Deployment ever changes its template.
pub fn revision(context: &Context) -> String {
    let templates = (
        build::gateway_template(context, ""),
        build::shard_template(context, 0, ""),
    );
    let bytes = serde_json::to_vec(&templates).unwrap_or_default(); // plain structs: cannot fail
    build::hex(&Sha256::digest(bytes)[..4])
}
