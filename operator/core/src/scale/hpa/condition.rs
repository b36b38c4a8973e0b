//! The conditions of an autoscaler, in the order in which they were first set.

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    AbleToScale,
    ScalingActive,
    ScalingLimited,
    ScaledToZero,
}

impl ConditionType {
    pub fn name(self) -> &'static str {
        match self {
            ConditionType::AbleToScale => "AbleToScale",
            ConditionType::ScalingActive => "ScalingActive",
            ConditionType::ScalingLimited => "ScalingLimited",
            ConditionType::ScaledToZero => "ScaledToZero",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub kind: ConditionType,
    pub status: bool,
    pub reason: String,
    pub message: String,
}

/// A reconcile keeps the conditions that it does not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions(pub Vec<Condition>);

impl Conditions {
    pub fn set(&mut self, kind: ConditionType, status: bool, reason: &str, message: impl Into<String>) {
        let new = Condition {
            kind,
            status,
            reason: reason.to_owned(),
            message: message.into(),
        };
        match self.0.iter_mut().find(|c| c.kind == kind) {
            Some(old) => *old = new,
            None => self.0.push(new),
        }
    }

    pub fn remove(&mut self, kind: ConditionType) {
        self.0.retain(|c| c.kind != kind);
    }

    pub fn is_true(&self, kind: ConditionType) -> bool {
        self.0.iter().any(|c| c.kind == kind && c.status)
    }
}
