//! The same with a wrong noise term: what is renewed has too little variance. `verify` must say so.

#[path = "../ember.rs"]
mod ember;

fn main() -> std::process::ExitCode {
    let fresh = |kept: f64| 1.0 - kept;
    let mut registry = flowline::Registry::builtin();
    registry.add(ember::ABOUT, move |values| Ok(ember::Ember { heat: values.number("heat"), fresh }));
    flowline::run(registry)
}
