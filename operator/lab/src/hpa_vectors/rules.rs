//! Vectors of rules: rate policies, windows, stored events, defaults, reported quantities.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::compare;
use super::input::{self, EventInput, RecommendationInput, RulesInput};
use poker_operator_core::scale::hpa::behavior::{Behavior, PolicyKind, Rules, SelectPolicy};
use poker_operator_core::scale::hpa::history::{History, change_within};
use poker_operator_core::scale::hpa::quantity::Quantity;
use poker_operator_core::scale::hpa::rate::{self, Bounds, ScaleUpLimit};
use poker_operator_core::scale::hpa::stabilize;

type Actual = Result<Value, serde_json::Error>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Up,
    Down,
}

pub fn behavior_rate(vector: &Value) -> Actual {
    #[derive(Deserialize)]
    struct RateVector {
        now: Timestamp,
        current_replicas: i32,
        desired_replicas: i32,
        min_replicas: i32,
        max_replicas: i32,
        scale_up: RulesInput,
        scale_down: RulesInput,
        #[serde(default)]
        scale_up_events: Vec<EventInput>,
        #[serde(default)]
        scale_down_events: Vec<EventInput>,
    }
    let v = RateVector::deserialize(vector)?;
    let behavior = Behavior {
        scale_up: v.scale_up.scale_up(),
        scale_down: v.scale_down.scale_down(),
    };
    let history = input::history(None, &v.scale_up_events, &v.scale_down_events, v.now);
    let bounds = Bounds {
        min: v.min_replicas,
        max: v.max_replicas,
    };
    let (replicas, limit) = rate::with_behavior(
        v.current_replicas,
        v.desired_replicas,
        bounds,
        &behavior,
        &history,
        v.now,
    );
    Ok(json!({ "replicas": replicas, "reason": limit.reason() }))
}

pub fn legacy_limits(vector: &Value) -> Actual {
    #[derive(Deserialize)]
    struct LimitVector {
        current_replicas: i32,
        desired_replicas: i32,
        min_replicas: i32,
        max_replicas: i32,
        scale_up_limit_factor: f64,
        scale_up_limit_minimum: f64,
    }
    let v = LimitVector::deserialize(vector)?;
    let bounds = Bounds {
        min: v.min_replicas,
        max: v.max_replicas,
    };
    let limit = ScaleUpLimit {
        factor: v.scale_up_limit_factor,
        minimum: v.scale_up_limit_minimum,
    };
    let (replicas, limit) = rate::without_behavior(v.current_replicas, v.desired_replicas, bounds, limit);
    Ok(json!({ "replicas": replicas, "reason": limit.reason() }))
}

pub fn scale_limit(vector: &Value, direction: Direction) -> Actual {
    #[derive(Deserialize)]
    struct LimitVector {
        now: Timestamp,
        current_replicas: i32,
        rules: RulesInput,
        #[serde(default)]
        scale_up_events: Vec<EventInput>,
        #[serde(default)]
        scale_down_events: Vec<EventInput>,
    }
    let v = LimitVector::deserialize(vector)?;
    let history = input::history(None, &v.scale_up_events, &v.scale_down_events, v.now);
    let limit = match direction {
        Direction::Up => rate::scale_up_limit(v.current_replicas, &v.rules.scale_up(), &history, v.now),
        Direction::Down => rate::scale_down_limit(v.current_replicas, &v.rules.scale_down(), &history, v.now),
    };
    Ok(json!({ "limit": limit }))
}

pub fn behavior_windows(vector: &Value) -> Actual {
    #[derive(Deserialize)]
    struct WindowsVector {
        now: Timestamp,
        recommendations: Option<Vec<RecommendationInput>>,
        current_replicas: i32,
        desired_replicas: i32,
        scale_up_window_seconds: i64,
        scale_down_window_seconds: i64,
    }
    let v = WindowsVector::deserialize(vector)?;
    let mut history = input::history(v.recommendations.as_deref(), &[], &[], v.now);
    let (up, down) = (
        input::seconds(v.scale_up_window_seconds),
        input::seconds(v.scale_down_window_seconds),
    );
    let replicas = stabilize::with_windows(
        &mut history,
        v.current_replicas,
        v.desired_replicas,
        up,
        down,
        v.now,
    );
    Ok(json!({ "replicas": replicas, "recommendations_after": stored(&history) }))
}

