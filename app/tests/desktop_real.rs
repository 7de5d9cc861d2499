//! The window in front of the real engine with the built-in model.
#![cfg(feature = "desktop")]

use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use flowline::desktop::App;
use flowline::desktop::state::State;
use flowline::engine::{Engine, Keeping, Setup, UsersStock, no_grids, open_pipeline};
use flowline::library::{Destination, Library, SaveOptions};
use flowline::queue::Queue;
use flowline::record;
use flowline_model::{Event, Opening, Pipeline};

/// Longer than the slowest machine takes for two steps.
const PATIENCE: Duration = Duration::from_secs(240);

#[test]
fn a_prompt_typed_into_the_window_becomes_a_saved_picture() {
    let folder = tempfile::tempdir().unwrap();
    let options = SaveOptions { force: false, metadata: true };
    let setup = Setup {
        model: "postcard".into(),
        library: Library::new(Destination::Folder(folder.path().to_owned()), options),
        open: open_pipeline(flowline::Registry::builtin(), Opening::default()),
        make_grid: no_grids(),
        stock: Arc::new(UsersStock),
        queue: Queue::fleeting(),
        keeping: Keeping::default(),
        notices: Vec::new(),
    };
    let (wake, woken) = mpsc::channel();
    let wake = Mutex::new(wake);
    let waker = Arc::new(move || {
        // The test may have heard enough.
        let _ = wake.lock().map(|wake| wake.send(()));
    });
    let engine = Rc::new(Engine::start(setup, waker).unwrap());
    let backend = Rc::clone(&engine);
    let mut harness = Harness::builder()
        .with_size([1120.0, 760.0])
        .build_eframe(move |creation| App::new(&creation.egui_ctx, backend, Box::new(|_| Ok(()))));
    let wait = |harness: &mut Harness<'static, App>, until: fn(&State) -> bool| {
        while !until(harness.state().state()) {
            woken.recv_timeout(PATIENCE).expect("the engine has something to say");
            harness.step();
        }
        harness.run();
    };

    wait(&mut harness, |state| state.offer.is_some());
    harness.get_by_label("Prompt").type_text("a red lighthouse by the sea");
    harness.get_by_label("Steps").set_value_accesskit(2.0);
    harness.run();
    harness.get_by_label("Make picture").click();
    harness.run();
    wait(&mut harness, |state| state.work.is_none());

    let state = harness.state().state();
    assert_eq!(state.messages, []);
    let finished = state.picture.clone().expect("a picture");
    let path = finished.path.expect("it was saved");
    assert_eq!(path.parent(), Some(folder.path()));
    let request = &finished.picture.request;
    assert_eq!((request.prompt.as_str(), request.steps), ("a red lighthouse by the sea", 2));
    harness.get_by_label("Picture: a red lighthouse by the sea");

    let saved = image::open(&path).unwrap().into_rgb8();
    assert_eq!(saved, finished.picture.image);
    assert_eq!(record::read(&path).unwrap().request.as_ref(), Some(request));
    let mut again = None;
    let mut pipeline = Pipeline::open("postcard", None).unwrap();
    pipeline
        .generate(request, |event| {
            if let Event::Picture(picture) = event {
                again = Some(picture.image);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(again == Some(saved), "the window makes the same picture as the pipeline");
}
