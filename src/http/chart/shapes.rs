//! The elements that a picture is made of.

use svg::node::element::path::Data;
use svg::node::element::{Description, Element, Path, Text};

/// A place to a tenth of a pixel.
pub(super) fn at(x: f64, y: f64) -> (f32, f32) {
    let tenth = |place: f64| ((place * 10.0).round() / 10.0) as f32;
    (tenth(x), tenth(y))
}

/// Lines of one look.
pub(super) fn path(class: &str, data: Data) -> Path {
    Path::new().set("class", class).set("d", data)
}

/// Words of one look; of the plainest where `class` is empty.
pub(super) fn text(class: &str, x: f64, y: f64, words: impl Into<String>) -> Element {
    let (x, y) = at(x, y);
    let element = Text::new(words).set("x", x).set("y", y);
    if class.is_empty() { element.into() } else { element.set("class", class).into() }
}

/// The picture for those who cannot see it.
pub(super) fn described(words: &str) -> Description {
    Description::new().set("id", "description").add(svg::node::Text::new(words))
}
