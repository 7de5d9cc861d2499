//! The library as it is kept: what lies in the folder is all there is to know.

mod sample;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flowline::Registry;
use flowline::library::keeper::{Backend, Command, Event, Keeper, Setup, Star};
use flowline::library::{Age, Content, Found, Query, Stars, export, star, thumbnail};
use image::{GrayImage, Luma};
use sample::file::{png, png_with_text, written};
use sample::request;

/// A keeper whose events can be waited for.
struct Library {
    folder: tempfile::TempDir,
    cache: tempfile::TempDir,
    keeper: Keeper,
    woken: Receiver<()>,
    heard: Vec<Event>,
}

impl Library {
    fn of(files: &[(&str, Vec<u8>)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (index, (name, bytes)) in files.iter().enumerate() {
            save(&folder.path().join(name), bytes, index as u64);
        }
        Self::in_folder(folder, tempfile::tempdir().unwrap())
    }

    fn in_folder(folder: tempfile::TempDir, cache: tempfile::TempDir) -> Self {
        let (wakes, woken) = mpsc::channel();
        let wakes = Mutex::new(wakes);
        let waker = Arc::new(move || wakes.lock().unwrap().send(()).unwrap_or_default());
        let setup = Setup {
            folders: vec![folder.path().to_owned()],
            cache: Some(cache.path().to_owned()),
            registry: Registry::builtin(),
        };
        let keeper = Keeper::start(setup, waker).unwrap();
        Self { folder, cache, keeper, woken, heard: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits for an event that `is` the one.
    fn hear<T>(&mut self, is: impl Fn(&Event) -> Option<T>) -> T {
        loop {
            self.heard.extend(self.keeper.events());
            while !self.heard.is_empty() {
                if let Some(found) = is(&self.heard.remove(0)) {
                    return found;
                }
            }
            self.woken.recv_timeout(Duration::from_secs(60)).expect("the keeper says something");
        }
    }

    /// What is found once everything was read.
    fn found(&mut self, query: Query) -> Found {
        self.keeper.send(Command::Find(query.clone()));
        self.hear(|event| match event {
            Event::Found(found) if found.unread == 0 && found.query == query => Some(found.clone()),
            _ => None,
        })
    }

    fn names(&mut self, query: Query) -> Vec<String> {
        self.found(query).entries.iter().map(|entry| entry.name()).collect()
    }

    fn failure(&mut self) -> flowline::Failure {
        self.hear(|event| if let Event::Failed(failure) = event { Some(failure.clone()) } else { None })
    }
}

/// Saves a file that is so many hours younger than the year 2020.
fn save(path: &Path, bytes: &[u8], hours: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    let when = SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800 + 3600 * hours);
    fs::File::options().write(true).open(path).unwrap().set_modified(when).unwrap();
}

fn words(words: &str) -> Query {
    Query { words: words.into(), ..Query::default() }
}

fn pictures() -> Vec<(&'static str, Vec<u8>)> {
    let mut heun = request("a Blue boat");
    heun.sampler = flowline_sampler::catalog::Choice::new("heun");
    heun.seeds = vec![42];
    let foreign = "a lighthouse\nSteps: 20, Sampler: Euler, Seed: 7, Size: 48x32, Model: flux1-dev";
    vec![
        ("boat.png", written(&heun)),
        ("grid/cell.png", written(&request("a red lighthouse"))),
        ("foreign.PNG", png_with_text("parameters", foreign)),
        ("bare.png", png(&[(b"IDAT", b"")])),
        ("cut.png", written(&request("cut"))[..100].to_vec()),
        ("notes.txt", b"no picture".to_vec()),
        (".hidden.png", written(&request("hidden"))),
    ]
}

#[test]
fn every_picture_in_the_folder_is_there_newest_first_the_damaged_ones_with_their_reason() {
    let mut library = Library::of(&pictures());
    let found = library.found(Query::default());
    let names: Vec<String> = found.entries.iter().map(|entry| entry.name()).collect();
    assert_eq!(names, ["cut.png", "bare.png", "foreign.PNG", "cell.png", "boat.png"]);
    assert_eq!(found.models[..], ["flux1-dev".to_owned(), "postcard".to_owned()]);
    assert_eq!(found.samplers[..], ["euler".to_owned(), "heun".to_owned()]);
    let Content::Damaged(reason) = &found.entries[0].content else { panic!("{:?}", found.entries[0]) };
    assert_eq!(reason, "it is damaged: it ends before its last chunk does");
    let boat = found.entries[4].about().unwrap();
    assert_eq!((boat.prompt.as_str(), boat.seed, boat.size), ("a Blue boat", Some(42), (48, 32)));
}

#[test]
fn pictures_are_found_by_their_words_model_sampler_date_and_star() {
    let mut library = Library::of(&pictures());
    assert_eq!(library.names(words("blue BOAT")), ["boat.png"]);
    assert_eq!(library.names(words("lighthouse")), ["foreign.PNG", "cell.png"]);
    assert_eq!(library.names(words("seed:42")), ["boat.png"]);
    assert_eq!(library.names(words("steps:20 lighthouse")), ["foreign.PNG"]);
    assert_eq!(library.names(words("cut.png")), ["cut.png"], "a file's name counts too");
    assert_eq!(library.names(words("nowhere")), [""; 0]);
    let by_model = Query { model: Some("flux1-dev".into()), ..Query::default() };
    assert_eq!(library.names(by_model), ["foreign.PNG"]);
    let by_sampler = Query { sampler: Some("heun".into()), ..Query::default() };
    assert_eq!(library.names(by_sampler), ["boat.png"]);
    let starred = Query { stars: Stars::Starred, ..Query::default() };
    assert_eq!(library.names(starred.clone()), [""; 0]);
    library.keeper.send(Command::Star(vec![library.path("boat.png")], Star::Give));
    assert_eq!(library.names(starred), ["boat.png"]);
    let found = library.found(Query::default());
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800 + 3600 * 25);
    let day = Query { age: Age::Day, ..Query::default() };
    let young: Vec<_> = day.find(&found.entries, now).entries.iter().map(|entry| entry.name()).collect();
    assert_eq!(young, ["cut.png", "bare.png", "foreign.PNG", "cell.png"]);
}

#[test]
fn without_its_cache_the_library_is_the_same_and_a_broken_cache_is_no_harm() {
    let mut library = Library::of(&pictures());
    library.keeper.send(Command::Star(vec![library.path("boat.png")], Star::Give));
    // What is found before the star is given may be told first.
    let first = library.hear(|event| match event {
        Event::Found(found) if found.unread == 0 && found.entries.iter().any(|entry| entry.starred) => {
            Some(found.clone())
        }
        _ => None,
    });
    let kept = library.cache.path().join("library-1.jsonl");
    let Library { folder, cache, keeper, .. } = library;
    drop(keeper);
    assert!(kept.is_file());
    let mut again = Library::in_folder(folder, cache);
    assert_eq!(again.found(Query::default()), first);
    for broken in ["", "{", "null\n[]\n\u{0}\n{\"file\":3}\n"] {
        let Library { folder, cache, keeper, .. } = again;
        drop(keeper);
        fs::write(&kept, broken).unwrap();
        again = Library::in_folder(folder, cache);
        assert_eq!(again.found(Query::default()), first);
    }
    let Library { folder, cache, keeper, .. } = again;
    drop((keeper, cache));
    assert_eq!(Library::in_folder(folder, tempfile::tempdir().unwrap()).found(Query::default()), first);
}

#[test]
fn a_look_finds_what_is_new_changed_and_gone() {
    let mut library = Library::of(&pictures()[..2]);
    assert_eq!(library.names(Query::default()), ["cell.png", "boat.png"]);
    save(&library.path("new.png"), &written(&request("new")), 9);
    fs::remove_file(library.path("boat.png")).unwrap();
    save(&library.path("grid/cell.png"), &written(&request("another prompt")), 8);
    library.keeper.send(Command::Look);
    assert_eq!(library.names(Query::default()), ["new.png", "cell.png"]);
    assert_eq!(library.names(words("another")), ["cell.png"]);
}

#[test]
fn a_star_lies_beside_the_picture_and_respects_what_others_wrote_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    let picture = written(&request("a star"));
    fs::write(&path, &picture).unwrap();
    star::set(&path, true).unwrap();
    star::set(&path, true).unwrap();
    assert!(star::is_set(&path));
    assert_eq!(fs::read(&path).unwrap(), picture, "the picture stays as it is");
    star::set(&path, false).unwrap();
    assert!(!star::is_set(&path) && !star::beside(&path).exists());
    let theirs = "<x:xmpmeta><rdf:Description xmp:Rating=\"3\" darktable:history=\"kept\"/></x:xmpmeta>";
    fs::write(star::beside(&path), theirs).unwrap();
    assert!(star::is_set(&path));
    star::set(&path, false).unwrap();
    let after = fs::read_to_string(star::beside(&path)).unwrap();
    assert_eq!(after, theirs.replace("\"3\"", "\"0\""));
    star::set(&path, true).unwrap();
    assert!(star::is_set(&path));
    for strange in ["no rating here", "xmp:Rating", "<xmp:Rating>much</xmp:Rating>", "xmp:Rating=\"-1\""] {
        fs::write(star::beside(&path), strange).unwrap();
        assert!(!star::is_set(&path), "{strange}");
    }
    fs::write(star::beside(&path), "no rating here").unwrap();
    assert!(star::set(&path, true).unwrap_err().what.contains("another program's"));
    assert_eq!(fs::read_to_string(star::beside(&path)).unwrap(), "no rating here");
}

