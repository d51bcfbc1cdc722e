"""Makes the samples of the catalogue's datasets in their upstream formats.

Run with pyarrow and zstandard at hand: python testdata/catalog/make.py [GSM8K_TRAIN.jsonl]

Each dataset has a folder `<name>/files`, laid out as its repository on the Hub is, decoys that must not be
taken included. Rows are made up in the shape that upstream has, but for GSM8K's, which are the first of its
training part (MIT license, Copyright 2021 OpenAI).
"""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent


def path(name, file):
    path = HERE / name / "files" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def parquet(name, file, rows, **options):
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows)
    pq.write_table(table, path(name, file), **options)


def array(name, file, rows, indent=None):
    path(name, file).write_text(json.dumps(rows, indent=indent), encoding="utf-8")


def lines(name, file, rows, last=""):
    path(name, file).write_text("\n".join(map(json.dumps, rows)) + last, encoding="utf-8")


def decoy(name, *files):
    for file in files:
        path(name, file).write_text("this must not be taken\n")


# instruction_chat
array("openhermes", "openhermes2_5.json", [
    {"custom_instruction": None, "topic": None, "model_name": None, "system_prompt": None, "source": "airoboros2.2",
     "category": "orca", "id": None, "conversations": [
         {"from": "human", "value": "Every day, a tree drops 7 leaves.\nHow many in February?", "weight": None},
         {"from": "gpt", "value": "7 × 28 = \"196\" leaves\t\\o/", "weight": None}]},
    {"system_prompt": "Be brief.", "source": "EvolInstruct_70k", "category": None, "id": 12, "views": "many", "conversations": [
        {"from": "human", "value": "Name a river."}, {"from": "gpt", "value": "The Spey."}]},
    {"source": "x", "conversations": [{"from": "system", "value": "You are Robin."}, {"from": "human", "value": "Hi"},
                                      {"from": "gpt", "value": "Hello \U0001f600"}]},
    {"source": "broken", "conversations": [{"from": "narrator", "value": "Once upon a time"}]},
], indent=1)
chat = [{"prompt": "Hi", "prompt_id": f"{n:064x}", "messages": [
    {"content": "Hi, what is malt?", "role": "user"}, {"content": f"Germinated grain, number {n}.", "role": "assistant"},
    {"content": "Thanks", "role": "user"}, {"content": "Welcome", "role": "assistant"}]} for n in range(2)]
parquet("ultrachat", "data/train_sft-00000-of-00003-a3ecf92756993583.parquet", chat)
decoy("ultrachat", "data/test_sft-00000-of-00001.parquet", "data/train_gen-00000-of-00003.parquet", "README.md")
parquet("openorca", "1M-GPT4-Augmented.parquet", [
    {"id": "niv.242684", "system_prompt": "", "question": "Translate: guten Tag", "response": "good day"},
    {"id": "flan.564327", "system_prompt": "You are a teacher.", "question": "2 + 2?", "response": "4, because 2 and 2 are 4."}])
decoy("openorca", "3_5M-GPT3_5-Augmented.parquet")
array("sharegpt", "ShareGPT_V3_unfiltered_cleaned_split_no_imsorry.json", [
    {"id": "QWJhYvA_0", "conversations": [{"from": "human", "value": "Summarize: rye, corn, barley"},
                                          {"from": "gpt", "value": "Grains."}]},
    {"id": "QWJhYvA_1", "conversations": [{"from": "gpt", "value": "…and so on."}, {"from": "human", "value": "go on"},
                                          {"from": "gpt", "value": "naïve\n"}]},
    {"id": "empty_0", "conversations": []}], indent=2)
decoy("sharegpt", "ShareGPT_V3_unfiltered_cleaned_split.json", "HTML_cleaned_raw_dataset/sg_90k_part1_html_cleaned.json", "clean.py")
parquet("tulu3", "data/train-00000-of-00006.parquet", [
    {"id": "oasst1_1", "messages": [{"content": "Hola", "role": "user"}, {"content": "¡Hola!", "role": "assistant"}], "source": "ai2-adapt-dev/oasst1_converted"}])
