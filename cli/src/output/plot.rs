//! Plots as SVG, alone or in a page of HTML that needs nothing else.

use crate::{failure::Failure, output::printable};
use plotters::{coord::Shift, prelude::*};
use std::path::{Path, PathBuf};

const SIZE: (u32, u32) = (960, 540);
const LINE: RGBColor = RGBColor(31, 95, 160);
const BAND: RGBColor = RGBColor(160, 196, 232);

/// A line with a band around it.
pub(crate) struct Curve<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    /// x, lower, middle, upper.
    pub(crate) points: &'a [[f64; 4]],
    /// Whether it stays at a value until the next point.
    pub(crate) steps: bool,
}

/// The SVG of a curve.
pub(crate) fn curve(curve: &Curve<'_>) -> Result<String, Failure> {
    let mut points = curve.points.to_vec();
    if curve.steps {
        points = points
            .iter()
            .enumerate()
            .flat_map(|(i, p)| {
                let before = i.checked_sub(1).and_then(|i| curve.points.get(i)).map(|before| [p[0], before[1], before[2], before[3]]);
                before.into_iter().chain([*p])
            })
            .collect();
    }
    let right = points.iter().map(|p| p[0]).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let top = points.iter().map(|p| p[3]).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    drawn(|area| {
        let mut chart = ChartBuilder::on(area)
            .caption(curve.title, ("sans-serif", 22))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(72)
            .build_cartesian_2d(0.0..right, 0.0..top * 1.05)?;
        chart.configure_mesh().x_desc(curve.x).y_desc(curve.y).label_style(("sans-serif", 14)).light_line_style(WHITE).draw()?;
        let outline = points.iter().map(|p| (p[0], p[3])).chain(points.iter().rev().map(|p| (p[0], p[1]))).collect::<Vec<_>>();
        chart.draw_series([Polygon::new(outline, BAND.mix(0.6))])?;
        chart.draw_series(LineSeries::new(points.iter().map(|p| (p[0], p[2])), LINE.stroke_width(2)))?;
        Ok(())
    })
}

/// The SVG of bars, the first on top.
pub(crate) fn bars(title: &str, x: &str, bars: &[(String, f64)]) -> Result<String, Failure> {
    let right = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max).max(f64::MIN_POSITIVE) * 1.05;
    let count = bars.len();
    drawn(|area| {
        let mut chart = ChartBuilder::on(area)
            .caption(title, ("sans-serif", 22))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(72)
            .build_cartesian_2d(0.0..right, 0.0..count.max(1) as f64)?;
        chart.configure_mesh().x_desc(x).label_style(("sans-serif", 14)).disable_y_mesh().y_labels(0).light_line_style(WHITE).draw()?;
        for (row, (name, value)) in bars.iter().enumerate() {
            let at = (count - row) as f64;
            chart.draw_series([Rectangle::new([(0.0, at - 0.9), (*value, at - 0.1)], LINE.filled())])?;
            let name = Text::new(printable(name), (-64, -8), ("sans-serif", 15).into_font());
            chart.draw_series([EmptyElement::at((0.0, at - 0.5)) + name])?;
        }
        Ok(())
    })
}

/// The SVG of points with names, the upward axis logarithmic.
pub(crate) fn scatter(title: &str, x: &str, y: &str, points: &[(String, f64, f64)]) -> Result<String, Failure> {
    // Zero has no logarithm; a millionth is less than any price.
    let height = |value: f64| value.max(1e-6);
    let right = points.iter().map(|(_, x, _)| *x).fold(0.0, f64::max).max(f64::MIN_POSITIVE) * 1.08;
    let (low, high) = points.iter().map(|(_, _, y)| height(*y)).fold((f64::MAX, 0.0), |(low, high), y| (y.min(low), y.max(high)));
    let (low, high) = if low <= high { (low / 1.5, high * 1.5) } else { (0.1, 1.0) };
    drawn(|area| {
        let mut chart = ChartBuilder::on(area)
            .caption(title, ("sans-serif", 22))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(72)
            .build_cartesian_2d(0.0..right, (low..high).log_scale())?;
        chart.configure_mesh().x_desc(x).y_desc(y).label_style(("sans-serif", 14)).light_line_style(WHITE).draw()?;
        for (name, x, y) in points {
            let name = Text::new(printable(name), (6, -6), ("sans-serif", 12).into_font());
            chart.draw_series([EmptyElement::at((*x, height(*y))) + Circle::new((0, 0), 3, LINE.filled()) + name])?;
        }
        Ok(())
    })
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn drawn(draw: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn std::error::Error>>) -> Result<String, Failure> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let done = area.fill(&WHITE).map_err(Into::into).and_then(|()| draw(&area));
        let done = done.and_then(|()| Ok(area.present()?));
        done.map_err(|error| Failure::general(format!("cannot draw the plot: {error}")))?;
    }
    Ok(svg)
}

