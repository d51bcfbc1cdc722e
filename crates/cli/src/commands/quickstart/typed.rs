//! What a user could type for a command that the quickstart runs, from the value that it runs with.
//!
//! Only what the quickstart sets is spelled; a test types each line into a shell and the command line, and holds what comes out
//! against the value.

use std::path::Path;

use crate::commands::download::DownloadArgs;
use crate::commands::tokenize::TokenizeArgs;
use crate::commands::verify::VerifyArgs;
use crate::printer::Printer;
use crate::shell_word::shell_word;

/// A line for a shell.
struct Line(String);

impl Line {
    fn new(command: &str) -> Self {
        Self(format!("mashbill {command}"))
    }

    fn word(mut self, word: &str) -> Self {
        self.0.push(' ');
        self.0.push_str(&shell_word(word));
        self
    }

    fn path(self, path: &Path) -> Self {
        self.word(&path.to_string_lossy())
    }
}

/// Says what could be typed for what comes now.
pub(super) fn say(line: &str, printer: &Printer) {
    printer.line(format_args!("running: {line}"));
}

pub(super) fn download(args: &DownloadArgs) -> String {
    let DownloadArgs { dataset, catalog, output, .. } = args;
    let datasets = dataset.iter().fold(Line::new("download"), |line, name| line.word("--dataset").word(name));
    let catalogs = catalog.iter().fold(datasets, |line, path| line.word("--catalog").path(path));
    catalogs.word("--output").path(output).0
}

pub(super) fn tokenize(args: &TokenizeArgs) -> String {
    let TokenizeArgs { recursive, skip_existing, tokenizer, max_seq_length, input, output, .. } = args;
    let mut line = Line::new("tokenize");
    if *recursive {
        line = line.word("--recursive");
    }
    if *skip_existing {
        line = line.word("--skip-existing");
    }
    line = line.word("--tokenizer").word(tokenizer);
    line = line.word("--max-seq-length").word(&max_seq_length.to_string()).word("--input").path(input);
    match output {
        Some(output) => line.word("--output").path(output).0,
        None => line.0,
    }
}

pub(super) fn verify(args: &VerifyArgs) -> String {
    args.paths.iter().fold(Line::new("verify"), |line, path| line.path(path)).0
}

pub(super) fn train(config: &Path) -> String {
    Line::new("train").word("--config").path(config).0
}

#[cfg(test)]
mod tests {
    use std::process::Command as Process;

    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};
    use crate::commands::quickstart::folders::Folders;

    /// The command that a shell gives where a line is typed into it.
    fn typed(line: &str) -> Command {
        let script = format!("set -- {line}; printf '%s\\0' \"$@\"");
        let split = Process::new("sh").args(["-c", &script]).output().expect("a shell");
        let words = String::from_utf8(split.stdout).expect("what was typed");
        Args::try_parse_from(words.split_terminator('\0')).expect("a command").command
    }

    #[test]
    fn a_line_that_is_typed_is_the_value_that_it_was_printed_from() {
        for folder in ["mashbill-quickstart", "a folder/it's \"one\"", "~/$HOME/`a`;*", "über/数"] {
            let folders = Folders::of(Path::new(folder));
            let (download, tokenize) = (folders.download(), folders.tokenize());
            let verify = folders.verify();
            let lines = [super::download(&download), super::tokenize(&tokenize), super::verify(&verify)];
            let values = [Command::Download(download), Command::Tokenize(tokenize), Command::Verify(verify)];
            for (line, value) in lines.iter().zip(values) {
                assert_eq!(format!("{:?}", typed(line)), format!("{value:?}"), "{line}");
            }
        }
    }

    #[test]
    fn a_value_that_nobody_changed_is_the_command_without_a_flag() {
        let of = |arguments: &[&str]| {
            let words = ["mashbill"].iter().chain(arguments);
            format!("{:?}", Args::try_parse_from(words).expect("a command").command)
        };
        let value = |command: Command| format!("{command:?}");
        assert_eq!(of(&["download"]), value(Command::Download(DownloadArgs::default())));
        let tokenize = TokenizeArgs { input: "a".into(), ..TokenizeArgs::default() };
        assert_eq!(of(&["tokenize", "--input", "a"]), value(Command::Tokenize(tokenize)));
        let verify = VerifyArgs { paths: vec!["a".into()], ..VerifyArgs::default() };
        assert_eq!(of(&["verify", "a"]), value(Command::Verify(verify)));
    }
}
