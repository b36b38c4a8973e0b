//! The gateway: sockets of browsers on one side, links to shards on the other.
