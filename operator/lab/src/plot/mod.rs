//! Draws charts of time series into an SVG or PNG file.

mod legend;
mod ticks;

use std::ops::Range;
use std::path::Path;
use std::sync::Once;

use anyhow::{Context, Result};
use jiff::Timestamp;
use legend::Legend;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use ticks::Times;

const WIDTH_PIXELS: u32 = 1_200;
const PANEL_HEIGHT_PIXELS: u32 = 400;
const LABELS_WIDTH_PIXELS: u32 = 88;
const MARGIN_PIXELS: u32 = 12;
const TITLE_HEIGHT_PIXELS: u32 = 48;
/// More points than this are drawn as the extremes of so many spans: the eye sees the same.
const SPANS_COUNT_MAX: usize = 1_500;
/// Times before this, the year 1980, are no clock's: the data has times of its own, or none.
pub const CLOCK_SECONDS_FROM: f64 = 315_532_800.0;
const THICK_POINTS_COUNT_MAX: usize = 400;
const FONT: &[u8] = include_bytes!("../../assets/DejaVuSans.ttf");
const INK: RGBColor = RGBColor(40, 44, 52);

/// Colours that can be told apart in print and by the colour-blind (Okabe and Ito 2008).
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
pub const ORANGE: RGBColor = RGBColor(230, 159, 0);
pub const GREEN: RGBColor = RGBColor(0, 158, 115);
pub const RED: RGBColor = RGBColor(213, 94, 0);
pub const GREY: RGBColor = RGBColor(120, 124, 132);

/// A line of a chart. A value that is not finite interrupts it.
pub struct Line {
    pub label: String,
    pub color: RGBColor,
    pub points: Vec<(Timestamp, f64)>,
}

/// The area between two values at each time.
pub struct Band {
    pub label: String,
    pub color: RGBColor,
    pub points: Vec<(Timestamp, f64, f64)>,
}

/// A level drawn across the whole panel.
pub struct Threshold {
    pub label: String,
    pub color: RGBColor,
    pub value: f64,
}

/// One chart with its own vertical axis. `unit` names that axis.
#[derive(Default)]
pub struct Panel {
    pub unit: String,
    pub lines: Vec<Line>,
    pub bands: Vec<Band>,
    pub thresholds: Vec<Threshold>,
}

/// Draws panels below each other over a common span of time (UTC); the file's ending says whether
/// as SVG or PNG.
///
/// # Errors
/// The ending is neither `.svg` nor `.png`, there is no point, or the file cannot be written.
pub fn draw(path: &Path, title: &str, panels: &[Panel]) -> Result<()> {
    static FONTS: Once = Once::new();
    FONTS.call_once(|| {
        for style in [FontStyle::Normal, FontStyle::Bold] {
            // The font is a part of this program; with a broken one the texts would fail to draw.
            let _ = register_font("sans-serif", style, FONT);
        }
    });
    let span = time_span(panels).with_context(|| format!("nothing to draw in {}", path.display()))?;
    let panel_count = u32::try_from(panels.len())?;
    let size = (
        WIDTH_PIXELS,
        TITLE_HEIGHT_PIXELS + PANEL_HEIGHT_PIXELS * panel_count,
    );
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    let ending = ending.as_deref().filter(|ending| ["svg", "png"].contains(ending));
    let ending =
        ending.with_context(|| format!("cannot draw {}: end the name in .svg or .png", path.display()))?;
    let say = || format!("cannot write {}", path.display());
    // The library that draws would say less of a folder that is not there.
    std::fs::File::create(path).with_context(say)?;
    match ending {
        "svg" => draw_on(
            SVGBackend::new(path, size).into_drawing_area(),
            title,
            panels,
            span,
        ),
        _ => draw_on(
            BitMapBackend::new(path, size).into_drawing_area(),
            title,
            panels,
            span,
        ),
    }
    .with_context(say)
}

