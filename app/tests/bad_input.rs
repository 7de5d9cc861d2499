//! Bad input, all of it: each row is a command line with its surroundings, and its exact outcome.
//!
//! *Refused* means: the exit code, exactly this `error:` and `hint:` line, nothing on stdout, no panic, and no file that
//! was not there before. *Warned* means: exit code 0, a picture, and exactly this warning.

mod bad_model;
mod binary;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use binary::{Ran, Sandbox, pixels};

/// What is on standard input.
#[derive(Clone, Copy)]
enum Stdin {
    Nothing,
    Bytes(&'static [u8]),
    Closed,
}

/// One row of a table.
struct Row<E> {
    args: Vec<OsString>,
    stdin: Stdin,
    /// Variables set, or taken away.
    env: Vec<(&'static str, Option<&'static str>)>,
    /// What lies in the sandbox beforehand.
    setup: fn(&Path),
    expect: E,
}

struct Refused {
    code: i32,
    error: &'static str,
    hint: &'static str,
}

struct Warned(&'static str);

/// A refused row; words are separated by spaces.
fn refused(code: i32, args: &str, error: &'static str, hint: &'static str) -> Row<Refused> {
    Row::new(args, Refused { code, error, hint })
}

/// A row that makes a picture and a warning; `-o out/` and one step are understood.
fn warned(args: &str, warning: &'static str) -> Row<Warned> {
    Row::new(args, Warned(warning)).args(&["-o", "out/", "--steps", "1", "-s", "1"])
}

impl<E> Row<E> {
    fn new(args: &str, expect: E) -> Self {
        let args = args.split_whitespace().map(OsString::from).collect();
        Self { args, stdin: Stdin::Nothing, env: Vec::new(), setup: |_| {}, expect }
    }

    /// Words with spaces in them, or without any.
    fn args(mut self, more: &[&str]) -> Self {
        self.args.extend(more.iter().map(OsString::from));
        self
    }

    #[cfg(unix)]
    fn bytes(mut self, word: &[u8]) -> Self {
        use std::os::unix::ffi::OsStringExt;
        self.args.push(OsString::from_vec(word.to_vec()));
        self
    }

    fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    fn env(mut self, name: &'static str, value: Option<&'static str>) -> Self {
        self.env.push((name, value));
        self
    }

    fn with(mut self, setup: fn(&Path)) -> Self {
        self.setup = setup;
        self
    }

    fn run(&self, sandbox: &Sandbox) -> Ran {
        let mut command = match self.stdin {
            Stdin::Closed => {
                // A shell in the binary's place, which closes the stream and hands over.
                let words = ["-c", r#"exec "$0" "$@" <&-"#, env!("CARGO_BIN_EXE_flowline")].map(OsString::from);
                sandbox.program("/bin/sh", words.iter().chain(&self.args))
            }
            Stdin::Nothing | Stdin::Bytes(_) => sandbox.flowline(&self.args),
        };
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        match self.stdin {
            Stdin::Bytes(input) => binary::feed(command, input),
            Stdin::Nothing | Stdin::Closed => Ran::from(command.output().expect("the binary runs")),
        }
    }
}

/// All files below `folder`, but for the cache.
fn tree(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in binary::files(&folder) {
            match path.is_dir() && !path.is_symlink() {
                true if path.ends_with(".cache") => {}
                true => folders.push(path),
                false => drop(found.insert(path)),
            }
        }
    }
    found
}

/// Runs `check` on all rows, two at a time, and tells of all that fail.
fn check_all<E: Sync>(rows: &[Row<E>], check: impl Fn(&Row<E>, &Sandbox) -> Result<(), String> + Sync) {
    let failed = Mutex::new(Vec::new());
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let sandbox = Sandbox::new();
                    (row.setup)(sandbox.path());
                    if let Err(what) = check(row, &sandbox) {
                        failed.lock().unwrap().push(format!("{:?}\n{what}", row.args));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} rows failed:\n\n{}", failed.len(), rows.len(), failed.join("\n\n"));
}

fn check_refused(rows: &[Row<Refused>]) {
    check_all(rows, |row, sandbox| {
        let before = tree(sandbox.path());
        let ran = row.run(sandbox);
        let Refused { code, error, hint } = &row.expect;
        let expected = format!("error: {error}\nhint: {hint}\n");
        let said: String = ran
            .stderr
            .lines()
            .filter(|line| !line.starts_with("warning: ") && !line.starts_with("seed: "))
            .map(|line| format!("{line}\n"))
            .collect();
        if ran.code != Some(*code) || said != expected || !ran.stdout.is_empty() {
            return Err(format!("exit {:?} instead of {code}\n{said}instead of\n{expected}", ran.code));
        }
        match tree(sandbox.path()).difference(&before).next() {
            Some(left) => Err(format!("{} is left behind", left.display())),
            None => Ok(()),
        }
    });
}

fn check_warned(rows: &[Row<Warned>]) {
    check_all(rows, |row, sandbox| {
        let ran = row.run(sandbox);
        let warnings: Vec<_> = ran.stderr.lines().filter_map(|line| line.strip_prefix("warning: ")).collect();
        if ran.code != Some(0) || warnings != [row.expect.0] {
            return Err(format!(
                "exit {:?}, warnings {warnings:#?}\ninstead of {:?}\n{}",
                ran.code, row.expect.0, ran.stderr
            ));
        }
        let [picture] = &sandbox.pictures()[..] else { return Err("there is not one picture".into()) };
        pixels(picture);
        Ok(())
    });
}

const NO_PROMPT: (&str, &str) =
    ("there is no prompt", "say what to draw: flowline generate \"a red lighthouse by the sea\"");
const SEE: &str = "see `flowline generate --help`";
const FINITE: &str = "give a finite number, such as 2.5";
const DIGITS: &str = "write it in digits only, such as 8";
const SEED: &str = "write seeds from 0 to 18446744073709551615 as 7 or 1,2,8..12; -1 is a random one";
const SIGMAS: &str =
    "take 1 to 10000 steps; sigmas decrease strictly and stay inside [0, 1], 1 is noise, 0 the picture";
const TEXT: &str = "a prompt is plain text in UTF-8";

#[test]
fn command_lines_that_make_no_sense_are_usage_errors() {
    let mut rows = vec![
        refused(
            2,
            "frobnicate",
            "unrecognized subcommand 'frobnicate'",
            "`flowline --help` lists the commands; a picture is made by `flowline generate \"a prompt\"`",
        ),
        refused(2, "generat x", "unrecognized subcommand 'generat'", "a similar subcommand exists: 'generate'"),
        refused(2, "--steps 3", "unexpected argument '--steps' found", "see `flowline --help`"),
        refused(
            2,
            "generate x --stepz 3",
            "unexpected argument '--stepz' found",
            "a similar argument exists: '--steps'",
        ),
        refused(2, "generate x --steps", "a value is required for '--steps <N>' but none was supplied", SEE),
        refused(2, "generate x y", "unexpected argument 'y' found", SEE),
        refused(2, "generate x -p y", "the argument '[PROMPT]' cannot be used with '--prompt <PROMPT>'", SEE),
        refused(
            2,
            "generate x --prompt-file y",
            "the argument '[PROMPT]' cannot be used with '--prompt-file <FILE>'",
            SEE,
        ),
        refused(2, "generate -p x -p y", "the argument '--prompt <PROMPT>' cannot be used multiple times", SEE),
        refused(
            2,
            "generate x --sigmas 1,0 --shift 3",
            "the argument '--sigmas <LIST>' cannot be used with '--shift <SHIFT>'",
            SEE,
        ),
        refused(
            2,
            "generate x --sigmas 1,0 --schedule uniform",
            "the argument '--sigmas <LIST>' cannot be used with '--schedule <NAME[:KEY=VALUE,..]>'",
            SEE,
        ),
        refused(2, "generate -a-dash", "unexpected argument '-a' found", "to pass '-a' as a value, use '-- -a'"),
        refused(
            2,
            "generate x --progress loud",
            "invalid value 'loud' for '--progress <HOW>'",
            "possible values: auto, plain, json, none",
        ),
        refused(
            2,
            "completions tcsh",
            "invalid value 'tcsh' for '<SHELL>'",
            "possible values: bash, elvish, fish, powershell, zsh",
        ),
        refused(
            2,
            "completions",
            "the following required arguments were not provided: <SHELL>",
            "see `flowline completions --help`",
        ),
        refused(
            2,
            "inspect",
            "the following required arguments were not provided: <PICTURE>",
            "see `flowline inspect --help`",
        ),
        refused(
            2,
            "generate x -s 1,2 -b 2",
            "--batch counts on from one seed, and --seed names several",
            "give one seed with --batch, or the list alone",
        ),
        refused(
            2,
            "generate x -o - --json",
            "standard output cannot carry a picture and JSON",
            "leave --json out, or give a file with -o",
        ),
        refused(
            2,
            "generate x -o - -b 2",
            "2 pictures do not fit on standard output",
            "make one, or give a folder with -o",
        ),
    ];
    #[cfg(unix)]
    rows.extend([
        refused(2, "generate", "invalid UTF-8 was detected in one or more arguments", SEE).bytes(b"caf\xe9"),
        refused(2, "generate x -m", "invalid UTF-8 was detected in one or more arguments", SEE).bytes(b"\xff"),
        refused(2, "generate x", "invalid UTF-8 was detected in one or more arguments", SEE).bytes(b"--\xff"),
    ]);
    check_refused(&rows);
}

#[test]
fn numbers_that_are_none_are_usage_errors_that_name_the_option() {
    let whole = |option: &str, words: &str, range: &str| {
        ["0", "-1", "1.5", "1e9", "nan", "inf", "x", "99999999999999999999"].map(|word| {
            let error = format!("{option}: '{word}' is not a whole number from {range}").leak();
            refused(2, &format!("generate x {words} {word}"), error, DIGITS)
        })
    };
    let real = |option: &str| {
        ["nan", "NaN", "inf", "-inf", "infinity", "1e999", "x", "1,5", "--steps"].map(|word| {
            let error = format!("{option}: '{word}' is not a number").leak();
            refused(2, &format!("generate x {option} {word}"), error, FINITE)
        })
    };
    let mut rows = Vec::new();
    rows.extend(whole("--steps", "--steps", "1 to 10000"));
    rows.extend(whole("--width", "-W", "1 to 4294967295"));
    rows.extend(whole("--height", "-H", "1 to 4294967295"));
    rows.extend(whole("--batch", "-b", "1 to 10000"));
    rows.extend(whole("--threads", "-t", "1 to 1024"));
    for option in ["--cfg", "--guidance", "--shift"] {
        rows.extend(real(option));
    }
    rows.extend([
        refused(2, "generate x --steps", "--steps: '' is not a whole number from 1 to 10000", DIGITS).args(&[""]),
        refused(2, "generate x -s x", "--seed: 'x' is not a seed", SEED),
        refused(2, "generate x -s 1.5", "--seed: '1.5' is not a seed", SEED),
        refused(2, "generate x -s 1,-2", "--seed: '-2' is not a seed", SEED),
        refused(2, "generate x -s 1,,2", "--seed: '' is not a seed", SEED),
        refused(2, "generate x -s 18446744073709551616", "--seed: '18446744073709551616' is not a seed", SEED),
        refused(2, "generate x -s 8..3", "--seed: the range 8..3 runs backwards", "write it as 3..8"),
        refused(2, "generate x -s 8..", "--seed: '' is not a seed", SEED),
        refused(2, "generate x -s 1..10001", "--seed: more than 10000 seeds", "make them in several runs"),
        refused(
            2,
            "generate x -s 0..18446744073709551615",
            "--seed: more than 10000 seeds",
            "make them in several runs",
        ),
        refused(
            2,
            "generate x -s 18446744073709551615 -b 2",
            "there are no 2 seeds from 18446744073709551615 on",
            "begin with a smaller seed; the last one is 18446744073709551615",
        ),
        refused(2, "generate x --sigmas 1,nan,0", "--sigmas: 'nan' is not a number", "write them as 1,0.8,0.5,0.2,0"),
        refused(2, "generate x --sigmas inf,0", "--sigmas: 'inf' is not a number", "write them as 1,0.8,0.5,0.2,0"),
        refused(2, "generate x --sigmas 1,,0", "--sigmas: '' is not a number", "write them as 1,0.8,0.5,0.2,0"),
        refused(1, "generate x --sigmas 1", "the last sigma of the schedule is 1, it must be 0", SIGMAS),
        refused(1, "generate x --sigmas 0", "a schedule has 1 to 10000 steps, this one has 0", SIGMAS),
        refused(1, "generate x --sigmas 1,0.5,0.3", "the last sigma of the schedule is 0.3, it must be 0", SIGMAS),
        refused(
            1,
            "generate x --sigmas 1,0.5,0.7,0",
            "sigma 2 of the schedule is 0.7, above sigma 1 (0.5): the schedule must fall",
            SIGMAS,
        ),
        refused(
            1,
            "generate x --sigmas 1,0.5,0.5,0",
            "sigma 2 of the schedule is 0.5, equal to sigma 1 (0.5): the schedule must fall",
            SIGMAS,
        ),
        refused(1, "generate x --sigmas 1.5,0", "sigma 0 of the schedule is 1.5, outside [0, 1]", SIGMAS),
        refused(
            1,
            "generate x --sigmas 1,0.5,0 --steps 3",
            "3 sigmas make 2 steps, not 3",
            "leave --steps out, or give one sigma more than steps",
        ),
        refused(1, "generate x --cfg -1", "cfg cannot be -1", "cfg goes from 0 to 100"),
        refused(1, "generate x --cfg 101", "cfg cannot be 101", "cfg goes from 0 to 100"),
    ]);
    check_refused(&rows);
}

#[test]
fn what_the_model_cannot_make_is_refused_before_anything_is_read() {
    check_refused(&[
        refused(
            1,
            "generate x -W 250",
            "postcard cannot make 250 x 256",
            "both must be multiples of 16; 256 x 256 is near",
        ),
        refused(
            1,
            "generate x -W 17 -H 1",
            "postcard cannot make 17 x 1",
            "both must be multiples of 16; 16 x 16 is near",
        ),
        refused(1, "generate x -W 99999984 -H 16", "99999984 x 16 is too large", "no side may be longer than 16384"),
        refused(1, "generate x -W 4294967295", "4294967295 x 256 is too large", "no side may be longer than 16384"),
    ]);
    // How much memory there is differs from machine to machine, and the largest picture needs more than most have.
    let sandbox = Sandbox::new();
    let plan = sandbox.run(["generate", "x", "--dry-run", "-W", "16384", "-H", "16384"]);
    if plan.code != Some(0) {
        assert_eq!(plan.code, Some(1));
        assert!(plan.line("error: this needs about ").is_some(), "{}", plan.stderr);
        assert_eq!(plan.line("hint: "), Some("ask for a smaller picture, or close other programs"));
    }
}

#[test]
fn unknown_names_and_parameters_are_refused_with_the_nearest_name() {
    let all = "`flowline models` lists them all; a folder is named by its path";
    check_refused(&[
        refused(
            1,
            "generate x --sampler eulr",
            "there is no sampler named 'eulr'",
            "did you mean 'euler'? `flowline samplers` lists them all",
        ),
        refused(
            1,
            "generate x --sampler dpmpp_2m_sde_gpu",
            "there is no sampler named 'dpmpp_2m_sde_gpu'",
            "`flowline samplers` lists them all",
        ),
        refused(
            1,
            "generate x --schedule unifrom",
            "there is no schedule named 'unifrom'",
            "did you mean 'uniform'? `flowline schedules` lists them all",
        ),
        refused(
            1,
            "generate x -m postcrad",
            "there is no model named 'postcrad', and no such folder",
            "did you mean 'postcard'? `flowline models` lists them all; a folder is named by its path",
        ),
        refused(1, "generate x -m zzzzzzzzzzzz", "there is no model named 'zzzzzzzzzzzz', and no such folder", all),
        refused(1, "generate x -m", "there is no model named '', and no such folder", all).args(&[""]),
        refused(
            1,
            "generate x -m flux-dev",
            "flux-dev is not built in, and this version does not download models",
            "name its diffusers folder: -m path/to/folder",
        ),
        refused(
            1,
            "generate x --sampler langevin:scale=11",
            "langevin: 'scale=11' is not allowed",
            "scale: 0 to 10, default 1",
        ),
        refused(
            1,
            "generate x --sampler langevin:scale=-0.1",
            "langevin: 'scale=-0.1' is not allowed",
            "scale: 0 to 10, default 1",
        ),
        refused(
            1,
            "generate x --sampler langevin:scale=nan",
            "langevin: 'scale=nan' is not allowed",
            "scale: 0 to 10, default 1",
        ),
        refused(
            1,
            "generate x --sampler langevin:scale=inf",
            "langevin: 'scale=inf' is not allowed",
            "scale: 0 to 10, default 1",
        ),
        refused(
            1,
            "generate x --sampler langevin:scale=x",
            "langevin: 'scale=x' is not allowed",
            "scale: 0 to 10, default 1",
        ),
        refused(
            1,
            "generate x --sampler langevin:eta=1",
            "langevin: there is no parameter 'eta'",
            "it takes scale, decay",
        ),
        refused(1, "generate x --sampler langevin:scale=1,scale=2", "langevin: 'scale' is given twice", "give it once"),
        refused(
            1,
            "generate x --sampler euler:scale=1",
            "euler: there is no parameter 'scale'",
            "euler takes no parameters",
        ),
        refused(
            1,
            "generate x --sampler ddim:path=curly",
            "ddim: 'path=curly' is not allowed",
            "path: linear | spherical | vp, default spherical",
        ),
        refused(
            2,
            "generate x --sampler langevin:scale",
            "--sampler: langevin: 'scale' has no value",
            "write it as name:key=value,key=value",
        ),
        refused(2, "generate x --sampler", "--sampler: the name is empty", "write it as name:key=value,key=value")
            .args(&[""]),
        refused(
            1,
            "generate x --schedule shift:shift=0",
            "shift: 'shift=0' is not allowed",
            "shift: 0.01 to 100, default 3",
        ),
        refused(1, "generate x --shift 0", "shift: 'shift=0' is not allowed", "shift: 0.01 to 100, default 3"),
        refused(1, "generate x --shift -3", "shift: 'shift=-3' is not allowed", "shift: 0.01 to 100, default 3"),
        refused(
            1,
            "generate x --schedule flux --shift 3",
            "the schedule 'flux' takes no shift",
            "use --schedule shift or sd3, or leave --shift out",
        ),
    ]);
}

#[test]
fn prompts_that_are_no_text_are_refused() {
    check_refused(&[
        refused(2, "generate", NO_PROMPT.0, NO_PROMPT.1),
        refused(2, "generate", NO_PROMPT.0, NO_PROMPT.1).stdin(Stdin::Closed),
        refused(2, "generate", NO_PROMPT.0, NO_PROMPT.1).stdin(Stdin::Bytes(b"")),
        refused(2, "generate -", NO_PROMPT.0, NO_PROMPT.1),
        refused(2, "generate -", NO_PROMPT.0, NO_PROMPT.1).stdin(Stdin::Closed),
        refused(2, "generate --prompt-file -", NO_PROMPT.0, NO_PROMPT.1),
        refused(1, "generate -", "standard input contains a NUL character", TEXT).stdin(Stdin::Bytes(b"a\0b")),
        refused(1, "generate", "standard input is not UTF-8 (byte 3)", TEXT).stdin(Stdin::Bytes(b"caf\xe9")),
        refused(1, "generate --prompt-file prompt.txt", "prompt.txt contains a NUL character", TEXT)
            .with(|dir| std::fs::write(dir.join("prompt.txt"), b"\0").unwrap()),
        refused(1, "generate --prompt-file prompt.txt", "prompt.txt is not UTF-8 (byte 0)", TEXT)
            .with(|dir| std::fs::write(dir.join("prompt.txt"), b"\xff\xfea\0").unwrap()),
        refused(
            1,
            "generate --prompt-file prompt.txt",
            "prompt.txt is longer than 1024 KiB",
            "no model reads so much; a few sentences are plenty",
        )
        .with(|dir| std::fs::write(dir.join("prompt.txt"), vec![b'a'; (1 << 20) + 1]).unwrap()),
        refused(
            1,
            "generate --prompt-file nowhere.txt",
            "nowhere.txt: No such file or directory (os error 2)",
            "check the path; nothing is there",
        ),
        refused(1, "generate --prompt-file out", "out: Is a directory (os error 21)", "check the disk and the path"),
        #[cfg(target_os = "linux")]
        refused(
            1,
            "generate --prompt-file /dev/zero",
            "/dev/zero is longer than 1024 KiB",
            "no model reads so much; a few sentences are plenty",
        ),
    ]);
}

#[test]
fn places_where_no_picture_can_go_are_refused() {
    let png = "pictures are written as PNG; end the name in .png";
    let places = "the placeholders are {seed}, {index} and {model}; write {{ and }} for braces";
    check_refused(&[
        refused(2, "generate x -o a.jpg", "cannot write .jpg files", png),
        refused(2, "generate x -o a.txt", "cannot write .txt files", png),
        refused(
            2,
            "generate x -o",
            "the name of the output is empty",
            "give a file, a folder, a pattern or - after -o",
        )
        .args(&[""]),
        refused(2, "generate x -o {sed}.png", "'{sed}.png' has the unknown placeholder {sed}", places),
        refused(2, "generate x -o {seed.png", "'{seed.png' has a { without a }", places),
        refused(
            2,
            "generate x -o {seed}/a.png",
            "'{seed}/a.png' has a placeholder in the name of a folder",
            "put {seed}, {index} and {model} behind the last slash",
        ),
        refused(
            1,
            "generate x -o nowhere/a.png",
            "the folder nowhere does not exist",
            "create it first, for example with: mkdir -p nowhere",
        ),
        refused(1, "generate x -o no/where/", "the folder no/where/ does not exist", "create no first"),
        refused(1, "generate x -o file/a.png", "file is a file, not a folder", "give another folder after -o")
            .with(|dir| std::fs::write(dir.join("file"), b"").unwrap()),
        refused(1, "generate x -o file/", "file/ is a file, not a folder", "give another folder after -o")
            .with(|dir| std::fs::write(dir.join("file"), b"").unwrap()),
        #[cfg(target_os = "linux")]
        refused(
            1,
            "generate x -o /proc/a.png",
            "/proc cannot be written to: No such file or directory (os error 2)",
            "check who may write there, or choose another place with -o",
        ),
        refused(
            2,
            "generate x --preview-path now.jpg",
            "the preview now.jpg is no PNG file",
            "give it a name that ends in .png",
        ),
        refused(
            1,
            "generate x --preview-path nowhere/now.png",
            "the preview's folder nowhere is not there",
            "create the folder, or choose another",
        ),
        refused(1, "generate x --preview-path now.png", "the preview now.png is a folder", "name a file inside it")
            .with(|dir| std::fs::create_dir(dir.join("now.png")).unwrap()),
    ]);
}

#[test]
fn pictures_that_cannot_be_replayed_are_refused() {
    let record = "use a picture as Flowline saved it, not one that another program saved again";
    for command in ["inspect", "generate --from"] {
        check_refused(&[
            refused(
                1,
                &format!("{command} nowhere.png"),
                "nowhere.png: No such file or directory (os error 2)",
                "check the path; nothing is there",
            ),
            refused(1, &format!("{command} out"), "out is a folder, not a picture", "give a PNG file"),
            refused(1, &format!("{command} a.png"), "a.png is not a PNG", "give a PNG file")
                .with(|dir| bad_model::write(dir, "a.png", b"")),
            refused(1, &format!("{command} a.png"), "a.png is not a PNG", "give a PNG file")
                .with(|dir| bad_model::write(dir, "a.png", b"GIF89a")),
            refused(1, &format!("{command} a.png"), "a.png is cut off", "give the picture as it was saved")
                .with(|dir| bad_model::write(dir, "a.png", binary::PNG_SIGNATURE)),
            refused(1, &format!("{command} a.png"), "a.png has no record of how it was made", record)
                .with(|dir| image::RgbImage::new(8, 8).save(dir.join("a.png")).unwrap()),
        ]);
    }
}

#[test]
fn model_folders_that_are_none_are_refused() {
    use bad_model::{copy, cut, header, rewrite, write};
    let folder = "name a diffusers folder: one that holds model_index.json, transformer/, vae/ and text encoders";
    let complete = "the model folder must be a complete diffusers folder; fetch the file again";
    let damaged = "the file may be damaged or half downloaded; fetch it again";
    let foreign = "the file does not belong to this model's configuration; check that both come from the same place";
    const TRANSFORMER: &str = "model/transformer/diffusion_pytorch_model.safetensors";
    check_refused(&[
        refused(1, "generate x -m ./nowhere", "./nowhere: No such file or directory (os error 2)", "check the path; nothing is there"),
        refused(1, "generate x -m out", "the model folder out is empty", folder),
        refused(1, "generate x -m ./file", "./file is a file, not a model folder", folder).with(|dir| write(dir, "file", b"")),
        refused(1, "generate x -m home", "transformer/config.json: the file is missing from the model folder", complete)
            .with(|dir| write(dir, "home/notes.txt", b"")),
        refused(1, "generate x -m model", "vae/diffusion_pytorch_model.safetensors: the file is missing from the model folder", complete)
            .with(|dir| { copy(dir); std::fs::remove_file(dir.join("model/vae/diffusion_pytorch_model.safetensors")).unwrap() }),
        refused(1, "generate x -m model", "tokenizer/tokenizer.json: the file is missing from the model folder", complete)
            .with(|dir| { copy(dir); std::fs::remove_file(dir.join("model/tokenizer/tokenizer.json")).unwrap() }),
        refused(1, "generate x -m model", "transformer/config.json: 'SD3Transformer2DModel' is not a transformer this version knows; it knows FluxTransformer2DModel (FLUX.1)", complete)
            .with(|dir| { copy(dir); rewrite(dir, "model/transformer/config.json", "FluxTransformer2DModel", "SD3Transformer2DModel") }),
        refused(1, "generate x -m model", "model_index.json: expected value at line 1 column 1", complete)
            .with(|dir| { copy(dir); write(dir, "model/model_index.json", b"<html>") }),
        refused(1, "generate x -m model", "", damaged).with(|dir| { copy(dir); cut(dir, TRANSFORMER, 100_000) }),
        refused(1, "generate x -m model", "", damaged).with(|dir| { copy(dir); cut(dir, TRANSFORMER, 4) }),
        refused(1, "generate x -m model", "", damaged).with(|dir| { copy(dir); cut(dir, TRANSFORMER, 0) }),
        refused(1, "generate x -m model", "", damaged)
            .with(|dir| { copy(dir); header(dir, TRANSFORMER, &u64::MAX.to_le_bytes()) }),
        refused(1, "generate x -m model", "", foreign)
            .with(|dir| { copy(dir); std::fs::copy(dir.join("model/vae/diffusion_pytorch_model.safetensors"), dir.join(TRANSFORMER)).unwrap(); }),
    ]);
}

#[test]
fn odd_prompts_and_surroundings_make_a_picture_and_a_warning() {
    check_warned(&[
        warned("generate", "the prompt is empty; the model draws what it likes").args(&[""]),
        warned("generate -p", "the prompt is empty; the model draws what it likes").args(&["  "]),
        warned("generate --prompt-file prompt.txt", "the prompt is empty; the model draws what it likes")
            .with(|dir| std::fs::write(dir.join("prompt.txt"), b"\n").unwrap()),
        warned("generate a zorble", ""),
        warned(
            "generate lighthouse --guidance 3.5",
            "postcard has no guidance embedding; --guidance is not used (--cfg is)",
        ),
        warned(
            "generate lighthouse --cfg 1 -n fog",
            "the negative prompt is not used at cfg 1; give --cfg a larger value",
        ),
        warned("generate lighthouse -W 128", "postcard was trained at 256 x 256 only; 128 x 256 may look odd"),
        warned("generate lighthouse", "nothing is cached: HOME is not set").env("HOME", None),
        warned("generate lighthouse", "").env("HOME", Some("/dev/null/home")),
    ]);
}

#[test]
fn hostile_prompts_make_a_picture() {
    for (index, prompt) in
        ["🦄🌈", "海辺の赤い灯台", "a\u{7}b\u{1b}[31m\u{202e}", "\u{feff}\u{200b}", "e\u{301}"].iter().enumerate()
    {
        let sandbox = Sandbox::new();
        let ran = sandbox.run(["generate", prompt, "--steps", "1", "-s", "1", "-o", "out/"]);
        assert_eq!(ran.ok(), "out/postcard-1.png\n", "row {index}");
        assert!(!ran.stderr.contains('\u{1b}') && !ran.stderr.contains('\u{7}'), "{}", ran.stderr);
    }
    let sandbox = Sandbox::new();
    let long = "lighthouse ".repeat(100_000 / 11 + 1);
    let ran = sandbox.run_with_stdin(["generate", "-", "--steps", "1", "-s", "1", "-o", "out/"], long.as_bytes());
    assert_eq!(ran.ok(), "out/postcard-1.png\n");
    let warning = ran.line("warning: ").expect("a warning");
    assert!(
        warning.starts_with("the prompt is too long for postcard (24 tokens of text); from here on it was cut: \""),
        "{warning}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_stdout_that_cannot_take_the_picture_is_an_error() {
    let sandbox = Sandbox::new();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = sandbox.flowline(["generate", "lighthouse", "--steps", "1", "-s", "1", "-o", "-"]);
    let ran = Ran::from(command.stdout(full()).output().unwrap());
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.line("error: "), Some("stdout: No space left on device (os error 28)"));
    let ran = Ran::from(sandbox.flowline(["models"]).stdout(full()).output().unwrap());
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.line("error: "), Some("standard output: No space left on device (os error 28)"));
}
