//! Reads the objects that a plan would create before it creates them: the caches hold only objects with our label, and
//! another owner's object may have the name.

use super::{
    child::{Child, kind},
    context::Context,
    secrets::keys_of,
};
use crate::{cluster_key::ClusterKey, error::Error};
use kube::ResourceExt;
use poker_operator_core::{
    children::{Children, Planned},
    for_each_kind,
    observed::Observed,
    ownership::ForeignObject,
};

/// Adds objects that exist under planned names and are not in the caches; returns whether there are any.
///
/// # Errors
/// When the API server did not answer.
pub async fn read_uncached(
    ctx: &Context,
    key: &ClusterKey,
    planned: &Children<Planned>,
    observed: &mut Observed,
) -> Result<bool, Error> {
    let (live, foreign) = (&mut observed.live, &observed.foreign);
    let mut found = 0;
    macro_rules! read {
        ($($kind:ident: $type:ident,)*) => {
            $(found += read_kind(ctx, key, &planned.$kind, &mut live.$kind, foreign).await?;)*
        };
    }
    for_each_kind!(read);
    for secret in &mut live.secrets {
        if secret.data.is_some() {
            observed.secrets.insert(secret.name_any(), keys_of(secret));
            secret.data = None;
        }
    }
    observed.separate_foreign();
    Ok(found > 0)
}

async fn read_kind<K: Child>(
    ctx: &Context,
    key: &ClusterKey,
    planned: &[K],
    live: &mut Vec<K>,
    foreign: &[ForeignObject],
) -> Result<usize, Error> {
    let before = live.len();
    for object in planned {
        let name = object.name_any();
        let is_foreign = foreign
            .iter()
            .any(|other| other.kind == kind::<K>() && other.name == name);
        if is_foreign || live.iter().any(|live| live.name_any() == name) {
            continue;
        }
        let action = format!("read {} {name}", kind::<K>());
        let api = ctx.api::<K>(&key.namespace);
        live.extend(api.get_opt(&name).await.map_err(Error::api(action))?);
    }
    Ok(live.len() - before)
}
