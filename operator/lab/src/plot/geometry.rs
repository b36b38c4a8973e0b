//! The ranges of the axes, the points that are drawn, and the labels of values.

use jiff::Timestamp;

use super::{Band, Panel, seconds};

/// Longer lines are drawn as the extremes of this many spans, which looks the same.
const SPANS_COUNT_MAX: usize = 1_500;

/// The first and the last time of all panels, at least a second apart.
pub fn time_span(panels: &[Panel]) -> Option<(Timestamp, Timestamp)> {
    let lines = panels.iter().flat_map(|p| &p.lines);
    let bands = panels.iter().flat_map(|p| &p.bands);
    let times = lines
        .flat_map(|l| l.points.iter().map(|p| p.0))
        .chain(bands.flat_map(|b| b.points.iter().map(|p| p.0)));
    let (from, to) = times.fold(
        (None, None),
        |(from, to): (Option<Timestamp>, Option<Timestamp>), at| {
            (
                Some(from.map_or(at, |f| f.min(at))),
                Some(to.map_or(at, |t| t.max(at))),
            )
        },
    );
    let (from, to) = (from?, to?);
    let later = from.checked_add(jiff::SignedDuration::from_secs(1)).ok()?;
    Some((from, to.max(later)))
}

/// From zero, or below the lowest negative value, to slightly above the highest value.
pub fn value_range(panel: &Panel) -> (f64, f64) {
    let lines = panel.lines.iter().flat_map(|l| l.points.iter().map(|p| p.1));
    let bands = panel
        .bands
        .iter()
        .flat_map(|b| b.points.iter().flat_map(|p| [p.1, p.2]));
    let values = lines.chain(bands).chain(panel.thresholds.iter().map(|t| t.value));
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((0.0_f64, 0.0_f64), |(low, high), v| (low.min(v), high.max(v)));
    if low == high {
        return (0.0, 1.0);
    }
    let margin = 0.06 * (high - low);
    (if low < 0.0 { low - margin } else { 0.0 }, high + margin)
}

/// The runs of finite values, each reduced to its visible points.
pub fn parts(points: &[(Timestamp, f64)]) -> Vec<Vec<(f64, f64)>> {
    let span = points.len().div_ceil(SPANS_COUNT_MAX);
    points
        .split(|(_, value)| !value.is_finite())
        .filter(|run| !run.is_empty())
        .map(|run| run.chunks(span.max(1)).flat_map(extremes).collect())
        .collect()
}

/// The lowest and the highest point of a span, in order of time.
fn extremes(points: &[(Timestamp, f64)]) -> Vec<(f64, f64)> {
    let by_value = |a: &&(Timestamp, f64), b: &&(Timestamp, f64)| a.1.total_cmp(&b.1);
    let mut both: Vec<_> = points.iter().min_by(by_value).into_iter().collect();
    both.extend(points.iter().max_by(by_value));
    both.sort_by_key(|p| p.0);
    both.dedup();
    both.into_iter()
        .map(|(at, value)| (seconds(*at), *value))
        .collect()
}

/// The polygon of a band.
pub fn outline(band: &Band) -> Vec<(f64, f64)> {
    let upper = band.points.iter().map(|(at, _, high)| (seconds(*at), *high));
    let lower = band.points.iter().rev().map(|(at, low, _)| (seconds(*at), *low));
    upper
        .chain(lower)
        .filter(|(_, value)| value.is_finite())
        .collect()
}

/// A number with a metric prefix: 1.2 k, 3.4 M.
pub fn short(value: f64) -> String {
    let size = value.abs();
    let (scaled, unit) = match size {
        s if s >= 1e15 || (s > 0.0 && s < 1e-3) => return format!("{value:.1e}"),
        s if s >= 1e12 => (value / 1e12, " T"),
        s if s >= 1e9 => (value / 1e9, " G"),
        s if s >= 1e6 => (value / 1e6, " M"),
        s if s >= 1e3 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let text = format!("{scaled:.3}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_metric_prefixes() {
        for (value, text) in [
            (0.0, "0"),
            (1_500.0, "1.5 k"),
            (-2e6, "-2 M"),
            (0.25, "0.25"),
            (1e-7, "1.0e-7"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
