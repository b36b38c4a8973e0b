//! The policies of `simulate` and `bench scaling`, from files and by name.

use std::path::Path;

use crate::simulate::Setup;
use crate::simulate::policies::{self, HPA_TICK_SECONDS};
use anyhow::{Context, bail};
use poker_operator_api::Autoscaling;
use poker_operator_core::validate;
use serde_json::{Value, json};

use poker_operator_manifest::crd_validation::{self, FieldError};
use poker_operator_manifest::input::{display_name, read_text, yaml};

const DEFAULT: &str = include_str!("../../../../demo/autoscaling-policy.yaml");
/// The decision period of a policy without its own.
const TICK_SECONDS: i64 = 5;
/// The age of the newest sample.
pub const LATE_SECONDS: i64 = 15;
/// The upper bound of a resize: the kubelet needs about a second.
const RESIZE_SECONDS: i64 = 5;
/// A sample taken during a fault affects decisions for one scale-in window after it.
pub const GRACE_WINDOWS: u8 = 1;
/// The default policy forecasts so much further than the start-up time, for the decision period and the metric delay.
const LEAD_BEYOND_START_SECONDS: i64 = 60;

/// Notes on standard error if a policy's forecast ends before a new replica could serve.
pub fn note_short_lead(block: &Autoscaling, start_seconds: i64, late_seconds: i64) {
    let needed = start_seconds + late_seconds;
    let lead = block.predictive.as_ref().map(|p| i64::from(p.lead_seconds));
    if let Some(lead) = lead.filter(|lead| *lead < needed) {
        eprintln!(
            "note: predictive.leadSeconds is {lead}, but a replica serves {start_seconds} s after the decision and the \
             metric is {late_seconds} s late: set at least {needed}, better {}",
            start_seconds + LEAD_BEYOND_START_SECONDS
        );
    }
}

/// A policy with its name and the simulator's settings for it.
#[derive(Clone, Debug)]
pub struct Named {
    pub name: String,
    pub block: Autoscaling,
    pub tick_seconds: i64,
    /// Treats missing samples as 0.
    pub missing_as_zero: bool,
    /// Trusts sudden falls of the metric, as the Kubernetes autoscaler does.
    pub no_anomaly_guard: bool,
    /// From the decision to resize until it takes effect; if set, count and size are planned together.
    pub resize_seconds: Option<i64>,
}

impl Named {
    pub fn new(name: &str, block: Autoscaling) -> Named {
        Named {
            name: name.to_owned(),
            block,
            tick_seconds: TICK_SECONDS,
            missing_as_zero: false,
            no_anomaly_guard: false,
            resize_seconds: None,
        }
    }

    /// The conditions that all benchmarks assume: the metric is the mean of a minute, 15 seconds late.
    pub fn setup(&self, capacity: f64, start_seconds: i64, history_seconds: i64) -> Setup {
        Setup {
            capacity,
            start_seconds,
            resize_seconds: self.resize_seconds,
            drain_seconds: 0,
            window_seconds: 60,
            late_seconds: LATE_SECONDS,
            scrape_seconds: 5,
            tick_seconds: self.tick_seconds,
            history_seconds,
            fault: None,
            grace_windows: GRACE_WINDOWS,
            missing_as_zero: self.missing_as_zero,
            no_anomaly_guard: self.no_anomaly_guard,
        }
    }
}

/// The default policy, which forecasts as far ahead as replicas take to start.
///
/// # Errors
/// Never with the built-in policy; a test proves it.
pub fn default(start_seconds: i64) -> anyhow::Result<Autoscaling> {
    let mut block: Autoscaling = serde_saphyr::from_str(DEFAULT).context("the default policy is invalid")?;
    if let Some(predictive) = &mut block.predictive {
        predictive.lead_seconds = i32::try_from(start_seconds + LEAD_BEYOND_START_SECONDS)?;
    }
    Ok(block)
}

/// Reads the `autoscaling` block in a file.
///
/// # Errors
/// The file cannot be read, is not such a block, would be rejected by the API server or the operator, or has no metric
/// with a target per replica.
pub fn read(path: &Path) -> anyhow::Result<Autoscaling> {
    parse(&read_text(path)?).with_context(|| display_name(path))
}