/// Whether the name of a file ends in one of these.
fn ends_in(path: &Path, kinds: &[&str]) -> bool {
    path.extension().is_some_and(|kind| kinds.iter().any(|one| kind.eq_ignore_ascii_case(one)))
}

/// The file of a plot; others than these are not drawn, and an SVG by the name of a PNG opens nowhere.
pub(crate) fn path(text: &str) -> Result<PathBuf, &'static str> {
    Some(PathBuf::from(text)).filter(|path| ends_in(path, &["svg", "html", "htm"])).ok_or("plots are .svg or .html")
}

/// Writes a plot; a name that ends in `.html` gets a page, any other the SVG.
pub(crate) fn write(path: &Path, title: &str, svg: &str) -> Result<(), Failure> {
    let page = ends_in(path, &["html", "htm"]);
    let text = if page {
        let title = printable(title).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head>\n<body>\n{svg}\n</body></html>\n"
        )
    } else {
        svg.to_owned()
    };
    std::fs::write(path, text).map_err(|error| Failure::general(format!("{} cannot be written: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_has_its_line_band_and_words() {
        let points = [[0.0, 1.0, 1.0, 1.0], [2.0, 0.4, 0.5, 0.7]];
        let svg = curve(&Curve { title: "Survival <1>", x: "days", y: "part", points: &points, steps: true }).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
        assert!(svg.contains("<polyline") && svg.contains("<polygon") && svg.contains("days"));
        assert!(svg.contains("Survival &lt;1&gt;"), "words cannot become tags: {svg}");
    }

    #[test]
    fn bars_carry_their_names_in_order_from_the_top() {
        let svg = bars("Most contested", "a day", &[("SN 1".to_owned(), 60.0), ("SN 83".to_owned(), 28.0)]).unwrap();
        let y = |name: &str| {
            let at = svg.find(name).unwrap();
            let from = svg[..at].rfind(" y=\"").unwrap() + 4;
            svg[from..].split('"').next().unwrap().parse::<i32>().unwrap()
        };
        assert!(y("SN 1\n") < y("SN 83\n"), "{svg}");
    }

    #[test]
    fn points_carry_their_names_the_dearer_the_higher() {
        let points = [("1".to_owned(), 20.0, 0.0005), ("64".to_owned(), 5.0, 0.5), ("2".to_owned(), 0.0, 0.0)];
        let svg = scatter("Competition and price", "% a day", "TAO", &points).unwrap();
        let of = |attribute: &str| -> Vec<i32> {
            svg.split("<circle ")
                .skip(1)
                .map(|one| one.split(attribute).nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
                .collect()
        };
        let (x, y) = (of("cx=\""), of("cy=\""));
        assert!(x[0] > x[1] && x[1] > x[2] && y[0] > y[1] && y[2] > y[0], "{x:?} {y:?}");
        assert!(svg.contains("64") && svg.contains("% a day"));
    }

    #[test]
    fn nothing_to_draw_is_an_empty_plot_and_no_panic() {
        assert!(scatter("none", "x", "y", &[]).is_ok());
        assert!(bars("none", "x", &[]).is_ok());
        assert!(curve(&Curve { title: "none", x: "", y: "", points: &[], steps: true }).is_ok());
    }

    #[test]
    fn what_is_not_drawn_is_refused() {
        assert!(["a.svg", "a.b.HTML", "x/a.htm"].into_iter().all(|name| path(name).is_ok()));
        assert!(["a.png", "a", ".svg", "svg", ""].into_iter().all(|name| path(name).is_err()));
    }

    #[test]
    fn a_page_stands_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.html");
        write(&path, "a <b>", "<svg/>").unwrap();
        let page = std::fs::read_to_string(&path).unwrap();
        assert!(page.starts_with("<!doctype html>") && page.contains("<title>a &lt;b&gt;</title>") && page.contains("<svg/>"));
        assert!(write(&folder.path().join("none/a.svg"), "a", "<svg/>").is_err());
    }
}
