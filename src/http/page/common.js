// What both pages share: calling the API, showing what went wrong, sending files, following jobs.
const $ = (id) => document.getElementById(id);
const KEY = "candlecast-key";

/** Calls the API; throws an Error with the problem's own words. */
async function call(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, ...(key ? { authorization: `Bearer ${key}` } : {}) };
  const response = await fetch(path, { ...options, headers });
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({ detail: `The server answered ${response.status}.` }));
  if (response.status === 401 && $("key").hidden) {
    $("key").hidden = false;
    $("key").elements.key.focus();
  }
  throw Object.assign(new Error(problem.detail), { problem });
}

const getJson = async (path) => (await call(path)).json();

function say(text, isBad = false) {
  $("status").replaceChildren(...inWords(text));
  $("status").className = isBad ? "bad" : "";
}

const complain = (error) => say(error.message, true);

/** Messages set what is typed or sent between backticks. */
const inWords = (text) => text.split("`").map((part, idx) => (idx % 2 ? element("code", part) : part));

/** A message as a sentence. */
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

/** "1 session", "2 sessions". */
const counted = (count, one) => `${count.toLocaleString("en")} ${one}${count === 1 ? "" : "s"}`;

function element(tag, text, className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** Prices as exchanges quote them: cents where they matter, none of five digits that nobody can know. */
const price = (value) => {
  if (value === null || value === undefined) return "–";
  const decimals = Math.abs(value) >= 10000 ? 0 : Math.abs(value) >= 10 ? 2 : 4;
  return value.toLocaleString("en", { minimumFractionDigits: Math.min(decimals, 2), maximumFractionDigits: decimals });
};
/** A session as people read it: a date, or day and time (UTC) of a bar within a day. */
const short = (session) => session.replace(/^\d{4}-(\d{2}-\d{2})T(\d{2}:\d{2}):00Z$/, "$1 $2");
const inFull = (session) => session.replace(/T(\d{2}:\d{2}):\d{2}Z$/, " $1 UTC");
const percent = (fraction) => `${(100 * fraction).toFixed(0)} %`;
const interval = (step, level) => {
  const found = step.intervals.find((entry) => entry.level === level);
  return found ? `${price(found.lower)}\u00a0– ${price(found.upper)}` : "–";
};

function describeJob(job) {
  if (!job) return "";
  if (job.state === "running" && job.progress) {
    const { fraction = 0, epoch, epochs, eta_ms } = job.progress;
    const left = eta_ms ? `, ${Math.ceil(eta_ms / 1000)} s left` : "";
    return `training ${percent(fraction)}${epochs ? ` (epoch ${epoch} of ${epochs}${left})` : ""}`;
  }
  if (job.state === "enqueued" && job.queue) return `waiting: ${job.queue.reason}`;
  if (job.state === "failed") return `failed: ${job.error?.message ?? "see the log"}`;
  return job.state;
}

/** Follows a job by its events; `show` gets it with each change. Ends when the job does. */
async function follow(id, show) {
  const response = await call(`/v1/jobs/${id}/events`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const data = event.split("\n").find((line) => line.startsWith("data: "));
      if (data) show(JSON.parse(data.slice(6)));
    }
  }
}

/** What was said of how files are read, as a query. */
function readingOptions() {
  const fields = [...$("options").querySelectorAll("input")];
  const said = fields.filter((field) => (field.type === "checkbox" ? field.checked : field.value.trim()));
  return said.length ? `?${new URLSearchParams(said.map((field) => [field.name, field.value.trim()]))}` : "";
}

/** Sends a file as the bars of `ticker`, or of many where it is empty. */
async function upload(file, ticker) {
  const name = file.name.toLowerCase();
  const stem = name.replace(/\.(gz|zst)$/, "");
  const type = stem.endsWith(".json") ? "application/json"
    : /\.(parquet|pq)$/.test(stem) ? "application/vnd.apache.parquet" : "text/csv";
  const encoding = name.endsWith(".gz") ? { "content-encoding": "gzip" }
    : name.endsWith(".zst") ? { "content-encoding": "zstd" } : {};
  const path = (ticker ? `/v1/tickers/${encodeURIComponent(ticker)}/bars` : "/v1/bars") + readingOptions();
  say(`Sending ${file.name} …`);
  const response = await call(path, { method: "POST", body: file, headers: { "content-type": type, ...encoding } });
  const report = await response.json();
  const first = report.refusals[0];
  say(`${file.name}: ${report.inserted} new, ${report.updated} changed, ${report.unchanged} known, ${report.refused} refused`
    + (first ? ` (line ${first.line}: ${first.message})` : "") + "."
    + report.warnings.map((warning) => ` ${sentence(warning.message)}`).join(""));
  return report;
}

/** A drop zone that is a file field too, so that a keyboard reaches it. */
function acceptFiles(send) {
  const drop = $("drop");
  const take = (files) => { if (files.length) send(files[0]).catch(complain); };
  $("file").addEventListener("change", (event) => { take(event.target.files); });
  for (const kind of ["dragover", "dragenter"]) {
    drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    take(event.dataTransfer.files);
  });
}

/** Asks for a key where the server wants one, then begins again. */
function acceptKey(begin) {
  $("key").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, new FormData(event.target).get("key"));
    $("key").hidden = true;
    begin().catch(complain);
  });
}