fn parse(text: &str) -> anyhow::Result<Autoscaling> {
    const NO_POLICY: &str = "not a policy: give the autoscaling block of a PokerCluster, for example demo/autoscaling-policy.yaml";
    let block = yaml(text).context(NO_POLICY)?;
    if !block.is_object() {
        bail!(NO_POLICY);
    }
    for around in ["spec", "autoscaling"] {
        if block.get(around).is_some() {
            bail!("give only the fields below autoscaling, without `{around}` around them");
        }
    }
    let errors = field_errors(&block)?;
    if !errors.is_empty() {
        bail!(errors.join("; "));
    }
    let block: Autoscaling = serde_json::from_value(block).context(NO_POLICY)?;
    validate::autoscaling_block(&block).map_err(anyhow::Error::msg)?;
    if policies::capacity(&block).is_none() {
        bail!("the first metric needs target.averageValue, the capacity of one replica");
    }
    Ok(block)
}

/// The errors of the block, unless it is valid for shards or for gateways.
fn field_errors(block: &Value) -> anyhow::Result<Vec<String>> {
    let of = |part: &str| -> anyhow::Result<Vec<String>> {
        let cluster = json!({
            "apiVersion": "planningpoker.dev/v1alpha1", "kind": "PokerCluster", "metadata": {"name": "policy"},
            "spec": {"version": "1", "prometheus": {"url": "http://prometheus"}, part: {"autoscaling": block}},
        });
        let prefix = format!("spec.{part}.autoscaling");
        let within_block = |error: FieldError| {
            let text = error.to_string();
            let text = text.strip_prefix(&prefix).unwrap_or(&text);
            text.trim_start_matches(['.', ':', ' ']).to_owned()
        };
        let errors = crd_validation::field_errors(&cluster)?;
        Ok(errors.into_iter().map(within_block).collect())
    };
    let shards = of("shards")?;
    if shards.is_empty() || of("gateway")?.is_empty() {
        return Ok(Vec::new());
    }
    Ok(shards)
}

/// A policy by name: `hpa70`; a part of `block` as `reactive`, `panic` or `forecast`; `joint`, `block` with resizes; or
/// `naive`, `block` with missing samples as 0.
///
/// # Errors
/// There is no policy of that name.
pub fn named(name: &str, block: &Autoscaling) -> anyhow::Result<Named> {
    let capacity = policies::capacity(block).context("the policy has no metric with a target per replica")?;
    if let Some(percent) = name.strip_prefix("hpa") {
        let percent: u32 = percent
            .parse()
            .ok()
            .filter(|p| (1..=100).contains(p))
            .with_context(|| {
                format!("{name} is not a policy: write hpa and a target in percent, for example hpa70")
            })?;
        return Ok(Named {
            tick_seconds: HPA_TICK_SECONDS,
            no_anomaly_guard: true,
            ..Named::new(name, policies::hpa(percent, capacity, block))
        });
    }
    let block = match name {
        "reactive" => policies::reactive(block),
        "panic" => policies::without_forecast(block),
        "forecast" => Autoscaling {
            panic: None,
            ..block.clone()
        },
        "joint" | "naive" => block.clone(),
        _ => bail!("{name} is not a policy: use hpaNN, reactive, panic, forecast, joint or naive"),
    };
    Ok(Named {
        missing_as_zero: name == "naive",
        resize_seconds: (name == "joint").then_some(RESIZE_SECONDS),
        ..Named::new(name, block)
    })
}

#[cfg(test)]
mod tests {
    use crate::simulate::{self, Demand};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_policy_is_valid_and_forecasts_beyond_the_start_up() {
        let block = default(180).unwrap();
        assert_eq!(block.predictive.as_ref().unwrap().lead_seconds, 240);
        assert_eq!(policies::capacity(&block), Some(1000.0));
    }

