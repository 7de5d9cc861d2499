//! Pictures go where they should, whole, and take nobody's place.

mod sample;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flowline::error::{Exit, Failure};
use flowline::library::atomic::{Named, Whole};
use flowline::library::{DefaultFolder, Destination, Library, SaveOptions};
use flowline::record;
use flowline_model::Picture;
use sample::{picture, request};

const KEEP: SaveOptions = SaveOptions { force: false, metadata: true };
const FORCE: SaveOptions = SaveOptions { force: true, metadata: true };

fn parse(written: impl AsRef<OsStr>) -> Result<Destination, Failure> {
    Destination::parse(written.as_ref())
}

fn library(written: impl AsRef<OsStr>, options: SaveOptions) -> Library {
    Library::new(parse(written).unwrap(), options)
}

/// A picture of this seed at this place of a run.
fn nth(index: usize, seed: u64) -> Picture {
    Picture { index, ..picture(request("a boat").for_seed(seed)) }
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    all.collect::<BTreeSet<_>>().into_iter().collect()
}

fn saved(library: &Library, picture: &Picture) -> PathBuf {
    library.check().unwrap();
    library.save(picture).unwrap().path.unwrap()
}

#[test]
fn what_is_written_after_o_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    assert_eq!(parse("-").unwrap(), Destination::Stdout);
    assert_eq!(parse("./-").unwrap(), Destination::File("./-.png".into()));
    assert_eq!(parse(folder.path()).unwrap(), Destination::Folder(folder.path().into()));
    assert_eq!(parse("new/").unwrap(), Destination::Folder("new/".into()));
    for dots in [".", "..", "/"] {
        assert_eq!(parse(dots).unwrap(), Destination::Folder(dots.into()));
    }
    for name in ["a.png", "a.PNG", "deep/er/a.b.png"] {
        assert_eq!(parse(path(name)).unwrap(), Destination::File(path(name)));
    }
    assert_eq!(parse(path("lighthouse")).unwrap(), Destination::File(path("lighthouse.png")));
    fs::create_dir(path("{odd}")).unwrap();
    assert_eq!(parse(path("{odd}")).unwrap(), Destination::Folder(path("{odd}")));
    assert!(matches!(parse("{seed}.png").unwrap(), Destination::Pattern(_)));
}

#[test]
fn what_makes_no_sense_after_o_is_a_usage_error() {
    let table = [
        ("", "is empty"),
        ("a.jpg", "cannot write .jpg files"),
        ("a.png.webp", "cannot write .webp files"),
        ("photo-v1.5", "cannot write .5 files"),
        ("{seed}.jpeg", "cannot write .jpeg files"),
        ("{sed}.png", "the unknown placeholder {sed}"),
        ("{}.png", "the unknown placeholder {}"),
        ("{seed.png", "a { without a }"),
        ("seed}.png", "a } without a {"),
        ("{model}/{seed}.png", "a placeholder in the name of a folder"),
    ];
    for (written, expected) in table {
        let refusal = parse(written).err().unwrap_or_else(|| panic!("'{written}' was taken"));
        assert!(refusal.what.contains(expected), "{written}: {refusal}");
        assert_eq!(refusal.exit, Exit::Usage);
        assert!(!refusal.hint.is_empty());
    }
}

#[test]
fn patterns_are_filled_in() {
    let folder = tempfile::tempdir().unwrap();
    let table = [
        ("{seed}.png", "7.png"),
        ("{seed}", "7-2.png"),
        ("{index}-{seed}.PNG", "0003-7.PNG"),
        ("{model} {{x}} {index}", "postcard {x} 0003.png"),
        ("v1.5-{model}", "v1.5-postcard.png"),
    ];
    for (written, expected) in table {
        let library = library(folder.path().join(written), KEEP);
        assert_eq!(saved(&library, &nth(3, 7)), folder.path().join(expected), "{written}");
    }
    let braces = folder.path().join("{{");
    fs::create_dir(folder.path().join("{")).unwrap();
    assert_eq!(saved(&library(braces.join("{seed}.png"), KEEP), &nth(0, 1)), folder.path().join("{/1.png"));
}

