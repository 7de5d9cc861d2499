//! The window in front of a fake engine: what people do is told to the engine, and what the engine says is shown.
#![cfg(feature = "desktop")]

mod stand_in;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use eframe::egui::accesskit::Role;
use eframe::egui::{Event as Input, ImeEvent, Key, Modifiers, OutputCommand, ViewportEvent, ViewportId};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use flowline::command::command_line;
use flowline::desktop::App;
use flowline::engine::{Backend, Command, Event, Job};
use flowline::error::Failure;
use flowline_model::{Event as Made, Outcome, Warning};
use stand_in::{offer, picture, request, step};

/// An engine that does nothing by itself.
#[derive(Default)]
struct Fake {
    heard: RefCell<Vec<Command>>,
    says: RefCell<Vec<Event>>,
    opened: RefCell<Vec<PathBuf>>,
}

impl Backend for Fake {
    fn send(&self, command: Command) {
        self.heard.borrow_mut().push(command);
    }

    fn events(&self) -> Vec<Event> {
        self.says.take()
    }
}

/// The window and the engine behind it.
struct Window {
    harness: Harness<'static, App>,
    engine: Rc<Fake>,
}

impl Window {
    /// A window whose model is not open yet.
    fn opening() -> Self {
        let engine = Rc::new(Fake::default());
        let (backend, opener) = (Rc::clone(&engine), Rc::clone(&engine));
        let open_folder = move |folder: &Path| {
            opener.opened.borrow_mut().push(folder.to_owned());
            Ok(())
        };
        let harness = Harness::builder()
            .with_size([1120.0, 760.0])
            .build_eframe(move |creation| App::new(&creation.egui_ctx, backend, Box::new(open_folder)));
        Self { harness, engine }
    }

    /// A window ready to make pictures.
    fn ready() -> Self {
        let mut window = Self::opening();
        window.say([Event::Ready(Arc::new(offer()))]);
        window
    }

    /// A window with a prompt.
    fn with_prompt(prompt: &str) -> Self {
        let mut window = Self::ready();
        window.type_into("Prompt", prompt);
        window
    }

    /// A window with a finished picture of seed 7.
    fn with_picture() -> Self {
        let mut window = Self::with_prompt("a red house");
        window.click("Make picture");
        let request = request("a red house", 7);
        window.say([
            Event::Started(Box::new(request.clone())),
            Event::Picture(picture(&request, (256, 256)), Ok("/pictures/house.png".into())),
            finished(),
        ]);
        window
    }

    fn say(&mut self, events: impl IntoIterator<Item = Event>) {
        self.engine.says.borrow_mut().extend(events);
        self.harness.run();
    }

    fn click(&mut self, label: &str) {
        self.harness.get_by_label(label).click();
        self.harness.run();
    }

    fn type_into(&mut self, label: &str, text: &str) {
        self.harness.get_by_label(label).focus();
        self.harness.run();
        self.harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
        self.harness.run();
        self.harness.get_by_label(label).type_text(text);
        self.harness.run();
    }

    fn set(&mut self, label: &str, value: f64) {
        self.harness.get_by_label(label).set_value_accesskit(value);
        self.harness.run();
    }

    fn is_enabled(&self, label: &str) -> bool {
        !self.harness.get_by_label(label).accesskit_node().is_disabled()
    }

    fn shows(&self, text: &str) -> bool {
        self.harness.query_all_by_label_contains(text).next().is_some()
    }

    fn value(&self, label: &str) -> String {
        self.harness.get_by_label(label).value().unwrap_or_default()
    }

    /// The jobs asked for so far.
    fn jobs(&self) -> Vec<Job> {
        let job = |command: &Command| match command {
            Command::Make(job) => Some((**job).clone()),
            _ => None,
        };
        self.engine.heard.borrow().iter().filter_map(job).collect()
    }

    fn stops(&self) -> usize {
        self.engine.heard.borrow().iter().filter(|command| matches!(command, Command::Stop)).count()
    }

    /// Clicks, and returns what the window asked of the system.
    fn asked_by(&mut self, label: &str) -> Vec<OutputCommand> {
        self.harness.get_by_label(label).click();
        let mut commands = Vec::new();
        for _ in 0..4 {
            self.harness.step();
            commands.append(&mut self.harness.output().platform_output.commands.clone());
        }
        commands
    }
}

fn finished() -> Event {
    Event::Made(Made::Finished(Outcome { pictures: 1, ..Outcome::default() }))
}

