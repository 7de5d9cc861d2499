//! Canvases: the same shapes as pixels and as SVG, and text on any machine.

use flowline::drawing::kurbo::{Point, Rect};
use flowline::drawing::{Across, Canvas, Ink, Lettering, Up};
use image::{Rgb, RgbImage};

const WHITE: [u8; 3] = [255; 3];
const RED: Ink = Ink::new([200, 0, 0]);

/// The columns and rows of the pixels that are not white: `[left, top, right, bottom]`, the last ones included.
fn inked(image: &RgbImage) -> Option<[u32; 4]> {
    let mut inked = image.enumerate_pixels().filter(|(.., pixel)| pixel.0 != WHITE).map(|(x, y, _)| [x, y, x, y]);
    let first = inked.next()?;
    Some(inked.fold(first, |[l, t, r, b], [x, y, ..]| [l.min(x), t.min(y), r.max(x), b.max(y)]))
}

#[test]
fn shapes_cover_the_pixels_they_should_and_half_of_those_on_their_edge() {
    let mut canvas = Canvas::new(8, 8, WHITE);
    canvas.rectangle(Rect::new(2.0, 2.0, 4.5, 6.0), RED);
    let image = canvas.to_image(1.0);
    assert_eq!(image.get_pixel(3, 3), &Rgb([200, 0, 0]));
    assert_eq!(image.get_pixel(1, 3), &Rgb(WHITE));
    let Rgb([_, half, _]) = image.get_pixel(4, 3);
    assert!((126..=129).contains(half), "{half}");
    assert_eq!(inked(&image), Some([2, 2, 4, 5]));
}

#[test]
fn a_text_is_as_wide_as_it_says_and_stands_where_it_should() {
    let lettering = Lettering::new(20.0);
    let width = lettering.width("Euler 1.0");
    assert!((60.0..110.0).contains(&width), "{width}");
    let places = [(Across::Left, 100.0, 100.0 + width), (Across::Middle, 100.0 - width / 2.0, 100.0 + width / 2.0)];
    for (across, left, right) in places.into_iter().chain([(Across::Right, 100.0 - width, 100.0)]) {
        let mut canvas = Canvas::new(200, 60, WHITE);
        canvas.text("Euler 1.0", lettering.placed(across, Up::Baseline), RED, Point::new(100.0, 30.0));
        let [l, t, r, b] = inked(&canvas.to_image(1.0)).expect("ink");
        assert!((f64::from(l) - left).abs() < 4.0 && (f64::from(r) - right).abs() < 4.0, "{across:?} {l} {r}");
        assert!((12..=18).contains(&t) && (28..=31).contains(&b), "no letter of it hangs below its line: {t} {b}");
        // The same letters through the other door, to a pixel of rounding.
        let mut written = RgbImage::from_pixel(200, 60, Rgb(WHITE));
        lettering.placed(across, Up::Baseline).write(&mut written, "Euler 1.0", RED.rgb, [100, 30]);
        let [wl, wt, wr, wb] = inked(&written).expect("ink");
        assert!([l.abs_diff(wl), t.abs_diff(wt), r.abs_diff(wr), b.abs_diff(wb)].into_iter().all(|apart| apart <= 1));
    }
}

#[test]
fn text_beyond_the_edge_is_cut_off() {
    let mut image = RgbImage::from_pixel(40, 20, Rgb(WHITE));
    let blank = image.clone();
    for place in [[60, 10], [-500, 0], [i64::MAX, i64::MIN], [5, 500]] {
        Lettering::new(16.0).write(&mut image, "WWWW", RED.rgb, place);
        assert!(image == blank, "{place:?}");
    }
    Lettering::new(16.0).write(&mut image, "WWWW", RED.rgb, [-40, -4]);
    let [left, top, right, bottom] = inked(&image).expect("ink");
    assert!(left == 0 && top == 0 && right < 30 && bottom < 16, "{left} {top} {right} {bottom}");
}

#[test]
fn a_long_text_is_shortened_until_it_fits() {
    let lettering = Lettering::new(14.0);
    assert_eq!(lettering.fitted("euler", 100.0), "euler");
    let cut = lettering.fitted("a red lighthouse by the sea at sunset", 100.0);
    assert!(cut.starts_with("a red l") && cut.ends_with('…') && lettering.width(&cut) <= 100.0, "{cut}");
    assert_eq!(lettering.fitted("euler", 1.0), "", "not even the ellipsis fits");
}

#[test]
fn characters_that_no_font_has_are_shown_as_boxes_and_control_characters_not_at_all() {
    let lettering = Lettering::new(14.0);
    assert!(lettering.width("海") > 0.0);
    assert!((lettering.width("a\u{7}b\n") - lettering.width("ab")).abs() < 1e-9);
    assert_ne!(lettering.width("σ"), lettering.width("海"), "Greek is no box");
}

#[test]
fn an_svg_says_what_its_outlines_show() {
    let mut canvas = Canvas::new(120, 40, WHITE);
    canvas.text("a < \"b\" & c\u{7}", Lettering::new(14.0), RED.faded(0.5), Point::new(10.0, 10.0));
    canvas.line([Point::new(0.0, 0.0), Point::new(120.0, -0.001)], 1.5, RED);
    let svg = canvas.to_svg();
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"120\" height=\"40\""));
    assert!(svg.contains("aria-label=\"a &lt; &quot;b&quot; &amp; c?\"") && svg.contains("opacity=\"0.500\""), "{svg}");
    assert!(svg.contains("d=\"M0 0L120 0\" fill=\"none\" stroke=\"#c80000\" stroke-width=\"1.50\""), "{svg}");
    assert!(!svg.contains("<text") && svg.ends_with("</svg>\n"));
}

#[test]
fn colours_mix_in_equal_parts_halfway() {
    let grey = Ink::new([0, 100, 255]).towards(Ink::new([100, 0, 255]).faded(0.0), 0.5);
    assert_eq!(grey, Ink { rgb: [50, 50, 255], opacity: 0.5 });
}
