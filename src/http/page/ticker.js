const ticker = decodeURIComponent(location.pathname.split("/").pop()).toUpperCase();
const base = `/v1/tickers/${encodeURIComponent(ticker)}`;
const SESSIONS_SHOWN = 120;
const PAST_SHOWN = 60;
let drawn = null;
let following = null;

document.title = `${ticker} · candlecast`;
$("name").textContent = ticker;
$("picture").href = `${base}/chart.svg`;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The 80 % intervals that were served before their sessions came, and rings where the close fell outside. */
function drawPast(past) {
  if (!past.length) return [];
  const of = (entries, field) => entries.map((entry) => entry[field]);
  const missed = past.filter((entry) => entry.side !== "inside");
  const arms = { type: "data", symmetric: false, width: 0, thickness: 5, color: `rgba(${colour("--past")}, 0.3)` };
  return [{
    x: of(past, "session"), y: of(past, "close"), mode: "markers", name: "was forecast (80 %)", marker: { size: 3, color: `rgb(${colour("--past")})` },
    error_y: { ...arms, array: past.map((entry) => entry.upper - entry.close), arrayminus: past.map((entry) => entry.close - entry.lower) },
    hovertemplate: "%{y:.2f}",
  }, {
    x: of(missed, "session"), y: of(missed, "truth"), mode: "markers", name: "closed outside", hoverinfo: "skip",
    marker: { symbol: "circle-open", size: 10, line: { width: 2 }, color: `rgb(${colour("--past")})` },
  }];
}

/** Days of the calendar that hold that many bars, nights, weekends and holidays included. */
function daysOf(bars, interval) {
  const minutes = { m: 1, h: 60, d: 1440, w: 10080, mo: 43200 }[interval.replace(/\d+/, "")] * parseInt(interval, 10);
  return minutes < 1440 ? 4 + (bars * minutes) / (4 * 60) : (1.5 * bars * minutes) / 1440;
}

/** Days stand at their dates; other bars side by side, whatever time lies between them. */
function sessionAxis(names, interval, calendar) {
  if (interval === "1d") {
    return { type: "date", rangebreaks: calendar === "24/7" ? [] : [{ bounds: ["sat", "mon"] }] };
  }
  const shown = names.filter((_, idx) => (names.length - 1 - idx) % Math.ceil(names.length / 8) === 0);
  return { type: "category", categoryorder: "array", categoryarray: names, tickvals: shown, ticktext: shown.map(short) };
}

/** The last sessions as candlesticks, what was forecast of them, and from the last close a fan of intervals. */
function draw({ bars, forecast, interval, calendar, past }) {
  const of = (field) => bars.map((bar) => bar[field]);
  const traces = [{
    type: "candlestick", name: ticker, x: of("session"), open: of("open"), high: of("high"), low: of("low"), close: of("close"),
    increasing: { line: { color: colour("--up"), width: 1 } }, decreasing: { line: { color: colour("--down"), width: 1 } },
  }];
  traces.unshift(...drawPast(past.filter((entry) => entry.session >= bars[0]?.session)));
  const isDaily = interval === "1d";
  // A step whose day is unknown has no place among dates.
  const steps = forecast ? forecast.steps.filter((step) => !isDaily || step.session !== null) : [];
  const ahead = steps.map((step) => step.session ?? `+${step.step}`);
  if (steps.length) {
    const x = [forecast.as_of, ...ahead];
    const edge = (level, side) => [forecast.last_close, ...steps.map((step) => step.intervals.find((entry) => entry.level === level)[side])];
    for (const [level, alpha] of [[0.95, 0.15], [0.8, 0.25]]) {
      const line = { width: 0 };
      traces.push({ x, y: edge(level, "upper"), mode: "lines", line, hoverinfo: "skip", showlegend: false });
      traces.push({ x, y: edge(level, "lower"), mode: "lines", line, fill: "tonexty", name: percent(level), fillcolor: `rgba(${colour("--fan")}, ${alpha})` });
    }
    traces.push({ x, y: [forecast.last_close, ...steps.map((step) => step.close)], mode: "lines+markers", name: "forecast", line: { color: colour("--accent"), width: 2 }, marker: { size: 5 } });
  }
  const grid = { gridcolor: colour("--line"), zeroline: false };
  const layout = {
    margin: { l: 56, r: 16, t: 12, b: 36 }, height: 420, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("--ink"), family: "system-ui, sans-serif" }, legend: { orientation: "h", y: 1.08 }, hovermode: "x unified",
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--muted"), activecolor: colour("--accent") },
    xaxis: { ...grid, rangeslider: { visible: false }, ...sessionAxis([...of("session"), ...ahead], interval, calendar) },
    yaxis: { ...grid, tickformat: ",~r" },
  };
  return Plotly.react("chart", traces, layout, { responsive: true, displaylogo: false });
}

