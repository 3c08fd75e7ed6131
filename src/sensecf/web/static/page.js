// Everything here makes a page quicker; every form works without it, but for the sliders.
"use strict";
(() => {
  const find = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const csrf = find("meta[name=csrf]").content;
  document.documentElement.classList.add("js");

  // The server escapes every cell, and the policy of the page lets no script in: its parts are put in as they come.
  const put = (target, html) => { target.innerHTML = html; };

  // On a narrow screen what can wait is folded.
  const narrow = matchMedia("(max-width: 52rem)").matches;
  const fold = (root) => { if (narrow) for (const details of all("details.fold", root)) details.open = false; };
  fold(document);

  // FormData leaves out the button that was pressed.
  function fields(form, button) {
    const data = new FormData(form);
    if (button && button.name) data.set(button.name, button.value);
    return new URLSearchParams(data);
  }

  async function problemOf(response) {
    try { return (await response.json()).problem; } catch { return "The page could not be reached. Try again."; }
  }

  // A request that tells how far it is, line by line.
  async function stream(form, button, onEvent) {
    let response;
    try {
      response = await fetch(button && button.formAction !== location.href && button.hasAttribute("formaction") ? button.formAction : form.action,
        { method: "POST", body: fields(form, button), headers: { accept: "application/x-ndjson", "x-csrf": csrf } });
    } catch { return onEvent({ problem: "The page could not be reached. Is it still running?" }); }
    if (!response.ok) return onEvent({ problem: await problemOf(response) });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      const lines = rest.split("\n");
      rest = lines.pop();
      lines.filter(Boolean).forEach((line) => onEvent(JSON.parse(line)));
    }
  }

  function showProgress(place, event) {
    const bar = find("progress", place), words = find(".words", place);
    const busy = "words" in event;
    bar.hidden = !busy;
    if (busy) { bar.value = event.share; words.textContent = event.words + " …"; } else words.textContent = "";
  }

  function showProblem(place, text) {
    place.hidden = !text;
    place.textContent = text || "";
  }

  // --- the start ---------------------------------------------------------------------------
  const starting = find("[data-starting]");
  if (starting && find(".phases", starting)) {
    const look = async () => {
      try {
        const found = await (await fetch("/start")).json();
        if (found.ready || found.problem) return location.reload();
        for (const { phase, share } of found.phases) {
          const item = find(`[data-phase=${phase}]`, starting);
          if (!item) continue;
          find("progress", item).value = share;
          item.className = share >= 1 ? "done" : share > 0 ? "now" : "";
        }
      } catch { /* the next look will tell */ }
      setTimeout(look, 400);
    };
    look();
  }

  // --- the list of people ------------------------------------------------------------------
  const people = find("#people");
  if (people) {
    let latest = 0, timer = 0;
    const refresh = async (button) => {
      const mine = ++latest, form = find("#people-form"), held = document.activeElement;
      const response = await fetch("/", { method: "POST", body: fields(form, button), headers: { "x-csrf": csrf, "x-part": "people" } });
      const text = await response.text();
      if (mine !== latest || !response.ok) return;
      const at = held && held.id === "search" ? held.selectionStart : null, typed = find("#search").value;
      const again = held && held.name && held.value ? `[name="${held.name}"][value="${CSS.escape(held.value)}"]` : null;
      put(people, text);
      // What was typed while the list was on its way stays.
      const search = find("#search");
      search.value = typed;
      if (at !== null) { search.focus(); search.setSelectionRange(at, at); }
      else if (again) find(again, people)?.focus();
    };
    people.addEventListener("input", (event) => {
      clearTimeout(timer);
      timer = setTimeout(refresh, event.target.id === "search" ? 150 : 0);
    });
    // Enter in the search opens whom it finds, and a list that is still on its way must not take the form away meanwhile;
    // every other button shows the list anew.
    people.addEventListener("submit", (event) => { if (event.submitter && event.submitter.name === "find") { clearTimeout(timer); latest++; return; } event.preventDefault(); refresh(event.submitter); });
    document.addEventListener("keydown", (event) => {
      const typing = event.target.matches("input:not([type=radio]), textarea, select");
      if (event.key === "/" && !typing) { event.preventDefault(); find("#search").focus(); return; }
      if (typing && !(event.target.id === "search" && event.key === "ArrowDown")) return;
      const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
      if (!step || event.target.matches("[type=radio]") || event.ctrlKey || event.metaKey || event.altKey) return;
      const links = all("tbody a", people), now = links.indexOf(document.activeElement);
      const next = links[now < 0 ? (step > 0 ? 0 : links.length - 1) : now + step];
      if (next) { event.preventDefault(); next.focus(); }
    });
  } else {
    document.addEventListener("keydown", (event) => {
      if (event.target.matches("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
      find(`a[data-key="${CSS.escape(event.key)}"]`)?.click();
    });
  }

  // --- who looks at the page ----------------------------------------------------------------
  const you = find(".you");
  if (you) {
    find("select", you).addEventListener("change", () => { find("[name=back]", you).value = location.pathname + location.search; you.submit(); });
    find("input[name=name]", you).addEventListener("change", () => fetch(you.action, { method: "POST", body: fields(you), headers: { "x-csrf": csrf }, redirect: "manual" }));
  }

  // --- limits, asking and ranking -----------------------------------------------------------
  const ask = find("#ask");
  if (ask) {
    const part = find("#plans-part"), problem = find("#ask-problem"), progress = find("#ask-progress"), keptLine = find("#limits-kept");
    let busy = false, timer = 0;
    // What is kept of the limits, and which cards were made for others.
    const told = (said) => {
      if (said.time) keptLine.textContent = `Kept: ${said.who}, ${said.time} UTC.`;
      if (said.mark) ask.dataset.mark = said.mark;
      for (const card of all(".card[data-mark]", part)) {
        const stale = card.dataset.mark !== ask.dataset.mark;
        card.classList.toggle("stale", stale);
        find(".outdated", card).hidden = !stale;
      }
    };
    const keep = async (last) => {
      clearTimeout(timer);
      timer = 0;
      try {
        const response = await fetch(ask.dataset.limits, { method: "POST", body: fields(ask), headers: { "x-csrf": csrf, accept: "application/json" }, keepalive: Boolean(last) });
        if (last) return;
        if (response.ok) { showProblem(problem, ""); told(await response.json()); } else showProblem(problem, await problemOf(response));
      } catch { showProblem(problem, "The limits could not be kept. Is the page still running?"); }
    };
    ask.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (busy) return;
      busy = true;
      part.setAttribute("aria-busy", "true");
      clearTimeout(timer);
      timer = 0;
      showProblem(problem, "");
      const lifted = event.submitter && event.submitter.name === "lift" ? event.submitter.value : "";
      await stream(ask, event.submitter, (said) => {
        showProgress(progress, said);
        if (said.problem) showProblem(problem, said.problem);
        if (said.html) { put(part, said.html); fold(part); if (narrow) find("#plans").scrollIntoView(); lifted.split(" ").filter(Boolean).forEach(lift); }
        told(said);
      });
      busy = false;
      part.setAttribute("aria-busy", "false");
    });
    // What was lifted on the server is lifted in the controls too.
    const lift = (control) => {
      const [kind, column] = control.split("-");
      if (kind === "lock") { const box = find(`[name="lock-${column}"]`); box.checked = false; mark(box); }
      if (kind === "limits") {
        for (const name of ["low", "high"]) { const field = find(`[name="${name}-${column}"]`); if (field) field.value = ""; }
        const way = find(`[name="direction-${column}"]`);
        if (way) way.value = "any";
        if (spanOf(column)) follow(spanOf(column));
      }
      if (kind === "budget") find("#budget").value = "";
      if (kind === "margin") find("#margin").value = "0.0";
      find("#plans-title").scrollIntoView({ block: "nearest" });
    };
    const mark = (box) => box.closest(".lever").classList.toggle("kept", box.checked);
    let latest = 0;
    ask.addEventListener("change", async (event) => {
      const name = event.target.name || "";
      if (name.startsWith("lock-")) mark(event.target);
      if (/^(lock|low|high|direction|effort)-|^(budget|margin)$/.test(name)) { clearTimeout(timer); timer = setTimeout(keep, 500); }
      const held = find("[data-pool]", part);
      if (!held || !held.dataset.pool || !/^(order|count|effort-\d+)$/.test(name)) return;
      const mine = ++latest;
      const response = await fetch(`/pool/${held.dataset.pool}/rank`, { method: "POST", body: fields(ask), headers: { "x-csrf": csrf, "x-part": "plans" } });
      if (mine !== latest) return;
      if (response.ok) { put(part, await response.text()); fold(part); } else showProblem(problem, await problemOf(response));
    });
    addEventListener("pagehide", () => { if (timer) keep(true); });
    // Two sliders for the least and the most; at the ends of the way there is no limit.
    const spanOf = (column) => find(`.lever[data-column="${column}"] .span`, ask);
    const drawn = (span) => {
      const [from, to] = all("input", span), column = span.closest(".lever").dataset.column;
      const [low, high] = ["low", "high"].map((name) => find(`[name="${name}-${column}"]`, ask).value.trim());
      const spell = (text) => { const value = Number(text.replace(/,/g, "")); return Number.isFinite(value) ? value.toLocaleString("en-US", { maximumFractionDigits: 6 }) : text; };
      const unit = span.dataset.unit ? ` ${span.dataset.unit}` : "", rail = find(".rail", span);
      from.setAttribute("aria-valuetext", low ? `${spell(low)}${unit}` : "no limit");
      to.setAttribute("aria-valuetext", high ? `${spell(high)}${unit}` : "no limit");
      const way = Number(from.max) - Number(from.min) || 1;
      rail.style.left = `${(100 * (Number(from.value) - Number(from.min))) / way}%`;
      rail.style.right = `${(100 * (Number(from.max) - Number(to.value))) / way}%`;
      find("[data-ends]", span.parentElement).textContent = [low && `at least ${spell(low)}`, high && `at most ${spell(high)}`].filter(Boolean).join(", ") + (low || high ? unit : "");
    };
    const follow = (span) => {  // the sliders after the figures
      const [from, to] = all("input", span), column = span.closest(".lever").dataset.column;
      const at = (name, end) => { const text = find(`[name="${name}-${column}"]`, ask).value.trim().replace(/,/g, ""); return text && Number.isFinite(Number(text)) ? text : end; };
      from.value = at("low", from.min);
      to.value = at("high", to.max);
      drawn(span);
    };
    for (const span of all(".span", ask)) {
      const [from, to] = all("input", span), column = span.closest(".lever").dataset.column;
      span.addEventListener("input", (event) => {
        if (Number(from.value) > Number(to.value)) { if (event.target === from) to.value = from.value; else from.value = to.value; }
        find(`[name="low-${column}"]`, ask).value = from.value === from.min ? "" : from.value;
        find(`[name="high-${column}"]`, ask).value = to.value === to.max ? "" : to.value;
        drawn(span);
      });
      span.addEventListener("change", () => { clearTimeout(timer); timer = setTimeout(keep, 500); });
      drawn(span);
    }
    ask.addEventListener("input", (event) => {
      const [, column] = /^(?:low|high)-(\d+)$/.exec(event.target.name || "") || [];
      if (column !== undefined && spanOf(column)) follow(spanOf(column));
    });
    // A value that was tried becomes a limit.
    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-bound]");
      if (!button) return;
      const box = button.closest(".slider"), column = box.dataset.column, field = find(`[name="${button.dataset.bound}-${column}"]`, ask);
      if (!field) return;
      field.value = find("input", box).value;
      if (spanOf(column)) follow(spanOf(column));
      find("#try-limit").textContent = `Kept as a limit: ${find("label", box).textContent} ${button.dataset.bound === "low" ? "at least" : "at most"} ${find("output", box).textContent}.`;
      keep();
    });
    // Find a feature among many.
    const search = find("#lever-search"), more = find(".more-levers");
    search?.addEventListener("input", () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      if (words.length && more) more.open = true;
      for (const lever of all(".lever", ask)) lever.hidden = words.some((word) => !lever.dataset.words.includes(word));
    });
    search?.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  }

  // --- other work that takes a while -------------------------------------------------------
  for (const form of all("form[data-stream]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = event.submitter, problem = find(".problem", form);
      button.disabled = true;
      showProblem(problem, "");
      await stream(form, button, (said) => {
        showProgress(find(".progress", form), said);
        if (said.problem) { showProblem(problem, said.problem); button.disabled = false; }
        if (said.html) { put(find(`#${form.dataset.into}`), said.html); form.hidden = true; } else if (said.address) location.assign(said.address);
      });
    });
  }

  // --- what if -----------------------------------------------------------------------------
  const form = find("#try-form");
  if (form) {
    const sliders = new Map(all(".slider", form).map((box) => [box.dataset.column, box]));
    const moved = new Map();
    const control = (box) => find("input, select", box);
    const written = (box, value) => {
      const input = control(box);
      if (input.tagName === "SELECT") return input.selectedOptions[0].textContent;
      return Number(value).toLocaleString("en-US", { minimumFractionDigits: +box.dataset.decimals, maximumFractionDigits: +box.dataset.decimals });
    };
    const show = (box, value) => { control(box).value = value; find("output", box).textContent = written(box, value); };
    const values = () => new URLSearchParams([["row", find("[name=row]", form).value], ...[...moved].map(([column, value]) => [`value-${column}`, value])]);
    let running = false, again = false;
    const judge = async () => {
      if (running) { again = true; return; }
      running = true;
      const body = values();
      try {
        const response = await fetch(form.action, { method: "POST", body, headers: { "x-csrf": csrf, accept: "application/json" } });
        const said = await response.json();
        if (response.ok) tell(said); else find("#try-words").textContent = said.problem;
      } catch { find("#try-words").textContent = "The page could not be reached. Is it still running?"; }
      running = false;
      if (again) { again = false; judge(); }
    };
    const tell = (said) => {
      const chip = find("#try-chip"), fill = find(".gauge .fill", form);
      chip.textContent = said.shown_text;
      chip.classList.toggle("there", said.reached);
      fill.setAttribute("width", (100 * said.shown).toFixed(1));
      find("#try-keep").disabled = !said.changed.length || said.broken.length > 0;
      fill.classList.toggle("there", said.reached);
      const rules = find("#try-rules");
      rules.replaceChildren(...[...said.broken, ...said.against].map((text) => Object.assign(document.createElement("li"), { textContent: text })));
      const words = !said.changed.length ? "Nothing changed yet." : said.broken.length ? "This cannot be: a rule is broken." : said.tie ? "A tie: the classifier cannot decide."
        : said.reached ? "The classifier’s answer changes, and every rule is kept." : "Every rule is kept; the answer stays.";
      find("#try-words").textContent = words + (said.changed.length && !said.like ? " Few real people in that class look like this." : "");
      const changed = new Map(said.changed.map((entry) => [String(entry.column), entry]));
      for (const [column, box] of sliders) {
        const entry = changed.get(column);
        if (!moved.has(column)) show(box, entry ? entry.value : box.dataset.value);
        box.classList.toggle("moved", Boolean(entry));
        box.classList.toggle("follows", Boolean(entry && entry.follows));
      }
    };
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", (event) => {
      const box = event.target.closest(".slider");
      moved.set(box.dataset.column, event.target.value);
      find("output", box).textContent = written(box, event.target.value);
      judge();
    });
    const reset = () => { moved.clear(); for (const box of sliders.values()) show(box, box.dataset.value); };
    find("#try-reset").addEventListener("click", () => { reset(); judge(); });
    // Kept as a plan of one's own: it stands among the others from then on.
    find("#try-keep").addEventListener("click", async () => {
      try {
        const response = await fetch(form.dataset.own, { method: "POST", body: values(), headers: { "x-csrf": csrf, accept: "application/json" } });
        if (!response.ok) { find("#try-words").textContent = await problemOf(response); return; }
        location.assign((await response.json()).address);
      } catch { find("#try-words").textContent = "The page could not be reached. Is it still running?"; }
    });
    document.addEventListener("click", (event) => {
      const button = event.target.closest(".try-plan");
      if (!button) return;
      reset();
      // A plan for several days is tried on the day that stands for it.
      find("[name=row]", form).value = button.dataset.row;
      for (const pair of button.dataset.values.split(" ")) {
        const [column, value] = pair.split(":");
        const box = sliders.get(column);
        if (!box) continue;
        const input = control(box);
        if (input.type === "range") { input.min = Math.min(input.min, value); input.max = Math.max(input.max, value); }
        moved.set(column, value);
        show(box, value);
      }
      judge();
      find("#try details").open = true;
      find("#try").scrollIntoView({ behavior: "smooth" });
    });
  }

  // --- the plan ----------------------------------------------------------------------------
  find("#print")?.addEventListener("click", () => print());
})();
