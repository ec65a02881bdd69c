//! The picture itself: candlesticks, volume, the fan, and past forecasts, as SVG.
//!
//! Sessions stand side by side whatever days lie between them. Nothing is told by colour alone: a candle that rose is
//! hollow, a close that fell outside of its interval is ringed.

use svg::Document;
use svg::node::element::path::Data;
use svg::node::element::{Circle, Element, Group, Rectangle, Style, Title};

use super::axis::Axis;
use super::shapes::{at, described, path, text};
use super::words;
use crate::domain::{Bar, Interval, Ticker};
use crate::forecast::{Forecast, ForecastStep};

/// What a picture shows; prices in the series' own currency.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) ticker: Ticker,
    pub(super) interval: Interval,
    pub(super) currency: Option<String>,
    /// Ascending.
    pub(super) bars: Vec<Bar>,
    /// What was forecast of some of them.
    pub(super) past: Vec<Past>,
    /// From the last bar on.
    pub(super) forecast: Option<Forecast>,
    /// Why there is no forecast, as a sentence.
    pub(super) missing: Option<String>,
}

/// The interval that was forecast of a bar before it came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Past {
    /// Position of the bar in the chart.
    pub(super) bar_idx: usize,
    pub(super) lower: f64,
    pub(super) upper: f64,
    /// Whether the bar closed within.
    pub(super) is_inside: bool,
}

/// Width and height.
const SIZE: (u32, u32) = (960, 500);
/// Where the panels begin and end, in pixels.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 948.0;
const PRICES: (f64, f64) = (68.0, 380.0);
const VOLUMES: (f64, f64) = (396.0, 460.0);
const FOOT: f64 = 480.0;
/// Room for a date.
const LABEL_WIDTH: f64 = 92.0;

/// The picture as a text of its own.
pub(super) fn svg(chart: &Chart) -> String {
    let scene = Scene::new(chart);
    let (width, height) = SIZE;
    let mut document = Document::new()
        .set("viewBox", format!("0 0 {width} {height}"))
        .set("width", width)
        .set("height", height)
        .set("role", "img")
        .set("aria-labelledby", "title description")
        .add(Title::new(words::heading(chart)).set("id", "title"))
        .add(described(&words::description(chart)))
        .add(Style::new(include_str!("chart.css")))
        .add(Rectangle::new().set("class", "ground").set("width", width).set("height", height).set("rx", 6))
        .add(text("heading", LEFT, 26.0, words::heading(chart)));
    for part in [scene.grid(), scene.past(), scene.fan(), scene.candles(), scene.volume(), scene.legend()] {
        document = document.add(part);
    }
    document.to_string()
}

/// A chart with the axes that hold all of it.
struct Scene<'a> {
    chart: &'a Chart,
    price: Axis,
    volume: Axis,
    /// Width of a session in pixels.
    slot: f64,
}

impl<'a> Scene<'a> {
    fn new(chart: &'a Chart) -> Self {
        let ends = |step: &ForecastStep| {
            let intervals = step.intervals.iter().flat_map(|interval| [interval.lower, interval.upper]);
            intervals.chain([step.close]).collect::<Vec<_>>()
        };
        let drawn = chart.bars.iter().flat_map(|bar| [bar.low(), bar.high()]);
        let drawn = drawn.chain(chart.past.iter().flat_map(|past| [past.lower, past.upper]));
        let price = Axis::around(drawn.chain(steps(chart).iter().flat_map(ends)), (PRICES.1, PRICES.0));
        let volume = Axis::from_zero(chart.bars.iter().filter_map(Bar::volume), (VOLUMES.1, VOLUMES.0));
        let n_slots = (chart.bars.len() + steps(chart).len()).max(1);
        Self { chart, price, volume, slot: (RIGHT - LEFT) / n_slots as f64 }
    }

    /// The middle of a session, counted from the first bar.
    fn x(&self, idx: usize) -> f64 {
        LEFT + (idx as f64 + 0.5) * self.slot
    }

    /// Numbers on both axes, and where the stored sessions end.
    fn grid(&self) -> Group {
        let mut group = Group::new();
        for (place, number) in self.price.ticks(8) {
            let line = Data::new().move_to(at(LEFT, place)).horizontal_line_to(at(RIGHT, 0.0).0);
            group = group.add(path("grid", line)).add(text("axis end", LEFT - 6.0, place + 4.0, number));
        }
        let Some(last) = self.chart.bars.len().checked_sub(1) else { return group };
        let now = Data::new().move_to(at(self.x(last), PRICES.0)).vertical_line_to(at(0.0, VOLUMES.1).1);
        self.dates(last).into_iter().fold(group.add(path("now", now)), Group::add)
    }