function showForecast(forecast, missing) {
  const rows = (forecast?.steps ?? []).map((step) => {
    const made = document.createElement("tr");
    made.append(
      element("td", short(step.session ?? `+${step.step}`)), element("td", price(step.close), "n"), element("td", interval(step, 0.8), "n range"),
      element("td", interval(step, 0.95), "n range"), element("td", percent(step.probability_up), "n"),
    );
    return made;
  });
  $("steps").tBodies[0].replaceChildren(...rows);
  $("steps").hidden = rows.length === 0;
  $("skill").textContent = describeSkill(forecast?.skill);
  const warnings = forecast?.warnings ?? [];
  $("warnings").replaceChildren(...warnings.map((warning) => {
    const entry = element("li", "");
    entry.append(...inWords(sentence(warning.message)));
    return entry;
  }));
  $("warnings").hidden = warnings.length === 0;
  const model = forecast?.model;
  const words = !forecast ? missing
    : model.baseline ? `No model yet; this is the baseline ${model.baseline}, as of ${inFull(forecast.as_of)}.`
    : `Model version ${model.version} (${model.cell}), trained through ${inFull(model.trained_through)}, as of ${inFull(forecast.as_of)}.`;
  $("model").replaceChildren(...inWords(words));
}

const exactly = (fraction) => `${(100 * fraction).toFixed(1)} %`;

/** What the forecasts before this one were worth, in a sentence. */
function describeSkill(skill) {
  if (!skill) return "";
  const origin = skill.n_live === skill.n ? "all served live"
    : skill.n_live ? `${skill.n_live} served live, the others of sessions held back in training` : "of sessions held back in training";
  const verdict = {
    beats_naive: "The point forecast beats “no change” by more than luck",
    worse_than_naive: "The point forecast is worse than “no change” by more than luck: do not use it",
    no_evidence: "There is no evidence that the point forecast beats “no change”",
  }[skill.verdict];
  const held = skill.coverage.map((entry) => `${percent(entry.level)} intervals held ${exactly(entry.observed)}`).join(", ");
  return `${verdict}; ${held} of ${skill.n} forecasts (${origin}).`;
}

/** The newest forecasts of networks that came true, one session ahead, in order of time; prices as stored now. */
async function getPast() {
  const { ledger } = await getJson(`${base}/ledger?live=true&step=1`);
  // Of several as of one session the first one served counts, as in the track record.
  const first = new Map();
  for (const entry of ledger) {
    const known = first.get(entry.as_of);
    const isModel = /^\d+$/.test(entry.model);
    if (isModel && entry.truth && (!known || entry.served_at < known.served_at)) first.set(entry.as_of, entry);
  }
  return [...first.values()].map(judge).sort((a, b) => (a.session < b.session ? -1 : 1)).slice(-PAST_SHOWN);
}

function judge({ truth, last_close, close, quantiles }) {
  const origin = truth.close / Math.exp(truth.return_log);
  const now = (served) => origin * (served / last_close);
  const [lower, upper] = [0.1, 0.9].map((level) => now(quantiles.find((entry) => entry.quantile === level).close));
  const side = truth.close < lower ? "below" : truth.close > upper ? "above" : "inside";
  return { session: truth.session, truth: truth.close, close: now(close), lower, upper, side };
}

/** A mark for each past forecast: in the middle where the interval held, above or below where it did not. */
function showPast(past) {
  const count = (side) => past.filter((entry) => entry.side === side).length;
  const inside = count("inside");
  const words = past.length ? `Of the last ${counted(past.length, "forecast")} served, ${inside} (${percent(inside / past.length)}) closed inside of their 80 % interval, `
    + `${count("above")} above it and ${count("below")} below.` : "No forecast that was served has come true yet.";
  $("past").textContent = words;
  $("strip").hidden = past.length === 0;
  $("strip").setAttribute("aria-label", words);
  $("strip").replaceChildren(...past.map((entry) => {
    const mark = element("span", "", entry.side);
    mark.title = `${entry.session}: closed at ${price(entry.truth)}, ${entry.side}${entry.side === "inside" ? " of" : ""} ${price(entry.lower)} – ${price(entry.upper)}`;
    return mark;
  }));
}