pub fn downscale_window(vector: &Value) -> Actual {
    #[derive(Deserialize)]
    struct WindowVector {
        now: Timestamp,
        recommendations: Option<Vec<RecommendationInput>>,
        desired_replicas: i32,
        downscale_window_seconds: i64,
    }
    let v = WindowVector::deserialize(vector)?;
    let mut history = input::history(v.recommendations.as_deref(), &[], &[], v.now);
    let window = input::seconds(v.downscale_window_seconds);
    let replicas = stabilize::with_downscale_window(&mut history, v.desired_replicas, window, v.now);
    Ok(json!({ "replicas": replicas, "history_length_after": stored(&history).len() }))
}

fn stored(history: &History) -> Vec<i32> {
    history
        .recommendations
        .iter()
        .flatten()
        .map(|r| r.replicas)
        .collect()
}

/// A vector runs once in each direction.
pub fn store_events(vector: &Value, expected: &Value) -> Result<(), String> {
    let directions = vector["directions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for direction in directions {
        let name = direction.as_str().unwrap_or_default();
        let (actual, key) = match name {
            "up" => (store_event(vector, Direction::Up), name),
            "down" => (store_event(vector, Direction::Down), name),
            other => return Err(format!("unknown direction {other:?}")),
        };
        let actual = actual.map_err(|e| format!("cannot read the vector: {e}"))?;
        compare::expect(expected, &actual).map_err(|why| format!("{key}: {why}"))?;
    }
    Ok(())
}

fn store_event(vector: &Value, direction: Direction) -> Actual {
    #[derive(Deserialize)]
    struct EventVector {
        now: Timestamp,
        previous_replicas: i32,
        #[serde(default)]
        new_replicas_up: i32,
        #[serde(default)]
        new_replicas_down: i32,
        #[serde(default)]
        events: Vec<EventInput>,
        rules: Option<RulesInput>,
        period_seconds: i32,
    }
    let v = EventVector::deserialize(vector)?;
    let behavior = v.rules.as_ref().map(|rules| Behavior {
        scale_up: Rules::for_scale_up(rules.partial()),
        scale_down: Rules::for_scale_down(rules.partial()),
    });
    let events = input::events(&v.events, v.now);
    let before = change_within(&events, v.period_seconds, v.now);
    let mut history = History::default();
    let (list, to) = match direction {
        Direction::Up => (&mut history.scale_ups, v.new_replicas_up),
        Direction::Down => (&mut history.scale_downs, v.new_replicas_down),
    };
    *list = events;
    history.record_scaling(behavior.as_ref(), v.previous_replicas, to, v.now);
    let after = match direction {
        Direction::Up => &history.scale_ups,
        Direction::Down => &history.scale_downs,
    };
    let after: Vec<Value> = after
        .iter()
        .map(|e| json!({ "replica_change": e.change, "outdated": e.outdated }))
        .collect();
    Ok(json!({ "change_in_period_before": before, "events_after": after }))
}

pub fn defaults(vector: &Value) -> Actual {
    #[derive(Deserialize)]
    struct DefaultsVector {
        direction: String,
        rules: Option<RulesInput>,
    }
    let v = DefaultsVector::deserialize(vector)?;
    let given = v.rules.as_ref().map(RulesInput::partial).unwrap_or_default();
    let rules = if v.direction == "up" {
        Rules::for_scale_up(given)
    } else {
        Rules::for_scale_down(given)
    };
    let policies: Vec<Value> = rules
        .policies
        .iter()
        .map(|p| {
            let kind = match p.kind {
                PolicyKind::Pods => "Pods",
                PolicyKind::Percent => "Percent",
            };
            json!({ "type": kind, "value": p.value, "period_seconds": p.period_seconds })
        })
        .collect();
    let select = match rules.select_policy {
        SelectPolicy::Max => "Max",
        SelectPolicy::Min => "Min",
        SelectPolicy::Disabled => "Disabled",
    };
    Ok(json!({
        "stabilization_window_seconds": rules.stabilization_window_seconds,
        "select_policy": select,
        "policies": policies,
        "tolerance": rules.tolerance,
    }))
}

pub fn status_quantity(vector: &Value) -> Actual {
    #[derive(Deserialize)]
    struct QuantityVector {
        resource: String,
        raw_value_milli: i64,
    }
    let v = QuantityVector::deserialize(vector)?;
    let quantity = Quantity::of_resource(&v.resource, v.raw_value_milli);
    Ok(json!({ "value_milli": quantity.milli, "format": quantity.format.name() }))
}