#[test]
fn copies_never_overwrite_and_take_their_star_along() {
    let mut library = Library::of(&pictures()[..2]);
    let target = library.path("copies");
    star::set(&library.path("boat.png"), true).unwrap();
    for name in ["boat.png", "boat-2.png", "boat-3.png"] {
        let copy = export::copy(&library.path("boat.png"), &target).unwrap();
        assert_eq!(copy, target.join(name));
        assert_eq!(fs::read(&copy).unwrap(), fs::read(library.path("boat.png")).unwrap());
        assert!(star::is_set(&copy));
    }
    library.keeper.send(Command::Export(vec![library.path("gone.png")], target));
    assert!(library.failure().what.contains("gone.png"));
    let nowhere = library.path("no/such/folder");
    assert!(export::copy(&library.path("boat.png"), &nowhere).unwrap_err().what.contains("no/such/folder"));
}

#[test]
fn thumbnails_are_made_kept_and_made_again_when_the_picture_changes() {
    let mut library = Library::of(&pictures());
    let found = library.found(Query::default());
    let thumbnails = |library: &mut Library, found: &Found| {
        let files: Vec<_> = found.entries.iter().map(|entry| entry.file.clone()).collect();
        library.keeper.send(Command::Thumbnails(files.clone()));
        let mut made = Vec::new();
        for _ in files {
            made.push(library.hear(|event| match event {
                Event::Thumbnail(file, made) => Some((file.clone(), made.clone())),
                _ => None,
            }));
        }
        made
    };
    let made = thumbnails(&mut library, &found);
    for (file, made) in &made {
        let name = file.path.file_name().unwrap().to_string_lossy().into_owned();
        match name.as_str() {
            "boat.png" | "cell.png" => assert_eq!(made.as_ref().unwrap().dimensions(), (48, 32), "{name}"),
            _ => assert!(made.as_ref().unwrap_err().contains("cannot be read as a picture"), "{name}: {made:?}"),
        }
    }
    let kept = || fs::read_dir(library.cache.path().join("thumbnails")).unwrap().count();
    assert_eq!(kept(), 2);
    thumbnail::thumbnail(&found.entries[4].file, Some(&library.cache.path().join("thumbnails"))).unwrap();
    assert_eq!(kept(), 2, "it was there");
    save(&library.path("boat.png"), &written(&request("changed")), 99);
    library.keeper.send(Command::Look);
    let found = library.found(words("boat.png"));
    thumbnails(&mut library, &found);
    assert_eq!(fs::read_dir(library.cache.path().join("thumbnails")).unwrap().count(), 3);
}

