//! "Copy as command" gives a command that makes the picture again.

mod sample;

use flowline::command::{command_line, command_words};
use flowline_model::weights::{Activations, Encoding, HeldAs, Holding};
use flowline_sampler::catalog::Choice;
use sample::{prompts, request};

fn words(request: &flowline_model::Request) -> Vec<String> {
    command_words(request).split_off(2)
}

#[test]
fn what_the_model_does_by_itself_is_left_out() {
    let mut request = request("a red lighthouse");
    request.height = 256;
    request.seeds = vec![7];
    assert_eq!(command_line(&request), "flowline generate 'a red lighthouse' -s 7");
}

#[test]
fn everything_else_is_written_out() {
    let mut request = request("boat");
    request.negative_prompt = "-blue".into();
    request.seeds = vec![1, 2, 8, 9, 10, u64::MAX - 1, u64::MAX, 3];
    request.sampler = Choice::new("langevin").with("scale", 0.5);
    request.cfg = 1.0;
    request.rule = Choice::new("cfg").with("scale", 1);
    request.guidance = Some(3.5);
    request.steps = 2;
    request.sigmas = vec![1.0, 0.5, 0.0];
    request.model.name = "my model".into();
    assert_eq!(
        command_line(&request),
        "flowline generate boat --negative-prompt=-blue -m 'my model' -W 256 -H 192 -s \
         1,2,8..10,18446744073709551614,18446744073709551615,3 --sampler langevin:scale=0.5 --steps 2 --schedule uniform \
         --cfg 1 --guidance 3.5"
    );
}

#[test]
fn how_weights_are_held_is_written_out_where_it_decides_bits() {
    let mut request = request("boat");
    request.model.holding = Holding { weights: HeldAs::Encoded(Encoding::Q4K), activations: Activations::Q8 };
    assert!(words(&request).join(" ").starts_with("boat --weights q4_k --activations q8 "));
}

#[test]
fn a_rule_and_a_source_of_noise_are_written_out() {
    let mut request = request("boat");
    request.rule = "apg:scale=2.5,eta=0+rescale:share=0.7".parse().unwrap();
    request.rng = flowline_model::Rng::TorchCpu;
    let written = words(&request).join(" ");
    assert!(written.ends_with("--rule apg:scale=2.5,eta=0+rescale:share=0.7 --rng torch-cpu"), "{written}");
}

#[test]
fn sigmas_that_no_name_gives_are_written_out() {
    let mut request = request("boat");
    request.sigmas = vec![1.0, 0.1 + 0.2, 0.0];
    request.steps = 2;
    let written = |request: &flowline_model::Request| words(request).join(" ");
    assert!(written(&request).ends_with("--sigmas 1,0.30000000000000004,0"), "the name does not give these");
    request.schedule = Choice::new("explicit");
    assert!(written(&request).ends_with("--sigmas 1,0.30000000000000004,0"));
}

#[test]
fn a_stopped_picture_is_a_last_step_straight_to_the_end() {
    let mut request = request("boat");
    request.stop_after = Some(3);
    assert!(words(&request).join(" ").ends_with("--sigmas 1,0.875,0.75,0"), "{:?}", words(&request));
    request.stop_after = Some(8);
    assert!(!words(&request).join(" ").contains("--sigmas"));
}

#[test]
fn prompts_that_look_like_options_are_written_as_values() {
    for prompt in ["--force", "-", "-n", ""] {
        assert_eq!(words(&request(prompt))[0], format!("--prompt={prompt}"));
    }
    assert_eq!(words(&request("a -n b"))[0], "a -n b");
}

#[cfg(unix)]
#[test]
fn a_shell_reads_the_line_as_the_very_same_words() {
    // A Linux process takes no single argument above 128 KiB.
    for prompt in prompts().into_iter().filter(|prompt| prompt.len() < 100_000) {
        let mut request = request(&prompt);
        request.negative_prompt = prompt.clone();
        let line = format!("set -- {}; printf '%s\\0' \"$@\"", command_line(&request));
        let output = std::process::Command::new("sh").arg("-c").arg(line).output().unwrap();
        let read: Vec<_> = output.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
        let mut expected: Vec<_> = command_words(&request).into_iter().map(String::into_bytes).collect();
        expected.push(Vec::new());
        assert_eq!(read, expected, "{prompt:?}");
    }
}
