//! Common parts of all pods, within the restricted Pod Security Standard.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, ContainerPort, EmptyDirVolumeSource, HTTPGetAction, LocalObjectReference,
    PodSecurityContext, Probe, ResourceRequirements, SeccompProfile, SecurityContext, TCPSocketAction,
    TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use poker_operator_api::common::{Image, Resources};

use super::meta::Labels;

/// The user of a container: of the app, or of a public server image.
#[derive(Clone, Copy, Debug)]
pub struct User(pub i64);

pub const USER_APP: User = User(65_532);
pub const USER_REDIS: User = User(999);
pub const USER_KAFKA: User = User(1_000);
pub const USER_POSTGRES: User = User(999);

pub fn pod_security(user: User) -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(user.0),
        run_as_group: Some(user.0),
        fs_group: Some(user.0),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            localhost_profile: None,
        }),
        ..PodSecurityContext::default()
    }
}

pub fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: None,
        }),
        ..SecurityContext::default()
    }
}

pub fn pull_secrets(image: &Image) -> Option<Vec<LocalObjectReference>> {
    let names = image
        .pull_secrets
        .iter()
        .map(|s| LocalObjectReference { name: s.name.clone() });
    let names: Vec<_> = names.collect();
    (!names.is_empty()).then_some(names)
}

pub fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

/// The kind of a probe.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    Http { path: &'a str, port: &'a str },
    Tcp { port: &'a str },
}

/// A probe every `period` seconds that fails after `failures` consecutive failures.
pub fn probe(ask: Ask, period: i32, failures: i32) -> Probe {
    let named = |port: &str| IntOrString::String(port.to_owned());
    let (http_get, tcp_socket) = match ask {
        Ask::Http { path, port } => (
            Some(HTTPGetAction {
                path: Some(path.to_owned()),
                port: named(port),
                ..HTTPGetAction::default()
            }),
            None,
        ),
        Ask::Tcp { port } => (
            None,
            Some(TCPSocketAction {
                port: named(port),
                host: None,
            }),
        ),
    };
    Probe {
        http_get,
        tcp_socket,
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(2),
        ..Probe::default()
    }
}

/// The resources of the spec, or the defaults as (CPU, memory, memory limit).
pub fn resources(given: &Resources, defaults: (&str, &str, &str)) -> ResourceRequirements {
    let (cpu, memory, memory_limit) = defaults;
    let list = |entries: &[(&str, &str)]| -> BTreeMap<String, Quantity> {
        entries
            .iter()
            .map(|(k, v)| ((*k).to_owned(), Quantity((*v).to_owned())))
            .collect()
    };
    let convert =
        |map: &BTreeMap<String, poker_operator_api::Quantity>| -> Option<BTreeMap<String, Quantity>> {
            (!map.is_empty()).then(|| map.iter().map(|(k, v)| (k.clone(), v.into())).collect())
        };
    if given.requests.is_empty() && given.limits.is_empty() {
        return ResourceRequirements {
            requests: Some(list(&[("cpu", cpu), ("memory", memory)])),
            limits: Some(list(&[("memory", memory_limit)])),
            claims: None,
        };
    }
    ResourceRequirements {
        requests: convert(&given.requests),
        limits: convert(&given.limits),
        claims: None,
    }
}

/// Spreads pods over nodes and zones if possible.
pub fn spread(selector: &Labels) -> Vec<TopologySpreadConstraint> {
    ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
        .into_iter()
        .map(|key| TopologySpreadConstraint {
            max_skew: 1,
            topology_key: key.to_owned(),
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(LabelSelector {
                match_labels: Some(selector.clone()),
                ..LabelSelector::default()
            }),
            ..TopologySpreadConstraint::default()
        })
        .collect()
}

/// A writable directory that is deleted with the pod.
pub fn scratch(name: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    }
}

pub fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        ..VolumeMount::default()
    }
}
