//! The catalogue: complete descriptions, and a clear word on everything that does not fit.

use std::collections::BTreeSet;

use flowline_sampler::catalog::{About, Choice, Entry, Kind, Parameter, Plan, Samplers, Schedules};
use flowline_sampler::exponential::{Diffusion, Exponential};

const PLAN: Plan = Plan { steps: 4, image_tokens: 1024 };

fn samplers() -> Samplers<Vec<f64>> {
    Samplers::builtin()
}

fn everything() -> Vec<About> {
    samplers().iter().chain(Schedules::builtin().iter()).cloned().collect()
}

#[test]
fn names_and_aliases_are_unique_and_plain() {
    let lists: [Vec<About>; 2] = [samplers().iter().cloned().collect(), Schedules::builtin().iter().cloned().collect()];
    for list in lists {
        let mut seen = BTreeSet::new();
        for name in list.iter().flat_map(|about| [about.name].into_iter().chain(about.aliases.iter().copied())) {
            assert!(!name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            assert!(seen.insert(name.replace('-', "")), "{name} is there twice");
        }
    }
}

#[test]
fn every_entry_says_what_it_is_how_it_works_and_where_it_comes_from() {
    for about in everything() {
        for (what, text) in [("meaning", about.meaning), ("formula", about.formula), ("citation", about.citation)] {
            assert!(text.len() > 10 && text.trim() == text && !text.contains('\n'), "{what} of {}", about.name);
        }
    }
}

#[test]
fn every_default_is_inside_its_range_and_every_key_is_told_apart() {
    for about in everything() {
        let keys: BTreeSet<_> = about.parameters.iter().map(|parameter| parameter.key).collect();
        assert_eq!(keys.len(), about.parameters.len(), "{}", about.name);
        for parameter in about.parameters {
            assert!(!parameter.meaning.is_empty());
            match parameter.kind {
                Kind::Number { default, min, max } => {
                    assert!(min < max && (min..=max).contains(&default), "{} {parameter}", about.name);
                }
                Kind::Word { default, options } => assert!(options.contains(&default), "{} {parameter}", about.name),
            }
        }
    }
}

#[test]
fn every_entry_builds_with_its_defaults_under_each_of_its_names() {
    for about in samplers().iter() {
        for name in [about.name].iter().chain(about.aliases).chain(about.ve_names) {
            samplers().build(&Choice::new(*name)).unwrap();
        }
    }
    for about in Schedules::builtin().iter() {
        for name in [about.name].iter().chain(about.aliases) {
            Schedules::builtin().build(&Choice::new(*name), PLAN).unwrap();
        }
    }
}

#[test]
fn a_preferred_schedule_is_one_of_the_catalogue() {
    for about in samplers().iter() {
        if let Some(choice) = samplers().preferred_schedule(&Choice::new(about.name)).unwrap() {
            Schedules::builtin().build(&choice, PLAN).unwrap();
        }
    }
}

#[test]
fn names_are_found_without_regard_to_case_dashes_and_spaces() {
    for name in ["Euler", "EULER", " euler ", "flow_match_euler", "FlowMatchEuler"] {
        assert_eq!(samplers().about(name).unwrap().name, "euler", "{name}");
    }
}

#[test]
fn an_unknown_name_suggests_the_nearest() {
    for (typed, nearest) in [
        ("eular", "euler"),
        ("huen", "heun"),
        ("langvin", "langevin"),
        ("dim", "ddim"),
        // Their other rule for two values, a schedule in the name, a third value: not the same thing in another form.
        ("dpmpp_2m_sde_heun", "dpmpp2m-sde"),
        ("DPM++ 2M SDE Karras", "dpmpp2m-sde"),
        ("dpmpp_3m_sde", "dpmpp2m-sde"),
    ] {
        let error = samplers().build(&Choice::new(typed)).err().unwrap();
        assert_eq!(error.to_string(), format!("there is no sampler named '{typed}'"));
        assert_eq!(error.hint(), format!("did you mean '{nearest}'? `flowline samplers` lists them all"));
    }
    let error = Schedules::builtin().build(&Choice::new("unform"), PLAN).err().unwrap();
    assert_eq!(error.hint(), "did you mean 'uniform'? `flowline schedules` lists them all");
    let error = samplers().build(&Choice::new("extraordinarily unlike anything")).err().unwrap();
    assert_eq!(error.hint(), "`flowline samplers` lists them all");
}

#[test]
fn parameters_that_do_not_fit_are_refused_with_what_would() {
    let takes = "it takes scale, decay";
    let scale = "scale: 0 to 10, default 1";
    for (written, message, hint) in [
        ("langevin:strength=1", "langevin: there is no parameter 'strength'", takes),
        ("langevin:scale=11", "langevin: 'scale=11' is not allowed", scale),
        ("langevin:scale=-0.1", "langevin: 'scale=-0.1' is not allowed", scale),
        ("langevin:scale=nan", "langevin: 'scale=nan' is not allowed", scale),
        ("langevin:scale=inf", "langevin: 'scale=inf' is not allowed", scale),
        ("langevin:scale=", "langevin: 'scale=' is not allowed", scale),
        ("langevin:scale=much", "langevin: 'scale=much' is not allowed", scale),
        ("langevin:scale=1,scale=2", "langevin: 'scale' is given twice", "give it once"),
        ("langevin:scale=1,SCALE=2", "langevin: 'SCALE' is given twice", "give it once"),
        ("euler:scale=1", "euler: there is no parameter 'scale'", "euler takes no parameters"),
        ("ddim:path=cubic", "ddim: 'path=cubic' is not allowed", "path: linear | spherical | vp, default spherical"),
    ] {
        let error = samplers().build(&written.parse().unwrap()).err().unwrap();
        assert_eq!((error.to_string(), error.hint()), (message.to_owned(), hint.to_owned()), "{written}");
    }
}

#[test]
fn what_cannot_be_read_as_a_choice_is_refused() {
    let hint = "write it as name:key=value,key=value";
    for (written, message) in [
        ("langevin:scale", "langevin: 'scale' has no value"),
        ("", ": the name is empty"),
        (":a=1", ": the name is empty"),
    ] {
        let error = written.parse::<Choice>().unwrap_err();
        assert_eq!((error.to_string(), error.hint()), (message.to_owned(), hint.to_owned()));
    }
}

#[test]
fn a_completed_choice_spells_everything_out_and_reads_back_as_itself() {
    let completed = samplers().complete(&"SDE: decay = 0.25".parse().unwrap()).unwrap();
    assert_eq!(completed.to_string(), "langevin:scale=1,decay=0.25");
    let completed = Schedules::builtin().complete(&"double-shift:shift=2.50".parse().unwrap()).unwrap();
    assert_eq!(completed.to_string(), "sd3:shift=2.5");
    assert_eq!(samplers().complete(&"sde:scale=-0".parse().unwrap()).unwrap().to_string(), "langevin:scale=0,decay=0");
    assert_eq!(samplers().complete(&"ddim:path=VP".parse().unwrap()).unwrap().to_string(), "ddim:path=vp");
    for about in samplers().iter() {
        let completed = samplers().complete(&Choice::new(about.name)).unwrap();
        assert_eq!(completed.given.len(), about.parameters.len());
        assert_eq!(completed.to_string().parse::<Choice>().unwrap(), completed);
        assert_eq!(samplers().complete(&completed).unwrap(), completed);
    }
    for about in Schedules::builtin().iter() {
        let completed = Schedules::builtin().complete(&Choice::new(about.name)).unwrap();
        assert_eq!(completed.to_string().parse::<Choice>().unwrap(), completed);
        assert_eq!(Schedules::builtin().complete(&completed).unwrap(), completed);
    }
}

#[test]
fn the_names_of_other_programs_resolve_to_the_form_that_is_right_for_flow_models() {
    for (theirs, ours) in [
        ("Euler a", "ancestral"),
        ("euler_a", "ancestral"),
        ("euler_ancestral", "ancestral"),
        ("DPM++ 2M", "dpmpp2m"),
        ("dpmpp_2m", "dpmpp2m"),
        ("DPM++ 3M", "dpmpp3m"),
        ("DPM++ 2M SDE", "dpmpp2m-sde"),
        ("dpmpp_2m_sde", "dpmpp2m-sde"),
        ("DPM++ SDE", "dpmpp-sde"),
        ("dpmpp_sde", "dpmpp-sde"),
        ("DPM2", "dpm2"),
        ("dpm_2", "dpm2"),
        ("LMS", "ab4"),
        ("res_multistep", "res"),
        ("uni_pc", "unipc"),
        ("uni_pc_bh2", "unipc"),
        ("UniPC", "unipc"),
        ("er_sde", "er-sde"),
        ("sa_solver", "sa"),
        ("seeds_2", "seeds2"),
        ("euler_cfg_pp", "euler-cfg-pp"),
        ("Euler CFG++", "euler-cfg-pp"),
        ("DDPM", "ddpm"),
        ("LCM", "lcm"),
    ] {
        let choice: Choice = theirs.parse().unwrap();
        assert_eq!(samplers().complete(&choice).unwrap().name, ours, "{theirs}");
    }
}

#[test]
fn names_that_mean_another_form_elsewhere_are_translated_and_our_own_are_not() {
    let translated = |written: &str| samplers().translated(&written.parse().unwrap()).map(|about| about.name);
    for (theirs, ours) in [
        ("DPM++ 2M SDE", "dpmpp2m-sde"),
        ("dpmpp_2m_sde", "dpmpp2m-sde"),
        ("dpmpp_2m_sde_gpu", "dpmpp2m-sde"),
        ("dpm++2m_sde", "dpmpp2m-sde"),
        ("dpm++2m_sde_bt", "dpmpp2m-sde"),
        ("dpmpp_2m_sde:eta=0.5+corrector:k=2", "dpmpp2m-sde"),
        ("DPM++ SDE", "dpmpp-sde"),
        ("dpmpp_sde", "dpmpp-sde"),
        ("dpmpp_sde_gpu", "dpmpp-sde"),
        ("DPMSolverSDE", "dpmpp-sde"),
    ] {
        assert_eq!(translated(theirs), Some(ours), "{theirs}");
        assert_eq!(samplers().complete(&theirs.parse().unwrap()).unwrap().name, ours, "{theirs}");
    }
    // What a record keeps is never translated again.
    for about in samplers().iter() {
        for name in [about.name].iter().chain(about.aliases) {
            assert_eq!(translated(name), None, "{name}");
            assert_eq!(translated(&name.to_uppercase()), None, "{name}");
        }
    }
    // Programs that run flow models have the right form behind these.
    for same in ["Euler a", "euler_ancestral", "euler_a", "er_sde", "seeds_2", "sa_solver", "DPM++ 2M", "unheard of"] {
        assert_eq!(translated(same), None, "{same}");
    }
}

#[test]
fn a_name_for_another_form_finds_the_sampler_that_states_it() {
    let list = samplers();
    assert!(list.iter().any(|about| !about.ve_names.is_empty()));
    for about in list.iter() {
        assert!(about.ve_names.iter().all(|name| list.about(name).unwrap().name == about.name), "{}", about.name);
    }
}

#[test]
fn what_is_put_around_a_sampler_is_written_with_a_plus() {
    let completed = |written: &str| samplers().complete(&written.parse().unwrap()).map(|choice| choice.to_string());
    let spelled = "heun+corrector:k=2,snr=0.1,kind=ou";
    assert_eq!(completed("Heun + Corrector: k=2").unwrap(), spelled);
    assert_eq!(completed(spelled).unwrap(), spelled);
    assert_eq!(
        completed("DPM++ 2M:reference=true+corrector:kind=ula+corrector").unwrap(),
        "dpmpp2m:reference=true+corrector:k=1,snr=0.1,kind=ula+corrector:k=1,snr=0.1,kind=ou"
    );
    // A plus inside a number is the number's.
    assert_eq!(completed("langevin:scale=+5e+0,decay=1").unwrap(), "langevin:scale=5,decay=1");
    for (written, message, hint) in [
        ("euler+heun", "heun: a sampler takes no '+heun'", "what can be put around it is corrector"),
        ("euler+corrector:k=0", "corrector: 'k=0' is not allowed", "k: 1 to 6, default 1"),
        ("euler+corrector:k=1.5", "corrector: 'k=1.5' is not a whole number", "k is 1 to 6"),
        ("euler+corrector:q=1", "corrector: there is no parameter 'q'", "it takes k, snr, kind"),
    ] {
        let error = samplers().build(&written.parse().unwrap()).err().unwrap();
        assert_eq!((error.to_string(), error.hint()), (message.to_owned(), hint.to_owned()), "{written}");
    }
    let choice: Choice = "uniform+corrector".parse().unwrap();
    let error = Schedules::builtin().build(&choice, PLAN).err().unwrap();
    assert_eq!(error.to_string(), "corrector: a schedule takes no '+corrector'");
    assert_eq!(Schedules::builtin().complete(&choice).unwrap_err().hint(), "nothing can be put around a schedule");
    assert!("euler+".parse::<Choice>().is_ok_and(|choice| samplers().build(&choice).is_err()));
}

#[test]
fn a_number_keeps_its_bits_through_a_record() {
    for scale in [0.1_f64 + 0.2, 1.0 / 3.0, 5e-324, 9.999_999_999_999_998] {
        let completed = samplers().complete(&Choice::new("langevin").with("scale", scale)).unwrap();
        let read: Choice = completed.to_string().parse().unwrap();
        let values = samplers().about("langevin").unwrap().values(&read).unwrap();
        assert_eq!(values.number("scale").to_bits(), scale.to_bits());
    }
}

#[test]
fn added_entries_are_found_and_replace_their_namesakes() {
    let about = |name: &'static str, meaning: &'static str| About {
        name,
        aliases: &[],
        ve_names: &[],
        meaning,
        formula: "x' = x + h v",
        citation: "this test",
        parameters: &[Parameter {
            key: "size",
            meaning: "how much",
            kind: Kind::Number { default: 1.0, min: 0.0, max: 2.0 },
        }],
    };
    let build = |_: &flowline_sampler::catalog::Values| Ok(Exponential { diffusion: Diffusion::Ode });
    let mut list = samplers();
    let count = list.iter().count();
    list.add(Entry::sampler(about("mine", "a new one"), build));
    list.add(Entry::sampler(about("Heun", "another Heun"), build));
    list.add(Entry::sampler(about("sde", "takes what was an alias"), build));
    assert_eq!(list.iter().count(), count + 2);
    list.build(&"mine:size=2".parse().unwrap()).unwrap();
    assert_eq!(list.about("heun").unwrap().meaning, "another Heun");
    assert_eq!(list.about("sde").unwrap().meaning, "takes what was an alias");
    assert_eq!(list.about("rf-sde").unwrap().name, "langevin");
}
