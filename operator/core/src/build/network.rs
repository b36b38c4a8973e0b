//! NetworkPolicies: the connections that pods accept.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use poker_operator_api::Component;
use poker_operator_api::names::{LABEL_NAME, MANAGED_BY};

use super::meta::Context;
use crate::limits::{PORT_ADMIN, PORT_HTTP, PORT_KAFKA, PORT_LINK, PORT_POSTGRES, PORT_REDIS};
use crate::servers::{DatabaseServer, KafkaServer, RedisServer};

pub fn network_policies(context: &Context) -> Vec<NetworkPolicy> {
    use Component::{Database, Gateway, Kafka, Redis, Shard, Worker};
    let from = |components: &[Component]| components.iter().map(|c| peer(context, *c)).collect::<Vec<_>>();
    let mut policies = vec![
        policy(context, Gateway, vec![allow(PORT_HTTP, None), admin()]),
        policy(
            context,
            Shard,
            vec![allow(PORT_LINK, Some(from(&[Gateway]))), admin()],
        ),
    ];
    if !matches!(context.servers.database, DatabaseServer::None) {
        policies.push(policy(context, Worker, vec![admin()]));
    }
    if let RedisServer::Managed(_) = context.servers.redis {
        policies.push(policy(
            context,
            Redis,
            vec![allow(PORT_REDIS, Some(from(&[Shard])))],
        ));
    }
    if let KafkaServer::Managed(_) = context.servers.kafka {
        let mut peers = from(&[Shard, Worker]);
        peers.push(operator()); // it creates the topic
        policies.push(policy(context, Kafka, vec![allow(PORT_KAFKA, Some(peers))]));
    }
    if let DatabaseServer::Managed(_) = context.servers.database {
        policies.push(policy(
            context,
            Database,
            vec![allow(PORT_POSTGRES, Some(from(&[Gateway, Worker])))],
        ));
    }
    policies
}

fn policy(context: &Context, component: Component, ingress: Vec<NetworkPolicyIngressRule>) -> NetworkPolicy {
    NetworkPolicy {
        metadata: context.meta(context.names.component(component), context.selector(component)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(context.label_selector(component)),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(ingress),
            egress: None,
        }),
    }
}

/// `None` allows connections from everywhere.
fn allow(port: i32, from: Option<Vec<NetworkPolicyPeer>>) -> NetworkPolicyIngressRule {
    let port = NetworkPolicyPort {
        port: Some(IntOrString::Int(port)),
        protocol: Some("TCP".to_owned()),
        end_port: None,
    };
    NetworkPolicyIngressRule {
        ports: Some(vec![port]),
        from,
    }
}

/// The operator and Prometheus use the admin port. Prometheus may run in any namespace.
fn admin() -> NetworkPolicyIngressRule {
    let anywhere = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        ..NetworkPolicyPeer::default()
    };
    allow(PORT_ADMIN, Some(vec![anywhere]))
}

fn peer(context: &Context, component: Component) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(context.label_selector(component)),
        ..NetworkPolicyPeer::default()
    }
}

fn operator() -> NetworkPolicyPeer {
    let labels = BTreeMap::from([(LABEL_NAME.to_owned(), MANAGED_BY.to_owned())]);
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        pod_selector: Some(LabelSelector {
            match_labels: Some(labels),
            ..LabelSelector::default()
        }),
        ip_block: None,
    }
}