fn draw_on<B: DrawingBackend>(
    area: DrawingArea<B, Shift>,
    title: &str,
    panels: &[Panel],
    span: (Timestamp, Timestamp),
) -> Result<()>
where
    B::ErrorType: 'static,
{
    area.fill(&WHITE)?;
    let (head, body) = area.split_vertically(TITLE_HEIGHT_PIXELS);
    head.draw(&Text::new(
        title.to_owned(),
        (16, 16),
        ("sans-serif", 22).into_font().color(&INK),
    ))?;
    for (panel, area) in panels.iter().zip(body.split_evenly((panels.len(), 1))) {
        draw_panel(&area, panel, span)?;
    }
    area.present()?;
    Ok(())
}

fn draw_panel<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    panel: &Panel,
    (from, to): (Timestamp, Timestamp),
) -> Result<()>
where
    B::ErrorType: 'static,
{
    let (width, height) = area.dim_in_pixel();
    let left = (MARGIN_PIXELS + LABELS_WIDTH_PIXELS).cast_signed();
    let legend = Legend::new(area, panel, left, width.cast_signed() - left)?;
    let (area, below) = area.split_vertically(height - legend.height_pixels - MARGIN_PIXELS);
    legend.draw(&below)?;
    let (low, high) = value_range(panel);
    let times = Times::new(seconds(from), seconds(to));
    let mut chart = ChartBuilder::on(&area)
        .margin(MARGIN_PIXELS)
        .margin_right(3 * MARGIN_PIXELS)
        .set_label_area_size(LabelAreaPosition::Left, LABELS_WIDTH_PIXELS)
        .set_label_area_size(LabelAreaPosition::Bottom, 48)
        .build_cartesian_2d(
            Axis::new(seconds(from)..seconds(to), times.seconds.clone()),
            Axis::new(low..high, ticks::values(low, high)),
        )?;
    chart
        .configure_mesh()
        .bold_line_style(INK.mix(0.12))
        .light_line_style(TRANSPARENT)
        .axis_style(INK.mix(0.5))
        .label_style(("sans-serif", 14).into_font().color(&INK))
        .axis_desc_style(("sans-serif", 15).into_font().color(&INK))
        .x_labels(ticks::TIMES_COUNT_MAX)
        .y_labels(ticks::VALUES_COUNT_MAX)
        .x_label_formatter(&|second| times.label(*second))
        .y_label_formatter(&|value| short(*value))
        .x_desc(if seconds(to) < CLOCK_SECONDS_FROM {
            "since the start"
        } else {
            "UTC"
        })
        .y_desc(&panel.unit)
        .draw()?;
    for band in &panel.bands {
        chart.draw_series(std::iter::once(Polygon::new(
            outline(band),
            band_style(band.color),
        )))?;
    }
    for line in &panel.lines {
        for part in parts(&line.points) {
            // The corners of a thick line with many sharp turns stick out far beyond its points.
            let style = match part.len() > THICK_POINTS_COUNT_MAX {
                true => line.color.stroke_width(1),
                false => line_style(line.color),
            };
            chart.draw_series(LineSeries::new(part, style))?;
        }
    }
    for threshold in &panel.thresholds {
        let ends = [(seconds(from), threshold.value), (seconds(to), threshold.value)];
        chart.draw_series(DashedLineSeries::new(
            ends,
            6,
            4,
            threshold_style(threshold.color),
        ))?;
    }
    Ok(())
}

/// An axis with ticks of our own.
struct Axis {
    range: RangedCoordf64,
    ticks: Vec<f64>,
}

