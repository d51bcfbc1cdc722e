//! What a newcomer reads first. A flag that is added, renamed or given another default shows here.

use crate::project::Project;

#[test]
fn of_the_command() {
    check!(Project::new().run("--help"), @r"
    exit: 0
    --- stdout
    The data pipeline for language-model training and distillation.

    Datasets go in; exact, packed, resumable training batches come out.

    Usage: mashbill [OPTIONS] <COMMAND>

    Commands:
      download    Fetch datasets from the Hugging Face Hub: only what is missing, as JSON Lines
      tokenize    Turn JSON Lines and Parquet into packed rows of token ids: Snappy Parquet shards and a
                  manifest.json
      verify      Check that folders hold what they should: records in JSON and Parquet, every byte of
                  tokenized shards
      inspect     Look at rows, documents and records: token borders, ids, document borders, masked
                  labels
      report      Put a whole dataset on one HTML page: shares, lengths, vocabulary, refusals, sample
                  rows
      train       Train a model on what `tokenize` wrote, as a YAML file describes (in Python, with
                  PyTorch)
      quickstart  Run the whole pipeline on a few hundred real records that ship with mashbill: offline,
                  in seconds
      doctor      Check that everything a command needs is there: token, Hub, proxy, disk, tokenizer,
                  Python
      help        Print this message or the help of the given subcommand(s)

    Options:
      -q, --quiet
              Print nothing but warnings and errors

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Exit codes: 0 done, 1 unexpected error, 2 usage or unusable input, 3 incomplete (fix what it names,
    then run the same command again), 4 verify or doctor found problems, 130 interrupted (state saved).
    ");
}

#[test]
fn of_download() {
    check!(Project::new().run("help download"), @r"
    exit: 0
    --- stdout
    Fetch datasets from the Hugging Face Hub: only what is missing, as JSON Lines

    By itself it fetches the curriculum: sixteen datasets with target shares of tokens, except those
    that have to be named because of their licenses.

    Each dataset becomes <output>/<category>/<name>.jsonl with <name>.stats.json beside it.
    <output>/curriculum.lock records what the datasets were made of: commit it, and everyone gets the
    same bytes. To resume an interrupted run, run the same command again; a run with nothing to do makes
    no request.

    Usage: mashbill download [OPTIONS]

    Options:
          --status-only
              Only show what is there and what is missing

          --dry-run
              Only show what would be fetched

          --category <NAME>
              Only this category; may be given several times

          --dataset <NAME>
              Only this dataset, by name or as organization/name of the Hub; may be given several times

          --output <DIR>
              The folder for the categories

              [default: data/distillation]

          --budget <AMOUNT>
              How much to take in total, in the curriculum's shares: 5B or 300M tokens, or 20GB of text

          --max-download <SIZE>
              Refuse to fetch more than this

              [default: 100GB]

          --max-rows <ROWS>
              Take at most this many records of each dataset

          --license-allow <LICENSE>
              Only these licenses, by id (mit) or kind (open, terms, non-commercial, unknown)

          --catalog <FILE>
              A file with datasets of your own; may be given several times

          --update
              Take the datasets as they are now, not as the lock records them

          --keep-raw
              Keep the fetched files after conversion, in <output>/.mashbill/download

          --json
              Print the result as JSON on stdout

      -q, --quiet
              Print nothing but warnings and errors

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Examples:
      mashbill download --status-only
      mashbill download --category math_reasoning --dry-run
      mashbill download --budget 5B
      mashbill download --dataset gsm8k --dataset some-organization/some-dataset
    ");
}

#[test]
fn of_tokenize() {
    check!(Project::new().run("help tokenize"), @r#"
    exit: 0
    --- stdout
    Turn JSON Lines and Parquet into packed rows of token ids: Snappy Parquet shards and a manifest.json

    Reads .jsonl, .ndjson and .json (an object a line, or one array of objects), plain or in .gz, .bz2,
    .xz or .zst, and .parquet. Each file becomes a split named after it. Finished splits whose content,
    options and tokenizer are unchanged are skipped. To resume an interrupted run, run the same command
    again.

    Usage: mashbill tokenize [OPTIONS] --input <PATH>

    Options:
          --input <PATH>
              The file or folder to tokenize

          --output <DIR>
              The folder for the splits and manifest.json [default: <INPUT>_preprocessed, of a file
              without its ending]

          --recursive
              Also read the folders below the input folder

          --tokenizer <NAME>
              An embedded tokenizer (gpt2, cl100k_base, o200k_base), a tokenizer.json, its folder, or a
              Hub id

              [default: meta-llama/Llama-3.2-1B]

          --max-seq-length <TOKENS>
              Tokens per row

              [default: 8192]

          --shard-size <GB>
              Target for the average size of finished shards, in GB (10^9 bytes); decimals are fine

              [default: 2]

          --val-fraction <FRACTION>
              Hold this share of the documents out of training, in <OUTPUT>/_validation. Only a
              document's text decides (with a chat template, what a user says first), so the choice
              stays the same whatever else changes, and a larger share adds to it

          --skip-existing
              Redo finished splits that differ, saying why (default: refuse); unchanged ones are skipped
              either way

          --force
              Redo every split

          --threads <N>
              Worker threads [default: the cores of this machine or container]

          --text-field <NAME>
              The field or Parquet column that holds the text. May be given several times: the first
              that a record has counts

              [default: text]

          --eos-token <TOKEN>
              The token that ends a document, if the tokenizer's files name none or you want another

          --pad-token <TOKEN>
              The token that pads the last rows, if the tokenizer's files name none or you want another

          --no-eos
              Put no EOS after documents

          --no-bos
              Put no BOS before documents, even where the tokenizer's template does

          --special-tokens-in-text <HOW>
              What to do with special tokens that a text spells out

              Possible values:
              - encode: Encode them as their ids, as Hugging Face tokenizers do
              - split:  Treat them as text like any other
              - reject: Refuse documents that contain one

              [default: encode]

          --split-names <HOW>
              Which files form a split, and how splits are named

              Possible values:
              - stem:   After the file: code/apps.jsonl is apps
              - path:   After the folders, too: code/apps.jsonl is code__apps
              - parts:  As path, but files whose names differ only in a part number form one split:
                code/apps-0*-of-02.jsonl are code__apps
              - folder: All files of a folder form one split, named after the folder: code/*.jsonl are
                code

              [default: stem]

          --compression <CODEC>
              How the shards' pages are compressed

              Possible values:
              - snappy: Fast, and every Parquet reader supports it
              - zstd:   Smaller, slower to write
              - none:   No compression

              [default: snappy]

          --max-document <BYTES>
              Refuse texts that are longer than this many bytes; memory use is up to six times the
              longest text

              [default: 256000000]

          --warn-rejected <SHARE>
              Warn about splits with more than this share of their lines refused

              [default: 0.05]

          --strict
              Stop at the first bad line instead of setting it aside

          --rehash
              Read finished inputs again instead of trusting unchanged sizes and times

          --prune
              Remove finished splits whose input file is gone

          --json
              Print the result as JSON on stdout

      -q, --quiet
              Print nothing but warnings and errors

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Chats:
          --chat-template <NAME|FILE>
              Make text of messages with a chat template: auto (the tokenizer's own), the name of
              another of its templates, chatml, or a file with one [default: none, which takes the text
              field]

          --template-args <JSON>
              Arguments of the template as a JSON object: '{"enable_thinking": false}'. Those in a
              record's chat_template_kwargs come before them

          --date <YYYY-MM-DD>
              The date that the template is given for today's, so that the same input always has the
              same tokens

          --loss-on <TURNS>
              On which turns there is a loss; with a chat template [default: assistant]

              Possible values:
              - all:            On all tokens, those of the template and of users, too
              - assistant:      On all turns of the assistant
              - last-assistant: On the assistant's last turn
              - completion:     On a record's completion

          --no-loss-on <PARTS>
              What of these turns is left out; may be given several times, or with commas

              Possible values:
              - reasoning:         What the assistant thinks
              - tool-calls:        Its calls of tools
              - generation-prompt: What the template puts before an answer, behind the header

          --mixed
              With a chat template, take records without messages, too: as their text, all of which is
              learned

          --render <HOW>
              Without a chat template, make text of messages by a plain rule

              Possible values:
              - plain: User: …, Assistant: …, with a blank line between

          --tool-arguments <HOW>
              What becomes of arguments of tool calls that are JSON in a string [default: parse]

              Possible values:
              - parse: They become an object, as templates expect it
              - keep:  They stay as they are

    Examples:
      mashbill tokenize --input data/distillation --recursive
      mashbill tokenize --input books.jsonl.zst --tokenizer gpt2 --max-seq-length 2048 --output books
      mashbill tokenize --input chats.jsonl --tokenizer Qwen/Qwen3-8B --chat-template auto
    "#);
}

#[test]
fn of_quickstart() {
    check!(Project::new().run("quickstart --help"), @r"
    exit: 0
    --- stdout
    Run the whole pipeline on a few hundred real records that ship with mashbill: offline, in seconds

    Downloads the records from a stand-in for the Hub on this machine, converts them to JSON Lines,
    tokenizes them with the embedded gpt2 tokenizer, verifies both folders, and prints each command. A
    second run finds everything done.

    Usage: mashbill quickstart [OPTIONS]

    Options:
          --output <DIR>
              The folder to put everything in

              [default: mashbill-quickstart]

          --train
              Then train a small model on them, in under three minutes on two CPU cores; needs the
              Python package: in mashbill's source tree, pip install './python[train]'

      -q, --quiet
              Print nothing but warnings and errors

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
}

#[test]
fn of_the_version() {
    check!(Project::new().run("--version"), @r"
    exit: 0
    --- stdout
    mashbill [VERSION]
    ");
}

#[test]
fn no_command_at_all_shows_the_help() {
    let ran = Project::new().run("").with_code(2);
    assert!(ran.stderr.contains("Usage: mashbill") && ran.stdout.is_empty(), "{ran}");
}

/// The help tells of the flags that users of the guide know, with the guide's defaults.
#[test]
fn of_tokenize_has_the_flags_of_the_guide() {
    let help = Project::new().run("tokenize --help").with_code(0).stdout;
    let flags =
        "--input --output --recursive --tokenizer --max-seq-length --shard-size --skip-existing --force";
    for flag in flags.split(' ') {
        assert!(help.contains(&format!("{flag} ")) || help.contains(&format!("{flag}\n")), "{flag}");
    }
    for default in ["[default: meta-llama/Llama-3.2-1B]", "[default: 8192]", "[default: 2]"] {
        assert!(help.contains(default), "{default}");
    }
}
