//! One metric of the spec, its readings, and the count it proposes.

use jiff::{SignedDuration, Timestamp};

use super::calculator::{self, PodContext, Used, Utilized};
use super::error::MetricError;
use super::pods::{self, PodSample, PodSamples};
use super::quantity::Quantity;

/// The source of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Resource {
        resource: String,
    },
    ContainerResource {
        resource: String,
        container: String,
    },
    Pods {
        metric: String,
    },
    Object {
        kind: String,
        metric: String,
    },
    External {
        metric: String,
    },
    /// A type that this autoscaler does not support.
    Unsupported {
        kind: String,
    },
}

impl Source {
    pub fn type_name(&self) -> &str {
        match self {
            Source::Resource { .. } => "Resource",
            Source::ContainerResource { .. } => "ContainerResource",
            Source::Pods { .. } => "Pods",
            Source::Object { .. } => "Object",
            Source::External { .. } => "External",
            Source::Unsupported { kind } => kind,
        }
    }

    /// Whether the metric can be read without pods.
    pub fn works_from_zero(&self) -> bool {
        matches!(self, Source::Object { .. } | Source::External { .. })
    }

    /// The reason of the condition if the metric proposes no count.
    pub fn failure_reason(&self) -> &'static str {
        match self {
            Source::Resource { .. } => "FailedGetResourceMetric",
            Source::ContainerResource { .. } => "FailedGetContainerResourceMetric",
            Source::Pods { .. } => "FailedGetPodsMetric",
            Source::Object { .. } => "FailedGetObjectMetric",
            Source::External { .. } => "FailedGetExternalMetric",
            Source::Unsupported { .. } => "InvalidMetricSourceType",
        }
    }

    fn name(&self) -> &str {
        match self {
            Source::Resource { resource } | Source::ContainerResource { resource, .. } => resource,
            Source::Pods { metric } | Source::Object { metric, .. } | Source::External { metric } => metric,
            Source::Unsupported { kind } => kind,
        }
    }
}

/// The target of a metric. Values are in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    UtilizationPercent(i32),
    AverageValueMilli(i64),
    ValueMilli(i64),
}

/// The use of one container. `None` if it reported nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSample {
    pub name: String,
    pub usage_milli: Option<i64>,
}

/// The use of a resource by one pod, by container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceSample {
    pub pod: String,
    pub at: Timestamp,
    pub window: SignedDuration,
    pub containers: Vec<ContainerSample>,
}

/// The readings of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Reading failed. The text is the cause.
    Failed(String),
    Resources(Vec<ResourceSample>),
    Pods(PodSamples),
    /// Values of an object or external metric, in thousandths.
    Values(Vec<i64>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    pub source: Source,
    pub target: Option<Target>,
    pub reading: Reading,
}

/// A metric in the status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricStatus {
    pub type_name: String,
    pub name: String,
    pub utilization_percent: Option<i32>,
    pub average_value: Option<Quantity>,
    pub value: Option<Quantity>,
}

/// The count that a metric proposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    pub replicas: i32,
    /// The cause, for events.
    pub description: String,
    pub status: MetricStatus,
}

/// The pods of the target, and the number of ready ones.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub pods: PodContext<'a>,
    /// The count in the target's status.
    pub reported: i32,
    /// The number of running and ready pods. `None` if there are no pods.
    pub ready: Option<i64>,
}

impl<'a> Scope<'a> {
    pub fn of_pods(pods: PodContext<'a>, reported: i32) -> Scope<'a> {
        Scope {
            pods,
            reported,
            ready: pods::count_ready(pods.pods),
        }
    }
}

impl Metric {
    /// # Errors
    /// There is no usable reading, or the target does not match the source.
    pub fn propose(&self, scope: &Scope) -> Result<Proposal, MetricError> {
        match &self.source {
            Source::Resource { resource } => self.of_resource(scope, resource, None),
            Source::ContainerResource { resource, container } => {
                self.of_resource(scope, resource, Some(container))
            }
            Source::Pods { metric } => self.of_pods(scope, metric),
            Source::Object { .. } | Source::External { .. } => self.of_total(scope),
            Source::Unsupported { kind } => Err(MetricError::UnknownSource(kind.clone())),
        }
    }

    fn of_resource(
        &self,
        scope: &Scope,
        resource: &str,
        container: Option<&str>,
    ) -> Result<Proposal, MetricError> {
        let of = if container.is_some() {
            "container resource"
        } else {
            "resource"
        };
        match self.target {
            Some(Target::AverageValueMilli(target)) => {
                let samples = self.resource_samples(container)?;
                let used = calculator::by_average(&scope.pods, resource, target, &samples)?;
                let average = Quantity::of_resource(resource, used.usage_milli);
                Ok(self.proposal(
                    used.replicas,
                    format!("{resource} resource"),
                    None,
                    Some(average),
                    None,
                ))
            }
            Some(Target::UtilizationPercent(target)) => {
                let samples = self.resource_samples(container)?;
                let Utilized {
                    replicas,
                    utilization_percent,
                    raw_milli,
                } = calculator::by_utilization(&scope.pods, resource, container, target, &samples)?;
                let description = format!("{resource} {of} utilization (percentage of request)");
                let average = Quantity::of_resource(resource, raw_milli);
                Ok(self.proposal(
                    replicas,
                    description,
                    Some(utilization_percent),
                    Some(average),
                    None,
                ))
            }
            _ => Err(MetricError::TargetNotSet(
                "an average utilization or average value",
            )),
        }
    }