#[test]
fn a_folder_gets_names_of_model_and_seed() {
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path(), KEEP);
    for (seed, expected) in
        [(7, "postcard-7.png"), (7, "postcard-7-2.png"), (8, "postcard-8.png"), (7, "postcard-7-3.png")]
    {
        assert_eq!(saved(&library, &nth(0, seed)), folder.path().join(expected));
    }
    let mut odd = nth(0, 1);
    for (model, expected) in [
        ("../../etc/passwd", "etc-passwd-1.png"),
        ("a b:c\n\0*?", "a-b-c-1.png"),
        ("...", "picture-1.png"),
        ("", "picture-1-2.png"),
        ("\u{706f}\u{53f0}", "\u{706f}\u{53f0}-1.png"),
    ] {
        odd.request.model.name = model.into();
        assert_eq!(saved(&library, &odd), folder.path().join(expected), "{model:?}");
    }
    odd.request.model.name = "\u{706f}".repeat(1000);
    assert!(saved(&library, &odd).file_name().unwrap().len() < 120);
}

#[test]
fn a_taken_name_is_left_alone_and_the_next_free_one_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("boat.png");
    fs::write(&path, "precious").unwrap();
    fs::create_dir(folder.path().join("boat-2.png")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", folder.path().join("boat-3.png")).unwrap();
    #[cfg(not(unix))]
    fs::write(folder.path().join("boat-3.png"), "").unwrap();
    assert_eq!(saved(&library(&path, KEEP), &nth(0, 1)), folder.path().join("boat-4.png"));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    assert_eq!(names(folder.path()), ["boat-2.png", "boat-3.png", "boat-4.png", "boat.png"]);
}

#[test]
fn force_replaces_what_was_there_but_no_picture_of_the_same_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("boat.png");
    fs::write(&path, "old").unwrap();
    fs::write(folder.path().join("boat-2.png"), "old").unwrap();
    for _ in 0..2 {
        let library = library(&path, FORCE);
        let paths: Vec<_> = (0..3).map(|index| saved(&library, &nth(index, index as u64))).collect();
        assert_eq!(paths, ["boat.png", "boat-2.png", "boat-3.png"].map(|name| folder.path().join(name)));
        for (seed, path) in paths.iter().enumerate() {
            assert_eq!(record::read(path).unwrap().draft.seeds, [seed as u64]);
        }
    }
    assert_eq!(names(folder.path()), ["boat-2.png", "boat-3.png", "boat.png"]);
}

#[test]
fn the_record_is_written_unless_it_is_unwanted() {
    let folder = tempfile::tempdir().unwrap();
    let picture = nth(0, 7);
    let with = saved(&library(folder.path(), KEEP), &picture);
    assert_eq!(record::read(&with).unwrap().request, Some(picture.request.clone()));
    let without = saved(&library(folder.path(), SaveOptions { metadata: false, ..KEEP }), &picture);
    assert_eq!(record::read(&without).unwrap().text, []);
    assert_eq!(image::open(&with).unwrap(), image::open(&without).unwrap());
    assert_eq!(image::open(&with).unwrap().to_rgb8(), picture.image);
}

#[test]
fn many_at_once_never_overwrite_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("boat.png");
    let paths: Vec<PathBuf> = std::thread::scope(|scope| {
        let save = |thread: u64| {
            let library = library(&path, KEEP);
            (0..12).map(|i| library.save(&nth(0, thread * 100 + i)).unwrap().path.unwrap()).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || save(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let seeds: BTreeSet<u64> = paths.iter().map(|path| record::read(path).unwrap().draft.seeds[0]).collect();
    assert_eq!((paths.iter().collect::<BTreeSet<_>>().len(), seeds.len()), (48, 48));
    assert_eq!(names(folder.path()).len(), 48);
}

#[test]
fn a_file_system_without_links_is_served_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    let write = |text: &'static str| Whole::write(folder.path(), move |out| out.write_all(text.as_bytes())).unwrap();
    assert!(matches!(write("first").reserve(&path).unwrap(), Named::Done));
    let Named::Taken(still) = write("second").reserve(&path).unwrap() else { panic!("the name was taken") };
    assert!(matches!(still.reserve(&folder.path().join("b.png")).unwrap(), Named::Done));
    assert_eq!(fs::read_to_string(&path).unwrap(), "first");
    assert_eq!(fs::read_to_string(folder.path().join("b.png")).unwrap(), "second");
    write("third").reserve(&folder.path().join("missing/c.png")).unwrap_err();
    assert_eq!(names(folder.path()), ["a.png", "b.png"]);
}

#[test]
fn a_write_that_fails_half_way_leaves_nothing_behind() {
    for force in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("boat.png");
        fs::write(&path, "precious").unwrap();
        let library = library(&path, SaveOptions { force, metadata: true });
        let made = nth(0, 1);
        for (after, kind) in
            [(0, io::ErrorKind::StorageFull), (100, io::ErrorKind::StorageFull), (100, io::ErrorKind::Other)]
        {
            let broken = |out: &mut dyn Write| {
                record::write_png(Failing { out, left: after, kind }, &made.image, &record::chunks(&made.request))
            };
            let refusal = library.store(&path, broken).unwrap_err();
            assert!(refusal.what.contains("could not be saved as") && refusal.what.contains("boat.png"), "{refusal}");
            assert_eq!(refusal.hint.contains("free some space"), kind == io::ErrorKind::StorageFull, "{refusal}");
            assert_eq!(refusal.exit, Exit::Failed);
            assert_eq!(
                (names(folder.path()), fs::read(&path).unwrap()),
                (vec!["boat.png".to_owned()], b"precious".to_vec())
            );
        }
        // The library is none the worse for it.
        let path = saved(&library, &made);
        assert_eq!(record::read(&path).unwrap().request, Some(made.request));
    }
}

/// A disk that is full after so many bytes.
struct Failing<'a> {
    out: &'a mut dyn Write,
    left: usize,
    kind: io::ErrorKind,
}

