//! The pod templates of the roles of the app.

use k8s_openapi::api::core::v1::{Container, ContainerPort, EnvVar, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use poker_operator_api::Component;
use poker_operator_api::common::Resources;
use poker_operator_api::names::{ANNOTATION_CREDENTIALS, LABEL_REVISION};

use super::env;
use super::meta::{Context, Labels};
use super::pod::{self, Ask, USER_APP};
use crate::limits::{
    GATEWAY_GRACE_SECONDS, PORT_ADMIN, PORT_HTTP, PORT_LINK, SERVER_GRACE_SECONDS, SHARD_GRACE_SECONDS,
};

struct Role<'a> {
    component: Component,
    labels: Labels,
    env: Vec<EnvVar>,
    ports: Vec<ContainerPort>,
    resources: &'a Resources,
    /// The default resources as (CPU, memory, memory limit).
    defaults: (&'a str, &'a str, &'a str),
    grace_seconds: i64,
    /// Whether the role watches the routing table through the API server.
    watches_routes: bool,
    /// A hash of the credentials that the role reads.
    credentials: Option<&'a String>,
}

/// The pods of a gateway Deployment.
pub fn gateway_template(context: &Context, revision: &str) -> PodTemplateSpec {
    template(
        context,
        Role {
            component: Component::Gateway,
            labels: context.revision_selector(Component::Gateway, revision, None),
            env: env::gateway(context, revision),
            ports: vec![pod::port("http", PORT_HTTP), pod::port("admin", PORT_ADMIN)],
            resources: &context.spec.gateway.resources,
            defaults: ("50m", "64Mi", "512Mi"),
            grace_seconds: GATEWAY_GRACE_SECONDS,
            watches_routes: true,
            credentials: context.credentials.database.as_ref(),
        },
    )
}

/// The pod of a shard's Deployment.
pub fn shard_template(context: &Context, id: u32, revision: &str) -> PodTemplateSpec {
    template(
        context,
        Role {
            component: Component::Shard,
            labels: context.revision_selector(Component::Shard, revision, Some(id)),
            env: env::shard(context, id, revision),
            ports: vec![pod::port("link", PORT_LINK), pod::port("admin", PORT_ADMIN)],
            resources: &context.spec.shards.resources,
            defaults: ("50m", "64Mi", "512Mi"),
            grace_seconds: SHARD_GRACE_SECONDS,
            watches_routes: true,
            credentials: context.credentials.redis.as_ref(),
        },
    )
}

/// The template of shard 0 of a revision, changed to that of another shard.
pub fn for_shard(
    context: &Context,
    mut template: PodTemplateSpec,
    id: u32,
    revision: &str,
) -> PodTemplateSpec {
    let labels = context.revision_selector(Component::Shard, revision, Some(id));
    let metadata = template.metadata.get_or_insert_default();
    metadata.labels.get_or_insert_default().extend(labels);
    let containers = template.spec.iter_mut().flat_map(|spec| &mut spec.containers);
    for variable in containers.flat_map(|container| container.env.iter_mut().flatten()) {
        if let Some(own) = env::of_shard(context, id, revision)
            .into_iter()
            .find(|own| own.name == variable.name)
        {
            *variable = own;
        }
    }
    template
}

/// The pods of the worker Deployment.
pub fn worker_template(context: &Context, revision: &str) -> PodTemplateSpec {
    let mut labels = context.selector(Component::Worker);
    labels.insert(LABEL_REVISION.to_owned(), revision.to_owned());
    template(
        context,
        Role {
            component: Component::Worker,
            labels,
            env: env::worker(context, revision),
            ports: vec![pod::port("admin", PORT_ADMIN)],
            resources: &context.spec.worker.resources,
            defaults: ("20m", "32Mi", "256Mi"),
            grace_seconds: SERVER_GRACE_SECONDS,
            watches_routes: false,
            credentials: context.credentials.database.as_ref(),
        },
    )
}

fn template(context: &Context, role: Role) -> PodTemplateSpec {
    let image = &context.spec.image;
    let container = Container {
        name: role.component.as_str().to_owned(),
        image: Some(format!("{}:{}", image.repository, context.spec.version)),
        image_pull_policy: Some(image.pull_policy.as_str().to_owned()),
        args: Some(vec![role.component.as_str().to_owned()]),
        env: Some(role.env),
        ports: Some(role.ports),
        resources: Some(pod::resources(role.resources, role.defaults)),
        security_context: Some(pod::container_security()),
        startup_probe: Some(pod::probe(
            Ask::Http {
                path: "/live",
                port: "admin",
            },
            1,
            60,
        )),
        liveness_probe: Some(pod::probe(
            Ask::Http {
                path: "/live",
                port: "admin",
            },
            10,
            3,
        )),
        readiness_probe: Some(pod::probe(
            Ask::Http {
                path: "/ready",
                port: "admin",
            },
            2,
            2,
        )),
        volume_mounts: Some(vec![pod::mount("tmp", "/tmp")]),
        ..Container::default()
    };
    let spread = pod::spread(&context.selector(role.component));
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(role.labels),
            annotations: Some(annotations(role.credentials)),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            containers: vec![container],
            image_pull_secrets: pod::pull_secrets(image),
            service_account_name: role.watches_routes.then(|| context.names.app()),
            automount_service_account_token: Some(role.watches_routes),
            enable_service_links: Some(false),
            security_context: Some(pod::pod_security(USER_APP)),
            termination_grace_period_seconds: Some(role.grace_seconds),
            topology_spread_constraints: Some(spread),
            volumes: Some(vec![pod::scratch("tmp")]),
            ..PodSpec::default()
        }),
    }
}

/// Annotations for the pod discovery of Prometheus, and the hash of the credentials, so that a changed Secret replaces the pods.
fn annotations(credentials: Option<&String>) -> Labels {
    let mut annotations = Labels::from([
        ("prometheus.io/scrape".to_owned(), "true".to_owned()),
        ("prometheus.io/port".to_owned(), PORT_ADMIN.to_string()),
    ]);
    if let Some(credentials) = credentials {
        annotations.insert(ANNOTATION_CREDENTIALS.to_owned(), credentials.clone());
    }
    annotations
}
