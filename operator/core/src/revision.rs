//! The revision: identifies the pod templates of a cluster.

use sha2::{Digest, Sha256};

use crate::build::{self, Context};
use crate::hash::hex;

/// 8 hex digits over the pod templates of gateways and shards without the revision itself. Every change that replaces
/// pods gives a new revision, so the template of an existing Deployment never changes.
pub fn revision(context: &Context) -> String {
    let templates = (
        build::gateway_template(context, ""),
        build::shard_template(context, 0, ""),
    );
    let bytes = serde_json::to_vec(&templates).unwrap_or_default(); // plain structs: cannot fail
    hex(&Sha256::digest(bytes)[..4])
}
