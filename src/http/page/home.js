let cursor = null;

function row(ticker, forecast) {
  const made = document.createElement("tr");
  const link = element("a", ticker.ticker);
  link.href = `/tickers/${encodeURIComponent(ticker.ticker)}`;
  made.appendChild(document.createElement("th")).appendChild(link);
  made.firstChild.scope = "row";
  const step = forecast?.steps[0];
  const direction = step && step.close > forecast.last_close ? "n up" : step && step.close < forecast.last_close ? "n down" : "n";
  const last = element("td", short(ticker.last ?? "–"), "wide");
  const old = forecast?.warnings.find((warning) => warning.code === "stale_bars");
  if (old) {
    last.classList.add("stale");
    last.append(" (old)");
    last.title = sentence(old.message);
  }
  made.append(
    last,
    element("td", price(ticker.last_close), "n"),
    element("td", short(step?.session ?? "–"), "n wide"),
    element("td", price(step?.close), direction),
    element("td", step ? interval(step, 0.8) : "–", "n range"),
    element("td", describeJob(ticker.last_job) || "–", ticker.last_job?.state === "failed" ? "bad" : ""),
  );
  return made;
}

async function page(from) {
  const list = await getJson(`/v1/tickers?limit=50${from ? `&cursor=${encodeURIComponent(from)}` : ""}`);
  const named = list.tickers.filter((ticker) => ticker.champion !== null).map((ticker) => ticker.ticker);
  const answer = named.length ? await getJson(`/v1/forecasts?allow_stale=true&tickers=${encodeURIComponent(named.join(","))}`) : { forecasts: [] };
  const forecasts = new Map(answer.forecasts.map((forecast) => [forecast.ticker, forecast]));
  const rows = list.tickers.map((ticker) => row(ticker, forecasts.get(ticker.ticker)));
  return { rows, next: list.next_cursor, active: list.tickers.some((ticker) => ["enqueued", "running"].includes(ticker.last_job?.state)) };
}

async function begin() {
  const { rows, next, active } = await page(null);
  cursor = next;
  $("tickers").tBodies[0].replaceChildren(...rows);
  $("tickers").hidden = rows.length === 0;
  $("more").hidden = next === null;
  if (rows.length === 0 && !$("status").textContent) say("No tickers yet: send a price history.");
  document.body.dataset.ready = "true";
  if (active) setTimeout(() => begin().catch(complain), 2000);
}

$("more").addEventListener("click", async () => {
  const { rows, next } = await page(cursor).catch((error) => { complain(error); return { rows: [], next: cursor }; });
  $("tickers").tBodies[0].append(...rows);
  cursor = next;
  $("more").hidden = next === null;
});

$("file").addEventListener("click", () => { $("file").value = ""; });
acceptFiles(async (file) => {
  const named = $("ticker").value.trim();
  const stem = file.name.replace(/\.(gz|zst)$/i, "").replace(/\.[a-z]+$/i, "");
  try {
    await upload(file, named || stem);
  } catch (error) {
    // A file of many tickers says so; then its own column names them.
    if (named || !["ticker_mismatch", "bad_ticker"].includes(error.problem?.code)) throw error;
    await upload(file, "").catch((refused) => {
      if (refused.problem?.code !== "no_ticker_column") throw refused;
      throw new Error(`"${stem}" is no ticker, and no column of the file names one: type the ticker in the field, then choose the file again.`);
    });
  }
  await begin();
});
acceptKey(begin);
begin().catch(complain);