    /// As many sessions by name as have room, the last stored one first of all.
    fn dates(&self, last: usize) -> Vec<Element> {
        let stride = (LABEL_WIDTH / self.slot).ceil() as usize;
        let half = LABEL_WIDTH / 2.0;
        let within = |x: f64| x.clamp(LEFT + half, RIGHT - half);
        let newest = within(self.x(last));
        let named = self.sessions().enumerate().filter(|(idx, _)| idx.abs_diff(last).is_multiple_of(stride));
        let label = |(idx, session): (usize, Option<String>)| {
            let x = within(self.x(idx));
            let is_free = idx == last || (x == self.x(idx) && (x - newest).abs() >= LABEL_WIDTH);
            session.filter(|_| is_free).map(|session| text("axis middle", x, FOOT, session))
        };
        named.filter_map(label).collect()
    }

    /// How sessions are named below the picture: stored ones, then those ahead.
    fn sessions(&self) -> impl Iterator<Item = Option<String>> {
        let stored = self.chart.bars.iter().map(|bar| Some(self.chart.interval.label(bar.at())));
        let ahead = steps(self.chart).iter().map(|step| step.session.clone());
        stored.chain(ahead).map(|session| session.map(|session| short(&session)))
    }

    /// The interval that stood there before each session came; a close outside of it is ringed.
    fn past(&self) -> Group {
        let (mut ribbon, mut group) = (Data::new(), Group::new());
        for past in &self.chart.past {
            ribbon =
                self.block(ribbon, past.bar_idx, self.slot, self.price.place(past.lower), self.price.place(past.upper));
        }
        group = group.add(path("past", ribbon));
        let radius = (self.slot / 2.0).clamp(3.0, 6.0);
        for past in self.chart.past.iter().filter(|past| !past.is_inside) {
            let (cx, cy) = at(self.x(past.bar_idx), self.price.place(self.chart.bars[past.bar_idx].close()));
            group = group.add(Circle::new().set("class", "miss").set("cx", cx).set("cy", cy).set("r", radius));
        }
        group
    }

    /// From the last close on: the intervals, the widest below, and the point forecast.
    fn fan(&self) -> Group {
        let (Some(last), mut group) = (self.chart.bars.last(), Group::new()) else { return Group::new() };
        let steps = steps(self.chart);
        let start = at(self.x(self.chart.bars.len() - 1), self.price.place(last.close()));
        let x = |step: &ForecastStep| self.x(self.chart.bars.len() - 1 + step.step);
        let n_levels = steps.first().map_or(0, |step| step.intervals.len());
        for level_idx in (0..n_levels).rev() {
            let mut edge = Data::new().move_to(start);
            for step in steps {
                edge = edge.line_to(at(x(step), self.price.place(step.intervals[level_idx].upper)));
            }
            for step in steps.iter().rev() {
                edge = edge.line_to(at(x(step), self.price.place(step.intervals[level_idx].lower)));
            }
            group = group.add(path("fan", edge.close()));
        }
        let line = steps
            .iter()
            .fold(Data::new().move_to(start), |line, step| line.line_to(at(x(step), self.price.place(step.close))));
        if steps.is_empty() { group } else { group.add(path("point", line)) }
    }

    fn candles(&self) -> Group {
        let width = (0.7 * self.slot).min(14.0);
        let mut kinds = [("up", Data::new()), ("down", Data::new())];
        for (idx, bar) in self.chart.bars.iter().enumerate() {
            let [open, high, low, close] =
                [bar.open(), bar.high(), bar.low(), bar.close()].map(|p| self.price.place(p));
            let (top, bottom) = (open.min(close), open.max(close));
            let kind = usize::from(bar.close() < bar.open());
            let mut data = std::mem::take(&mut kinds[kind].1);
            for (from, to) in [(high, top), (bottom, low)] {
                data = data.move_to(at(self.x(idx), from)).vertical_line_to(at(0.0, to).1);
            }
            kinds[kind].1 = self.block(data, idx, width, bottom, top);
        }
        kinds.into_iter().fold(Group::new(), |group, (class, data)| group.add(path(class, data)))
    }

    /// Volumes of the sessions that have one, with the largest in numbers.
    fn volume(&self) -> Group {
        if self.chart.bars.iter().all(|bar| bar.volume().is_none()) {
            return Group::new();
        }
        let width = (0.7 * self.slot).min(14.0);
        let known = self.chart.bars.iter().enumerate().filter_map(|(idx, bar)| Some((idx, bar.volume()?)));
        let bars = known.fold(Data::new(), |data, (idx, volume)| {
            self.block(data, idx, width, VOLUMES.1, self.volume.place(volume))
        });
        let ticks = self.volume.ticks(2).into_iter();
        ticks.fold(Group::new().add(path("volume", bars)), |group, (place, number)| {
            group.add(text("axis end", LEFT - 6.0, place + 4.0, number))
        })
    }

