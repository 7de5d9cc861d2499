//! `flowline plot`: the slopes it measures, and what the pictures say.

mod binary;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use binary::{Sandbox, pixels, spread};
use flowline::plot::Input;
use flowline::plot::results::{Measured, measure, slope};
use serde_json::{Value, json};

const COLUMNS: &str = "cell,model,prompt,seed,sampler,schedule,steps,cfg,rule,evaluations,seconds,stopped,order,distance,\
                       reference,picture\n";

/// `distance = scale evaluations^-order`, times a factor for each seed; the factors' geometric mean is 1.
fn rows(sampler: &str, [order, scale, cost]: [f64; 3], schedule: &str) -> String {
    let mut rows = String::new();
    for (seed, factor) in [(1, 2.0), (2, 0.5), (3, 1.0)] {
        for steps in [4, 8, 16, 32] {
            let evaluations = f64::from(steps) * cost;
            let distance = factor * scale * evaluations.powf(-order);
            let _ = writeln!(
                rows,
                "x,postcard,\"a cabin, red\",{seed},\"{sampler}\",{schedule},{steps},4.5,cfg:scale=4.5,{evaluations},0.1,,\
                 {order},{distance},heun:steps=200,x.png"
            );
        }
    }
    rows
}

fn table() -> String {
    let euler = rows("euler", [1.0, 0.8, 1.0], "uniform");
    let heun = rows("heun", [2.0, 3.0, 2.0], "uniform");
    let langevin = rows("langevin:scale=1,decay=0", [1.0, 1.5, 1.0], "uniform");
    [COLUMNS, &euler, &heun, &langevin].concat()
}

fn measured(text: &str) -> Vec<Measured> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.csv");
    fs::write(&path, text).unwrap();
    match Input::read(&path).unwrap() {
        Input::Results(rows) => measure(&rows),
        Input::Trace(trace) => panic!("{trace:?} is no table"),
    }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * b.abs().max(1.0)
}

#[test]
fn the_measured_slope_is_that_of_the_table_and_seeds_are_averaged_geometrically() {
    let measured = measured(&table());
    let names: Vec<_> = measured.iter().map(|measured| measured.name.as_str()).collect();
    assert_eq!(names, ["euler", "heun", "langevin:scale=1,decay=0"]);
    for (measured, [order, scale, cost]) in measured.iter().zip([[1.0, 0.8, 1.0], [2.0, 3.0, 2.0], [1.0, 1.5, 1.0]]) {
        assert!(near(measured.order.unwrap(), order), "{measured:?}");
        assert_eq!((measured.declared, measured.rows, measured.points.len()), (Some(order), 3, 4));
        for ([x, y], steps) in measured.points.iter().zip([4.0, 8.0, 16.0, 32.0]) {
            assert!(near(*x, steps * cost) && near(*y, scale * x.powf(-order)), "{x} {y}");
        }
    }
    // Through points that lie on no line: the least squares of three logarithms by hand.
    let bent = [[1.0, 1.0], [1f64.exp(), (-1f64).exp()], [2f64.exp(), (-1f64).exp()]];
    assert!(near(slope(&bent).unwrap(), -0.5));
    assert_eq!(slope(&[[4.0, 0.1], [4.0, 0.2]]), None, "over one number of evaluations there is no slope");
}

#[test]
fn settings_that_differ_get_curves_of_their_own_and_rows_without_a_place_are_left_out() {
    let uniform = rows("euler", [1.0, 0.8, 1.0], "uniform");
    let shifted = rows("euler", [1.0, 0.4, 1.0], "shift:shift=3").replace("cfg:scale=4.5", "cfg:scale=2");
    let text = [COLUMNS, &uniform, &shifted.replace(",4.5,", ",2,")].concat();
    let two: Vec<_> = measured(&text).into_iter().map(|measured| measured.name).collect();
    let names = ["euler, schedule uniform, rule cfg:scale=4.5", "euler, schedule \"shift:shift=3\", rule cfg:scale=2"];
    assert_eq!(two, names.map(|name| name.replace('"', "")), "the rule says the scale already");

    let odd = "x,postcard,p,9,euler,uniform,4,4.5,cfg:scale=4.5,4,0.1,,1,,r,x.png\n\
               x,postcard,p,9,euler,uniform,4,4.5,cfg:scale=4.5,4,0.1,,1,0,r,x.png\n\
               x,postcard,p,9,euler,uniform,4,4.5,cfg:scale=4.5,4,0.1,3,1,99,r,x.png\n";
    assert_eq!(measured(&[COLUMNS, &uniform, odd].concat()), measured(&[COLUMNS, &uniform].concat()));
}