#[test]
fn typing_a_prompt_and_clicking_asks_for_the_picture_with_the_models_own_settings() {
    let mut window = Window::with_prompt("a red house");
    window.click("Make picture");
    let [job] = window.jobs().try_into().expect("one job");
    assert_eq!((job.model.as_str(), job.draft.prompt.as_str()), ("postcard", "a red house"));
    assert_eq!((job.draft.width, job.draft.height, job.draft.steps), (Some(256), Some(256), Some(8)));
    assert_eq!((job.draft.cfg, job.draft.negative_prompt, job.draft.schedule), (Some(2.5), None, None));
    assert_eq!(job.draft.seeds, Vec::<u64>::new(), "the engine chooses a seed");
    assert!(!window.is_enabled("Make picture"), "one picture at a time");
}

#[test]
fn the_cursor_is_in_the_prompt_from_the_start() {
    let window = Window::opening();
    assert!(window.harness.get_by_label("Prompt").is_focused());
}

#[test]
fn ctrl_enter_makes_a_picture_and_enter_breaks_the_line() {
    let mut window = Window::with_prompt("a house");
    window.harness.key_press(Key::Enter);
    window.harness.run();
    assert_eq!(window.jobs().len(), 0);
    assert_eq!(window.harness.state().state().prompt, "a house\n");
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    window.harness.run();
    let [job] = window.jobs().try_into().expect("one job");
    assert_eq!(job.draft.prompt, "a house\n", "Ctrl+Enter adds nothing");
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    window.harness.run();
    assert_eq!(window.jobs().len(), 1, "not twice at a time");
}

#[test]
fn an_empty_prompt_makes_nothing() {
    let mut window = Window::with_prompt("  ");
    assert!(!window.is_enabled("Make picture"));
    window.click("Make picture");
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    window.harness.run();
    assert_eq!(window.jobs().len(), 0);
}

#[test]
fn a_picture_can_be_asked_for_before_the_model_is_open() {
    let mut window = Window::opening();
    window.type_into("Prompt", "a house");
    window.click("Make picture");
    window.say([Event::Ready(Arc::new(offer()))]);
    assert_eq!(window.jobs().len(), 1);
    assert!(window.shows("Starting"), "the job is still on its way");
}

#[test]
fn text_composed_with_an_input_method_arrives_in_the_prompt() {
    let mut window = Window::ready();
    for event in [
        ImeEvent::Preedit { text: "e".into(), active_range_chars: None },
        ImeEvent::Preedit { text: "é".into(), active_range_chars: None },
        ImeEvent::Commit("été".into()),
    ] {
        window.harness.event(Input::Ime(event));
        window.harness.run();
    }
    assert_eq!(window.harness.state().state().prompt, "été");
}

#[test]
fn choosing_langevin_brings_controls_for_its_parameters() {
    let mut window = Window::with_prompt("a house");
    assert!(!window.shows("Scale"));
    window.click("Sampler");
    window.click("langevin");
    window.set("Scale", 0.25);
    window.click("Make picture");
    let [job] = window.jobs().try_into().expect("one job");
    assert_eq!(job.draft.sampler.expect("a sampler").to_string(), "langevin:scale=0.25");
}

#[test]
fn every_sampler_and_schedule_can_be_chosen_and_none_breaks_the_window() {
    let mut window = Window::with_prompt("a house");
    for about in offer().samplers {
        window.click("Sampler");
        let option = window.harness.get_all_by_label(about.name).last().expect("it is listed");
        option.click();
        window.harness.run();
        assert_eq!(window.harness.state().state().settings.as_ref().expect("settings").sampler.about, about);
    }
    for about in offer().schedules {
        window.click("Schedule");
        window.harness.get_all_by_label(about.name).last().expect("it is listed").click();
        window.harness.run();
        let chosen = window.harness.state().state().settings.as_ref().expect("settings").schedule.as_ref();
        assert_eq!(chosen.map(|schedule| &schedule.about), Some(&about));
    }
}

#[test]
fn a_negative_prompt_is_offered_only_where_it_is_used() {
    let mut window = Window::with_prompt("a house");
    window.type_into("Negative prompt", "fog");
    window.set("CFG", 1.0);
    assert!(window.harness.query_by_label("Negative prompt").is_none());
    window.click("Make picture");
    window.say([finished()]);
    window.set("CFG", 3.0);
    window.click("Make picture");
    let negative: Vec<_> = window.jobs().into_iter().map(|job| (job.draft.cfg, job.draft.negative_prompt)).collect();
    assert_eq!(negative, [(Some(1.0), None), (Some(3.0), Some("fog".into()))]);
}

