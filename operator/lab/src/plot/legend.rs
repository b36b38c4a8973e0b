//! The legend, in rows below a panel so that it covers no data.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Area, INK, Panel};

const ROW_HEIGHT_PIXELS: u32 = 22;
const SWATCH_WIDTH_PIXELS: i32 = 24;
const GAP_PIXELS: i32 = 8;
const BETWEEN_PIXELS: i32 = 28;
const TEXT_SIZE: u32 = 14;

/// The style of a label in the panel.
enum Swatch {
    Line(ShapeStyle),
    Dashes(ShapeStyle),
    Area(ShapeStyle),
}

struct Entry {
    swatch: Swatch,
    label: String,
    /// The left end, and the row.
    place: (i32, i32),
}

pub struct Legend {
    entries: Vec<Entry>,
    pub height_pixels: u32,
}

impl Legend {
    /// Lays out the labels of a panel between `left` and `right`, in as many rows as needed.
    pub fn new(area: &Area, panel: &Panel, left: i32, right: i32) -> Result<Legend> {
        let (mut x, mut row) = (left, 0);
        let mut entries = Vec::new();
        for (swatch, label) in swatches(panel) {
            let (width, _) = area.estimate_text_size(label, &text_style())?;
            let width = SWATCH_WIDTH_PIXELS + GAP_PIXELS + i32::try_from(width)?;
            if x > left && x + width > right {
                (x, row) = (left, row + 1);
            }
            entries.push(Entry {
                swatch,
                label: label.to_owned(),
                place: (x, row),
            });
            x += width + BETWEEN_PIXELS;
        }
        Ok(Legend {
            entries,
            height_pixels: ROW_HEIGHT_PIXELS * (row.unsigned_abs() + 1),
        })
    }

    pub fn draw(self, area: &Area) -> Result<()> {
        for Entry { swatch, label, place } in self.entries {
            let (x, row) = place;
            let top = row * ROW_HEIGHT_PIXELS.cast_signed();
            let middle = top + ROW_HEIGHT_PIXELS.cast_signed() / 2;
            let end = x + SWATCH_WIDTH_PIXELS;
            match swatch {
                Swatch::Line(style) => {
                    area.draw(&PathElement::new([(x, middle), (end, middle)], style))?;
                }
                Swatch::Dashes(style) => {
                    for dash in (x..end).step_by(9) {
                        area.draw(&PathElement::new([(dash, middle), (dash + 6, middle)], style))?;
                    }
                }
                Swatch::Area(style) => {
                    area.draw(&Rectangle::new([(x, middle - 6), (end, middle + 6)], style))?;
                }
            }
            area.draw(&Text::new(label, (end + GAP_PIXELS, middle), text_style()))?;
        }
        Ok(())
    }
}

fn swatches(panel: &Panel) -> impl Iterator<Item = (Swatch, &String)> {
    let lines = panel
        .lines
        .iter()
        .map(|line| (Swatch::Line(super::line_style(line.color)), &line.label));
    let bands = panel
        .bands
        .iter()
        .map(|band| (Swatch::Area(super::band_style(band.color)), &band.label));
    let thresholds = panel.thresholds.iter().map(|threshold| {
        let style = super::threshold_style(threshold.color);
        (Swatch::Dashes(style), &threshold.label)
    });
    lines.chain(bands).chain(thresholds)
}

fn text_style() -> TextStyle<'static> {
    ("sans-serif", TEXT_SIZE)
        .into_font()
        .color(&INK)
        .pos(Pos::new(HPos::Left, VPos::Center))
}
