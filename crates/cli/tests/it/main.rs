//! The command as its users meet it: what it prints, what it writes, what it survives.
//!
//! One binary for all of it, because linking is what integration tests cost. Each
//! test has a [`Project`](project::Project), a folder of its own in which the command runs.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests make and change files as they like, and say what they skip"
)]

#[macro_use]
mod project;
mod hub;
#[cfg(unix)]
mod shipped;

mod help;
mod errors;
mod arguments;
mod unfinished;
mod download;
mod download_choice;
mod download_told;
mod quickstart;
mod tokenize;
mod held_out;
mod card;
mod bad_input;
mod foreign;
mod inputs;
mod labels;
mod outcome;
mod golden;
mod verify;
mod raw;
mod downloaded;
mod inspect;
mod chats_shown;
mod doctor;
mod tokenizers;
mod chats;
#[cfg(target_os = "linux")]
mod hostile_tokenizers;
mod injuries;
mod deep;
mod troubleshooting;
mod names;
mod hints;
mod stdout;
#[cfg(unix)]
mod interruption;
#[cfg(unix)]
mod shards;
#[cfg(unix)]
mod many_files;
#[cfg(unix)]
mod download_interruption;
#[cfg(target_os = "linux")]
mod disk;

mod schema;
mod layers;
mod named_files;
mod ratchets;
mod tidy;
