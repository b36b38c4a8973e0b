//! The ConfigMap with the routing table.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use poker_routing::RoutingTable;

use super::meta::{Context, Labels};

/// The key of the routing table.
pub const ROUTES_KEY: &str = "routes.json";

pub fn routes(context: &Context, table: &RoutingTable) -> ConfigMap {
    ConfigMap {
        metadata: context.meta(context.names.routes(), Labels::new()),
        data: Some(BTreeMap::from([(ROUTES_KEY.to_owned(), table.to_json())])),
        ..ConfigMap::default()
    }
}
