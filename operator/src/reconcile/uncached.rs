//! Looks up what a plan would make, before it is made: the caches hold only objects with our label, and a
//! name may be taken by somebody else.

use super::{apply::Child, observe::keys_of};
use crate::{cluster_key::ClusterKey, context::Context, error::Error};
use kube::ResourceExt;
use poker_operator_core::{
    children::{Children, Planned},
    observed::Observed,
};
use std::marker::PhantomData;

/// Adds what exists under planned names and was not in the caches; true when there was any.
///
/// # Errors
/// When the API server did not answer.
pub async fn add_unseen(
    ctx: &Context,
    key: &ClusterKey,
    planned: &Children<Planned>,
    seen: &mut Observed,
) -> Result<bool, Error> {
    // No `..`: a kind that nobody looks up does not compile.
    let Children {
        service_accounts,
        roles,
        role_bindings,
        secrets,
        config_maps,
        services,
        network_policies,
        pod_disruption_budgets,
        ingresses,
        stateful_sets,
        deployments,
        state: PhantomData,
    } = planned;
    let live = &mut seen.live;
    let mut found = 0;
    found += unseen(ctx, key, service_accounts, &mut live.service_accounts).await?;
    found += unseen(ctx, key, roles, &mut live.roles).await?;
    found += unseen(ctx, key, role_bindings, &mut live.role_bindings).await?;
    found += unseen(ctx, key, secrets, &mut live.secrets).await?;
    found += unseen(ctx, key, config_maps, &mut live.config_maps).await?;
    found += unseen(ctx, key, services, &mut live.services).await?;
    found += unseen(ctx, key, network_policies, &mut live.network_policies).await?;
    found += unseen(ctx, key, pod_disruption_budgets, &mut live.pod_disruption_budgets).await?;
    found += unseen(ctx, key, ingresses, &mut live.ingresses).await?;
    found += unseen(ctx, key, stateful_sets, &mut live.stateful_sets).await?;
    found += unseen(ctx, key, deployments, &mut live.deployments).await?;
    for secret in &mut live.secrets {
        if secret.data.is_some() {
            seen.secrets.insert(secret.name_any(), keys_of(secret));
            secret.data = None;
        }
    }
    Ok(found > 0)
}

async fn unseen<K: Child>(
    ctx: &Context,
    key: &ClusterKey,
    planned: &[K],
    live: &mut Vec<K>,
) -> Result<usize, Error> {
    let before = live.len();
    for object in planned {
        let name = object.name_any();
        if live.iter().any(|live| live.name_any() == name) {
            continue;
        }
        let what = format!("look up {} {name}", K::kind(&()));
        live.extend(
            ctx.api::<K>(&key.0)
                .get_opt(&name)
                .await
                .map_err(Error::api(what))?,
        );
    }
    Ok(live.len() - before)
}