calls = pa.Table.from_pylist([
    {"id": "t_0", "messages": [{"role": "system", "content": "Use tools.", "functions": "[]", "function_calls": None},
                               {"role": "user", "content": "Weather?", "functions": None, "function_calls": None},
                               {"role": "assistant", "content": None, "functions": None, "function_calls": "weather()"},
                               {"role": "environment", "content": "rain", "functions": None, "function_calls": None},
                               {"role": "assistant", "content": "It rains.", "functions": None, "function_calls": None}]}])
parquet("dolci_instruct", "data/train-00000-of-00010.parquet", calls)
parquet("smoltalk", "data/all/train-00000-of-00009.parquet", [
    {"messages": [{"content": "Hi", "role": "user"}, {"content": "Hello", "role": "assistant"}], "source": "everyday-conversations"}])

# code
parquet("starcoder", "python/train-00000-of-00059.parquet", [
    {"max_stars_repo_path": "a/b.py", "max_stars_repo_name": "x/y", "max_stars_count": 5, "id": "0", "content": "def f(x):\n    return x\n"},
    {"max_stars_repo_path": "c.py", "max_stars_repo_name": "x/z", "max_stars_count": None, "id": "1", "content": "print(\"é\")\n"}])
parquet("starcoder", "rust/train-00000-of-00021.parquet", [
    {"max_stars_repo_path": "src/main.rs", "max_stars_repo_name": "r/s", "max_stars_count": 1, "id": "0", "content": "fn main() {}\n"}])
decoy("starcoder", "jupyter-scripts-dedup-filtered/train-00000-of-00001.parquet", "python/README.md")
lines("the_stack", "data/c/data.json", [
    {"content": "int main(void) { return 0; }\n", "avg_line_length": 29.0, "max_line_length": 29, "alphanum_fraction": 0.5,
     "licenses": ["MIT"], "repository_name": "p/q", "path": "m.c", "size": 29, "lang": "C"}], last="\n")
lines("the_stack", "data/python/data.json", [
    {"content": "pass\n", "avg_line_length": 4.0, "licenses": ["Apache-2.0", "MIT"], "repository_name": "u/v", "path": "p.py", "size": 5, "lang": "Python"}])
array("codealpaca", "code_alpaca_20k.json", [
    {"instruction": "Create an array of length 5.", "input": "", "output": "arr = [2, 4, 6, 8, 10]"},
    {"instruction": "Add a line.", "input": "def f():", "output": "def f():\n    pass"}], indent=4)
lines("apps", "train.jsonl", [
    {"id": 0, "problem_id": 0, "question": "Add two numbers.\n", "solutions": json.dumps(["a, b = map(int, input().split())\nprint(a + b)\n", "second"]),
     "input_output": json.dumps({"inputs": ["1 2\n"], "outputs": ["3\n"]}), "difficulty": "interview", "url": "https://example.org/0", "starter_code": ""},
    {"id": 1, "problem_id": 1, "question": "Fill in.", "solutions": json.dumps(["class S:\n    pass"]), "input_output": "", "difficulty": "introductory",
     "url": "", "starter_code": "class S:\n"},
    {"id": 2, "problem_id": 2, "question": "Nobody knows.", "solutions": "", "input_output": "", "difficulty": "competition", "url": "", "starter_code": ""}])
decoy("apps", "test.jsonl", "apps.py")
parquet("opc_sft_stage2", "educational_instruct/train-00000-of-00001.parquet", [
    {"seq_id": 7, "instruction": "Write add.", "output": "```python\ndef add(a, b): return a + b\n```", "code": "def add(a, b): return a + b",
     "entry_point": "add", "testcase": ["assert add(1, 2) == 3"]}])

# math_reasoning
parquet("numina_cot", "data/train-00000-of-00005.parquet", [
    {"source": "synthetic_math", "problem": "Solve $x+1=2$.", "solution": "$x = \\boxed{1}$", "messages": [
        {"content": "Solve $x+1=2$.", "role": "user"}, {"content": "$x = \\boxed{1}$", "role": "assistant"}]}])
