//! The command that makes a picture again.

use flowline_model::Request;

/// The words of the command that makes the pictures of `request` again, the program's name first.
pub fn command_words(request: &Request) -> Vec<String> {
    vec!["flowline".into(), "generate".into(), request.prompt.clone()]
}

/// The same as one line for a POSIX shell.
pub fn command_line(request: &Request) -> String {
    command_words(request).join(" ")
}
