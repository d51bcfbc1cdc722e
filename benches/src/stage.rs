//! The stages: what is prepared for each, what is measured, and the clocks.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use fastokens::AddedTokenPolicy;
use mashbill_store::checksum::Checksum;
use mashbill_tokenizer::{self as tokenizer, Scratch, SpecialTokensInText, Tokenizer, TokenizerOptions};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::corpus::{each_record, texts};
use crate::rows::Packed;

/// Bytes that are read or written at once, as large as mashbill's blocks.
const PIECE_BYTES: usize = 1 << 20;

/// How far it is counted: some tenths of a second.
const COUNTED: u64 = 200_000_000;

/// A stage that can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    /// Floor: read the file from the page cache
    Read,
    /// Floor: checksum the file's bytes (XXH3) in memory
    Checksum,
    /// Find the lines and parse the records
    Parse,
    /// Load fastokens from the tokenizer.json
    LoadFastokens,
    /// Load mashbill's tokenizer, with the self-check of a first start
    Load,
    /// fastokens alone, cold, over the texts in memory
    Fastokens,
    /// mashbill's tokenizer, cold, over the same texts
    Encode,
    /// Encode packed rows as Snappy Parquet row groups
    Rows,
    /// Floor: write as many bytes as those row groups have, and sync them to the disk
    Write,
    /// Floor: count in registers on one thread
    CountAlone,
    /// Floor: count as far on each of two threads at once; as long as alone if the cores are the machine's own
    CountTogether,
}

/// What the stages are run on.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) input: PathBuf,
    pub(crate) tokenizer: PathBuf,
    pub(crate) row_length: usize,
}

/// What one run of a stage took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// User and system time of the process and all its threads.
    pub(crate) cpu_seconds: f64,
    pub(crate) wall_seconds: f64,
    /// The size of the input file, where the stage has to do with it.
    pub(crate) input_bytes: Option<u64>,
    pub(crate) tokens: Option<u64>,
    pub(crate) output_bytes: Option<u64>,
}

impl Stage {
    /// The name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().expect("no stage is hidden").get_name().to_owned()
    }

    /// Prepares the stage, then runs it once between two looks at the clocks.
    pub(crate) fn measure(self, job: &Job) -> Result<Measured> {
        let size = std::fs::metadata(&job.input).with_context(|| job.input.display().to_string())?.len();
        let measured = match self {
            Self::Read => measure(|| read(job)).map(|((), measured)| measured)?,
            Self::Checksum => {
                let bytes = std::fs::read(&job.input)?;
                measure(|| Ok(black_box(Checksum::of(&bytes))))?.1
            }
            Self::Parse => {
                let bytes = std::fs::read(&job.input)?;
                let mut text_bytes = 0;
                measure(|| each_record(&bytes, |_, text| text_bytes += black_box(text).len()))?.1
            }
            Self::LoadFastokens => return Ok(measure(|| fastokens(job))?.1),
            Self::Load => return Ok(measure(|| mashbill(job))?.1),
            Self::Fastokens => {
                let texts = texts(&job.input)?;
                let tokenizer = fastokens(job)?;
                let encode = |text: &str| -> Result<usize> {
                    let ids: Vec<u32> = tokenizer.encode_unpadded(text, false, AddedTokenPolicy::All)?;
                    Ok(ids.len())
                };
                let (tokens, measured) = measure_but_first(&texts, encode)?;
                Measured { tokens: Some(tokens), ..measured }
            }
            Self::Encode => {
                let texts = texts(&job.input)?;
                let tokenizer = mashbill(job)?;
                let (mut scratch, mut ids) = (Scratch::new(), Vec::new());
                let encode = |text: &str| -> Result<usize> {
                    ids.clear();
                    tokenizer.encode(&mut scratch, text, &mut ids)?;
                    Ok(ids.len())
                };
                let (tokens, measured) = measure_but_first(&texts, encode)?;
                Measured { tokens: Some(tokens), ..measured }
            }
            Self::Rows => {
                let packed = Packed::new(&texts(&job.input)?, &mashbill(job)?, job.row_length)?;
                let mut bytes = 0;
                let ((), measured) = measure(|| {
                    packed.encode(|group| bytes += black_box(group).bytes.len() as u64);
                    Ok(())
                })?;
                Measured { tokens: Some(packed.tokens()), output_bytes: Some(bytes), ..measured }
            }
            Self::Write => {
                let packed = Packed::new(&texts(&job.input)?, &mashbill(job)?, job.row_length)?;
                let mut bytes = Vec::new();
                packed.encode(|group| bytes.extend_from_slice(&group.bytes));
                let ((), measured) = measure(|| write(&bytes))?;
                Measured { output_bytes: Some(bytes.len() as u64), ..measured }
            }
            Self::CountAlone => return Ok(measure(|| count(1))?.1),
            Self::CountTogether => return Ok(measure(|| count(2))?.1),
        };
        Ok(Measured { input_bytes: Some(size), ..measured })
    }
}