#[test]
fn a_table_becomes_a_plot_that_names_samplers_and_orders() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("results.csv"), table()).unwrap();
    assert_eq!(sandbox.run(["plot", "results.csv", "-o", "out/plot.svg"]).ok(), "out/plot.svg\n");
    let svg = fs::read_to_string(sandbox.path().join("out/plot.svg")).unwrap();
    for label in [
        "Error against model evaluations",
        "model evaluations",
        "distance to the reference (latents, RMS)",
        "euler",
        "order 1.00 measured, 1 declared",
        "heun",
        "order 2.00 measured, 2 declared",
        "langevin:scale=1,decay=0",
        "geometric mean of up to 3 runs a point  ·  reference: heun:steps=200  ·  dashed: the declared order",
        "0.1",
        "10",
    ] {
        assert!(svg.contains(&format!("aria-label=\"{label}\"")), "{label}");
    }
    assert!(!svg.contains("<text") && !svg.contains("NaN") && !svg.contains("inf"), "outlines only");

    // The same as JSON is the same plot; a name that is taken gets the next one.
    fs::write(sandbox.path().join("results.json"), as_json(&table())).unwrap();
    assert_eq!(sandbox.run(["plot", "results.json", "-o", "out/plot.svg"]).ok(), "out/plot-2.svg\n");
    assert_eq!(fs::read_to_string(sandbox.path().join("out/plot-2.svg")).unwrap(), svg);
    assert_eq!(sandbox.run(["plot", "results.json", "-o", "out/plot.svg", "--force"]).ok(), "out/plot.svg\n");

    assert_eq!(sandbox.run(["plot", "results.csv", "-o", "out/plot.png"]).ok(), "out/plot.png\n");
    let image = pixels(&sandbox.path().join("out/plot.png"));
    let size = format!("width=\"{}\" height=\"{}\"", image.width() / 2, image.height() / 2);
    assert!(svg.contains(&size), "two pixels for one: {size}");
    assert!(spread(&image) > 10.0);
}

fn as_json(csv: &str) -> String {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let columns = reader.headers().unwrap().clone();
    let value = |text: &str| match text.parse::<f64>() {
        _ if text.is_empty() => Value::Null,
        Ok(number) => json!(number),
        Err(_) => json!(text),
    };
    let rows = reader.records().map(|row| {
        let row = row.unwrap();
        Value::Object(columns.iter().zip(&row).map(|(column, cell)| (column.to_owned(), value(cell))).collect())
    });
    Value::Array(rows.collect()).to_string()
}

fn trace(path: &Path, sampler: &str, seed: &str, with_error: bool) {
    let step = |i: u32| {
        let (sigma, next) = (1.0 - f64::from(i) / 4.0, 1.0 - f64::from(i + 1) / 4.0);
        let later = (i > 0).then_some(0.1 + sigma);
        json!({
            "step": i + 1, "sigma": sigma, "next": next, "evaluations": 1, "v": 1.0 + sigma, "x": 0.5 + sigma,
            "straightness": 1.0 - 0.02 * f64::from(i), "turning": later, "drift": later,
            "local_error": with_error.then_some(1e-4 * sigma), "seconds": 0.1,
        })
    };
    let steps: Vec<Value> = (0..4).map(step).collect();
    let request = json!({ "sampler": sampler, "schedule": "uniform", "seeds": [seed], "steps": 4, "prompt": "p" });
    let trace = json!({ "flowline": "0.1.0", "request": request, "seconds": 0.4, "steps": steps });
    fs::write(path, trace.to_string()).unwrap();
}

#[test]
fn traces_become_panels_over_sigma_with_a_legend() {
    let sandbox = Sandbox::new();
    trace(&sandbox.path().join("a.json"), "heun", "7", true);
    trace(&sandbox.path().join("b.json"), "langevin:scale=1", "18446744073709551615", false);
    sandbox.run(["plot", "a.json", "b.json", "-o", "out/both.svg"]).ok();
    let svg = fs::read_to_string(sandbox.path().join("out/both.svg")).unwrap();
    for label in [
        "|v|",
        "|x|",
        "straightness",
        "turning (°)",
        "drift",
        "local error",
        "sigma, from noise to data",
        "heun",
        "uniform, 4 steps, seed 7",
        "langevin:scale=1",
        "uniform, 4 steps, seed 18446744073709551615",
    ] {
        assert!(svg.contains(&format!("aria-label=\"{label}\"")), "{label}");
    }
    sandbox.run(["plot", "b.json", "-o", "out/b.svg"]).ok();
    let alone = fs::read_to_string(sandbox.path().join("out/b.svg")).unwrap();
    assert!(!alone.contains("local error\""), "no panel without a curve");
    sandbox.run(["plot", "a.json", "-o", "out/a.png"]).ok();
    assert!(spread(&pixels(&sandbox.path().join("out/a.png"))) > 10.0);
}

#[test]
fn one_point_and_hostile_names_are_drawn() {
    let sandbox = Sandbox::new();
    let name = format!("a\"\"<b>&{}", "long".repeat(5000));
    let row = format!("x,m,p,1,\"{name}\",uniform,4,1,r,4,0.1,,0,0.25,,x.png\n");
    fs::write(sandbox.path().join("one.csv"), [COLUMNS, &row].concat()).unwrap();
    sandbox.run(["plot", "one.csv", "-o", "out/one.svg"]).ok();
    let svg = fs::read_to_string(sandbox.path().join("out/one.svg")).unwrap();
    assert!(svg.contains("aria-label=\"a&quot;&lt;b&gt;&amp;long") && !svg.contains("measured"), "{}", svg.len());
    assert!(!svg.contains("NaN") && svg.len() < 1_000_000);
}
