//! Services.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use poker_operator_api::Component;

use super::meta::{Context, Labels};
use crate::limits::{PORT_ADMIN, PORT_HTTP, PORT_KAFKA, PORT_LINK, PORT_POSTGRES, PORT_PUBLIC, PORT_REDIS};
use crate::servers::{DatabaseServer, KafkaServer, RedisServer};

fn port(name: &str, number: i32, target: i32) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: number,
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::Int(target)),
        ..ServicePort::default()
    }
}

fn internal(
    context: &Context,
    name: String,
    labels: Labels,
    selector: Labels,
    ports: Vec<ServicePort>,
) -> Service {
    Service {
        metadata: context.meta(name, labels),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(selector),
            ports: Some(ports),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// The public Service. It selects the gateways of one revision.
pub fn public_service(context: &Context, serving: &str) -> Service {
    let expose = &context.spec.gateway.expose.service;
    let labels = context.selector(Component::Gateway);
    let selector = context.revision_selector(Component::Gateway, serving, None);
    let annotations: BTreeMap<_, _> = expose.annotations.clone();
    let http = ServicePort {
        node_port: expose.node_port,
        ..port("http", PORT_PUBLIC, PORT_HTTP)
    };
    Service {
        metadata: ObjectMeta {
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..context.meta(context.names.public(), labels)
        },
        spec: Some(ServiceSpec {
            type_: Some(expose.type_.as_str().to_owned()),
            selector: Some(selector),
            ports: Some(vec![http]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// The stable address of one shard of a revision.
pub fn shard_service(context: &Context, id: u32, revision: &str) -> Service {
    let selector = context.revision_selector(Component::Shard, revision, Some(id));
    let ports = vec![
        port("link", PORT_LINK, PORT_LINK),
        port("admin", PORT_ADMIN, PORT_ADMIN),
    ];
    internal(
        context,
        context.names.shard(id, revision),
        selector.clone(),
        selector,
        ports,
    )
}

/// The Services of the managed servers.
pub fn server_services(context: &Context) -> Vec<Service> {
    let server = |component: Component, name: &str, number: i32| {
        let selector = context.selector(component);
        let ports = vec![port(name, number, number)];
        internal(
            context,
            context.names.component(component),
            selector.clone(),
            selector,
            ports,
        )
    };
    let mut services = Vec::new();
    if let RedisServer::Managed(_) = context.servers.redis {
        services.push(server(Component::Redis, "redis", PORT_REDIS));
    }
    if let KafkaServer::Managed(_) = context.servers.kafka {
        services.push(server(Component::Kafka, "kafka", PORT_KAFKA));
    }
    if let DatabaseServer::Managed(_) = context.servers.database {
        services.push(server(Component::Database, "postgres", PORT_POSTGRES));
    }
    services
}
