"use strict";
// Filters, keyboard and details. Text of the report reaches the page through textContent alone.
(() => {
  const id = (name) => document.getElementById(name);
  const grid = id("grid");
  const rows = Array.from(grid.querySelectorAll("tr.row"));
  const links = Array.from(grid.querySelectorAll("a[data-n]"));

  // --- details: unpacked when the first of them is asked for
  let unpacking = null;
  const evidence = () => {
    if (!unpacking) {
      const packed = atob(id("evidence").textContent.trim());
      const bytes = new Uint8Array(packed.length);
      for (let i = 0; i < packed.length; i += 1) bytes[i] = packed.charCodeAt(i);
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      unpacking = new Response(stream).text().then(JSON.parse);
    }
    return unpacking;
  };

  const make = (tag, kind, ...children) => {
    const element = document.createElement(tag);
    if (kind) element.className = kind;
    for (const child of children) if (child !== null && child !== "") element.append(child);
    return element;
  };
  const heading = (text) => make("h3", "", text);
  const mark = ([symbol, word, tone]) => {
    const sign = make("i", "", symbol);
    sign.setAttribute("aria-hidden", "true");
    return make("b", `mark ${tone}`, sign, ` ${word}`);
  };
  const reading = (kind, text) => {
    const pre = make("pre", kind, text);
    pre.tabIndex = 0;
    return pre;
  };
  const cell = (tag, content) => {
    const element = make(tag, "", content);
    if (tag === "th") element.scope = "row";
    return element;
  };
  const column = (text) => {
    const element = make("th", "", text);
    element.scope = "col";
    return element;
  };

  const sampled = (sample, number) => {
    const told = `, ${sample.size} times from ${sample.client}${sample.test ? `; ${sample.test}` : ""}`;
    const body = make("tbody", "");
    for (const [who, got, wanted, within] of sample.answers) {
      const line = make("tr", "", cell("th", who), cell("td", got));
      if (sample.judged) {
        const verdict = within === "within" ? ["✓", within, "good"] : ["✗", within, "bad"];
        line.append(cell("td", wanted), cell("td", within ? mark(verdict) : ""));
      }
      body.append(line);
    }
    for (const [kind, count] of sample.failures) {
      const line = make("tr", "", cell("th", `no answer: ${kind}`), cell("td", String(count)));
      if (sample.judged) line.append(cell("td", ""), cell("td", ""));
      body.append(line);
    }
    if (!body.children.length) body.append(make("tr", "", cell("th", "nobody"), cell("td", "0")));
    const names = ["answered by", "count", ...(sample.judged ? ["expected", "is"] : [])];
    const table = make("table", "sample",
      make("thead", "", make("tr", "", ...names.map(column))), body);
    const wide = make("div", "wide", table);
    wide.tabIndex = 0;
    wide.setAttribute("role", "group");
    wide.setAttribute("aria-label", `Sample ${number}`);
    return [make("p", "request", make("code", "", sample.request), told), wide];
  };

  const known = ([reason, link, since]) => {
    const line = make("p", "", `Known: ${reason} `);
    if (/^https?:\/\/\S+$/.test(link)) {
      const anchor = make("a", "", link);
      anchor.href = link;
      anchor.rel = "noreferrer";
      line.append(anchor);
    } else {
      line.append(link);
    }
    if (since) line.append(`, since ${since}`);
    return line;
  };

  const told = (one, all) => {
    const [title, statement, spec, level, meaning] = all.about[one.requirement] || ["", "", "", "", ""];
    const parts = [
      make("p", "", mark(one.outcome), one.judged ? "" : " not judged", ` in ${one.duration}`),
      title || statement ? make("p", "statement", statement || title) : null,
      make("p", "soft", [one.api, spec, level ? `level ${level}: ${meaning}` : ""].filter(Boolean).join("; ")),
      one.message ? reading("message", one.message) : null,
      one.known.length ? known(one.known) : null,
    ];
    if (one.observed) parts.push(heading("What was seen"), make("p", "", one.observed));
    if (one.samples.length) {
      parts.push(heading("What was sent, and who answered"), ...one.samples.flatMap((sample, i) => sampled(sample, i + 1)));
    }
    if (one.converged.length) {
      const items = one.converged.map(([what, seconds, probes]) =>
        make("li", "", `${what}: ${seconds}, looked ${probes} times`));
      parts.push(heading("Time to take effect"), make("ul", "", ...items));
    }
    if (one.applied.length) {
      parts.push(heading("What was applied"));
      for (const place of one.applied) {
        const [name, yaml] = all.objects[place];
        parts.push(make("details", "", make("summary", "", name), reading("", yaml)));
      }
    }
    if (one.reproduce) parts.push(heading("Repeat it"), reading("command", one.reproduce));
    return parts.filter((part) => part !== null);
  };

  const dialog = id("dialog");
  const place = (hash) => history.replaceState(null, "", hash || location.pathname + location.search);
  const address = (key) => `#${key.split("/").map(encodeURIComponent).join("/")}`;
  const open = async (number) => {
    try {
      const all = await evidence();
      const one = all.results[number];
      id("dialog-title").textContent = `${one.requirement} on ${one.mesh}`;
      id("dialog-body").replaceChildren(...told(one, all));
      place(address(one.key));
    } catch (error) {
      id("dialog-title").textContent = "The details cannot be read";
      id("dialog-body").replaceChildren(make("p", "", `${error}: use a current browser, or read report.jsonl.`));
    }
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    id("dialog-title").focus();
  };
  id("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => place(""));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });

  // --- the grid: one stop for Tab, arrow keys within
  const stops = (row) => [row.querySelector("summary"), ...row.querySelectorAll("a[data-n]")].filter(Boolean);
  const visible = () => rows.filter((row) => !row.hidden && !row.parentElement.hidden);
  let current = null;
  const rove = (stop) => {
    if (current) current.tabIndex = -1;
    current = stop || null;
    if (current) current.tabIndex = 0;
  };
  grid.setAttribute("role", "grid");
  for (const row of rows) {
    const summary = row.querySelector("summary");
    if (summary) summary.tabIndex = -1;
  }
  for (const link of links) {
    link.setAttribute("role", "button");
    link.setAttribute("aria-haspopup", "dialog");
    link.tabIndex = -1;
  }
  rove(links[0]);

  grid.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-n]");
    if (!link) return;
    event.preventDefault();
    rove(link);
    open(Number(link.dataset.n));
  });
  grid.addEventListener("focusin", (event) => {
    const stop = event.target.closest("a[data-n], summary");
    if (stop) rove(stop);
  });
  const sideways = { ArrowLeft: -1, ArrowRight: 1 };
  const upright = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10 };
  grid.addEventListener("keydown", (event) => {
    const stop = event.target.closest("a[data-n], summary");
    const row = stop && stop.closest("tr.row");
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    const within = stops(row);
    let next = null;
    if (stop.matches("a") && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      open(Number(stop.dataset.n));
      return;
    }
    if (event.key in sideways) next = within[within.indexOf(stop) + sideways[event.key]];
    else if (event.key === "Home") next = within[0];
    else if (event.key === "End") next = within[within.length - 1];
    else if (event.key in upright) {
      const all = visible();
      const there = Math.max(0, Math.min(all.length - 1, all.indexOf(row) + upright[event.key]));
      const others = stops(all[there]);
      next = others[Math.min(within.indexOf(stop), others.length - 1)];
    } else return;
    event.preventDefault();
    if (next) next.focus();
  });

  // --- filters
  const form = id("filters");
  const words = new Map();
  const text = (row) => {
    if (!words.has(row)) words.set(row, row.textContent.toLowerCase());
    return words.get(row);
  };
  const filter = () => {
    const wanted = id("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const level = id("level").value;
    const api = id("api").value;
    const failing = id("failing").checked;
    const differing = id("differing").checked;
    for (const row of rows) {
      row.hidden = (level && row.dataset.level !== level) || (api && row.parentElement.dataset.api !== api)
        || (failing && !("failing" in row.dataset)) || (differing && !("differing" in row.dataset))
        || !wanted.every((word) => text(row).includes(word));
    }
    for (const body of grid.tBodies) body.hidden = !body.querySelector("tr.row:not([hidden])");
    const left = visible();
    id("shown").textContent = `${left.length} of ${rows.length} requirements`;
    if (!current || !left.includes(current.closest("tr.row"))) {
      rove(left.length ? stops(left[0]).find((stop) => stop.matches("a")) || stops(left[0])[0] : null);
    }
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  document.querySelector(".help").hidden = false;
  filter();

  // --- an address that leads to a result opens it
  const arrive = async () => {
    let key = "";
    try {
      key = decodeURIComponent(location.hash.slice(1));
    } catch {
      return;
    }
    if (!key.includes("/")) return;
    const all = await evidence();
    const number = all.results.findIndex((one) => one.key === key);
    if (number >= 0) open(number);
  };
  window.addEventListener("hashchange", arrive);
  arrive();
  performance.mark("report-interactive");
})();
