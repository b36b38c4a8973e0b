//! Draws charts of time series into an SVG file.

mod geometry;
mod legend;
mod ticks;

use std::ops::Range;
use std::path::Path;
use std::sync::Once;

use anyhow::{Context, Result, ensure};
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
/// Times before this, the year 1980, are not clock times but relative to the start.
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

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A line of a chart, interrupted by values that are not finite.
pub struct Line {
    pub label: String,
    pub color: RGBColor,
    pub points: Vec<(Timestamp, f64)>,
}

/// An area between two values at each time.
pub struct Band {
    pub label: String,
    pub color: RGBColor,
    pub points: Vec<(Timestamp, f64, f64)>,
}

/// A horizontal line across the whole panel.
pub struct Threshold {
    pub label: String,
    pub color: RGBColor,
    pub value: f64,
}

/// A chart with its own vertical axis, labelled with `unit`.
#[derive(Default)]
pub struct Panel {
    pub unit: String,
    pub lines: Vec<Line>,
    pub bands: Vec<Band>,
    pub thresholds: Vec<Threshold>,
}

/// Draws panels one below the other over a common span of time (UTC).
///
/// # Errors
/// The extension is not `.svg`, there is no point, or the file cannot be written.
pub fn draw(path: &Path, title: &str, panels: &[Panel]) -> Result<()> {
    static FONTS: Once = Once::new();
    FONTS.call_once(|| {
        for style in [FontStyle::Normal, FontStyle::Bold] {
            // The font is part of the binary: registering it fails only if it is broken.
            let _ = register_font("sans-serif", style, FONT);
        }
    });
    let span =
        geometry::time_span(panels).with_context(|| format!("nothing to draw in {}", path.display()))?;
    let panel_count = u32::try_from(panels.len())?;
    let size = (
        WIDTH_PIXELS,
        TITLE_HEIGHT_PIXELS + PANEL_HEIGHT_PIXELS * panel_count,
    );
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    ensure!(
        extension.as_deref() == Some("svg"),
        "cannot draw {}: give a name that ends in .svg",
        path.display()
    );
    let cannot_write = || format!("cannot write {}", path.display());
    // The drawing library reports a missing folder less clearly.
    std::fs::File::create(path).with_context(cannot_write)?;
    let area = SVGBackend::new(path, size).into_drawing_area();
    draw_on(&area, title, panels, span).with_context(cannot_write)
}

fn draw_on(area: &Area, title: &str, panels: &[Panel], span: (Timestamp, Timestamp)) -> Result<()> {
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

fn draw_panel(area: &Area, panel: &Panel, (from, to): (Timestamp, Timestamp)) -> Result<()> {
    let (width, height) = area.dim_in_pixel();
    let left = (MARGIN_PIXELS + LABELS_WIDTH_PIXELS).cast_signed();
    let legend = Legend::new(area, panel, left, width.cast_signed() - left)?;
    let (area, below) = area.split_vertically(height - legend.height_pixels - MARGIN_PIXELS);
    legend.draw(&below)?;
    let (low, high) = geometry::value_range(panel);
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
        .y_label_formatter(&|value| geometry::short(*value))
        .x_desc(if seconds(to) < CLOCK_SECONDS_FROM {
            "since the start"
        } else {
            "UTC"
        })
        .y_desc(&panel.unit)
        .draw()?;
    for band in &panel.bands {
        chart.draw_series(std::iter::once(Polygon::new(
            geometry::outline(band),
            band_style(band.color),
        )))?;
    }
    for line in &panel.lines {
        for part in geometry::parts(&line.points) {
            // The corners of a thick line with many sharp turns extend far beyond its points.
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

/// An axis with given ticks.
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
    fn a_chart_is_written_with_its_labels() {
        let dir = tempfile::tempdir().unwrap();
        let svg = dir.path().join("a.SVG");
        draw(&svg, "A title", &[panel(), panel()]).unwrap();
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
    }

    #[test]
    fn a_chart_that_cannot_be_drawn_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        for (name, panels, expected) in [
            ("a.png", vec![panel()], "give a name that ends in .svg"),
            ("a.svg", vec![Panel::default()], "nothing to draw"),
        ] {
            let error = draw(&dir.path().join(name), "", &panels).unwrap_err();
            assert!(format!("{error:#}").contains(expected), "{error:#}");
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
}