#[test]
fn an_open_lock_takes_a_new_seed_every_time_and_a_closed_one_keeps_it() {
    let mut window = Window::with_picture();
    assert_eq!(window.value("Seed"), "7", "the picture's seed is shown");
    window.click("Make picture");
    window.say([Event::Started(Box::new(request("a red house", 8))), finished()]);
    window.click("Keep this seed");
    for _ in 0..2 {
        window.click("Make picture");
        window.say([Event::Started(Box::new(request("a red house", 8))), finished()]);
    }
    window.click("Seed is kept for every picture");
    window.click("Make picture");
    let seeds: Vec<_> = window.jobs().into_iter().map(|job| job.draft.seeds).collect();
    assert_eq!(seeds, [vec![], vec![], vec![8], vec![8], vec![]]);
}

#[test]
fn a_typed_or_rolled_seed_is_used_once_unless_it_is_locked() {
    let mut window = Window::with_prompt("a house");
    window.type_into("Seed", "18446744073709551615");
    window.click("Make picture");
    window.say([Event::Started(Box::new(request("a house", u64::MAX))), finished()]);
    window.click("Make picture");
    window.say([Event::Started(Box::new(request("a house", 5))), finished()]);
    window.click("Roll a new seed");
    let rolled: u64 = window.value("Seed").parse().expect("a number");
    window.click("Make picture");
    let seeds: Vec<_> = window.jobs().into_iter().map(|job| job.draft.seeds).collect();
    assert_eq!(seeds, [vec![u64::MAX], vec![], vec![rolled]]);
}

#[test]
fn a_seed_that_is_no_number_is_said_and_makes_nothing() {
    let mut window = Window::with_prompt("a house");
    for wrong in ["-1", "1.5", "red", "18446744073709551616"] {
        window.type_into("Seed", wrong);
        assert!(window.shows("A seed is a whole number"), "{wrong}");
        assert!(!window.is_enabled("Make picture"), "{wrong}");
    }
    window.type_into("Seed", " 12 ");
    window.click("Make picture");
    assert_eq!(window.jobs().pop().expect("a job").draft.seeds, [12]);
}

#[test]
fn sizes_are_multiples_and_an_untrained_one_is_said() {
    let mut window = Window::with_prompt("a house");
    assert!(!window.shows("trained at"));
    window.set("Height", 300.0);
    assert!(window.shows("postcard was trained at 256 × 256 only"));
    window.click("Make picture");
    window.say([Event::Made(Made::Warning(Warning::new("size-untrained", "postcard was trained at one size")))]);
    assert!(window.harness.state().state().messages.is_empty(), "it is not said twice");
    let draft = window.jobs().pop().expect("a job").draft;
    assert_eq!((draft.width, draft.height), (Some(256), Some(288)));
    window.say([finished()]);
    window.click("Shape");
    window.click("Square 256 × 256");
    assert!(!window.shows("trained at"));
}

#[test]
fn progress_is_shown_and_stop_keeps_the_best_so_far() {
    let mut window = Window::with_prompt("a house");
    window.click("Make picture");
    window.say([
        Event::Started(Box::new(request("a house", 7))),
        Event::Made(Made::Loading { part: "transformer", bytes: 12_000_000, total: 29_000_000 }),
    ]);
    assert!(window.shows("Reading the transformer: 12 of 29 MB"));
    window.say([Event::Made(Made::Encoding)]);
    assert!(window.shows("Reading the prompt"));
    window.say([Event::Made(Made::Tick)]);
    assert!(window.shows("Taking the first step"));
    window.say([Event::Made(Made::Step(step(1)))]);
    assert!(window.shows("Step 1 of 2  ·  0.4 s a step  ·  0.4 s left"));
    assert!(window.shows("Preview"));
    window.click("Stop");
    assert_eq!(window.stops(), 1);
    assert!(!window.is_enabled("Stop"));
    assert!(window.shows("the best picture so far is kept"));
    let mut stopped = (*picture(&request("a house", 7), (256, 256))).clone();
    stopped.stopped = Some((1, 2));
    window.say([Event::Picture(Arc::new(stopped), Ok("/pictures/1.png".into())), finished()]);
    assert!(window.shows("stopped after step 1 of 2"));
    assert!(window.is_enabled("Make picture"));
}

