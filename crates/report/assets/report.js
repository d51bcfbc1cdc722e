"use strict";
// Draws the page from the data in #data. Each section is a function; a section without data is left out.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const main = document.getElementById("main");
  const charts = [];

  const element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== undefined));
    return made;
  };
  const number = (value) => value.toLocaleString("en-US");
  const short = (value, digits = 3) => {
    const units = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
    const unit = units.find(([size]) => Math.abs(value) >= size);
    if (unit) return `${+(value / unit[0]).toPrecision(digits)}${unit[1]}`;
    const small = value !== 0 && Math.abs(value) < 1e-3;
    return small ? (+value.toPrecision(digits)).toExponential() : `${+value.toPrecision(digits)}`;
  };
  // The numbers of an axis, in as few digits as tell them apart.
  const ticks = (_, splits) => {
    const shown = (digits) => splits.map((value) => (value === null ? "" : short(value, digits)));
    return [3, 4, 5, 6].map(shown).find((labels) => new Set(labels).size === labels.length) ?? shown(6);
  };
  const percent = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)} %` : "–");
  const section = (id, title, wide, ...children) => {
    const made = element("section", { id, class: wide ? "wide" : "", "aria-labelledby": `${id}-title` });
    made.append(element("h2", { id: `${id}-title` }, title), ...children.filter((child) => child !== undefined));
    main.append(made);
    return made;
  };
  const note = (text) => element("p", { class: "note" }, text);
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  // A chart is made anew if its colors change, and only resized if its width does.
  const chart = (id, title, label, options, wide) => {
    const holder = element("div", { class: "chart", id: `${id}-chart`, role: "img", "aria-label": label });
    const made = section(id, title, wide, holder);
    const draw = () => {
      holder.replaceChildren();
      const settings = options();
      const axis = { stroke: color("quiet"), grid: { stroke: color("line"), width: 1 }, ticks: { stroke: color("line") } };
      settings.axes = settings.axes.map((own) => ({ ...axis, ...own }));
      return new uPlot({ width: holder.clientWidth, height: 240, legend: { live: true }, cursor: { drag: { setScale: false } }, ...settings }, settings.data, holder);
    };
    charts.push({ holder, draw, plot: undefined });
    return made;
  };
  const redraw = () => charts.forEach((one) => { one.plot?.destroy(); one.plot = one.draw(); });

  const histogram = (id, title, label, buckets, what) => {
    if (!buckets.length) return undefined;
    const names = buckets.map(([name]) => name);
    return chart(id, title, label, () => ({
      data: [buckets.map((_, at) => at), buckets.map(([, count]) => count)],
      scales: { x: { time: false, range: [-0.6, buckets.length - 0.4] }, y: { range: (_, __, most) => [0, 1.05 * Math.max(most, 1)] } },
      axes: [
        { splits: () => buckets.map((_, at) => at), values: (u, splits) => {
          const step = Math.ceil((buckets.length * 46) / Math.max(u.width, 1));
          return splits.map((at) => (at % step === 0 ? names[at] : ""));
        } },
        { values: ticks, size: 54 },
      ],
      series: [
        { label: what[0], value: (_, at) => (at === null ? "–" : names[at]) },
        { label: what[1], fill: color("bar"), stroke: color("bar"), width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.8, 60] }), value: (_, count) => (count === null ? "–" : number(count)) },
      ],
    }));
  };

  const barTable = (id, title, wide, rows, columns, noteText) => {
    if (!rows.length) return;
    const most = Math.max(...rows.map((row) => Math.max(row.value, row.target ?? 0)), 1e-12);
    const head = element("tr", {}, element("th", { scope: "col" }, columns[0]), element("th", { scope: "col", "aria-hidden": "true" }, ""));
    columns.slice(1).forEach((name) => head.append(element("th", { scope: "col", class: "number" }, name)));
    const body = element("tbody");
    for (const row of rows) {
      const track = element("div", { class: "track" }, element("div", { class: "fill", style: `width:${(100 * row.value) / most}%` }));
      if (row.target !== undefined && row.target !== null) {
        track.append(element("div", { class: "target", title: "target", style: `left:calc(${(100 * row.target) / most}% - 1px)` }));
      }
      const line = element("tr", {}, element("td", { class: "name" }, row.name), element("td", { class: "bars", "aria-hidden": "true" }, track));
      row.cells.forEach((cell) => line.append(element("td", { class: "number" }, cell)));
      body.append(line);
    }
    const scroll = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, element("table", {}, element("thead", {}, head), body));
    section(id, title, wide, scroll, noteText ? note(noteText) : undefined);
  };

  // Lines over steps. Of a curve with `least` and `most`, where each point is many steps, the range is shaded.
  const curves = (id, title, label, at, list, wide, noteText) => {
    if (!list.length || !at.length) return;
    const series = [{ label: "step", value: (_, step) => (step === null ? "–" : number(step)) }];
    const values = [at];
    const bands = [];
    const seen = (_, value) => (value === null || value === undefined ? "–" : `${+value.toPrecision(5)}`);
    const range = (text) => ({ label: text, stroke: "transparent", width: 0, points: { show: false }, value: seen });
    list.forEach((curve, index) => {
      const stroke = () => color(`line${index % 8}`);
      // One measurement, or a few, are points.
      series.push({ label: curve.name, stroke, width: 1.75, spanGaps: true, points: { show: at.length < 40, size: 6, fill: stroke }, value: seen });
      values.push(curve.mean);
      if (index === 0 && curve.least) {
        const first = series.length;
        series.push(range("most"), range("least"));
        values.push(curve.most, curve.least);
        bands.push({ series: [first, first + 1], fill: () => color("band") });
      }
    });
    const made = chart(id, title, label, () => ({
      data: values, series, bands,
      scales: { x: { time: false, range: (_, low, high) => (low === high ? [low - 1, high + 1] : [low, high]) } },
      axes: [{ values: (_, splits) => splits.map((step) => (Number.isInteger(step) ? short(step) : "")) }, { values: ticks, size: 60 }],
    }), wide);
    if (noteText) made.append(note(noteText));
  };

  const overview = () => {
    const { verify } = data;
    const facts = element("dl", { class: "facts" });
    data.facts.forEach(([name, value]) => facts.append(element("div", {}, element("dt", {}, name), element("dd", {}, typeof value === "number" ? number(value) : value))));
    if (!verify) {
      section("overview", "The run", true, facts, ...data.notes.map(note));
      return;
    }
    const good = verify.errors === 0;
    const warned = verify.warnings === 1 ? "1 warning" : `${number(verify.warnings)} warnings`;
    const [grade, verdict] = !good
      ? ["bad", `✗ ${number(verify.errors)} errors: these data should not be used`]
      : verify.warnings
        ? ["warned", `! Verified, with ${warned}: see below`]
        : ["good", "✓ Verified: nothing is wrong"];
    const problems = element("ul", { class: "problems" });
    for (const problem of verify.problems) {
      problems.append(element("li", { class: problem.severity }, `${problem.where}: ${problem.detail}`));
    }
    section("overview", "What it is", true, element("p", { class: `verdict ${grade}` }, verdict), verify.problems.length ? problems : undefined, facts);
  };

  const shares = (id, title, list) => {
    const whole = list.reduce((sum, one) => sum + one.amount, 0);
    const targets = list.some((one) => one.target !== null);
    const columns = ["Name", data.amount ?? "Tokens", "Share"].concat(targets ? ["Target"] : []);
    barTable(id, title, false, list.map((one) => ({
      name: one.name,
      value: whole ? (100 * one.amount) / whole : 0,
      target: one.target,
      cells: [number(one.amount), percent(one.amount, whole)].concat(targets ? [one.target === null ? "–" : `${one.target} %`] : []),
    })), columns, targets ? "The mark on a bar is the target." : undefined);
  };

  const timeline = () => {
    const runs = data.timeline;
    if (!runs.length) return;
    // Of times that are all the same uPlot would make an axis of years.
    const [first, last] = [runs[0].completed, runs[runs.length - 1].completed];
    const room = Math.max(2, (last - first) * 0.05);
    chart("timeline", "Time line", `Seconds of work on each of ${runs.length} datasets by the time of completion`, () => ({
      data: [runs.map((run) => run.completed), runs.map((run) => run.seconds), runs.map((run) => run.speed)],
      scales: { x: { time: true, range: () => [first - room, last + room] } },
      axes: [{}, { values: ticks, size: 54 }, { scale: "speed", side: 1, grid: { show: false }, values: ticks, size: 54 }],
      series: [
        { label: "completed", value: (u, _, __, at) => (at === null || at === undefined ? "–" : `${runs[at].name}, ${new Date(1000 * runs[at].completed).toISOString().slice(0, 16).replace("T", " ")}`) },
        { label: "seconds", stroke: color("bar"), paths: () => null, points: { show: true, size: 9, fill: color("bar") } },
        { label: data.speed, scale: "speed", stroke: color("second"), paths: () => null, points: { show: true, size: 7, fill: color("ground") } },
      ],
    })).append(note(`Each point is a ${data.kind === "raw" ? "dataset" : "split"}: the seconds that the run which completed it worked on it, and its ${data.speed}.`));
  };

  const vocabulary = () => {
    const use = data.vocabulary;
    if (!use) return;
    if (use.ranks.length > 1) {
      chart("ranks", "Vocabulary use", "How often tokens occur in the rows, by their rank", () => ({
        data: [use.ranks.map(([rank]) => rank), use.ranks.map(([, count]) => count)],
        scales: { x: { time: false, distr: 3 }, y: { distr: 3 } },
        axes: [{ grid: { show: false }, values: (_, splits) => splits.map((v) => (v === null ? "" : short(v))) }, { grid: { show: false }, values: (_, splits) => splits.map((v) => (v === null ? "" : short(v))), size: 54 }],
        series: [{ label: "rank" }, { label: "times", stroke: color("bar"), width: 2, points: { show: false } }],
      })).append(note(`${number(use.used)} of ${number(use.size)} ids occur in the rows; ${number(use.size - use.used)} never do.`));
    }
    const whole = use.tokens;
    barTable("tokens", "Most frequent tokens", false, use.top.map((token) => ({
      name: token.text === null ? `[${token.id}]` : JSON.stringify(token.text), value: token.count,
      cells: [String(token.id), number(token.count), percent(token.count, whole)],
    })), ["Token", "Id", "Times", "Share"]);
  };

  const parts = (id, title, list, columns, noteText) => barTable(id, title, false, list.map((one) => ({
    name: one.name, value: (100 * one.part) / one.whole, cells: [number(one.part), percent(one.part, one.whole)],
  })), columns, noteText);

  const duplicates = () => {
    const found = data.duplicates;
    if (!found) return;
    const columns = ["Name", "Copies", "Of its documents"];
    const about = found.is_about ? "About " : "";
    const said = `${about}${number(found.copies)} of ${number(found.documents)} documents repeat the text of an earlier one.`;
    if (found.by.length) parts("duplicates", "Duplicates", found.by, columns, said);
    else section("duplicates", "Duplicates", false, element("p", { class: "none" }, "✓ No text appears twice."));
  };

  const measured = () => barTable("measured", "Validation by split", false, data.measured.map((one) => ({
    name: one.name, value: one.last, cells: [one.last.toFixed(4), one.best.toFixed(4), number(one.best_step)],
  })), ["Split", "Last loss", "Least", "At step"]);

  const dataset = () => {
    const raw = data.kind === "raw";
    const unit = raw ? "bytes" : "tokens";
    shares("categories", "By category", data.categories);
    shares("datasets", raw ? "By file" : "By split", data.datasets);
    shares("sources", "By source", data.sources);
    histogram("lengths", raw ? "Length of texts" : "Length of documents", `Number of documents by their number of ${unit}`, data.lengths, raw ? ["bytes up to", "texts"] : ["tokens up to", "documents"]);
    barTable("lengths-by", raw ? "Length by file" : "Length by split", false, data.lengths_by.map((one) => ({
      name: one.name, value: one.mean, cells: [short(one.mean), short(one.longest), number(one.documents)],
    })), ["Name", `Mean ${unit}`, "Longest", raw ? "Records" : "Documents"]);
    histogram("packing", "Documents in a row", "Number of rows by the number of documents in them", data.pieces, ["pieces", "rows"]);
    parts("padding", "Padding", data.padding, ["Name", "Positions", "Share"], "Positions without a token: only a shard's last row has any.");
    parts("learned", "Learned tokens by split", data.learned, ["Name", "Tokens", "Of its tokens"], "Tokens on which there is a loss: the others are only read.");
    parts("learned-by-source", "Learned tokens by source", data.learned_by_source, ["Name", "Tokens", "Of its tokens"]);
    const counted = (list) => list.map((one) => ({ name: one.name, value: one.amount, cells: [number(one.amount)] }));
    barTable("roles", "Who speaks", false, counted(data.roles), ["Role", "Messages"]);
    histogram("turns", "Messages in a conversation", "Number of conversations by the number of their messages", data.turns, ["messages up to", "conversations"]);
    barTable("changes", "Changed to the normal form", false, counted(data.changes), ["What", "Times"], "Conversations come in several shapes, which become one.");
    barTable("density", "Bytes per token", false, data.density.map((one) => ({ name: one.name, value: one.value, cells: [one.value.toFixed(2)] })), ["Name", "Bytes"], "Bytes of text for each token. Little means that the tokenizer does not know the language well.");
    barTable("scripts", "Scripts", false, data.scripts.map((one) => ({ name: one.name, value: one.share, cells: [`${one.share.toFixed(2)} %`] })), ["Script", "Letters"], raw ? "Share of the letters in the texts." : "Share of the letters that stand whole in a token; scripts whose letters are cut have more.");
    barTable("rejects", "Refused lines", false, counted(data.rejects), ["Reason", "Lines"]);
    barTable("fetched-rejects", "Rows refused by the download", false, counted(data.fetched_rejects), ["Reason", "Rows"]);
    duplicates();
    vocabulary();
    timeline();
    browser();
  };

  const run = () => {
    const { steps } = data;
    curves("loss", "Loss", "Training loss over the steps", steps, data.losses, true, data.losses[0]?.least ? "The line is the mean of the steps of each point, the shade their range." : undefined);
    curves("validation", "Validation", "Validation loss by split over the steps", data.measured_at, data.validation, false);
    measured();
    curves("rate", "Learning rate", "Learning rate over the steps", steps, data.learning_rate, false);
    curves("norm", "Gradient norm", "Norm of the gradient over the steps", steps, data.gradient_norm, false);
    curves("speed", "Tokens per second", "Tokens per second over the steps", steps, data.tokens_per_second, false);
    curves("wait", "Waiting for data", "Share of a step's time spent waiting for data, in percent", steps, data.loader_wait, false, "Percent of a step's time.");
    shares("seen", "Tokens seen by split", data.seen);
    curves("seen-over-time", "Mix over the steps", "Each split's share of the tokens, in percent, over the steps", steps, data.seen_over_time, false, "Percent of the tokens of each point.");
    if (data.config) section("config", "Configuration", true, element("details", {}, element("summary", {}, "config.yaml"), element("pre", { tabindex: "0" }, data.config)));
  };

  const browser = () => {
    const samples = data.samples;
    if (!samples.length) return;
    let at = 0;
    const choose = element("select", { id: "sample", "aria-label": "Sample" });
    samples.forEach((sample, index) => choose.append(element("option", { value: index }, sample.name)));
    const before = element("button", { type: "button", id: "previous" }, "← Previous");
    const after = element("button", { type: "button", id: "next" }, "Next →");
    const where = element("span", { class: "note", id: "where", "aria-live": "polite" });
    const view = element("div", { class: "browser", id: "browser", tabindex: "0", role: "region", "aria-label": "Sample; arrow keys go to the previous and the next one" });
    const detail = element("p", { class: "detail", id: "detail", "aria-live": "polite" });
    const describe = (token) => {
      view.querySelector(".chosen")?.classList.remove("chosen");
      token.classList.add("chosen");
      const { id, label, position } = token.dataset;
      detail.textContent = `position ${position}: id ${id}, ${label < 0 ? "label masked (-100)" : `label ${label}`}`;
    };
    const show = (next) => {
      at = Math.min(Math.max(next, 0), samples.length - 1);
      const sample = samples[at];
      choose.value = at;
      before.disabled = at === 0;
      after.disabled = at === samples.length - 1;
      where.textContent = `${at + 1} of ${samples.length}`;
      detail.textContent = sample.pieces ? `Point at a token for its id and label. ${sample.spans ? "Tokens that are not learned" : "Masked labels"} are underlined.` : "";
      view.replaceChildren();
      if (sample.text !== undefined) view.append(element("div", { class: "record" }, sample.text));
      let position = 0;
      for (const piece of sample.pieces ?? []) {
        view.append(element("div", { class: "document" }, piece.title));
        const line = element("div");
        for (const [text, id, label, learned] of piece.tokens) {
          const out = sample.spans ? !learned : label < 0;
          line.append(element("span", { class: out ? "token masked" : "token", "data-id": id, "data-label": label, "data-position": position++ }, text ?? `[${id}]`));
        }
        if (piece.hidden) line.append(` … ${number(piece.hidden)} more`);
        position += piece.hidden;
        view.append(line);
      }
      if (sample.more) view.append(element("div", { class: "document" }, `and ${number(sample.more)} more documents in this row`));
      if (sample.padding) view.append(element("div", { class: "document" }, `padding: ${number(sample.padding)} positions`));
      view.scrollTop = 0;
    };
    view.addEventListener("pointerover", (event) => { if (event.target.classList.contains("token")) describe(event.target); });
    view.addEventListener("click", (event) => { if (event.target.classList.contains("token")) describe(event.target); });
    choose.addEventListener("change", () => show(Number(choose.value)));
    before.addEventListener("click", () => show(at - 1));
    after.addEventListener("click", () => show(at + 1));
    view.addEventListener("keydown", (event) => {
      const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: samples.length - 1 }[event.key];
      if (next !== undefined) { event.preventDefault(); show(next); }
    });
    section("samples", data.kind === "raw" ? "Records" : "Rows", true, element("div", { class: "controls" }, before, after, choose, where), view, detail);
    show(0);
  };

  document.title = `mashbill report: ${data.title}`;
  document.getElementById("title").textContent = data.title;
  document.getElementById("subtitle").textContent = data.subtitle;
  overview();
  if (data.kind === "run") run();
  else dataset();

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const setTheme = (theme) => { document.documentElement.dataset.theme = theme; redraw(); };
  document.getElementById("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
  setTheme(dark.matches ? "dark" : "light");
  let pending;
  addEventListener("resize", () => {
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(() => charts.forEach(({ holder, plot }) => plot.setSize({ width: holder.clientWidth, height: 240 })));
  });
})();
