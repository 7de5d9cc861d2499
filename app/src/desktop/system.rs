//! What the window needs of the system: a display, a few libraries, a file manager.

use std::cell::OnceCell;
use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use eframe::egui;

use super::{App, kept};
use crate::Registry;
use crate::engine::{Engine, Setup, Waker, Wishes};
use crate::error::{Exit, Failure, Result};
use crate::library;
use crate::library::keeper::{self, Keeper};
use crate::shelf::{Place, Shelf};

/// Wakes closer together than this share a frame; nobody sees the difference, and the processor is the sampler's.
const FRAME: Duration = Duration::from_millis(33);

/// Opens the window, where `registry` may be chosen from, and stays until it is closed.
///
/// # Errors
/// Where there is no display, or a library that windows need is missing: what it is, and how to do without.
pub fn run(registry: Registry) -> Result<Exit> {
    if let Some(failure) = no_display(|name| env::var_os(name).is_some_and(|value| !value.is_empty())) {
        return Err(failure);
    }
    let viewport = egui::ViewportBuilder::default()
        .with_title("Flowline")
        .with_app_id("flowline")
        .with_icon(icon())
        .with_inner_size([1120.0, 760.0])
        .with_min_inner_size([840.0, 560.0]);
    let options = eframe::NativeOptions { viewport, renderer: eframe::Renderer::Glow, ..Default::default() };
    // Kept here as well: after the window is gone, the engine still finishes what it was doing.
    let engine: Rc<OnceCell<Rc<Engine>>> = Rc::default();
    let kept = Rc::clone(&engine);
    let opening = Opening::begin();
    let opened = Arc::clone(&opening);
    let create = move |creation: &eframe::CreationContext<'_>| {
        opened.end();
        let ctx = creation.egui_ctx.clone();
        let waker = Arc::new(move || ctx.request_repaint_after(FRAME));
        let keeper = Keeper::start(keeping(registry.clone()), Arc::clone(&waker) as Waker)?;
        let (left, shelf) = (kept::usual(), Shelf::usual(true));
        let is_here = |name: &String| shelf.find(name).is_ok_and(|model| shelf.place(&model) != Place::Away);
        let wishes = Wishes { model: left.model.filter(is_here), ..left.preferences.wishes() };
        let engine = Rc::new(Engine::start(Setup::usual(registry.clone(), wishes), waker)?);
        let engine = Rc::clone(kept.get_or_init(|| engine));
        let app = App::new(&creation.egui_ctx, engine, Box::new(open_folder)).with_hub(shelf.hub);
        let app = app.with_library(keeper);
        let app = app.offering(&creation.egui_ctx, registry);
        let app = match kept::usual_place() {
            Some(file) => app.remembering(&creation.egui_ctx, file),
            None => app,
        };
        Ok(Box::new(app) as Box<dyn eframe::App>)
    };
    let ended = panic::catch_unwind(AssertUnwindSafe(|| eframe::run_native("Flowline", options, Box::new(create))));
    match ended {
        Ok(Ok(())) => Ok(Exit::Done),
        Ok(Err(eframe::Error::AppCreation(error))) => Err(match error.downcast::<Failure>() {
            Ok(failure) => *failure,
            Err(error) => no_window(&error.to_string()),
        }),
        // Only its debug form names the library.
        Ok(Err(error)) => Err(no_window(&format!("{error}\n{error:?}"))),
        // Before the program has begun, a panic is winit's way to say that a library is missing.
        Err(panic) => match opening.end() {
            Some(said) => Err(no_window(&said)),
            None => panic::resume_unwind(panic),
        },
    }
}

/// The library as users have it.
fn keeping(registry: Registry) -> keeper::Setup {
    let cache = library::cache_folder().ok().map(|folder| folder.join("library"));
    keeper::Setup { folders: vec![library::default_folder().path], cache, registry }
}

/// The program's icon.
fn icon() -> egui::IconData {
    let png = include_bytes!("../../../assets/desktop/flowline.png");
    // A picture of ours: should it ever be none, the system has an icon of its own.
    image::load_from_memory(png).map_or_else(
        |_| egui::IconData::default(),
        |icon| {
            let (width, height) = (icon.width(), icon.height());
            egui::IconData { rgba: icon.into_rgba8().into_raw(), width, height }
        },
    )
}

/// While the window is being opened, panics are noted instead of printed.
struct Opening(Mutex<Option<String>>);

impl Opening {
    fn begin() -> Arc<Self> {
        let opening = Arc::new(Self(Mutex::new(Some(String::new()))));
        let (noted, usual) = (Arc::clone(&opening), panic::take_hook());
        panic::set_hook(Box::new(move |info| match &mut *noted.said() {
            Some(said) => *said = info.to_string(),
            None => usual(info),
        }));
        opening
    }

    /// Ends the quiet. What was said in it; `None` if it had ended before.
    fn end(&self) -> Option<String> {
        self.said().take()
    }

