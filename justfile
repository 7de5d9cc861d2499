# The project's commands. `just` lists them; each is one line that also works typed by hand.

prompt := "a red lighthouse by the sea at sunset"

# List the recipes
default:
    @just --list

# Make a picture: just picture "a blue cabin in the snow at night" 3
picture prompt=prompt seed="7" output="lighthouse.png":
    cargo run --release -- generate {{ quote(prompt) }} -s {{ seed }} -o {{ quote(output) }}

# Open the window
window:
    cargo run --release

# All tests
test:
    cargo test --workspace

# The samplers against mathematics; seconds
test-sampler:
    cargo test -p flowline-sampler

# The networks against their references
test-model:
    cargo test -p flowline-model

# Format and lints
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo clippy -p flowline --no-default-features --all-targets -- -D warnings

# The documentation of all three crates
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# A tool without the window and its libraries
headless:
    cargo build --release -p flowline --no-default-features

# Where a picture's time goes
stages:
    cargo run --release -p flowline-model --example stages

# Licences and sources of the dependencies; needs cargo-deny
deny:
    cargo deny check

# Everything that must hold before a change lands
ci:
    .ci/run
