//! The routing table, as stored in `routes.json`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::limits::{PINS_MAX, SHARDS_MAX, VERSION_MAX, WEIGHT_MAX};

/// Assigns teams to shards. The newest version wins.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RoutingTable {
    /// Strictly increasing from table to table.
    pub version: u64,
    /// At most one entry per shard id.
    pub shards: Vec<ShardRoute>,
    #[serde(default)]
    pub strategy: Strategy,
    /// Team to shard id; overrides the hash. A pin to a shard that is not in the table has no effect.
    #[serde(default)]
    pub pins: BTreeMap<String, u32>,
    /// Addresses of joining shards: gateways open links but route no team there yet, so that a handoff waits for no
    /// connection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joining: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ShardRoute {
    /// The slot; it keeps its id when its revision changes.
    pub id: u32,
    pub revision: String,
    /// `host:port` of the link.
    pub address: String,
    pub state: ShardState,
    /// Share of the teams, relative to the sum of all weights; with 0 the shard owns only pinned teams.
    #[serde(default = "default_weight")]
    pub weight: u32,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub enum ShardState {
    Active,
    /// Hands its rooms off; used only if no active shard is reachable.
    Draining,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub enum Strategy {
    /// Weighted rendezvous hash over (team, shard id).
    #[default]
    Rendezvous,
}

fn default_weight() -> u32 {
    1
}

/// Why a table was refused. The current table stays in use.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("not a valid routing table; use the format that the operator writes")]
    Json(#[source] serde_json::Error),
    #[error("shard {0} is in the table twice; keep one entry per shard")]
    DuplicateShard(u32),
    #[error("shards {0} and {1} have the same address {2:?}; give each its own")]
    DuplicateAddress(u32, u32, String),
    #[error("shard {0} has the address {1:?}; give host:port")]
    BadAddress(u32, String),
    #[error("a joining shard has the address {0:?}; give host:port")]
    BadJoiningAddress(String),
    #[error("shard {0} has the weight {1}; at most {WEIGHT_MAX}")]
    BadWeight(u32, u32),
    #[error("the table has {0} shards; at most {SHARDS_MAX}")]
    TooManyShards(usize),
    #[error("the table has {0} pins; at most {PINS_MAX}")]
    TooManyPins(usize),
    #[error("the table has the version {0}; at most {VERSION_MAX}")]
    BadVersion(u64),
    #[error("the table has no shard; add one")]
    Empty,
}

impl RoutingTable {
    /// Reads and validates `routes.json`; unknown fields are ignored.
    pub fn parse(json: &str) -> Result<Self, TableError> {
        let table: Self = serde_json::from_str(json).map_err(TableError::Json)?;
        table.validate()?;
        Ok(table)
    }

    /// The addresses that gateways connect to: of all shards, joining ones included.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        let shards = self.shards.iter().map(|shard| &shard.address);
        shards.chain(&self.joining).map(String::as_str)
    }

    pub fn to_json(&self) -> String {
        // Strings, numbers and string keys only: serialisation has no way to fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    pub fn shard(&self, id: u32) -> Option<&ShardRoute> {
        self.shards.iter().find(|shard| shard.id == id)
    }

    pub fn validate(&self) -> Result<(), TableError> {
        if self.shards.is_empty() {
            return Err(TableError::Empty);
        }
        if self.version > VERSION_MAX {
            return Err(TableError::BadVersion(self.version));
        }
        let most = self.shards.len().max(self.joining.len());
        if most > SHARDS_MAX {
            return Err(TableError::TooManyShards(most));
        }
        if let Some(bad) = self.joining.iter().find(|address| !is_address(address)) {
            return Err(TableError::BadJoiningAddress(bad.clone()));
        }
        if self.pins.len() > PINS_MAX {
            return Err(TableError::TooManyPins(self.pins.len()));
        }
        let mut ids = BTreeSet::new();
        let mut addresses = BTreeMap::new();
        for shard in &self.shards {
            if !ids.insert(shard.id) {
                return Err(TableError::DuplicateShard(shard.id));
            }
            if !is_address(&shard.address) {
                return Err(TableError::BadAddress(shard.id, shard.address.clone()));
            }
            if let Some(other) = addresses.insert(&shard.address, shard.id) {
                return Err(TableError::DuplicateAddress(
                    other,
                    shard.id,
                    shard.address.clone(),
                ));
            }
            if shard.weight > WEIGHT_MAX {
                return Err(TableError::BadWeight(shard.id, shard.weight));
            }
        }
        Ok(())
    }
}

