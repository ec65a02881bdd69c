//! A small chart as SVG: lines, bars and a dashed rule, on a linear or logarithmic axis.
#![allow(dead_code, reason = "each example draws with the part that it needs")]

use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

/// Width and height, and the frame that the data fill: left, top, right, bottom.
const SIZE: (f64, f64) = (680.0, 340.0);
const FRAME: (f64, f64, f64, f64) = (70.0, 44.0, 660.0, 290.0);
const COLORS: [&str; 5] = ["#2563c9", "#d2571b", "#2b8a3e", "#8a3ea8", "#7a6a00"];

/// A chart that is built up and then saved.
pub(crate) struct Chart {
    title: String,
    labels: [String; 2],
    log_y: bool,
    marks: Vec<(String, Mark)>,
}

enum Mark {
    Line(Vec<(f64, f64)>),
    /// Centers and heights, all of one width.
    Bars(Vec<(f64, f64)>, f64),
    Rule(f64),
}

impl Chart {
    pub(crate) fn new(title: &str, x_label: &str, y_label: &str) -> Self {
        let labels = [x_label, y_label].map(str::to_owned);
        Self { title: title.to_owned(), labels, log_y: false, marks: Vec::new() }
    }

    /// Decades on the vertical axis.
    pub(crate) fn log_y(self) -> Self {
        Self { log_y: true, ..self }
    }

    pub(crate) fn line(mut self, name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.marks.push((name.to_owned(), Mark::Line(points.into_iter().collect())));
        self
    }

    pub(crate) fn bars(mut self, name: &str, width: f64, bars: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.marks.push((name.to_owned(), Mark::Bars(bars.into_iter().collect(), width)));
        self
    }

    /// A dashed horizontal line.
    pub(crate) fn rule(mut self, name: &str, y: f64) -> Self {
        self.marks.push((name.to_owned(), Mark::Rule(y)));
        self
    }

    /// Writes `docs/images/{name}.svg`.
    pub(crate) fn save(&self, name: &str) -> io::Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("{name}.svg")), self.svg())?;
        writeln_path(name)
    }

    fn svg(&self) -> String {
        let (x, y) = self.axes();
        let (left, top, right, bottom) = FRAME;
        let [x_label, y_label] = &self.labels;
        let (middle, center) = ((left + right) / 2.0, (top + bottom) / 2.0);
        let (width, height) = SIZE;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"#fff\"/>\n\
             <text x=\"{left}\" y=\"20\" font-size=\"14\" font-weight=\"bold\">{}</text>\n\
             <text x=\"{middle}\" y=\"330\" text-anchor=\"middle\">{x_label}</text>\n\
             <text transform=\"translate(16 {center}) rotate(-90)\" text-anchor=\"middle\">{y_label}</text>\n",
            self.title
        );
        for (place, text) in x.ticks() {
            let _ = writeln!(svg, "<text x=\"{place:.1}\" y=\"307\" text-anchor=\"middle\">{text}</text>");
        }
        for (place, text) in y.ticks() {
            let _ = writeln!(svg, "<path d=\"M{left} {place:.1}H{right}\" stroke=\"#e2e2e2\"/>");
            let _ = writeln!(svg, "<text x=\"64\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>", place + 4.0);
        }
        let mut legend = left;
        for ((name, mark), color) in self.marks.iter().zip(COLORS.iter().cycle()) {
            let _ = writeln!(svg, "{}", mark.svg(&x, &y, color));
            let _ = writeln!(svg, "<rect x=\"{legend}\" y=\"30\" width=\"14\" height=\"4\" fill=\"{color}\"/>");
            let _ = writeln!(svg, "<text x=\"{}\" y=\"37\">{name}</text>", legend + 19.0);
            legend += 36.0 + 6.6 * name.chars().count() as f64;
        }
        svg + "</svg>\n"
    }

    fn axes(&self) -> (Axis, Axis) {
        let (mut xs, mut ys) = (Vec::new(), Vec::new());
        for (_, mark) in &self.marks {
            match mark {
                Mark::Line(points) => points.iter().for_each(|(x, y)| (xs.push(*x), ys.push(*y)).1),
                Mark::Bars(bars, width) => {
                    ys.push(0.0);
                    xs.extend(bars.iter().flat_map(|(x, _)| [x - width / 2.0, x + width / 2.0]));
                    ys.extend(bars.iter().map(|(_, y)| *y));
                }
                Mark::Rule(y) => ys.push(*y),
            }
        }
        let (left, top, right, bottom) = FRAME;
        (Axis::new(&xs, (left, right), false), Axis::new(&ys, (bottom, top), self.log_y))
    }
}