    /// What the shapes mean, as far as they are there; beside them what came of the past forecasts.
    fn legend(&self) -> Group {
        let chart = self.chart;
        let fan = chart.forecast.as_ref().map(|_| ("fan", "80 % and 95 % of what may come".to_owned()));
        let past = words::came_true(&chart.past).map(|words| ("past", words));
        let missing = chart.missing.clone().map(|words| ("missing", words));
        let mut x = LEFT;
        let mut group = Group::new();
        for (class, words) in [missing, fan, past].into_iter().flatten() {
            if class != "missing" {
                let swatch = Rectangle::new().set("class", class).set("width", 16).set("height", 10);
                group = group.add(swatch.set("x", x).set("y", 40));
                x += 22.0;
            }
            // A letter of this size is at most 7 pixels wide on average.
            let width = 7.0 * words.chars().count() as f64;
            group = group.add(text("", x, 49.0, words));
            x += (width + 24.0).round();
        }
        group
    }

    /// A rectangle in the middle of a session.
    fn block(&self, data: Data, idx: usize, width: f64, bottom: f64, top: f64) -> Data {
        let (left, right) = (self.x(idx) - width / 2.0, self.x(idx) + width / 2.0);
        data.move_to(at(left, bottom))
            .vertical_line_to(at(0.0, top).1)
            .horizontal_line_to(at(right, 0.0).0)
            .vertical_line_to(at(0.0, bottom).1)
            .close()
    }
}

fn steps(chart: &Chart) -> &[ForecastStep] {
    chart.forecast.as_ref().map_or(&[], |forecast| &forecast.steps)
}