/// `host:port` with a non-empty host without spaces and a port above 0; IPv6 hosts in brackets.
fn is_address(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else {
        return false;
    };
    let bracketed = host.starts_with('[') && host.ends_with(']') && host.len() > 2;
    let plain = !host.is_empty() && !host.contains([':', '[', ']', '/']);
    let visible = host.chars().all(|c| !c.is_whitespace() && !c.is_control());
    (bracketed || plain) && visible && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_addresses_are_validated_and_omitted_when_empty() {
        let table = RoutingTable::parse(VALID).unwrap();
        assert!(!table.to_json().contains("joining"));
        let joining = |address: &str| RoutingTable {
            joining: vec![address.to_owned()],
            ..table.clone()
        };
        let valid = joining("demo-shard-2-abcd0123.ns.svc:7000");
        assert_eq!(RoutingTable::parse(&valid.to_json()).unwrap(), valid);
        let message = joining("nowhere").validate().unwrap_err().to_string();
        assert!(message.contains("a joining shard has the address"), "{message}");
    }

    const VALID: &str = r#"{"version": 7, "shards": [
        {"id": 0, "revision": "abcd0123", "address": "demo-shard-0-abcd0123.ns.svc:7000", "state": "Active", "weight": 2},
        {"id": 1, "revision": "abcd0123", "address": "[::1]:7001", "state": "Draining"}],
        "pins": {"blue-team": 1}, "later": true}"#;

    #[test]
    fn a_table_survives_the_round_trip() {
        let table = RoutingTable::parse(VALID).unwrap();
        assert_eq!(table.shard(1).unwrap().weight, 1);
        assert_eq!(table.strategy, Strategy::Rendezvous);
        assert_eq!(RoutingTable::parse(&table.to_json()).unwrap(), table);
    }

    #[test]
    fn a_bad_table_is_refused_with_the_reason() {
        let shard = |id: u32, address: &str, weight: u32| {
            format!(
                r#"{{"id":{id},"revision":"r","address":"{address}","state":"Active","weight":{weight}}}"#
            )
        };
        let table = |shards: &[String]| format!(r#"{{"version":1,"shards":[{}]}}"#, shards.join(","));
        let cases = [
            (table(&[]), "the table has no shard"),
            (
                table(&[shard(3, "a:1", 1)]).replace("\"version\":1", &format!("\"version\":{}", u64::MAX)),
                "the table has the version",
            ),
            (String::from("{}"), "not a valid routing table"),
            (String::from("["), "not a valid routing table"),
            (
                table(&[shard(3, "a:1", 1), shard(3, "b:1", 1)]),
                "shard 3 is in the table twice",
            ),
            (
                table(&[shard(3, "a:1", 1), shard(4, "a:1", 1)]),
                "shards 3 and 4 have the same address",
            ),
            (table(&[shard(3, "", 1)]), "shard 3 has the address"),
            (table(&[shard(3, "a", 1)]), "shard 3 has the address"),
            (table(&[shard(3, ":7000", 1)]), "shard 3 has the address"),
            (table(&[shard(3, "a:0", 1)]), "shard 3 has the address"),
            (table(&[shard(3, "a:70000", 1)]), "shard 3 has the address"),
            (table(&[shard(3, "::1:7000", 1)]), "shard 3 has the address"),
            (table(&[shard(3, "a b:7000", 1)]), "shard 3 has the address"),
            (table(&[shard(3, "http://a:7000", 1)]), "shard 3 has the address"),
            (
                table(&[shard(3, "a:1", WEIGHT_MAX + 1)]),
                "shard 3 has the weight",
            ),
            (
                table(
                    &(0..=SHARDS_MAX as u32)
                        .map(|id| shard(id, &format!("a{id}:1"), 1))
                        .collect::<Vec<_>>(),
                ),
                "shards; at most",
            ),
        ];
        for (json, expected) in cases {
            let message = RoutingTable::parse(&json).unwrap_err().to_string();
            assert!(message.contains(expected), "{message} should contain {expected}");
        }
    }
}