fn writeln_path(name: &str) -> io::Result<()> {
    io::Write::write_fmt(&mut io::stdout(), format_args!("plot: docs/images/{name}.svg\n"))
}

impl Mark {
    fn svg(&self, x: &Axis, y: &Axis, color: &str) -> String {
        match self {
            Self::Line(points) => {
                let places = points.iter().map(|(px, py)| format!("{:.1},{:.1}", x.place(*px), y.place(*py)));
                let places = places.collect::<Vec<_>>().join(" ");
                format!("<polyline points=\"{places}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.8\"/>")
            }
            Self::Bars(bars, width) => {
                let bar = |(center, height): &(f64, f64)| {
                    let (left, right) = (x.place(center - width / 2.0), x.place(center + width / 2.0));
                    let (foot, head) = (y.place(0.0), y.place(*height));
                    format!("M{left:.1} {foot:.1}V{head:.1}H{right:.1}V{foot:.1}Z")
                };
                let bars = bars.iter().filter(|(_, height)| *height > 0.0).map(bar).collect::<String>();
                format!("<path d=\"{bars}\" fill=\"{color}\" fill-opacity=\"0.55\" stroke=\"#fff\"/>")
            }
            Self::Rule(at) => {
                let (left, _, right, _) = FRAME;
                let place = y.place(*at);
                format!("<path d=\"M{left} {place:.1}H{right}\" stroke=\"{color}\" stroke-dasharray=\"6 4\"/>")
            }
        }
    }
}

/// Numbers to places on the page.
struct Axis {
    range: (f64, f64),
    places: (f64, f64),
    log: bool,
}

impl Axis {
    fn new(values: &[f64], places: (f64, f64), log: bool) -> Self {
        let values = values.iter().filter(|value| value.is_finite() && (!log || **value > 0.0));
        let scaled = values.map(|value| if log { value.log10() } else { *value });
        let (low, high) = scaled.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let range = if log { (low.floor(), high.ceil()) } else { (low, high) };
        Self { range: (range.0, range.1.max(range.0 + 1e-9)), places, log }
    }

    fn place(&self, value: f64) -> f64 {
        let value = if self.log { value.max(1e-300).log10() } else { value };
        let share = ((value - self.range.0) / (self.range.1 - self.range.0)).clamp(0.0, 1.0);
        self.places.0 + share * (self.places.1 - self.places.0)
    }

    /// Places and texts of about five round numbers.
    fn ticks(&self) -> Vec<(f64, String)> {
        let (low, high) = self.range;
        let rough = (high - low) / 5.0;
        let decade = 10_f64.powf(rough.log10().floor());
        let rounds = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade);
        let mut step = rounds.into_iter().find(|round| *round >= rough).unwrap_or(rough);
        if self.log {
            step = step.max(1.0).round();
        }
        let first = (low / step).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let text = |value: f64| if self.log { format!("1e{value:.0}") } else { format!("{value:.decimals$}") };
        let value = |idx: i64| idx as f64 * step;
        let place = |value: f64| self.place(if self.log { 10_f64.powf(value) } else { value });
        (first..=last).map(|idx| (place(value(idx)), text(value(idx)))).collect()
    }
}
