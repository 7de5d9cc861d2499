//! How long a large library takes: `cargo run --release --example library -- [PICTURES]`.
//!
//! Makes small pictures with records in a temporary folder, opens the library's page on them without a window, first
//! without a cache and then with it, scrolls from the first picture to the last, and prints what a frame costs: our own
//! time, laying out and tessellating, without the graphics card.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use eframe::egui::{self, Context, Event, Modifiers, MouseWheelUnit, RawInput, Rect, Vec2, pos2, vec2};
use flowline::desktop::gallery::Gallery;
use flowline::library::keeper::{Keeper, Setup};
use flowline::{Registry, record};
use flowline_model::{Draft, Pipeline};
use image::{Rgb, RgbImage};

const SIZE: Vec2 = vec2(1280.0, 800.0);
/// How far the wheel goes in one frame, points.
const WHEEL: f32 = 400.0;

fn main() -> Result<(), Box<dyn Error>> {
    let count: u32 = std::env::args().nth(1).map_or(Ok(10_000), |count| count.parse())?;
    let (pictures, cache) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let begun = Instant::now();
    make(pictures.path(), count)?;
    println!("{count} pictures made in {:.1} s", begun.elapsed().as_secs_f64());
    for start in ["without a cache", "with a cache"] {
        println!("\n{start}");
        let begun = Instant::now();
        let mut page = Page::open(pictures.path(), cache.path())?;
        page.until(|gallery| !gallery.found().entries.is_empty());
        println!("  first page with its names      {:>8.1} ms", millis(begun.elapsed()));
        page.until(|gallery| gallery.held() >= gallery.drawn());
        println!("  first page with its thumbnails {:>8.1} ms", millis(begun.elapsed()));
        page.until(|gallery| gallery.found().unread == 0);
        println!("  all {count} records read       {:>8.1} ms", millis(begun.elapsed()));
        page.scroll();
    }
    Ok(())
}

/// Small pictures, each with its own prompt and seed.
fn make(folder: &Path, count: u32) -> Result<(), Box<dyn Error>> {
    let pipeline = Pipeline::open("postcard", None)?;
    let draft = Draft { prompt: "a red lighthouse by the sea".into(), seeds: vec![1], ..Draft::default() };
    let request = draft.resolve(pipeline.spec())?.request;
    for index in 0..count {
        let mut request = request.for_seed(index.into());
        request.prompt = format!("a red lighthouse by the sea, number {index}");
        let image = RgbImage::from_fn(64, 48, |x, y| Rgb([(x * 4) as u8, (y * 5) as u8, index as u8]));
        let path = folder.join(format!("{index:05}.png"));
        let mut file = File::create(&path)?;
        record::write_png(&mut file, &image, &record::chunks(&request))?;
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + u64::from(index)))?;
    }
    Ok(())
}

/// The library's page without a window.
struct Page {
    ctx: Context,
    gallery: Gallery,
    woken: Receiver<()>,
    frames: Vec<Duration>,
}

impl Page {
    fn open(pictures: &Path, cache: &Path) -> Result<Self, Box<dyn Error>> {
        let (wakes, woken) = mpsc::channel();
        let wakes = Mutex::new(wakes);
        let waker = Arc::new(move || wakes.lock().map(|wakes| wakes.send(()).unwrap_or_default()).unwrap_or_default());
        let setup =
            Setup { folders: vec![pictures.to_owned()], cache: Some(cache.to_owned()), registry: Registry::builtin() };
        let gallery = Gallery::new(Keeper::start(setup, waker)?);
        Ok(Self { ctx: Context::default(), gallery, woken, frames: Vec::new() })
    }

    /// Draws a frame as the window would, and notes its time.
    fn frame(&mut self, events: Vec<Event>) {
        let input =
            RawInput { screen_rect: Some(Rect::from_min_size(pos2(0.0, 0.0), SIZE)), events, ..RawInput::default() };
        let begun = Instant::now();
        let gallery = &mut self.gallery;
        let mut actions = Vec::new();
        let output = self.ctx.run_ui(input, |ui| {
            gallery.poll(ui.ctx());
            gallery.show(ui, &mut actions);
        });
        for action in actions {
            gallery.apply(&self.ctx, action);
        }
        let shapes = self.ctx.tessellate(output.shapes, output.pixels_per_point);
        self.frames.push(begun.elapsed());
        drop(shapes);
    }

    /// Draws whenever there is something new, until `done`.
    fn until(&mut self, done: impl Fn(&Gallery) -> bool) {
        loop {
            self.frame(Vec::new());
            if done(&self.gallery) || self.woken.recv_timeout(Duration::from_secs(60)).is_err() {
                return;
            }
        }
    }

    /// Scrolls to the end and says what that cost.
    fn scroll(&mut self) {
        self.frames.clear();
        let middle = Event::PointerMoved(pos2(SIZE.x / 2.0, SIZE.y / 2.0));
        let (mut most_drawn, mut most_held) = (0, 0);
        let frames = self.gallery.found().entries.len() / 10;
        for _ in 0..frames {
            let wheel = Event::MouseWheel {
                unit: MouseWheelUnit::Point,
                delta: vec2(0.0, -WHEEL),
                phase: egui::TouchPhase::Move,
                source: egui::MouseWheelSource::Wheel,
                modifiers: Modifiers::NONE,
            };
            self.frame(vec![middle.clone(), wheel]);
            most_drawn = most_drawn.max(self.gallery.drawn());
            most_held = most_held.max(self.gallery.held());
        }
        let mut times: Vec<f64> = self.frames.iter().map(|time| millis(*time)).collect();
        times.sort_by(f64::total_cmp);
        let at = |part: f64| times.get(((times.len() - 1) as f64 * part) as usize).copied().unwrap_or_default();
        println!(
            "  {frames} frames while scrolling: median {:.2} ms, 99 % {:.2} ms, most {:.2} ms",
            at(0.5),
            at(0.99),
            at(1.0)
        );
        println!("  drawn at once {most_drawn}, thumbnails held {most_held}, memory {}", memory());
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What the program holds in memory, where the system says.
fn memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    resident.map_or_else(|| "unknown".into(), |resident| resident.trim().to_owned())
}