decoy("numina_cot", "data/test-00000-of-00001.parquet")
gsm8k = [{"question": "Ann has 3 pots of 4 litres. How much is that?", "answer": "3 pots hold 3*4 = <<3*4=12>>12 litres.\n#### 12"}]
if len(sys.argv) > 1:
    gsm8k = [json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()[:3]]
parquet("gsm8k", "main/train-00000-of-00001.parquet", gsm8k)
decoy("gsm8k", "main/test-00000-of-00001.parquet", "socratic/train-00000-of-00001.parquet")
array("metamath", "MetaMathQA-395K.json", [
    {"type": "MATH_AnsAug", "query": "What is $2^3$?", "original_question": "What is $2^3$?", "response": "It is 8.\nThe answer is: 8"}])
array("mathinstruct", "MathInstruct.json", [
    {"source": "data/CoT/aqua_rat.json", "output": "Let's see. The answer is A", "instruction": "The distance … Choose: (A) 1"}])
parquet("openmathreasoning", "data/cot-00000-of-00144.parquet", [
    {"expected_answer": "1", "problem_type": "has_answer_extracted", "problem_source": "aops_c4", "generation_model": "m", "pass_rate_72b_tir": "0.5",
     "problem": "Find x.", "generated_solution": "<think>\nhm\n</think>\nx = 1", "inference_mode": "cot"}])
decoy("openmathreasoning", "data/tir-00000-of-00099.parquet")
parquet("finemath", "finemath-4plus/train-00000-of-00064.parquet", [
    {"url": "https://example.org/m", "fetch_time": 1, "content_mime_type": "text/html", "warc_filename": "w", "text": "# Sums\n\n1 + 1 = 2", "token_count": 9, "score": 4.2}])
parquet("openthoughts3", "data/train-00000-of-00120.parquet", [
    {"difficulty": None, "source": "stackexchange_codegolf", "domain": "code", "conversations": [
        {"from": "human", "value": "Golf it."}, {"from": "gpt", "value": "<think>short</think> x"}]}])

# factual_qa
parquet("natural_questions", "nq_open/train-00000-of-00001.parquet", [
    {"question": "where did they film hot tub time machine", "answer": ["Fernie Alpine Resort"]},
    {"question": "who has the right of way", "answer": ["Neither", "nobody"]}])
decoy("natural_questions", "nq_open/validation-00000-of-00001.parquet")
parquet("hotpotqa", "distractor/train/0000.parquet", [
    {"id": "5a7a06935542990198eaf050", "question": "Which came first, A or B?", "answer": "A", "type": "comparison", "level": "medium",
     "supporting_facts": {"title": ["A", "B"], "sent_id": [0, 0]},
     "context": {"title": ["A", "B"], "sentences": [["A is from 1844.", " It was good."], ["B is from 1989."]]}}])
decoy("hotpotqa", "distractor/validation/0000.parquet", "fullwiki/train/0000.parquet")
parquet("squad", "plain_text/train-00000-of-00001.parquet", [
    {"id": "5733be284776f41900661182", "title": "Notre_Dame", "context": "Architecturally, the school has a character.",
     "question": "What has the school?", "answers": {"text": ["a character"], "answer_start": [32]}},
    {"id": "b", "title": "T", "context": "C.", "question": "Q?", "answers": {"text": ["C", "c"], "answer_start": [0, 0]}}], row_group_size=1)
decoy("squad", "plain_text/validation-00000-of-00001.parquet")
parquet("triviaqa", "rc.nocontext/train-00000-of-00001.parquet", [
    {"question": "Which American-born Sinclair won the Nobel Prize for Literature in 1930?", "question_id": "tc_1", "question_source": "http://www.triviacountry.com/",
     "answer": {"aliases": ["(Harry) Sinclair Lewis"], "matched_wiki_entity_name": "", "normalized_aliases": ["lewis"], "normalized_value": "sinclair lewis",
                "type": "WikipediaEntity", "value": "Sinclair Lewis"}}])
decoy("triviaqa", "rc/train-00000-of-00026.parquet")