#[test]
fn being_stopped_before_the_first_step_is_said() {
    let mut window = Window::with_prompt("a house");
    window.click("Make picture");
    window.click("Stop");
    window.say([Event::Made(Made::Finished(Outcome { stopped: true, ..Outcome::default() }))]);
    assert!(window.shows("there is no picture"));
    assert!(window.is_enabled("Make picture") && !window.is_enabled("Copy picture"));
}

const BUTTONS: [&str; 4] = ["Show folder", "Copy picture", "Save a copy…", "Copy as command"];

#[test]
fn the_buttons_wait_for_a_picture_and_rest_while_the_next_one_is_made() {
    let window = Window::ready();
    assert_eq!(BUTTONS.map(|button| window.is_enabled(button)), [false; 4]);
    let mut window = Window::with_picture();
    assert!(window.shows("Seed 7  ·  256 × 256  ·  euler  ·  2 steps  ·  0.9 s"));
    assert!(window.shows("Saved as /pictures/house.png"));
    assert_eq!(BUTTONS.map(|button| window.is_enabled(button)), [true; 4]);
    window.click("Make picture");
    assert_eq!(BUTTONS.map(|button| window.is_enabled(button)), [false; 4]);
}

#[test]
fn copy_as_command_copies_the_command_that_makes_the_picture_again() {
    let mut window = Window::with_picture();
    let commands = window.asked_by("Copy as command");
    let expected = command_line(&request("a red house", 7));
    assert!(expected.contains("a red house") && expected.contains('7'), "{expected}");
    assert_eq!(commands, [OutputCommand::CopyText(expected)]);
    assert!(window.shows("Command copied"));
}

#[test]
fn copy_picture_copies_all_its_pixels() {
    let mut window = Window::with_picture();
    let commands = window.asked_by("Copy picture");
    let [OutputCommand::CopyImage(image)] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!(image.size, [256, 256]);
    assert_eq!(image[(3, 200)].to_array(), [3, 200, 96, 255]);
}

#[test]
fn show_folder_opens_the_folder_and_copies_the_path() {
    let mut window = Window::with_picture();
    let commands = window.asked_by("Show folder");
    assert_eq!(commands, [OutputCommand::CopyText("/pictures/house.png".into())]);
    assert_eq!(*window.engine.opened.borrow(), [PathBuf::from("/pictures")]);
}

#[test]
fn a_copy_goes_where_the_path_field_says() {
    let mut window = Window::with_picture();
    window.click("Save a copy…");
    assert_eq!(window.value("Save to"), "/pictures/house.png");
    assert!(window.harness.get_by_label("Save to").is_focused());
    window.click("Cancel");
    assert!(!window.shows("Save to"));
    for (typed, expected) in [("/elsewhere/a.png", "/elsewhere/a.png"), ("b.png", "/pictures/b.png")] {
        window.click("Save a copy…");
        window.type_into("Save to", typed);
        window.click("Save");
        let heard = window.engine.heard.take();
        let Some(Command::SaveCopy { picture, path }) = heard.last() else { panic!("{heard:?}") };
        assert_eq!((picture.seed, path.as_path()), (7, Path::new(expected)));
    }
    window.say([Event::Copied(Ok("/pictures/b.png".into()))]);
    assert!(window.shows("Copy saved as /pictures/b.png"));
    window.say([Event::Copied(Err(Failure::new("the disk is full", "delete something")))]);
    assert!(window.shows("The disk is full") && window.shows("Delete something"));
}

#[test]
fn a_failure_is_shown_with_its_hint_and_the_next_picture_can_be_made() {
    let mut window = Window::with_prompt("a house");
    window.click("Make picture");
    window.say([Event::Failed(Failure::new("no memory", "ask for a smaller picture"))]);
    assert!(window.shows("No memory") && window.shows("Ask for a smaller picture"));
    window.click("Dismiss");
    assert!(!window.shows("No memory"));
    window.click("Make picture");
    assert_eq!(window.jobs().len(), 2);
}

#[test]
fn a_warning_is_shown_once_and_goes_with_the_next_picture() {
    let mut window = Window::with_prompt("a house");
    window.click("Make picture");
    let warning = Event::Made(Made::Warning(Warning::new("unknown-words", "postcard does not know 'house'")));
    window.say([warning.clone(), warning, finished()]);
    window.harness.get_by_label("Postcard does not know 'house'");
    window.click("Make picture");
    assert!(!window.shows("does not know"));
}

