//! The Ingress to the gateways.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend,
    IngressSpec, IngressTLS, ServiceBackendPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use poker_operator_api::Component;
use poker_operator_api::gateway::ExposeIngress;

use super::meta::Context;

/// The Ingress, if the spec has one.
pub fn ingresses(context: &Context) -> Vec<Ingress> {
    context
        .spec
        .gateway
        .expose
        .ingress
        .iter()
        .map(|expose| ingress(context, expose))
        .collect()
}

fn ingress(context: &Context, expose: &ExposeIngress) -> Ingress {
    let service = IngressServiceBackend {
        name: context.names.public(),
        port: Some(ServiceBackendPort {
            name: Some("http".to_owned()),
            number: None,
        }),
    };
    let path = HTTPIngressPath {
        path: Some("/".to_owned()),
        path_type: "Prefix".to_owned(),
        backend: IngressBackend {
            service: Some(service),
            resource: None,
        },
    };
    let rule = IngressRule {
        host: Some(expose.host.clone()),
        http: Some(HTTPIngressRuleValue { paths: vec![path] }),
    };
    let tls = expose.tls_secret_name.as_ref().map(|secret| {
        vec![IngressTLS {
            hosts: Some(vec![expose.host.clone()]),
            secret_name: Some(secret.clone()),
        }]
    });
    let annotations = expose.annotations.clone();
    Ingress {
        metadata: ObjectMeta {
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..context.meta(context.names.public(), context.selector(Component::Gateway))
        },
        spec: Some(IngressSpec {
            ingress_class_name: expose.class_name.clone(),
            rules: Some(vec![rule]),
            tls,
            default_backend: None,
        }),
        status: None,
    }
}
