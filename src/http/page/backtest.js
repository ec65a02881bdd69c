const [, , name, , id] = location.pathname.split("/");
const ticker = decodeURIComponent(name).toUpperCase();
const path = `/v1/tickers/${encodeURIComponent(ticker)}/backtests/${id}`;

document.title = `${ticker}, backtest · candlecast`;
$("name").textContent = ticker;
$("name").href = `/tickers/${encodeURIComponent(ticker)}`;
$("csv").href = `${path}?format=csv`;

const VERDICTS = {
  beats_naive: "The point forecast beats “no change” by more than luck, in two thirds of the folds.",
  no_evidence: "No evidence that the point forecast is better or worse than “no change”: the ordinary answer for prices.",
  worse_than_naive: "The point forecast is worse than “no change” by more than luck: do not use it.",
};
const number = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const covered = (scores, level) => {
  const found = scores.intervals.find((entry) => entry.level === level);
  return found ? `${(100 * found.observed).toFixed(1)} %` : "–";
};

function row(head, cells) {
  const made = document.createElement("tr");
  const first = element("th", head);
  first.scope = "row";
  made.append(first, ...cells.map((cell) => element("td", cell, "n")));
  return made;
}

const scoresOf = (model) => model.error ? [row(`${model.model}: ${model.error}`, [])] : model.steps.map(({ step, pooled, pinball_ratio_to }) =>
  row(model.model, [
    String(step), String(pooled.n), number(pooled.pinball * 1e4, 2), number(pinball_ratio_to.har, 4), covered(pooled, 0.8),
    covered(pooled, 0.95), number(pooled.rmse_ratio_to_naive, 4), number(pooled.diebold_mariano?.p_value, 3),
  ]));

function show(report) {
  const { settings, folds, models } = report;
  $("facts").textContent = `${counted(report.n_bars, "session")}, ${counted(folds.length, "fold")}, ${counted(settings.horizon, "session")} ahead, `
    + `${settings.refit ? `fitted anew for each (${settings.window})` : "fitted once"}, done ${report.created_at.slice(0, 10)}`;
  $("verdict").textContent = VERDICTS[report.verdict] ?? report.verdict;
  const leaks = report.audit.filter((audit) => !audit.identical).map((audit) => audit.model);
  $("audit").textContent = leaks.length ? `The future leaks into ${leaks.join(", ")}: believe none of these numbers.`
    : "Nonsense put after a day changed no forecast made on it, in any model.";
  $("audit").className = leaks.length ? "bad" : "";
  $("lag").textContent = report.lag?.is_last_price
    ? "As a price the point forecast is nearest to the last price known, as any honest one is: read the intervals." : "";
  $("shuffled").textContent = report.shuffled && !report.shuffled.vanished
    ? "On the same bars in random order it seems to know something too: its skill here may be chance." : "";
  $("scores").tBodies[0].replaceChildren(...models.flatMap(scoresOf));
  const last = models[0].steps.at(-1);
  $("folds").tBodies[0].replaceChildren(...folds.map((fold, idx) => {
    const made = row(`${fold.known_from} – ${fold.known_to}`, [
      String(fold.n), covered(last.folds[idx], 0.8), covered(last.folds[idx], 0.95), number(last.folds[idx].rmse_ratio_to_naive, 4),
    ]);
    made.firstChild.after(element("td", `${fold.first_cutoff} – ${fold.last_cutoff}`));
    return made;
  }));
  $("report").hidden = false;
}

async function begin() {
  try {
    show(await getJson(path));
    $("progress").hidden = true;
    say("");
  } catch (error) {
    const job = error.problem?.job;
    if (!["enqueued", "running"].includes(job?.state)) throw error;
    say(job.state === "running" ? "Running …" : "Waiting for a worker …");
    $("progress").hidden = false;
    await follow(id, (now) => { $("progress").value = now.progress?.fraction ?? 0; });
    return begin();
  }
  document.body.dataset.ready = "true";
}

acceptKey(begin);
begin().catch(complain);