#[test]
fn a_picture_that_could_not_be_saved_is_shown_and_can_be_saved_elsewhere() {
    let mut window = Window::with_prompt("a house");
    window.click("Make picture");
    let full = Failure::new("the disk is full", "delete something");
    window.say([Event::Picture(picture(&request("a house", 7), (256, 256)), Err(full)), finished()]);
    assert!(window.shows("The disk is full") && window.shows("Picture: a house"));
    assert_eq!(BUTTONS.map(|button| window.is_enabled(button)), [false, true, true, true]);
}

#[test]
fn messages_push_no_button_out_of_the_window() {
    let mut window = Window::with_picture();
    for line in 0..4 {
        window.say([Event::Copied(Err(Failure::new(format!("failure {line}"), "a hint")))]);
        let button = window.harness.get_by_label("Copy picture").rect();
        assert!(button.bottom() <= 760.0, "{line}: {button:?}");
    }
}

#[test]
fn closing_the_window_while_it_works_stops_with_the_best_so_far() {
    let close = |window: &mut Window| {
        let viewport = window.harness.input_mut().viewports.get_mut(&ViewportId::ROOT).expect("the window");
        viewport.events.push(ViewportEvent::Close);
        window.harness.run();
    };
    let mut idle = Window::with_prompt("a house");
    close(&mut idle);
    assert_eq!(idle.stops(), 0);
    let mut working = Window::with_prompt("a house");
    working.click("Make picture");
    close(&mut working);
    assert_eq!(working.stops(), 1);
}

#[test]
fn a_window_where_nothing_happens_is_never_painted_again() {
    let rests = |window: &Window| {
        let delay = window.harness.output().viewport_output[&ViewportId::ROOT].repaint_delay;
        assert_eq!(delay, Duration::MAX);
    };
    let mut window = Window::with_prompt("a house");
    assert!(window.harness.get_by_label("Prompt").is_focused(), "the cursor must not blink either");
    rests(&window);
    window.click("Make picture");
    window.say([Event::Started(Box::new(request("a house", 7))), Event::Made(Made::Step(step(1)))]);
    window.harness.remove_cursor();
    window.harness.run();
    rests(&window);
}

#[test]
fn a_picture_larger_than_any_texture_is_shown() {
    let mut window = Window::with_prompt("a house");
    window.click("Make picture");
    let request = request("a house", 7);
    window.say([Event::Picture(picture(&request, (5000, 40)), Ok("/pictures/1.png".into())), finished()]);
    assert!(window.shows("5000 × 40") && window.shows("Picture: a house"));
}

#[test]
fn events_in_any_order_break_nothing() {
    let mut window = Window::opening();
    let request = request("a house", 7);
    let failure = Failure::new("no memory", "ask for less");
    let all = [
        Event::Ready(Arc::new(offer())),
        Event::Started(Box::new(request.clone())),
        Event::Made(Made::Warning(Warning::new("a", "b"))),
        Event::Made(Made::Loading { part: "autoencoder", bytes: 9, total: 0 }),
        Event::Made(Made::Encoding),
        Event::Made(Made::Tick),
        Event::Made(Made::Step(step(2))),
        Event::Made(Made::Decoding { index: 3 }),
        Event::Made(Made::Picture(Box::new((*picture(&request, (8, 8))).clone()))),
        Event::Picture(picture(&request, (8, 8)), Ok("/".into())),
        Event::Picture(picture(&request, (1, 300)), Err(failure.clone())),
        finished(),
        Event::Copied(Ok("/pictures/2.png".into())),
        Event::Copied(Err(failure.clone())),
        Event::Failed(failure),
    ];
    let mut state = 1_u64;
    for _ in 0..400 {
        // Knuth's linear congruential generator: the same order every time.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let drawn = (state >> 33) as usize;
        if drawn.is_multiple_of(5) {
            for label in ["Make picture", "Stop", "Show folder"] {
                if let Some(button) = window.harness.query_by_label(label) {
                    button.click();
                }
            }
        }
        window.engine.says.borrow_mut().push(all[drawn / 5 % all.len()].clone());
        window.harness.step();
    }
    window.say([finished()]);
    assert!(window.harness.state().state().work.is_none());
    window.harness.get_by_role_and_label(Role::Button, "Make picture");
}