impl Axis {
    fn new(range: Range<f64>, ticks: Vec<f64>) -> Axis {
        Axis {
            range: range.into(),
            ticks,
        }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.range.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        match hint.weight().allow_light_points() {
            true => Vec::new(),
            false => self.ticks.clone(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.range.range()
    }
}

fn line_style(color: RGBColor) -> ShapeStyle {
    color.stroke_width(2)
}

fn band_style(color: RGBColor) -> ShapeStyle {
    color.mix(0.22).filled()
}

fn threshold_style(color: RGBColor) -> ShapeStyle {
    color.stroke_width(1)
}

fn seconds(at: Timestamp) -> f64 {
    at.as_second() as f64
}

/// First and last time of all panels, at least a second apart.
fn time_span(panels: &[Panel]) -> Option<(Timestamp, Timestamp)> {
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

/// From zero, unless there are values below it, to a little above the highest.
fn value_range(panel: &Panel) -> (f64, f64) {
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

/// The runs of finite values, each thinned to what can be seen.
fn parts(points: &[(Timestamp, f64)]) -> Vec<Vec<(f64, f64)>> {
    let span = points.len().div_ceil(SPANS_COUNT_MAX);
    points
        .split(|(_, value)| !value.is_finite())
        .filter(|run| !run.is_empty())
        .map(|run| run.chunks(span.max(1)).flat_map(extremes).collect())
        .collect()
}

/// The lowest and the highest point of a span in the order of time.
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

fn outline(band: &Band) -> Vec<(f64, f64)> {
    let upper = band.points.iter().map(|(at, _, high)| (seconds(*at), *high));
    let lower = band.points.iter().rev().map(|(at, low, _)| (seconds(*at), *low));
    upper
        .chain(lower)
        .filter(|(_, value)| value.is_finite())
        .collect()
}

/// A figure with a unit prefix: 1.2 k, 3.4 M.
fn short(value: f64) -> String {
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

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn panel() -> Panel {
        Panel {
            unit: "requests/s".into(),
            lines: vec![Line {
                label: "load".into(),
                color: BLUE,
                points: (0..50_000)
                    .map(|i| (at(i), if i == 777 { f64::NAN } else { (i % 100) as f64 }))
                    .collect(),
            }],
            bands: vec![Band {
                label: "80 %".into(),
                color: ORANGE,
                points: vec![(at(0), 1.0, 5.0), (at(50_000), 2.0, 9.0)],
            }],
            thresholds: vec![Threshold {
                label: "target".into(),
                color: RED,
                value: 120.0,
            }],
        }
    }

    #[test]
    fn both_formats_are_written_with_their_texts() {
        let dir = tempfile::tempdir().unwrap();
        let (svg, png) = (dir.path().join("a.svg"), dir.path().join("a.PNG"));
        draw(&svg, "A title", &[panel(), panel()]).unwrap();
        draw(&png, "A title", &[panel()]).unwrap();
        let text = std::fs::read_to_string(&svg).unwrap();
        for word in ["<svg", "A title", "requests/s", "80 %", "target"] {
            assert!(text.contains(word), "{word}");
        }
        let legend = TITLE_HEIGHT_PIXELS + PANEL_HEIGHT_PIXELS - MARGIN_PIXELS - 24;
        for label in ["load", "80 %", "target"] {
            let is_first = |element: &&str| element.contains(&format!("\n{label}\n"));
            let element = text.split("<text ").find(is_first).unwrap();
            let y = element.split("y=\"").nth(1).and_then(|y| y.split('"').next());
            assert!(
                y.unwrap().parse::<u32>().unwrap() >= legend,
                "{label} is not below: {y:?}"
            );
        }
        assert!(text.len() < 500_000, "{} bytes", text.len());
        assert!(std::fs::read(&png).unwrap().starts_with(b"\x89PNG"));
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        let dir = tempfile::tempdir().unwrap();
        for (name, panels, says) in [
            ("a.gif", vec![panel()], "end the name in .svg or .png"),
            ("a.svg", vec![Panel::default()], "nothing to draw"),
        ] {
            let error = draw(&dir.path().join(name), "", &panels).unwrap_err();
            assert!(format!("{error:#}").contains(says), "{error:#}");
        }
        assert!(draw(Path::new("/nowhere/a.svg"), "", &[panel()]).is_err());
    }

    #[test]
    fn a_single_or_constant_point_can_be_drawn() {
        let dir = tempfile::tempdir().unwrap();
        let mut one = panel();
        one.bands.clear();
        one.thresholds.clear();
        one.lines[0].points = vec![(at(5), 0.0)];
        draw(&dir.path().join("a.svg"), "", &[one]).unwrap();
    }

    #[test]
    fn figures_are_short() {
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
