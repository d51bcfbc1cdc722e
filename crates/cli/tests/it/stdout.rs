//! Readers of stdout that stop early, and disks that are full: an end without noise, or an error; never a panic.

use std::fs::File;
use std::io;
use std::process::{Command, Stdio};

use crate::project::{Project, Ran};

const COMMANDS: [&str; 8] =
    ["download", "tokenize", "verify", "inspect", "report", "train", "quickstart", "doctor"];

/// Commands that print on stdout, with the exit codes that are theirs where all of it is read.
const PRINTING: [(&str, &[i32]); 13] = [
    ("--version", &[0]),
    ("verify out --json", &[0]),
    ("inspect out", &[0]),
    ("inspect out --json", &[0]),
    ("inspect out --random", &[0]),
    ("inspect data", &[0]),
    ("inspect data --json", &[0]),
    ("inspect out --step 0 --batch-size 1", &[0]),
    ("inspect out --step 0 --batch-size 1 --json", &[0]),
    ("inspect out --doc 0 --batch-size 1", &[0]),
    ("download --status-only --output nothing", &[0]),
    ("download --status-only --output nothing --json", &[0]),
    ("tokenize --input data --output out --tokenizer gpt2 --max-seq-length 16 --json", &[0]),
];

fn project() -> Project {
    let lines: String = (0..300).map(|n| format!("{{\"text\":\"word {n} and others\"}}\n")).collect();
    let project = Project::with(&[("data/a.jsonl", &lines)]);
    project.tokenize("").with_code(0);
    project
}

fn all() -> impl Iterator<Item = (String, &'static [i32])> {
    let helps = COMMANDS.iter().flat_map(|command| [format!("{command} --help"), format!("{command} -h")]);
    let helps = helps.chain(["--help", "-h", "help", "help verify"].map(str::to_owned));
    let helps = helps.map(|command| (command, &[0][..]));
    helps.chain(PRINTING.iter().map(|&(command, codes)| (command.to_owned(), codes)))
}

#[track_caller]
fn assert_quiet(command: &str, ran: &Ran, codes: &[i32]) {
    assert!(codes.contains(&ran.code.expect("no signal")), "{command}: {ran}");
    assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("error:"), "{command}: {ran}");
}

#[test]
fn a_reader_that_stops_ends_a_command_quietly() {
    let project = project();
    for (command, codes) in all() {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let mut started = project.command(&command);
        started.stdout(writer);
        assert_quiet(&command, &project.finish(&mut started), codes);
    }
    // What was found is said by the exit code, read or not.
    project.write("out/a/notes.txt", "x");
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    project.finish(project.command("verify out --json").stdout(writer)).with_code(4);
    let ran = project.run("doctor --json --tokenizer gpt2").code;
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let unread = project.finish(project.command("doctor --json --tokenizer gpt2").stdout(writer));
    assert_eq!(unread.code, ran, "{unread}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_stdout_is_an_error() {
    let project = project();
    for (command, _) in all() {
        let full = File::options().write(true).open("/dev/full").expect("it is in every Linux");
        let ran = project.finish(project.command(&command).stdout(full)).with_code(1);
        assert!(
            ran.stderr.contains("error: cannot write to stdout: No space left on device"),
            "{command}: {ran}"
        );
        assert!(ran.stderr.contains("hint: ") && !ran.stderr.contains("panicked"), "{command}: {ran}");
    }
}

#[cfg(unix)]
#[test]
fn a_stdout_or_stderr_that_is_closed_or_full_is_no_panic() {
    let project = project();
    for (command, codes) in all() {
        for redirection in [">&-", "2>&-", ">&- 2>&-", "2>/dev/full"] {
            let program = project.command("").get_program().to_owned();
            let mut shell = Command::new("sh");
            let script = format!("exec \"$0\" {command} {redirection}");
            shell.args(["-c", &script]).arg(&program).current_dir(project.path("")).stdin(Stdio::null());
            for (name, value) in project.command("").get_envs() {
                match value {
                    Some(value) => shell.env(name, value),
                    None => shell.env_remove(name),
                };
            }
            assert_quiet(&format!("{command} {redirection}"), &project.finish(&mut shell), codes);
        }
    }
}