impl Write for Failing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(self.kind.into());
        }
        let written = self.out.write(&bytes[..bytes.len().min(self.left)])?;
        self.left -= written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[test]
fn a_place_where_nothing_can_be_written_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("file"), "").unwrap();
    let mut table = vec![
        (path("missing/boat.png"), "does not exist"),
        (path("missing/{seed}.png"), "does not exist"),
        (path("missing/deeper/"), "does not exist"),
        (path("file/boat.png"), "is a file, not a folder"),
        (path("file/{seed}.png"), "is a file, not a folder"),
        (path("file/"), "is a file, not a folder"),
    ];
    if cfg!(target_os = "linux") {
        // Nobody, not even root, can make files there.
        table.push(("/proc/boat.png".into(), "cannot be written to"));
        table.push(("/proc".into(), "cannot be written to"));
        table.push(("/proc/new/".into(), "cannot be written to"));
    }
    for (written, expected) in table {
        let library = library(&written, KEEP);
        let refusal = library.check().err().unwrap_or_else(|| panic!("{} was taken", written.display()));
        assert!(refusal.what.contains(expected), "{}: {refusal}", written.display());
        assert_eq!(refusal.exit, Exit::Failed);
        assert!(!refusal.hint.is_empty());
        // Whoever does not ask first gets an error too.
        library.save(&nth(0, 1)).unwrap_err();
    }
    let was_free = library(path("later.png"), KEEP);
    fs::create_dir(path("later.png")).unwrap();
    assert!(was_free.check().unwrap_err().what.contains("is a folder"));
    assert_eq!(names(folder.path()), ["file", "later.png"]);
}

#[test]
fn asking_first_leaves_the_disk_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for written in ["new/", "boat.png", "{seed}.png", ""] {
        library(folder.path().join(written), KEEP).check().unwrap();
    }
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[test]
fn a_missing_folder_is_made_for_the_first_picture() {
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path().join("new/"), KEEP);
    assert_eq!(saved(&library, &nth(0, 1)), folder.path().join("new/postcard-1.png"));
    assert_eq!(saved(&library, &nth(0, 2)), folder.path().join("new/postcard-2.png"));
}

#[cfg(unix)]
#[test]
fn a_picture_is_as_readable_as_any_other_file_of_the_user() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("other"), "").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    let path = saved(&library(folder.path(), KEEP), &nth(0, 1));
    assert_eq!(mode(&path), mode(&folder.path().join("other")));
}

#[test]
fn without_an_output_pictures_go_to_the_pictures_folder_or_here() {
    let home = tempfile::tempdir().unwrap();
    let plain = DefaultFolder::of(Some(home.path()), None);
    assert_eq!(plain, DefaultFolder { path: home.path().join("Pictures/Flowline"), fallback: None });
    let named = DefaultFolder::of(Some(home.path()), Some(home.path().join("Bilder")));
    assert_eq!(named.path, home.path().join("Bilder/Flowline"));
    assert_eq!(names(home.path()), Vec::<String>::new());
    let missing = home.path().join("gone");
    for (home, reason) in [(None, "HOME is not set"), (Some(missing.as_path()), "does not exist")] {
        let here = DefaultFolder::of(home, None);
        assert_eq!(here.path, Path::new("."));
        assert!(here.fallback.as_ref().unwrap().contains(reason), "{here:?}");
    }
    if cfg!(target_os = "linux") {
        let here = DefaultFolder::of(Some(Path::new("/proc")), None);
        assert!(here.fallback.unwrap().contains("/proc cannot be written to"));
    }
}
