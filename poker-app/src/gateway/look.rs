//! What somebody with a team's link may see without joining.

use std::sync::Arc;

use poker_core::protocol::close;
use tokio::time::timeout;

use super::{hub::Hub, limits::LOOK_TIMEOUT, outbox::Outbox};
use crate::link::{Sight, Wish};

/// The team's sight, `None` where there is no such team, or that nobody can tell at the moment.
pub async fn look(hub: &Arc<Hub>, team: &str) -> Result<Option<Sight>, Unknown> {
    let outbox = Arc::new(Outbox::default());
    let _until_answered = hub.join(team, Wish::Look {}, outbox.clone());
    timeout(LOOK_TIMEOUT, answer(&outbox))
        .await
        .unwrap_or(Err(Unknown))
}

/// No shard has answered for the team in time.
#[derive(Debug)]
pub struct Unknown;

async fn answer(outbox: &Outbox) -> Result<Option<Sight>, Unknown> {
    loop {
        outbox.changed().await;
        let (texts, closing) = outbox.take();
        // Notices may come before it.
        if let Some(sight) = texts.iter().find_map(|text| serde_json::from_str(text).ok()) {
            return Ok(Some(sight));
        }
        match closing {
            Some((close::TEAM_NOT_FOUND, _)) => return Ok(None),
            Some(_) => return Err(Unknown),
            None => {}
        }
    }
}
