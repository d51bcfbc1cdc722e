//! Kill it any time: the same command resumes, and the bytes are those of a run that nothing disturbed.
//!
//! Runs are killed when a moment is reached, told by the files in the output folder,
//! and a little later by a seeded draw: so the kills land all over a run, its commit
//! included, on machines of any speed. `MASHBILL_LONG=1` kills more often.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mashbill_format::layout::Output;
use mashbill_format::task::{GroupIds, RunPlan, ShardRecord, TaskRecord};

use crate::chats;
use crate::project::{Project, assert_same_output};
use crate::shipped;

/// Small shards, each recorded by itself, so that there are many.
const ARGUMENTS: &str = "tokenize --input data --tokenizer gpt2 --max-seq-length 128 --shard-size 0.00004 \
    --task-size 1 --quiet";

const SPLITS: [&str; 2] = ["many", "some"];

/// The longest that any run here may take, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(240);

/// A moment of a run.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So many shards of the split are recorded.
    Shards(&'static str, usize),
    /// The split's files are complete, and not all in their place.
    Complete(&'static str),
    /// The split is in its place, perhaps not in the manifest.
    Published(&'static str),
}

impl Moment {
    fn is_reached(self, output: &Path) -> bool {
        match self {
            Self::Shards(_, 0) => true,
            Self::Shards(split, count) => {
                recorded(output, split).len() >= count || output.join(split).exists()
            }
            Self::Complete(split) => {
                let stats = format!("{split}_stats.json");
                let made = output.join(".mashbill/made").join(split);
                made.join(stats).exists() || output.join(split).exists()
            }
            Self::Published(split) => output.join(split).exists(),
        }
    }
}

/// The recorded shards of a split.
fn recorded(output: &Path, split: &str) -> Vec<ShardRecord> {
    let state = Output::new(output).state();
    let Ok(Some(plan)) = RunPlan::read(&state) else { return Vec::new() };
    let Some(planned) = plan.splits.iter().find(|planned| planned.split == split) else { return Vec::new() };
    let id = GroupIds::new(&plan.manifest).of(planned, 0);
    let records = TaskRecord::read_all(&state).unwrap_or_default();
    let made = records.into_iter().flat_map(|record| record.shards).filter(|shard| shard.of == id);
    let mut all: Vec<_> = made.chain(planned.groups[0].kept.iter().cloned()).collect();
    all.sort_by_key(|shard| shard.id);
    all.dedup_by_key(|shard| shard.id);
    all
}

/// What tells a recorded shard's file that was written anew from the one that was there.
fn records(output: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let files = SPLITS.iter().flat_map(|split| {
        let folder = output.join(".mashbill/made").join(split);
        let shards = recorded(output, split).into_iter();
        let names = shards.filter_map(|shard| Some(shard.parts[0].file.as_ref()?.name.clone()));
        names.map(move |name| folder.join(name)).collect::<Vec<_>>()
    });
    files
        .filter_map(|path| {
            let metadata = fs::metadata(&path).ok()?;
            Some((path, (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())))
        })
        .collect()
}

/// Numbers that look random and are the same in each run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A project with the records that ship with mashbill, repeated with other beginnings.
fn project() -> Project {
    let repeated = |text: &str, times: usize| {
        let copies = (0..times).map(|copy| text.replace("{\"text\": \"", &format!("{{\"text\": \"{copy}. ")));
        copies.collect::<String>()
    };
    let project = Project::new();
    let many = repeated(&shipped::gsm8k(), 6) + &repeated(&shipped::human_eval(), 5);
    project.write("data/many.jsonl", many + "{\"bad\":\n");
    project.write("data/some.jsonl", repeated(&shipped::nq_open(), 4));
    project
}

/// The project with the output of a run that nobody disturbed in `reference`, and its numbers of shards.
fn with_reference() -> (Project, [usize; 2]) {
    let project = project();
    project.run(&format!("{ARGUMENTS} --output reference")).with_code(0);
    let manifest = project.json("reference/manifest.json");
    let shards = SPLITS.map(|split| manifest["splits"][split]["shards"].as_u64().expect("a number") as usize);
    assert!(shards[0] >= 15 && shards[1] >= 4, "there is something to interrupt: {manifest}");
    (project, shards)
}

fn start(project: &Project, threads: u64) -> Child {
    start_with(project, ARGUMENTS, threads)
}

fn start_with(project: &Project, arguments: &str, threads: u64) -> Child {
    let mut command = project.command(&format!("{arguments} --output out --threads {threads}"));
    command.stdout(Stdio::null()).stderr(File::create(project.path("stderr")).expect("a file"));
    command.spawn().expect("the command starts")
}

/// Waits until the moment is reached; gives the exit status where the run ends before.
fn wait_for(child: &mut Child, reached: impl Fn() -> bool) -> Option<ExitStatus> {
    let started = Instant::now();
    while !reached() {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return Some(status);
        }
        assert!(started.elapsed() < PATIENCE, "the run does not get on");
        thread::sleep(Duration::from_millis(1));
    }
    None
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
}

/// Kills the run; whether it was still there to be killed.
fn kill(mut child: Child) -> bool {
    child.kill().expect("it is our child");
    child.wait().expect("it is our child").signal() == Some(9)
}

/// Starts a run in an empty folder and does `interrupt` to it when so many shards of the first split are
/// recorded. On a busy machine that may come too late, and is tried again.
fn interrupted_at(project: &Project, shards: usize, interrupt: impl Fn(Child) -> bool) {
    let output = project.path("out");
    for _ in 0..20 {
        let mut child = start(project, 1);
        let ended = wait_for(&mut child, || Moment::Shards("many", shards).is_reached(&output));
        if ended.is_none() && interrupt(child) {
            return;
        }
        // What was interrupted too late says so, and nothing else went wrong.
        let others = project.read("stderr").replace("error: interrupted", "");
        assert!(!others.contains("error"), "{others}");
        fs::remove_dir_all(&output).expect("it was there");
    }
    panic!("the run was never interrupted at shard {shards}");
}

#[test]
fn a_run_that_is_killed_again_and_again_gives_the_same_bytes() {
    let is_long = std::env::var_os("MASHBILL_LONG").is_some();
    let (wanted, wanted_in_commit) = if is_long { (60, 10) } else { (10, 1) };
    let (project, [many, some]) = with_reference();
    let output = project.path("out");
    let mut draw = Draw(0x5EED);
    let (mut kills, mut in_commit) = (0, 0);
    // A commit takes a millisecond, which a kill on a busy machine may miss many times.
    while kills < wanted || (in_commit < wanted_in_commit && kills < 20 * wanted) {
        let moments = [
            Moment::Shards("many", 0),
            Moment::Shards("many", 1),
            Moment::Shards("many", many / 3),
            Moment::Shards("many", 2 * many / 3),
            Moment::Shards("some", 2),
            Moment::Shards("some", some),
            Moment::Complete("many"),
            Moment::Published("many"),
            Moment::Complete("some"),
            Moment::Published("some"),
        ];
        let mut finished = false;
        for moment in moments {
            // A moment that an earlier kill left behind would only kill the start.
            if !matches!(moment, Moment::Shards(_, 0)) && moment.is_reached(&output) {
                continue;
            }
            let before = records(&output);
            let mut child = start(&project, 1 + draw.below(3));
            let ended = wait_for(&mut child, || moment.is_reached(&output));
            let commits = !matches!(moment, Moment::Shards(..));
            let microseconds = draw.below(if commits { 4_000 } else { 30_000 });
            thread::sleep(Duration::from_micros(microseconds));
            if ended.is_none() && kill(child) {
                kills += 1;
                in_commit += usize::from(commits);
                let after = records(&output);
                for (record, written) in &before {
                    let redone = after.get(record).is_some_and(|found| found != written);
                    assert!(!redone, "{} was finished and is done again", record.display());
                }
            } else if !project.read("stderr").contains("error") {
                finished = true;
                break;
            } else {
                panic!("{}", project.read("stderr"));
            }
        }
        if !finished {
            project.run(&format!("{ARGUMENTS} --output out")).with_code(0);
        }
        assert_same_output(&project.path("reference"), &output);
        fs::remove_dir_all(&output).expect("it was there");
    }
    println!("killed {kills} times, {in_commit} of them in the commit of a split");
    assert!(in_commit >= wanted_in_commit, "too few kills landed in a commit");
}

/// A shard is made in both parts at once, and its split put into its places in both: kills land before and in between.
#[test]
fn a_run_that_holds_documents_out_is_killed_and_goes_on() {
    let project = project();
    let arguments = format!("{ARGUMENTS} --val-fraction 0.3");
    project.run(&format!("{arguments} --output reference")).with_code(0);
    let many =
        project.json("reference/manifest.json")["splits"]["many"]["shards"].as_u64().expect("a number");
    let many = usize::try_from(many).expect("a small number");
    let output = project.path("out");
    let (train, validation) = (output.clone(), output.join("_validation"));
    let moments = [
        (&train, Moment::Shards("many", 1)),
        (&train, Moment::Shards("many", many / 2)),
        (&train, Moment::Shards("some", 1)),
        (&train, Moment::Complete("many")),
        (&validation, Moment::Published("many")),
        (&train, Moment::Published("some")),
    ];
    let mut draw = Draw(0xB0B);
    let (mut before, mut in_commit) = (0, 0);
    for _ in 0..40 {
        for (part, moment) in moments {
            let mut child = start_with(&project, &arguments, 1 + draw.below(3));
            let ended = wait_for(&mut child, || moment.is_reached(part));
            thread::sleep(Duration::from_micros(draw.below(3_000)));
            if ended.is_some() || !kill(child) {
                break;
            }
            // A split that can be trained on never lacks what is held out of it.
            let listed = |folder: &Path| -> Vec<String> {
                let Ok(text) = fs::read(folder.join("manifest.json")) else { return Vec::new() };
                let manifest: serde_json::Value = serde_json::from_slice(&text).expect("a whole manifest");
                manifest["splits"].as_object().expect("splits").keys().cloned().collect()
            };
            let held_out = listed(&validation);
            assert!(listed(&train).iter().all(|split| held_out.contains(split)));
            let commits = !matches!(moment, Moment::Shards(..));
            *(if commits { &mut in_commit } else { &mut before }) += 1;
        }
        project.run(&format!("{arguments} --output out")).with_code(0);
        assert_same_output(&project.path("reference"), &output);
        fs::remove_dir_all(&output).expect("it was there");
        if before > 2 && in_commit > 2 {
            println!("killed {before} times while shards were made, {in_commit} times in the commit");
            return;
        }
    }
    panic!("killed {before} times while shards were made, {in_commit} times in the commit");
}

/// Conversations with a template are killed while shards are made, and in the commit.
#[test]
fn a_run_with_a_chat_template_that_is_killed_gives_the_same_bytes() {
    let wanted = if std::env::var_os("MASHBILL_LONG").is_some() { 20 } else { 4 };
    let project = chats::project("");
    fs::remove_file(project.path("data/a.jsonl")).expect("it is there");
    project.write("data/many.jsonl", chats::conversations(900));
    project.write("data/some.jsonl", chats::conversations(200) + "{\"messages\": 5}\n");
    let arguments = "tokenize --input data --tokenizer tok --chat-template auto --max-seq-length 64 \
        --shard-size 0.00004 --task-size 1 --quiet";
    project.run(&format!("{arguments} --output reference")).with_code(0);
    let manifest = project.json("reference/manifest.json");
    let many = manifest["splits"]["many"]["shards"].as_u64().expect("a number") as usize;
    assert!(many >= 6, "there is something to interrupt: {many} shards");
    let output = project.path("out");
    let moments = [
        Moment::Shards("many", 1),
        Moment::Shards("many", many / 2),
        Moment::Complete("many"),
        Moment::Published("many"),
        Moment::Shards("some", 1),
    ];
    let (mut draw, mut kills) = (Draw(0xC4A7), 0);
    for _ in 0..20 * wanted {
        for moment in moments.into_iter().filter(|moment| !moment.is_reached(&output)) {
            let mut child = start_with(&project, arguments, 1 + draw.below(3));
            let ended = wait_for(&mut child, || moment.is_reached(&output));
            thread::sleep(Duration::from_micros(draw.below(10_000)));
            if ended.is_some() || !kill(child) {
                break;
            }
            kills += 1;
        }
        project.run(&format!("{arguments} --output out")).with_code(0);
        assert_same_output(&project.path("reference"), &output);
        if kills >= wanted {
            return println!("killed {kills} times");
        }
        fs::remove_dir_all(&output).expect("it was there");
    }
    panic!("killed {kills} times");
}

#[test]
fn ctrl_c_once_keeps_what_is_finished() {
    let (project, shards) = with_reference();
    let output = project.path("out");
    interrupted_at(&project, 3, |mut child| {
        let asked = Instant::now();
        send("-INT", &child);
        let status = child.wait().expect("it is our child");
        assert!(asked.elapsed() < Duration::from_secs(2), "it took {:?}", asked.elapsed());
        assert!(matches!(status.code(), Some(0 | 130)), "{status}: {}", project.read("stderr"));
        // Once the split has its place, it was too late to interrupt that.
        status.code() == Some(130) && !output.join("many").exists()
    });
    let stderr = project.read("stderr");
    assert!(stderr.contains("error: interrupted\nhint: run the same command again to resume"), "{stderr}");
    let before = records(&output);
    assert!(before.len() >= 3);
    let ran = project.run(&format!("{} --output out", ARGUMENTS.replace("--quiet", ""))).with_code(0);
    let many = before.keys().filter(|path| path.iter().any(|part| part == "many")).count();
    let resumed = format!("many: {many} shards of {} already finished, resuming", shards[0]);
    assert!(ran.stderr.contains(&resumed), "{ran}");
    assert_same_output(&project.path("reference"), &output);
}

#[test]
fn a_second_process_learns_who_the_first_is() {
    let project = project();
    interrupted_at(&project, 1, |child| {
        // It would be done before the second has started.
        send("-STOP", &child);
        let ran = project.run(&format!("{ARGUMENTS} --output out"));
        let holder = child.id();
        // Once the first has let go of the folder, its last moments are too late.
        if !kill(child) || ran.code == Some(0) {
            return false;
        }
        assert_eq!(ran.code, Some(3), "{ran}");
        assert!(ran.stderr.contains(&format!("`out` is in use by process {holder} on ")), "{ran}");
        assert!(ran.stderr.contains("hint: wait for process"), "{ran}");
        true
    });
}

/// What a machine that lost its power may find on its disk.
#[test]
fn files_behind_the_records_are_made_again() {
    let (project, [many, _]) = with_reference();
    let state = |name: &str| project.path("out/.mashbill").join(name);
    let cut = |name: &str| {
        let file = File::options().write(true).open(state(name)).expect("it is there");
        let half = file.metadata().expect("a file").len() / 2;
        file.set_len(half).expect("it is ours");
    };
    let remove = |name: &str| fs::remove_file(state(name)).expect("it was there");
    let damages: [(&str, &dyn Fn()); 7] = [
        ("a torn record", &|| cut("tasks/00002.json")),
        ("a record that is gone", &|| remove("tasks/00001.json")),
        ("a torn plan", &|| cut("plan.json")),
        ("a shard that is shorter", &|| cut("made/many/shard_0000.parquet")),
        ("a shard that is gone", &|| remove("made/many/shard_0000.parquet")),
        ("a document table that is shorter", &|| cut("made/many/_documents/shard_0000.documents")),
        ("a document table that is gone", &|| remove("made/many/_documents/shard_0001.documents")),
    ];
    for (name, damage) in damages {
        interrupted_at(&project, 3 * many / 4, kill);
        damage();
        let ran = project.run(&format!("{ARGUMENTS} --output out"));
        assert_eq!(ran.code, Some(0), "{name}: {ran}");
        println!("{name}");
        assert_same_output(&project.path("reference"), &project.path("out"));
        fs::remove_dir_all(project.path("out")).expect("it was there");
    }
}

#[test]
fn an_input_that_changed_between_the_runs_is_begun_again() {
    let (project, [many, _]) = with_reference();
    interrupted_at(&project, many / 2, kill);
    let changed = project.read("data/many.jsonl").replace("Question", "Riddle");
    project.write("data/many.jsonl", changed);
    project.run(&format!("{ARGUMENTS} --output out")).with_code(0);
    project.run(&format!("{ARGUMENTS} --output afresh")).with_code(0);
    assert_same_output(&project.path("afresh"), &project.path("out"));
}

#[test]
fn an_input_that_has_grown_gives_the_bytes_of_the_whole() {
    let (project, _) = with_reference();
    fs::rename(project.path("reference"), project.path("out")).expect("nobody is there");
    let grown = project.read("data/many.jsonl") + "{\"text\":\"one more\"}\n";
    project.write("data/many.jsonl", grown);
    let ran = project.run(&format!("{} --output out --skip-existing", ARGUMENTS.replace("--quiet", "")));
    assert!(ran.code == Some(0) && ran.stderr.contains(" compared, to redo: "), "{ran}");
    project.run(&format!("{ARGUMENTS} --output afresh")).with_code(0);
    assert_same_output(&project.path("afresh"), &project.path("out"));
}

/// Other options are another split: what was under way is no beginning of it.
#[test]
fn other_options_begin_again() {
    let (project, [many, _]) = with_reference();
    interrupted_at(&project, many / 2, kill);
    let other = ARGUMENTS.replace("--max-seq-length 128", "--max-seq-length 64");
    project.run(&format!("{other} --output out")).with_code(0);
    project.run(&format!("{other} --output afresh")).with_code(0);
    assert_same_output(&project.path("afresh"), &project.path("out"));
}
