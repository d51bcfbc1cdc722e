//! Times this engine and fastokens on the texts of a JSONL file, taking turns, in CPU time.
//!
//! `bench TOKENIZER.json TEXTS.jsonl [ROUNDS]`

use std::hint::black_box;

fn cpu() -> f64 {
    let mut time = [0_i64; 2];
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32;
    }
    // SAFETY: on 64-bit Linux `timespec` is two 64-bit numbers; clock 2 is the CPU time of the process.
    unsafe { clock_gettime(2, &mut time) };
    time[0] as f64 + time[1] as f64 / 1e9
}

/// Resident memory in MB.
fn resident() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0 / 1e6
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

#[derive(serde::Deserialize)]
struct Line {
    text: String,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let json = std::fs::read_to_string(&args[1]).unwrap();
    let texts: Vec<String> = std::fs::read_to_string(&args[2])
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Line>(line).unwrap().text)
        .collect();
    let bytes = texts.iter().map(String::len).sum::<usize>() as f64 / 1e6;
    let rounds = args.get(3).map_or(5, |n| n.parse().unwrap());

    let t = cpu();
    let engine = bpe::Engine::from_tokenizer_json(&json).unwrap();
    println!("bpe from json: {:.3} s", cpu() - t);
    let t = cpu();
    let file = engine.to_bytes();
    println!("bpe to_bytes: {:.3} s, {} bytes", cpu() - t, file.len());
    let t = cpu();
    let engine = bpe::Engine::from_bytes(&file).unwrap();
    println!("bpe from_bytes: {:.3} s", cpu() - t);
    assert!(engine.to_bytes() == file);

    let before = resident();
    let (second, mut scratch, mut ids) =
        (bpe::Engine::from_bytes(&file).unwrap(), bpe::Scratch::new(), Vec::new());
    println!("bpe memory: tables and one scratch {:.1} MB", resident() - before);
    for unit in [" ", "\n", "a", "ab", "=-", "日", "xyzzyplugh", "acgtgtcaatgc"] {
        let text = unit.repeat(20_000_000 / unit.len());
        let t = cpu();
        ids.clear();
        second.encode_into(&mut scratch, &text, bpe::AddedTokens::All, &mut ids);
        println!("bpe, 20 MB of {unit:?}: {:.2} s, {} ids", cpu() - t, ids.len());
    }
    drop((second, scratch, ids));

    let t = cpu();
    let value = serde_json::from_str::<serde_json::Value>(&json).unwrap();
    drop(fastokens::Tokenizer::from_json(value.clone()).unwrap());
    println!("fastokens from json: {:.3} s", cpu() - t);

    // The engines take turns every few megabytes, so that both have the same share of whatever
    // else goes on on the machine.
    let slices: Vec<&[String]> = texts.chunks(texts.len().div_ceil(24)).collect();
    let mut speeds: [Vec<f64>; 4] = Default::default();
    for _ in 0..rounds {
        let mut scratch = bpe::Scratch::new();
        let fast = fastokens::Tokenizer::from_json(value.clone()).unwrap();
        let mut ids = Vec::new();
        let (mut totals, mut line) = ([0_usize; 2], String::new());
        for pass in 0..2 {
            let mut times = [0.0; 2];
            for slice in &slices {
                let t = cpu();
                for text in *slice {
                    ids.clear();
                    engine.encode_into(&mut scratch, text, bpe::AddedTokens::All, &mut ids);
                    totals[0] += black_box(&ids).len();
                }
                times[0] += cpu() - t;
                let t = cpu();
                for text in *slice {
                    let ids = fast
                        .encode_unpadded::<Vec<u32>>(text, false, fastokens::AddedTokenPolicy::All)
                        .unwrap();
                    totals[1] += black_box(&ids).len();
                }
                times[1] += cpu() - t;
            }
            for (i, time) in times.into_iter().enumerate() {
                speeds[2 * pass + i].push(bytes / time);
            }
            line += &format!("  pass {}: {:.1} and {:.1}", pass + 1, bytes / times[0], bytes / times[1]);
        }
        assert_eq!(totals[0], totals[1]);
        println!("{line}");
    }
    let [a, b, c, d] = speeds.map(median);
    println!(
        "median MB/s: first pass {a:.1} (fastokens {b:.1}), second pass {c:.1} (fastokens {d:.1}); {:.2} {:.2}",
        a / b,
        c / d
    );
}