    fn of_pods(&self, scope: &Scope, metric: &str) -> Result<Proposal, MetricError> {
        let Some(Target::AverageValueMilli(target)) = self.target else {
            return Err(MetricError::TargetNotSet("an average value"));
        };
        let Used {
            replicas,
            usage_milli,
        } = calculator::by_average(&scope.pods, "", target, &self.pod_samples()?)?;
        let average = Quantity::decimal(usage_milli);
        Ok(self.proposal(
            replicas,
            format!("pods metric {metric}"),
            None,
            Some(average),
            None,
        ))
    }

    fn of_total(&self, scope: &Scope) -> Result<Proposal, MetricError> {
        let PodContext {
            current, tolerance, ..
        } = scope.pods;
        match self.target {
            Some(Target::ValueMilli(target)) => {
                let used = calculator::by_total(current, tolerance, self.total(false)?, target, scope.ready)?;
                let value = Quantity::decimal(used.usage_milli);
                Ok(self.proposal(used.replicas, self.describe_total(true), None, None, Some(value)))
            }
            Some(Target::AverageValueMilli(target)) => {
                let used = calculator::by_share(scope.reported, tolerance, self.total(true)?, target);
                let average = Quantity::decimal(used.usage_milli);
                Ok(self.proposal(
                    used.replicas,
                    self.describe_total(false),
                    None,
                    Some(average),
                    None,
                ))
            }
            _ => Err(MetricError::TargetNotSet("a value or average value")),
        }
    }

    fn describe_total(&self, by_value: bool) -> String {
        match &self.source {
            Source::Object { kind, metric } if by_value => format!("{kind} metric {metric}"),
            source => format!("external metric {}", source.name()),
        }
    }

    fn proposal(
        &self,
        replicas: i32,
        description: String,
        utilization_percent: Option<i32>,
        average_value: Option<Quantity>,
        value: Option<Quantity>,
    ) -> Proposal {
        let (type_name, name) = (self.source.type_name().to_owned(), self.source.name().to_owned());
        let status = MetricStatus {
            type_name,
            name,
            utilization_percent,
            average_value,
            value,
        };
        Proposal {
            replicas,
            description,
            status,
        }
    }

    /// One sample for each pod: of the named container, or the sum of all. A pod has none if a container has none.
    fn resource_samples(&self, container: Option<&str>) -> Result<PodSamples, MetricError> {
        let samples = match &self.reading {
            Reading::Resources(samples) if !samples.is_empty() => samples,
            Reading::Failed(why) => return Err(MetricError::NoMetrics(why.clone())),
            _ => {
                return Err(MetricError::NoMetrics(
                    "the resource metrics API has none".to_owned(),
                ));
            }
        };
        let value = |sample: &ResourceSample| match container {
            Some(name) => sample.containers.iter().find(|c| c.name == name)?.usage_milli,
            // A pod without containers reported nothing; it did not report a use of zero.
            None if sample.containers.is_empty() => None,
            None => sample
                .containers
                .iter()
                .try_fold(0_i64, |sum, c| Some(sum.saturating_add(c.usage_milli?))),
        };
        let usable = samples.iter().filter_map(|s| {
            let sample = PodSample {
                value_milli: value(s)?,
                at: s.at,
                window: s.window,
            };
            Some((s.pod.clone(), sample))
        });
        Ok(usable.collect())
    }

    fn pod_samples(&self) -> Result<PodSamples, MetricError> {
        match &self.reading {
            Reading::Pods(samples) if !samples.is_empty() => Ok(samples.clone()),
            Reading::Failed(why) => Err(MetricError::NoMetrics(why.clone())),
            _ => Err(MetricError::NoMetrics(
                "the custom metrics API has none".to_owned(),
            )),
        }
    }

    /// The value of an object metric, or the sum of an external metric. As upstream, the sum saturates at the largest
    /// 64-bit number, and a target per pod takes a negative sum for an overflow.
    fn total(&self, per_pod: bool) -> Result<i64, MetricError> {
        match &self.reading {
            Reading::Values(values) if !values.is_empty() => Ok(match self.source {
                Source::Object { .. } => values[0],
                _ => external_total(values, per_pod),
            }),
            Reading::Failed(why) => Err(MetricError::NoMetrics(why.clone())),
            _ => Err(MetricError::NoMetrics("the source has no value".to_owned())),
        }
    }
}

fn external_total(values: &[i64], per_pod: bool) -> i64 {
    let add = |sum: i64, value: &i64| {
        let sum = match sum.checked_add(*value) {
            None if *value > 0 => return Err(i64::MAX),
            _ => sum.wrapping_add(*value),
        };
        if per_pod && sum < 0 {
            Err(i64::MAX)
        } else {
            Ok(sum)
        }
    };
    values.iter().try_fold(0, add).unwrap_or_else(|capped| capped)
}