#[test]
fn a_large_picture_is_reduced_to_its_mean_while_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.png");
    // Columns of black and white: any thumbnail that only picks pixels would be black or white.
    GrayImage::from_fn(3001, 1501, |x, _| Luma([if x % 2 == 0 { 0 } else { 255 }])).save(&path).unwrap();
    let bytes = fs::metadata(&path).unwrap().len();
    let file = flowline::library::File { path, bytes, modified: SystemTime::UNIX_EPOCH };
    let small = thumbnail::thumbnail(&file, None).unwrap();
    assert_eq!(small.dimensions(), (256, 128));
    let middle = small.get_pixel(128, 64).0[0];
    assert!((90..=165).contains(&middle), "{middle}");
}

#[test]
fn no_memory_is_taken_for_what_a_header_only_claims() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("claims.png");
    let mut file = png(&[(b"IDAT", b"x\x9c\x01")]);
    // 16384 x 16384, and a right checksum.
    file[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&file[12..29]);
    file[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    fs::write(&path, file).unwrap();
    let about = flowline::library::File { path: path.clone(), bytes: 0, modified: SystemTime::UNIX_EPOCH };
    for refused in [thumbnail::thumbnail(&about, None).map(drop), flowline::picture::read(&path).map(drop)] {
        assert!(refused.unwrap_err().what.contains("claims more pixels"));
    }
}

#[test]
fn a_picture_of_this_program_is_verified_by_what_the_command_line_calls() {
    let mut library = Library::of(&pictures());
    let foreign = library.path("foreign.PNG");
    library.keeper.send(Command::Verify(foreign));
    let refused = library.hear(|event| match event {
        Event::Verified(_, compared) => Some(compared.clone()),
        _ => None,
    });
    assert!(refused.unwrap_err().what.contains("was made by AUTOMATIC1111"));
}