/// A date as it is; an instant as its day and minute.
fn short(session: &str) -> String {
    match (session.get(5..10), session.get(11..16)) {
        (Some(day), Some(minute)) => format!("{day} {minute}"),
        _ => session.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::bar::RawBar;
    use crate::domain::{BarTime, Calendar};
    use crate::evaluate::{Baseline, report_levels};
    use crate::forecast::{ModelUsed, PriceInterval};

    /// Three sessions around a weekend.
    fn bars(volume: Option<f64>) -> Vec<Bar> {
        let rows = [("2024-11-21", 100.0, 102.0), ("2024-11-22", 102.0, 101.0), ("2024-11-25", 101.0, 104.0)];
        let bar = |(date, open, close): (&str, f64, f64)| RawBar {
            at: BarTime::from_date(date.parse().expect("a date")),
            open,
            high: open.max(close) + 1.0,
            low: open.min(close) - 1.0,
            close,
            volume,
        };
        rows.into_iter().map(|row| Bar::new(bar(row)).expect("a bar")).collect()
    }

    fn forecast() -> Forecast {
        let step = |step: usize, session: Option<&str>, width: f64| ForecastStep {
            step,
            session: session.map(str::to_owned),
            close: 104.0,
            return_log: 0.0,
            probability_up: 0.5,
            volatility: 0.01,
            intervals: report_levels()
                .into_iter()
                .zip([width, 1.5 * width])
                .map(|(level, width)| PriceInterval { level, lower: 104.0 - width, upper: 104.0 + width })
                .collect(),
            quantiles: Vec::new(),
        };
        Forecast {
            ticker: None,
            as_of: "2024-11-25".to_owned(),
            last_close: 104.0,
            calendar: Calendar::Weekdays,
            data_version: None,
            model: ModelUsed::Baseline(Baseline::Har),
            in_sample: false,
            steps: vec![step(1, Some("2024-11-26"), 1.0), step(2, None, 2.0)],
            skill: None,
            warnings: Vec::new(),
        }
    }

    fn chart() -> Chart {
        let past = |bar_idx, is_inside| Past { bar_idx, lower: 100.0, upper: 102.5, is_inside };
        Chart {
            ticker: "TEST".parse().expect("a ticker"),
            interval: Interval::Day,
            currency: Some("A&B".to_owned()),
            bars: bars(Some(1_500_000.0)),
            past: vec![past(1, true), past(2, false)],
            forecast: Some(forecast()),
            missing: None,
        }
    }

    /// The picture as elements, each with what it says; fails where it is no XML.
    fn elements(svg: &str) -> Vec<String> {
        let document = roxmltree::Document::parse(svg).expect("well-formed XML");
        let told = |node: roxmltree::Node<'_, '_>| {
            let said = node.text().unwrap_or_default().trim().to_owned();
            let facts: Vec<&str> =
                ["class", "d", "cx", "cy", "x", "y"].iter().filter_map(|name| node.attribute(*name)).collect();
            format!("{} {} {said}", node.tag_name().name(), facts.join(" ")).trim().to_owned()
        };
        let drawn = document.descendants().filter(|node| node.is_element() && !node.has_tag_name("style"));
        drawn.map(told).filter(|told| told != "g" && !told.ends_with("style")).collect()
    }

    #[test]
    fn a_small_chart() {
        insta::assert_snapshot!(elements(&svg(&chart())).join("\n"), @r#"
        svg
        title  TEST: 3 sessions to 2024-11-25, forecast of the 2 after it
        desc  Last close 104.00 A&B. Forecast by the baseline har. 2024-11-26: between 103.00 and 105.00 with 80 %, between 102.50 and 105.50 with 95 %. 2 sessions ahead: between 102.00 and 106.00 with 80 %, between 101.00 and 107.00 with 95 %. Of 2 forecasts served before, 1 came true inside of the 80 % interval.
        rect ground
        text heading 64 26 TEST: 3 sessions to 2024-11-25, forecast of the 2 after it
        path grid M64,332.3 H948
        text axis end 58 336.3 100
        path grid M64,260.1 H948
        text axis end 58 264.1 102
        path grid M64,187.9 H948
        text axis end 58 191.9 104
        path grid M64,115.7 H948
        text axis end 58 119.7 106
        path now M506,68 V460
        text axis middle 152.4 480 2024-11-21
        text axis middle 329.2 480 2024-11-22
        text axis middle 506 480 2024-11-25
        text axis middle 682.8 480 2024-11-26
        path past M240.8,332.3 V242.1 H417.6 V332.3 z M417.6,332.3 V242.1 H594.4 V332.3 z
        circle miss 506 187.9
        path fan M506,187.9 L682.8,133.7 L859.6,79.6 L859.6,296.2 L682.8,242.1 z
        path fan M506,187.9 L682.8,151.8 L859.6,115.7 L859.6,260.1 L682.8,224 z
        path point M506,187.9 L682.8,187.9 L859.6,187.9
        path up M152.4,224 V260.1 M152.4,332.3 V368.4 M145.4,332.3 V260.1 H159.4 V332.3 z M506,151.8 V187.9 M506,296.2 V332.3 M499,296.2 V187.9 H513 V296.2 z
        path down M329.2,224 V260.1 M329.2,296.2 V332.3 M322.2,296.2 V260.1 H336.2 V296.2 z
        path volume M145.4,460 V396 H159.4 V460 z M322.2,460 V396 H336.2 V460 z M499,460 V396 H513 V460 z
        text axis end 58 464 0
        text axis end 58 421.3 1M
        rect fan 64 40
        text 86 49 80 % and 95 % of what may come
        rect past 320 40
        text 342 49 Of 2 forecasts served before, 1 came true inside of the 80 % interval.
        "#);
    }

    #[test]
    fn what_is_missing_is_not_drawn_and_the_picture_says_why() {
        let bare = Chart {
            bars: bars(None),
            past: Vec::new(),
            forecast: None,
            missing: Some("No forecast: no model was trained yet.".to_owned()),
            ..chart()
        };
        let told = elements(&svg(&bare)).join("\n");
        assert!(!["volume", "fan", "past M", "miss "].iter().any(|class| told.contains(class)), "{told}");
        assert!(told.contains("text 64 49 No forecast: no model was trained yet."), "{told}");
        let empty = Chart { bars: Vec::new(), ..bare };
        assert!(elements(&svg(&empty)).iter().any(|told| told.contains("TEST: no sessions")));
    }

    #[test]
    fn five_hundred_sessions_and_one_stay_within_the_frame() {
        let day = |day: i64, price: f64| {
            let at = BarTime::from_seconds(day * 86_400);
            Bar::new(RawBar { at, open: price, high: price, low: price, close: price, volume: Some(0.0) })
                .expect("a bar")
        };
        for (n, price) in [(500, 1e12), (1, 1e-9)] {
            let bars: Vec<Bar> = (0..n).map(|idx| day(idx, price)).collect();
            let drawn = svg(&Chart { bars, past: Vec::new(), forecast: None, ..chart() });
            assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
            let document = roxmltree::Document::parse(&drawn).expect("well-formed XML");
            let places = document.descendants().filter_map(|node| node.attribute("x")?.parse::<f64>().ok());
            assert!(places.clone().count() > 5 && places.into_iter().all(|x| (0.0..=RIGHT).contains(&x)), "{drawn}");
        }
    }

    #[test]
    fn a_session_within_a_day_is_named_by_day_and_minute() {
        assert_eq!(short("2024-11-22T14:30:00Z"), "11-22 14:30");
        assert_eq!(short("2024-11-22"), "2024-11-22");
    }
}
