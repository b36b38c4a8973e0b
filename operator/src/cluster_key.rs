//! What identifies a PokerCluster within this process.

/// Namespace and name of a PokerCluster.
pub type ClusterKey = (String, String);