    #[test]
    fn an_invalid_policy_is_rejected_with_a_remedy() {
        let metrics = r#"metrics: [{builtin: Participants, target: {averageValue: "1000"}}]"#;
        let table = [
            (
                "minReplicas: 5\nmaxReplicas: 2",
                "lower minReplicas or raise maxReplicas",
            ),
            ("maxReplicas: 0", "maxReplicas: must be at least 1"),
            ("maxReplicas: 214748365", "maxReplicas: must be at most"),
            ("maxReplicas: 9\npredictiv: {}", "predictiv: unknown field"),
            (
                "maxReplicas: 9\npredictive: {leadSecond: 5}",
                "predictive.leadSecond: unknown field",
            ),
            (
                "maxReplicas: 9\npredictive: {shortageCost: 214748365}",
                "predictive.shortageCost: must be at most",
            ),
            (
                "maxReplicas: 9\nbehavior: {scaleUp: {tolerance: abc}}",
                "behavior.scaleUp.tolerance",
            ),
            (
                "maxReplicas: 9\nschedules: [{name: s, cron: '61 0 * * *', minReplicas: 2}]",
                "schedules: s",
            ),
            (
                "spec: {shards: {autoscaling: {maxReplicas: 9}}}",
                "give only the fields below autoscaling",
            ),
            ("[]", "not a policy"),
            ("'", "not a policy"),
        ];
        for (text, expected) in table {
            let error = format!("{:#}", parse(&format!("{text}\n{metrics}\n")).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
        let none = r#"{maxReplicas: 9, metrics: [{builtin: Participants, target: {averageValue: "0"}}]}"#;
        assert!(format!("{:#}", parse(none).unwrap_err()).contains("greater than 0"));
        let gateways =
            r#"{maxReplicas: 400, metrics: [{builtin: Connections, target: {averageValue: "10"}}]}"#;
        parse(gateways).unwrap();
        parse(DEFAULT).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_policy_that_is_read_can_be_simulated(
            numbers in proptest::collection::vec(prop_oneof![-3..400_i64, any::<i64>()], 7),
        ) {
            let [min, max, capacity, lead, cost, headroom, window] = numbers[..] else { unreachable!() };
            let text = format!(
                "minReplicas: {min}\nmaxReplicas: {max}\nmetrics: [{{builtin: Participants, target: {{averageValue: \
                 \"{capacity}\"}}}}]\npanic: {{}}\nbehavior: {{scaleDown: {{stabilizationWindowSeconds: {window}}}}}\n\
                 predictive: {{mode: \"On\", leadSeconds: {lead}, shortageCost: {cost}, headroomPercent: {headroom}}}\n"
            );
            if let Ok(block) = parse(&text) {
                let at = |minute: i64| jiff::Timestamp::from_second(60 * minute).unwrap();
                let points: Vec<_> = (0..10).map(|minute| (at(minute), 100.0 * minute as f64)).collect();
                let demand = Demand::new(&points, 1.0).unwrap();
                for name in ["reactive", "forecast", "joint"] {
                    let policy = named(name, &block).unwrap();
                    let setup = policy.setup(policies::capacity(&block).unwrap(), 60, 0);
                    simulate::run(&demand, &policy.block, &setup, None, false);
                }
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,200}") {
            let _ = parse(&text);
            let _ = parse(&format!("maxReplicas: 9\n{text}"));
        }

        #[test]
        fn no_policy_name_causes_a_panic(text in "(hpa)?.{0,6}|hpa[0-9]{0,12}") {
            if let Ok(policy) = named(&text, &default(60).unwrap()) {
                prop_assert!(policies::capacity(&policy.block).is_some_and(|capacity| capacity > 0.0));
            }
        }
    }

    #[test]
    fn policies_have_names() {
        let block = default(60).unwrap();
        let target = |name: &str| policies::capacity(&named(name, &block).unwrap().block).unwrap();
        assert_eq!(target("hpa85"), 850.0);
        let bounded = Autoscaling {
            min_replicas: 2,
            max_replicas: 7,
            ..block.clone()
        };
        let hpa = named("hpa70", &bounded).unwrap().block;
        assert_eq!(
            (hpa.min_replicas, hpa.max_replicas),
            (2, 7),
            "only the target differs"
        );
        assert_eq!(target("reactive").round(), 714.0);
        assert_eq!(target("forecast"), 1000.0);
        assert!(named("reactive", &block).unwrap().block.panic.is_none());
        assert!(named("panic", &block).unwrap().block.panic.is_some());
        for wrong in ["hpa", "hpa0", "hpa101", "best"] {
            assert!(named(wrong, &block).is_err(), "{wrong}");
        }
    }
}
