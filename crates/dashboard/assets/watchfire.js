// Watchfire's pages are whole without this script. It keeps live parts true, copies texts, counts
// down, signs in with a link's fragment, and moves with the keyboard.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Times: said as the server says them (crates/dashboard/src/ui/time.rs).
  const rough = (s) => s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min`
    : s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
  const long = (s) => {
    const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
    const at = units.findIndex(([size]) => s >= size);
    if (at < 0) return "0 s";
    const [size, unit] = units[at];
    const next = units[at + 1];
    const rest = next ? Math.floor((s % size) / next[0]) : 0;
    return `${Math.floor(s / size)} ${unit}` + (rest ? ` ${rest} ${next[1]}` : "");
  };
  const say = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  const tick = () => {
    for (const time of all("time[data-relative]")) {
      const s = Math.round((Date.now() - Date.parse(time.dateTime)) / 1000);
      say(time, s < 0 ? `in ${rough(-s)}` : s < 5 ? "just now" : `${rough(s)} ago`);
    }
    for (const time of all("time[data-countdown]")) {
      const s = Math.ceil((Date.parse(time.dateTime) - Date.now()) / 1000);
      say(time, s <= 0 ? "now" : `in ${long(s)}`);
    }
  };

  // Buttons that only work with a script are hidden until now.
  const prepare = (root) => { for (const b of all("[data-copy][hidden]", root)) b.hidden = false; };

  // Copying; the button says that it worked.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    event.preventDefault();
    const label = button.getAttribute("aria-label");
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      const area = document.createElement("textarea");
      area.value = button.dataset.copy;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.classList.add("did");
    button.setAttribute("aria-label", "Copied");
    setTimeout(() => { button.classList.remove("did"); button.setAttribute("aria-label", label); }, 1500);
  });

  // Rows: the whole of one opens it; j and k or the arrows move, x ticks, Enter opens, / searches.
  document.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-href]");
    if (!row || event.target.closest("a, button, input, label, select")) return;
    if (String(getSelection())) return;
    if (event.metaKey || event.ctrlKey) open(row.dataset.href, "_blank", "noopener");
    else location.assign(row.dataset.href);
  });
  const move = (step) => {
    const rows = all("table[data-rows] tbody tr");
    if (!rows.length) return;
    const here = rows.findIndex((row) => "here" in row.dataset);
    const next = rows[Math.min(rows.length - 1, Math.max(0, here + step))];
    for (const row of rows) delete row.dataset.here;
    next.dataset.here = "";
    next.scrollIntoView({ block: "nearest" });
    next.querySelector("a.row-link")?.focus({ preventScroll: true });
  };
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable], [popover]")) return;
    const arrows = event.target.closest("table[data-rows]");
    if (event.key === "j" || (arrows && event.key === "ArrowDown")) move(1);
    else if (event.key === "k" || (arrows && event.key === "ArrowUp")) move(-1);
    else if (event.key === "x") document.querySelector("tr[data-here] .pick input")?.click();
    else if (event.key === "/") document.querySelector("[data-search]")?.focus();
    else return;
    event.preventDefault();
  });

  // Filters apply as soon as one is chosen; without a script there is a button.
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-apply]");
    if (form && event.target.matches("select")) form.requestSubmit();
  });

  // Lists of boxes: a search within them, and one box for a whole group.
  document.addEventListener("input", (event) => {
    const list = event.target.dataset.narrow && document.getElementById(event.target.dataset.narrow);
    if (!list) return;
    const wanted = event.target.value.trim().toLowerCase();
    for (const item of all("[data-name]", list)) item.hidden = !item.dataset.name.includes(wanted);
  });
  document.addEventListener("change", (event) => {
    const group = event.target.matches("[data-group]") && event.target.closest("fieldset, details");
    if (group) for (const box of all("input[type=checkbox]:not([data-group])", group)) box.checked = event.target.checked;
  });

  // A field that is judged while it is typed.
  const checks = new WeakMap();
  document.addEventListener("input", (event) => {
    const field = event.target;
    if (!field.dataset.check) return;
    clearTimeout(checks.get(field));
    checks.set(field, setTimeout(async () => {
      const hint = document.querySelector(`[data-checked="${CSS.escape(field.name)}"]`);
      if (!hint || !field.value.trim()) return;
      const query = new URLSearchParams({ value: field.value });
      const answer = await fetch(`${field.dataset.check}?${query}`).catch(() => null);
      if (!answer?.ok) return;
      const [verdict, ...text] = (await answer.text()).split("\n");
      hint.className = `hint ${verdict}`;
      hint.textContent = text.join("\n");
    }, 250));
  });

  // Live parts: when the stream says that something changed, the page is asked for again and the
  // parts that are marked are taken over. Nothing moves while somebody types, reads a dialog, has
  // ticked rows or has paused the view.
  const main = document.querySelector("main[data-stream]");
  if (main) {
    let stale = false, busy = false;
    const held = () => document.querySelector("[data-pause][data-held]");
    const paused = () => document.hidden || held()
      || document.querySelector("[popover]:popover-open, main .pick :checked") || document.activeElement?.matches("main input, main textarea, main select");
    // How much a view that is held would show anew stands on the button that lets it go on.
    const count = (button, fresh) => {
      const known = new Set(all("tr[data-href]").map((row) => row.dataset.href));
      const more = all("tr[data-href]", fresh).filter((row) => !known.has(row.dataset.href)).length;
      say(button.querySelector("[data-label]"), more ? `Resume (${more} new)` : "Resume");
    };
    const refresh = async () => {
      if (busy || !stale || document.hidden || (paused() && !held())) return;
      busy = true;
      stale = false;
      try {
        const answer = await fetch(location.href, { headers: { accept: "text/html" } });
        if (!answer.ok) { stale = true; return; }
        if (answer.redirected) return;
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (held()) { count(held(), fresh); return; }
        // Somebody may have opened a dialog or begun to type meanwhile.
        if (paused()) { stale = true; return; }
        for (const part of all("[data-live][id]")) {
          const next = fresh.getElementById(part.id);
          if (!next || next.isEqualNode(part)) continue;
          const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
          const here = part.querySelector("tr[data-here]")?.dataset.href;
          part.replaceWith(next);
          prepare(next);
          if (here) all("tr[data-href]", next).find((row) => row.dataset.href === here)?.setAttribute("data-here", "");
          if (focused) all("a[href]", next).find((a) => a.getAttribute("href") === focused)?.focus({ preventScroll: true });
        }
        tick();
      } catch { stale = true; } finally { busy = false; }
    };
    const source = new EventSource(main.dataset.stream);
    source.onmessage = () => { stale = true; refresh(); };
    setInterval(refresh, 2000);
    addEventListener("pagehide", () => source.close());
    document.addEventListener("click", (event) => {
      const pause = event.target.closest("[data-pause]");
      if (!pause) return;
      say(pause.querySelector("[data-label]"), pause.toggleAttribute("data-held") ? "Resume" : "Pause");
      stale = true;
      refresh();
    });
    for (const pause of all("[data-pause][hidden]")) pause.hidden = false;
  }

  // A link that signs in carries its code in the fragment, which no server logs.
  const enter = () => { for (const form of all("form[data-fragment]")) {
    const fragment = new URLSearchParams(location.hash.slice(1));
    for (const [name, value] of fragment) {
      const field = form.elements[name === "token" || name === "key" ? form.dataset.fragment : name];
      if (field) field.value = value;
    }
    if (fragment.has("token") || fragment.has("key")) {
      history.replaceState(null, "", location.pathname + location.search);
      form.requestSubmit();
    }
  } };
  addEventListener("hashchange", enter);
  enter();

  prepare(document);
  tick();
  setInterval(tick, 1000);
})();
