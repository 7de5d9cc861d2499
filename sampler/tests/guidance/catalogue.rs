//! Guidance by name.

use std::collections::BTreeSet;

use flowline_sampler::catalog::{Choice, Kind};
use flowline_sampler::guidance::{AdaptiveProjected, ClassifierFree, Interval, Rescale, Rules, SkipLayer};

use crate::{SIGMAS, costed, guided, points};

fn rules() -> Rules<Vec<f64>> {
    Rules::builtin()
}

#[test]
fn every_rule_and_what_is_put_around_it_is_described_and_builds_under_each_of_its_names() {
    let (rules, mut seen) = (rules(), BTreeSet::new());
    let bases = rules.iter().map(|about| (about, ""));
    for (about, before) in bases.chain(rules.decorators().map(|about| (about, "cfg+"))) {
        for text in [about.meaning, about.formula, about.citation] {
            assert!(text.len() > 10 && text.trim() == text && !text.contains('\n'), "{}", about.name);
        }
        for parameter in about.parameters {
            let Kind::Number { default, min, max } = parameter.kind else { panic!("{parameter}") };
            assert!(min < max && (min..=max).contains(&default) && !parameter.meaning.is_empty(), "{parameter}");
        }
        for name in [about.name].iter().chain(about.aliases) {
            assert!(seen.insert(name.replace('-', "")), "{name} is there twice");
            let choice: Choice = format!("{before}{name}").parse().unwrap();
            rules.build(&choice).unwrap();
            let completed = rules.complete(&choice).unwrap();
            assert_eq!(completed.to_string().parse::<Choice>().unwrap(), completed);
            assert_eq!(rules.complete(&completed).unwrap(), completed);
        }
    }
    assert_eq!((rules.iter().count(), rules.decorators().count()), (4, 3));
}

#[test]
fn a_written_rule_is_the_one_built_by_hand() {
    let written = "apg:scale=6,eta=0.2,momentum=-0.7,norm_threshold=2+rescale:share=0.6+slg:scale=1.5,low=0.4,high=0.95\
                   +interval:low=0.05,high=0.99";
    let mut apg = AdaptiveProjected::new(6.0);
    (apg.eta, apg.momentum, apg.norm_threshold) = (0.2, -0.7, 2.0);
    let rule = SkipLayer { scale: 1.5, low: 0.4, high: 0.95, rule: Rescale { share: 0.6, rule: apg } };
    let mut by_hand = guided(Interval { low: 0.05, high: 0.99, rule });
    let mut by_name = guided(rules().build(&written.parse().unwrap()).unwrap());
    for sigma in SIGMAS {
        assert_eq!(costed(&mut by_name, &points(3), sigma), costed(&mut by_hand, &points(3), sigma));
    }
    let mut plain = guided(rules().build(&"cfg:scale=3".parse().unwrap()).unwrap());
    let by_hand = costed(&mut guided(ClassifierFree { scale: 3.0 }), &points(3), 0.5);
    assert_eq!(costed(&mut plain, &points(3), 0.5), by_hand);
}

#[test]
fn what_is_no_rule_is_refused_with_what_is() {
    for (written, message) in [
        ("cgf", "there is no guidance named 'cgf'"),
        ("interval", "there is no guidance named 'interval'"),
        ("cfg:scale=-1", "cfg: 'scale=-1' is not allowed"),
        ("cfg+apg", "apg: a guidance takes no '+apg'"),
        ("cfg+interval:low=0.8,high=0.2", "interval: low=0.8 lies above high=0.2"),
        ("cfg+slg:low=0.9,high=0.2", "skip-layer: low=0.9 lies above high=0.2"),
    ] {
        let error = rules().build(&written.parse().unwrap()).err().unwrap();
        assert_eq!(error.to_string(), message);
        assert!(!error.hint().is_empty());
    }
}