    fn said(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The failure of a system without a display; `is_set` tells which environment variables have a value.
fn no_display(is_set: impl Fn(&str) -> bool) -> Option<Failure> {
    let needs_one = cfg!(all(unix, not(target_os = "macos")));
    if !needs_one || ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"].into_iter().any(is_set) {
        return None;
    }
    let what = "there is no display for a window (neither DISPLAY nor WAYLAND_DISPLAY is set)";
    Some(Failure::new(what, format!("{WITHOUT}, or log in to a desktop")))
}

/// How to do without a window.
const WITHOUT: &str = "make pictures on the command line: flowline generate \"a red lighthouse by the sea\"";

/// A library that is looked for when the window opens.
struct Library {
    /// How the window libraries' complaint about it is told from others.
    sign: &'static str,
    /// Its name.
    name: &'static str,
    /// The Debian and Ubuntu package that brings it.
    package: &'static str,
}

/// All of them; longer signs come before those they contain.
const LIBRARIES: &[Library] = &[
    Library { sign: "libxkbcommon-x11", name: "libxkbcommon-x11", package: "libxkbcommon-x11-0" },
    Library { sign: "libxkbcommon", name: "libxkbcommon", package: "libxkbcommon0" },
    Library { sign: "libXcursor", name: "libXcursor", package: "libxcursor1" },
    Library { sign: "libXi.", name: "libXi", package: "libxi6" },
    Library { sign: "libX11-xcb", name: "libX11-xcb", package: "libx11-xcb1" },
    Library { sign: "libX11", name: "libX11", package: "libx11-6" },
    // With GLX and EGL both away, all that is said is that nothing can be drawn to.
    Library { sign: "glutin configs", name: "libGL", package: "libgl1" },
    Library { sign: "libEGL", name: "libEGL", package: "libegl1" },
    Library { sign: "libGL", name: "libGL", package: "libgl1" },
];

/// The failure of a window that did not open, from what the window libraries said.
fn no_window(said: &str) -> Failure {
    match LIBRARIES.iter().find(|library| said.contains(library.sign)) {
        Some(Library { name, package, .. }) => {
            let what = format!("the window cannot open: the system library {name} is missing (package {package})");
            let all = "apt install libxcursor1 libxi6 libxkbcommon-x11-0 libgl1 brings all that windows need";
            Failure::new(what, format!("{all}; or {WITHOUT}"))
        }
        None => {
            let reason = said.lines().next().unwrap_or_default();
            // winit puts the place in its source before the reason.
            let reason =
                reason.rsplit_once(".rs:").and_then(|(_, rest)| rest.split_once(": ")).map_or(reason, |(_, r)| r);
            let hint = "it needs a running X11 or Wayland display and OpenGL (on Debian and Ubuntu: libgl1)";
            Failure::new(format!("the window cannot open: {reason}"), format!("{hint}; or {WITHOUT}"))
        }
    }
}

/// Opens `folder` in the system's file manager, and does not wait for it.
fn open_folder(folder: &Path) -> Result<()> {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    let started =
        Command::new(opener).arg(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    match started {
        Ok(mut child) => {
            // Waited for elsewhere, so that no zombie stays behind.
            let waited = thread::Builder::new().spawn(move || child.wait());
            drop(waited);
            Ok(())
        }
        Err(error) => {
            let what = format!("the folder could not be opened with {opener} ({error})");
            Err(Failure::new(what, "its path is on the clipboard"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(all(unix, not(target_os = "macos")))]
    fn without_a_display_the_error_points_to_the_command_line() {
        let failure = no_display(|_| false).expect("no variable is set");
        assert!(failure.what.contains("no display"), "{failure}");
        assert!(failure.hint.contains("flowline generate"), "{failure}");
        assert_eq!(failure.exit, Exit::Failed);
        for display in ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"] {
            assert_eq!(no_display(|name| name == display), None);
        }
    }

    #[test]
    fn a_missing_library_is_named_with_its_package() {
        // What the libraries really say, taken down on a bare system.
        for (said, package) in [
            ("Library libxkbcommon-x11.so could not be loaded.", "package libxkbcommon-x11-0"),
            ("Library libxkbcommon.so could not be loaded.", "package libxkbcommon0"),
            (
                "Failed to load one of xlib's shared libraries\nXNotSupported(LibraryOpenError(OpenError { kind: Library, \
                 detail: \"opening library failed (libXcursor.so.1: cannot open shared object file: No such file\" }))",
                "package libxcursor1",
            ),
            ("OpenError { detail: \"opening library failed (libXi.so.6: cannot open\" }", "package libxi6"),
            ("Found no glutin configs matching the template: ConfigTemplate { .. }", "package libgl1"),
        ] {
            let failure = no_window(said);
            assert!(failure.what.contains(package), "{said} -> {failure}");
            assert!(failure.hint.contains("apt install") && failure.hint.contains("flowline generate"), "{failure}");
        }
        let failure = no_window("os error at /x/winit/src/platform_impl/linux/mod.rs:788: Failed to open X\nmore");
        assert_eq!(failure.what, "the window cannot open: Failed to open X");
    }
}
