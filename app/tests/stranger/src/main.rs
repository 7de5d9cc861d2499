//! Flowline with one sampler more: the command line, experiments, `verify` and the window know it.

mod ember;

fn main() -> std::process::ExitCode {
    let fresh = |kept: f64| (1.0 - kept * kept).sqrt();
    let mut registry = flowline::Registry::builtin();
    registry.add(ember::ABOUT, move |values| Ok(ember::Ember { heat: values.number("heat"), fresh }));
    flowline::run(registry)
}