/// Runs `work` between two looks at the clocks.
fn measure<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Measured)> {
    let (wall, cpu) = (Instant::now(), cpu_seconds());
    let result = work()?;
    let measured = Measured {
        cpu_seconds: cpu_seconds() - cpu,
        wall_seconds: wall.elapsed().as_secs_f64(),
        input_bytes: None,
        tokens: None,
        output_bytes: None,
    };
    Ok((result, measured))
}

/// Measures the encoding of all texts but the first, which comes before and is only counted.
///
/// With its first text `fastokens` builds tables for a tenth of a second. That is a part of loading, and of a run
/// on the first line alone, by which loading is measured from outside.
fn measure_but_first(
    texts: &[(u64, String)],
    mut encode: impl FnMut(&str) -> Result<usize>,
) -> Result<(u64, Measured)> {
    let [(_, first), rest @ ..] = texts else { bail!("the input has no record") };
    let first = encode(first)?;
    let (tokens, measured) =
        measure(|| rest.iter().try_fold(first, |tokens, (_, text)| Ok(tokens + encode(text)?)))?;
    Ok((tokens as u64, measured))
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn read(job: &Job) -> Result<()> {
    let mut file = File::open(&job.input)?;
    let mut piece = vec![0; PIECE_BYTES];
    while file.read(&mut piece)? > 0 {
        black_box(&mut piece);
    }
    Ok(())
}

/// The file is temporary: it is gone, but for the disk's work, as soon as it is closed.
fn write(bytes: &[u8]) -> Result<()> {
    let mut file = tempfile::tempfile()?;
    for piece in bytes.chunks(PIECE_BYTES) {
        file.write_all(piece)?;
    }
    Ok(file.sync_all()?)
}

/// Counts on so many threads, each as far. It needs nothing but the cores: no memory, no cache, and there are
/// enough steps side by side to keep a core busy.
fn count(threads: usize) -> Result<()> {
    let work = || {
        let mut sums = [0_u64; 6];
        for number in 0..COUNTED {
            let number = black_box(number);
            for (step, sum) in (1..).zip(&mut sums) {
                *sum = (*sum ^ number).wrapping_add(step);
            }
        }
        black_box(sums);
    };
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    Ok(())
}

fn fastokens(job: &Job) -> Result<fastokens::Tokenizer> {
    let json =
        std::fs::read_to_string(&job.tokenizer).with_context(|| job.tokenizer.display().to_string())?;
    fastokens::Tokenizer::from_json(serde_json::from_str(&json)?)
        .map_err(|error| anyhow!("fastokens can't load {}: {error}", job.tokenizer.display()))
}

/// The tokenizer with the command's default options.
fn mashbill(job: &Job) -> Result<Tokenizer> {
    let options = TokenizerOptions {
        add_bos: true,
        add_eos: true,
        eos_token: None,
        pad_token: None,
        special_tokens_in_text: SpecialTokensInText::Encode,
    };
    Ok(Tokenizer::load(&tokenizer::from_path(&job.tokenizer)?, &options, None)?)
}