/** The champion's forecast as far as it reaches; without a champion the best baseline's. */
async function getForecast(champion) {
  if (champion === null) {
    // A ticker too young for a network is answered by what its bars suffice for; one whose training is under way by HAR.
    return getJson(`${base}/forecast?horizon=5`).catch((error) => {
      if (error.problem?.code !== "no_model_yet") throw error;
      return getJson(`${base}/forecast?horizon=5&model=har`);
    });
  }
  const { config } = await getJson(`${base}/models/${champion}`);
  return getJson(`${base}/forecast?horizon=${Math.min(config?.horizon ?? 1, 10)}&allow_stale=true`);
}

function showJob(job) {
  const isActive = job !== null && ["enqueued", "running"].includes(job.state);
  $("progress").hidden = !isActive;
  $("progress").value = job?.progress?.fraction ?? 0;
  $("cancel").hidden = !isActive;
  $("train").disabled = isActive;
  // Of a training under way the bar tells how far it is; read aloud is how it ends.
  $("job").setAttribute("aria-live", isActive ? "off" : "polite");
  const result = job?.result;
  const words = result ? `Version ${result.model_version} ${result.promoted ? "became the champion" : "was not promoted"}: ${result.reason}` : describeJob(job);
  $("job").replaceChildren(...(words ? inWords(sentence(words)) : []));
  return isActive;
}

async function followJob(job) {
  if (!showJob(job) || following === job.id) return;
  following = job.id;
  $("cancel").onclick = () => call(`/v1/jobs/${job.id}`, { method: "DELETE" }).catch(complain);
  await follow(job.id, showJob);
  following = null;
  await begin();
}

async function begin() {
  const about = await getJson(base);
  const held = about.interval === "1d" ? counted(about.bars_total, "session") : `${counted(about.bars_total, "bar")} of ${about.interval}`;
  $("content").hidden = false;
  $("facts").textContent = `${held}, ${inFull(about.first)} to ${inFull(about.last)} · ${about.calendar} · ${about.price_basis} prices`
    + (about.currency ? ` in ${about.currency}` : "");
  $("due").textContent = sentence(about.retraining.reason);
  const last = new Date(`${about.last.slice(0, 10)}T00:00:00Z`);
  const from = new Date(last.getTime() - daysOf(SESSIONS_SHOWN, about.interval) * 86400e3).toISOString().slice(0, 10);
  const [{ bars }, forecast, past] = await Promise.all([
    getJson(`${base}/bars?from=${from}`),
    getForecast(about.champion).catch((error) => { showForecast(null, error.message); return null; }),
    getPast(),
  ]);
  if (forecast) showForecast(forecast);
  showPast(past);
  drawn = { bars: bars.slice(-SESSIONS_SHOWN), forecast, past, interval: about.interval, calendar: about.calendar };
  await draw(drawn);
  await listBacktests();
  document.body.dataset.ready = "true";
  followJob(about.last_job).catch(complain);
}

async function listBacktests() {
  const { backtests } = await getJson(`${base}/backtests?limit=5`);
  $("backtests").replaceChildren(...backtests.map((backtest) => {
    const link = element("a", `${backtest.created_at.slice(0, 10)}: ${backtest.verdict.replaceAll("_", " ")}`);
    link.href = `/tickers/${encodeURIComponent(ticker)}/backtests/${backtest.id}`;
    const entry = document.createElement("li");
    entry.append(link);
    return entry;
  }));
}

// A link sends no key: where one is needed the picture is fetched with it.
$("picture").addEventListener("click", async (event) => {
  if (!sessionStorage.getItem(KEY)) return;
  event.preventDefault();
  try {
    location.href = URL.createObjectURL(await (await call($("picture").href)).blob());
  } catch (error) { complain(error); }
});
$("backtest").addEventListener("click", async () => {
  try {
    const job = await (await call(`${base}/backtests`, { method: "POST" })).json();
    location.href = `/tickers/${encodeURIComponent(ticker)}/backtests/${job.id}`;
  } catch (error) { complain(error); }
});
$("train").addEventListener("click", async () => {
  try {
    const response = await call(`${base}/models`, { method: "POST" });
    await followJob(await response.json());
  } catch (error) { complain(error); }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn && draw(drawn));
acceptFiles(async (file) => { await upload(file, ticker); await begin(); });
/** A ticker that nobody sent has nothing to draw. */
function explain(error) {
  if (error.problem?.code !== "unknown_ticker") return complain(error);
  $("content").hidden = true;
  say("");
  const home = element("a", "the list of tickers");
  home.href = "/";
  $("status").append(`There is no ticker ${ticker} here: see `, home, ", where price files can be sent too.");
}

acceptKey(begin);
begin().catch(explain);
