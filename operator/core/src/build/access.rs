//! The ServiceAccount, Role and RoleBinding of gateways and shards, which watch the routing table.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};

use super::meta::{Context, Labels};

pub fn service_accounts(context: &Context) -> Vec<ServiceAccount> {
    vec![ServiceAccount {
        metadata: context.meta(context.names.app(), Labels::new()),
        automount_service_account_token: Some(false), // pods that need the token mount it
        ..ServiceAccount::default()
    }]
}

pub fn roles(context: &Context) -> Vec<Role> {
    let rule = PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["configmaps".to_owned()]),
        resource_names: Some(vec![context.names.routes()]),
        // A watch starts with a list, restricted to this name.
        verbs: ["get", "list", "watch"].map(str::to_owned).to_vec(),
        non_resource_urls: None,
    };
    vec![Role {
        metadata: context.meta(context.names.app(), Labels::new()),
        rules: Some(vec![rule]),
    }]
}

pub fn role_bindings(context: &Context) -> Vec<RoleBinding> {
    let subject = Subject {
        kind: "ServiceAccount".to_owned(),
        name: context.names.app(),
        namespace: Some(context.names.namespace.clone()),
        api_group: None,
    };
    let role = RoleRef {
        api_group: "rbac.authorization.k8s.io".to_owned(),
        kind: "Role".to_owned(),
        name: context.names.app(),
    };
    vec![RoleBinding {
        metadata: context.meta(context.names.app(), Labels::new()),
        role_ref: role,
        subjects: Some(vec![subject]),
    }]
}
