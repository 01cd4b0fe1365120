// The review card: leased items fetched ahead, decisions applied at once, sent in order from an outbox.
//
// Covers: keys, drawing one item, the outbox with its client ids, drafts of this browser tab. Does not cover: any
// rule about what may be decided (the server says no, and the item comes back with the reason).
// Record text enters the page through textContent alone.

const AHEAD = 16;     // items leased ahead
const LOW = 10;       // fetch more when fewer are left
const KEYS = { approve: "a", reject: "x", edit: "e", skip: "s", flag: "f", return: "b", undo: "u", note: "m",
  guidelines: "g", findings: "p", take: "w", help: "h" };   // each user may change them: preference card_keys
const TAKEN = new Set(["c", "r"]);   // the page server's own
const slots = (window.__goldpairCards ??= new Map());   // one live card per mount point: listeners never stack

export default function (component) {
  const { data, parentElement } = component;
  const root = parentElement.querySelector(".card");
  const identity = `${data.user}|${data.task}`;
  const old = slots.get("review");
  const asked = JSON.stringify(data.queue ?? {});   // another order is another queue; outbox and drafts stay
  if (old && old.root === root && old.identity === identity && old.asked === asked) return old.detach;
  old?.stop();
  const card = makeCard(root, data, identity, asked);
  slots.set("review", card);
  return card.detach;
}

// --- helpers without state ---------------------------------------------------------------------------------

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") node.addEventListener("click", value);
    else if (value !== false && value != null) node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children) node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  return node;
}

// After the frame that shows the next item; soon, where no frame comes (a hidden tab).
function afterFrame(act) {
  let due = true;
  const once = () => { if (due) { due = false; act(); } };
  requestAnimationFrame(() => setTimeout(once));
  setTimeout(once, 60);
}

// What is marked in one of the panes, in code points of the shown text: {field, start, stop, said}, else null.
// The labels of marks and the turns before the prompt stand among the text and are no part of it.
function selected(view) {
  const root = view.getRootNode(), shadow = root instanceof ShadowRoot;   // browsers differ in how they tell of a selection in one
  const chosen = shadow && root.getSelection ? root.getSelection() : document.getSelection();
  const composed = shadow && document.getSelection()?.getComposedRanges?.({ shadowRoots: [root] })?.[0];
  const range = composed || (chosen?.rangeCount ? chosen.getRangeAt(0) : null);
  if (!range) return null;
  const live = document.createRange();
  live.setStart(range.startContainer, range.startOffset);
  live.setEnd(range.endContainer, range.endOffset);
  if (live.collapsed) return null;
  const pane = [...view.querySelectorAll("[data-text]")].find((one) => one.contains(live.startContainer) && (one.contains(live.endContainer) || live.endOffset === 0));
  if (!pane) return null;
  const walk = document.createTreeWalker(pane, NodeFilter.SHOW_TEXT);
  let at = 0, start = null, stop = null, text = "";
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    if (node.parentElement.closest("mark > i, .turn")) continue;
    const from = node === live.startContainer ? live.startOffset : live.comparePoint(node, 0) < 0 ? null : 0;
    const to = node === live.endContainer ? live.endOffset : live.comparePoint(node, node.length) > 0 ? null : node.length;
    if (from !== null && to !== null && from < to) {
      start ??= at + [...node.data.slice(0, from)].length;
      stop = at + [...node.data.slice(0, to)].length;
    }
    at += [...node.data].length;
    text += node.data;
  }
  if (start === null) return null;
  const points = [...text];
  while (start < stop && !points[start].trim()) start++;
  while (stop > start && !points[stop - 1].trim()) stop--;
  return start < stop ? { field: pane.dataset.text, start, stop, said: points.slice(start, stop).join("") } : null;
}

const words = (code) => String(code ?? "").replaceAll("_", " ").toLowerCase();

// Offsets from the server count code points; strings here count UTF-16 units.
function marked(text, spans) {
  const points = Array.from(text);
  const out = document.createDocumentFragment();
  let at = 0;
  for (const span of [...spans].sort((a, b) => a.start - b.start || b.stop - a.stop)) {
    const start = Math.max(span.start, at), stop = Math.min(span.stop, points.length);
    if (start >= stop) continue;
    out.append(points.slice(at, start).join(""));
    const label = el("i", {}, words(span.entity_type));
    out.append(el("mark", span.kind === "sub" ? { class: "sub" } : { "data-finding": span.finding_id }, points.slice(start, stop).join(""), label));
    at = stop;
  }
  out.append(points.slice(at).join(""));
  return out;
}

// Word differences by longest common subsequence; long texts are shown whole instead.
function difference(before, after) {
  const a = before.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];
  const b = after.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];
  const out = document.createDocumentFragment();
  if (a.length * b.length > 4e6) { out.append(after); return out; }
  const wide = b.length + 1;
  const best = new Uint16Array((a.length + 1) * wide);
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      best[i * wide + j] = a[i] === b[j] ? best[(i + 1) * wide + j + 1] + 1
        : Math.max(best[(i + 1) * wide + j], best[i * wide + j + 1]);
  const push = (tag, text) => {
    const last = out.lastChild;
    if (last?.nodeName === tag.toUpperCase()) last.textContent += text;
    else if (tag === "#text" && last?.nodeType === 3) last.data += text;
    else out.append(tag === "#text" ? document.createTextNode(text) : el(tag, {}, text));
  };
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { push("#text", a[i]); i++; j++; }
    else if (j < b.length && (i === a.length || best[i * wide + j + 1] >= best[(i + 1) * wide + j])) push("ins", b[j++]);
    else push("del", a[i++]);
  }
  return out;
}

async function call(operation, fields, signal) {
  const answer = await fetch("/api/v1/" + operation.replaceAll(".", "/"), {
    method: "POST", signal, credentials: "same-origin",
    headers: { "content-type": "application/json", "x-goldpair-page": "1" }, body: JSON.stringify(fields),
  });
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.error?.message ?? `HTTP ${answer.status}`),
    { status: answer.status, reasons: body.error?.reasons ?? [], texts: body.error });
  return body;
}

// --- one card ----------------------------------------------------------------------------------------------

function makeCard(root, data, identity, asked) {
  const stopping = new AbortController();
  const box = `goldpair:outbox:${identity}`;
  let items = [];            // shown one first
  let outbox = load();       // decisions not yet acknowledged, oldest first
  let past = [];             // items decided here, newest last, for undo
  let decided = 0, left = null, mode = "look", labels = {}, focused = 0;
  let first = data.first;
  let gone = new Set();      // decided since items were last asked for: the answer may still hold them
  let keys = { ...KEYS, ...data.keys }, changing = null, found = 0, chosen = null;
  const checked = new Map();   // pair:rev -> answer of the live checks
  const letter = (action) => keys[action].toUpperCase();
  const fixed = (key) => Object.values(keys).includes(key);
  let shell = null, offered = "";   // the parts of the card, kept from item to item; what its buttons were drawn for
  let overwriting = "";        // item whose own draft a suggestion may replace
  let filling = null, sending = false, undoing = false, dry = false, trouble = "", drawn = "";

  function load() {
    try { return (JSON.parse(sessionStorage.getItem(box)) ?? []).filter((entry) => !entry.undo); } catch { return []; }
  }
  function keep() {
    try { sessionStorage.setItem(box, JSON.stringify(outbox)); } catch { /* a full storage must not stop the work */ }
  }
  const draftKey = (item) => `goldpair:draft:${identity}:${item.pair_id}:${item.rev}`;
  const draft = (item) => { try { return JSON.parse(sessionStorage.getItem(draftKey(item))); } catch { return null; } };

  const live = el("div", { class: "off", "aria-live": "polite" });
  const view = el("div");
  view.style.display = "contents";
  root.replaceChildren(view, live);

  // -- queue

  function fill() {
    filling ??= (async () => {
      try {
        if (first) {   // a link named this pair
          const wanted = first;
          first = "";
          history.replaceState(null, "", location.pathname);
          items = [await call("review.item", { pair_id: wanted }, stopping.signal)];
        }
        gone = new Set(outbox.map((entry) => entry.pair_id));
        const found = await call("review.next", { task: data.task, n: AHEAD, ...data.queue }, stopping.signal);
        const known = new Set(items.map((item) => item.pair_id));
        const fresh = found.items.filter((item) => !gone.has(item.pair_id) && !known.has(item.pair_id));
        items.push(...fresh);
        dry = fresh.length === 0 && !found.items.some((item) => gone.has(item.pair_id));
        trouble = "";
        const counts = await call("review.counts", { task: data.task, ...data.queue }, stopping.signal);
        left = counts.for_me;
      } catch (error) {
        if (error.name === "AbortError") return;
        trouble = error.status === 401 ? "Your session has ended. Sign in again, then come back." : error.message;
      } finally { filling = null; }
      // Only another item is drawn anew: a message, an open choice or an editor stays as it is.
      if (items[0] && drawn === `${items[0].pair_id}:${items[0].rev}`) drawCounts();
      else draw();
    })();
    return filling;
  }

  // -- deciding

  function decide(verdict, more = {}) {
    const item = items[0];
    if (!item || undoing) return;
    const note = view.querySelector(".note textarea")?.value.trim();
    const entry = { pair_id: item.pair_id, rev: item.rev, verdict, client_id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, ...more };
    if (Object.keys(labels).length) entry.labels = labels;
    if (note) entry.comment = note;
    outbox.push(entry);
    gone.add(item.pair_id);
    keep();
    past = [...past, item].slice(-10);
    items.shift();
    decided += 1;
    if (left !== null && verdict !== "skip") left = Math.max(0, left - 1);
    next(`${words(verdict)}: saved. `);
    afterFrame(() => { send(); if (items.length < LOW && !dry) fill(); });
  }

  function next(said) {
    mode = "look"; labels = {}; focused = 0; trouble = "";
    draw();
    live.textContent = said + (items[0] ? "Next item." : "The queue is empty.");
  }

  async function send() {
    if (sending) return;
    sending = true;
    let wait = 500;
    while (outbox.length && !stopping.signal.aborted) {
      const entry = outbox[0];
      drawSave();
      if (entry.undo) {   // cannot be repeated safely, so it is never sent twice
        shift(entry);
        await sendUndo();
        continue;
      }
      try {
        await call("review.decide", entry, stopping.signal);
        shift(entry);
        if (entry.verdict === "edit") sessionStorage.removeItem(draftKey(entry));
        wait = 500;
      } catch (error) {
        if (error.name === "AbortError") break;
        if (error.status === undefined || error.status === 401 || error.status >= 500 || error.status === 429) {
          // Not answered: a decision repeats safely by its client id.
          drawSave(error.status === 401 ? "Session ended: sign in in another tab" : `Offline: ${outbox.length} waiting`);
          await new Promise((done) => setTimeout(done, wait));
          wait = Math.min(wait * 2, 8000);
          continue;
        }
        shift(entry);
        await refuse(entry, error);
      }
    }
    sending = false;
    drawSave();
    if (items.length < LOW && !stopping.signal.aborted) fill();
  }

  function shift(entry) { outbox = outbox.filter((other) => other !== entry); keep(); }

  // The server said no: the item comes back in front, as it is now, with the reason.
  async function refuse(entry, error) {
    decided = Math.max(0, decided - 1);
    const reasons = error.reasons?.length ? error.reasons : [];
    if (entry.pair_id) {
      past = past.filter((item) => item.pair_id !== entry.pair_id);
      try {
        const now = await call("review.item", { pair_id: entry.pair_id }, stopping.signal);
        items = [now, ...items.filter((item) => item.pair_id !== entry.pair_id)];
        if (entry.labels) labels = entry.labels;
        if (entry.verdict === "edit" && (entry.prompt ?? entry.completion) != null)
          sessionStorage.setItem(draftKey(now), JSON.stringify({ prompt: entry.prompt ?? now.prompt, completion: entry.completion ?? now.completion, suggestion: entry.suggestion }));
      } catch { /* gone: the message says so */ }
    }
    mode = "look";
    draw();
    showTrouble(error.message, reasons);
    if (error.texts?.current) showThree(error.texts);
  }

  // Somebody else's text, and mine, each against the one both began with.
  function showThree({ base, current, yours }) {
    const pane = (title, text) => {
      const body = el("div", { class: "body" });
      for (const name of ["prompt", "completion"])
        if (text[name] != null && text[name] !== base?.[name]) body.append(el("b", {}, words(name) + "\n"), difference(base?.[name] ?? "", text[name]), "\n\n");
      if (!body.hasChildNodes()) body.append("no change of the text");
      return el("div", {}, el("b", {}, title), body);
    };
    view.querySelector(".problem").append(el("div", { class: "three" }, pane("What changed meanwhile", current), pane("What you wrote", yours)));
  }

  function undo() {
    if (undoing) return;
    const back = past.at(-1);
    const unsent = back ? outbox.findIndex((entry, at) => entry.pair_id === back.pair_id && !(sending && at === 0)) : -1;
    if (unsent >= 0) {   // never left this browser
      outbox.splice(unsent, 1);
      keep();
      past.pop();
      bring(back, "Taken back.");
      return;
    }
    // It waits for its turn behind what was decided before it, and no key decides until the item is back.
    undoing = true;
    outbox.push({ undo: true });
    send();
  }

  async function sendUndo() {
    drawSave("Undoing");
    try {
      const undone = await call("review.undo", {}, stopping.signal);
      const item = await call("review.item", { pair_id: undone.pair_id }, stopping.signal);
      past = past.filter((other) => other.pair_id !== undone.pair_id);
      if (item.task === data.task) bring(item, `Took back: ${words(undone.verdict)}.`);
      else showTrouble(`Took back: ${words(undone.verdict)} in task ${item.task}.`, []);
    } catch (error) {
      if (error.name !== "AbortError") showTrouble(error.message, error.reasons ?? []);
    } finally { undoing = false; }
  }

  function bring(item, said) {
    items = [item, ...items.filter((other) => other.pair_id !== item.pair_id)];
    decided = Math.max(0, decided - 1);
    if (left !== null) left += 1;
    mode = "look"; labels = {}; focused = 0;
    draw();
    live.textContent = said;
  }

  function saveEdit() {
    const item = items[0];
    const prompt = view.querySelector("[data-edit=prompt]").value, completion = view.querySelector("[data-edit=completion]").value;
    const more = {};
    if (prompt !== item.prompt) more.prompt = prompt;
    if (completion !== item.completion) more.completion = completion;
    const began = draft(item)?.suggestion;
    if (began && more.completion != null) more.suggestion = began;
    if (!Object.keys(more).length) { showTrouble("Nothing was changed. Esc leaves the editor.", []); return; }
    decide("edit", more);
  }

  function setLabel(label, value) {
    if (label.kind === "multi-choice") {
      const now = new Set(labels[label.name] ?? []);
      now.has(value) ? now.delete(value) : now.add(value);
      labels = { ...labels, [label.name]: [...now] };
    } else labels = { ...labels, [label.name]: value };
    if (label.kind !== "multi-choice") {
      const open = data.labels.findIndex((other) => values(other).length && !(other.name in labels));
      focused = open >= 0 ? open : data.labels.indexOf(label);
    }
    drawLabels();
  }

  const values = (label) => label.kind === "rating" ? Array.from({ length: label.scale }, (_, i) => i + 1)
    : label.kind === "choice" || label.kind === "multi-choice" ? label.choices : [];

  // -- drawing

  function draw() {
    const item = items[0];
    drawn = item ? `${item.pair_id}:${item.rev}` : "";
    if (!item) {
      shell = null;
      view.replaceChildren(bar(), el("div", { class: "empty" },
        el("div", {}, el("b", {}, filling || left === null && !trouble ? "Fetching your queue" : "Nothing waits for you")),
        el("div", {}, trouble || (filling || left === null ? "One moment." :
          "New work comes from Import, Privacy and Duplicates; what you edited yourself waits for another reviewer."))));
      return;
    }
    const editing = mode === "edit";
    const saved = editing ? draft(item) : null;
    const pane = (name, title) => {
      const inner = editing ? el("textarea", { "data-edit": name, "aria-label": title, spellcheck: "true" })
        : el("div", { class: "text", tabindex: "0", "data-text": name });
      if (editing) {
        inner.value = saved?.[name] ?? item[name];
        inner.addEventListener("input", () => {
          const texts = { prompt: view.querySelector("[data-edit=prompt]").value, completion: view.querySelector("[data-edit=completion]").value, suggestion: draft(item)?.suggestion };
          sessionStorage.setItem(draftKey(item), JSON.stringify(texts));
          checkDraft(item, { prompt: texts.prompt, completion: texts.completion });
        });
      } else {
        if (name === "prompt") item.history.forEach((turn) => inner.append(el("div", { class: "turn" }, el("b", {}, words(turn.role)), turn.content)));
        const spans = [
          ...item.spans.filter((span) => span.field === name && span.status === "open"),
          ...item.surrogates.filter((span) => span.field === name).map((span) => ({ ...span, kind: "sub" })),
        ];
        inner.append(marked(item[name], spans));
      }
      return el("section", { class: "pane" }, el("h2", {}, title), inner);
    };
    const chips = [["pair", item.pair_id.slice(0, 10)], ["revision", item.rev], ["source", item.source], ["written by", item.author]]
      .filter(([, value]) => value).map(([name, value]) => el("span", { class: "chip" }, `${name} ${value}`));
    if (item.began) chips.push(el("span", { class: "chip gold" }, `revision ${item.began.rev} began as a suggestion of ${marks(item.began)}${item.began.changed ? ", then changed" : ""}`));
    const source = editing && offers(item).find((one) => one.suggestion_id === saved?.suggestion);
    if (source) chips.push(el("span", { class: "chip gold" }, `begun as a suggestion of ${marks(source)}`));
    if (draft(item) && !editing) chips.push(el("span", { class: "chip gold" }, `your draft waits: ${letter("edit")}`));
    if (!shell) {   // what stays from item to item is neither styled nor laid out again
      shell = { bar: bar(), chips: el("div", { class: "chips" }), problem: el("div", { class: "problem", role: "alert" }), panes: el("div", { class: "panes" }),
        checks: el("div", { class: "checks", role: "status", "aria-label": "Checks" }), labels: el("div", { class: "labels" }), note: el("div", { class: "note" }), actions: el("div", { class: "actions" }), more: el("div", { class: "more" }) };
      offered = "";
      view.replaceChildren(...Object.values(shell));
    }
    drawCounts();
    drawSave();
    Object.assign(shell.chips.dataset, { pair: item.pair_id, rev: item.rev });
    shell.chips.replaceChildren(...chips);
    shell.problem.hidden = shell.note.hidden = true;
    shell.panes.replaceChildren(pane("prompt", "Prompt"), pane("completion", "Completion"));
    for (const name of ["problem", "checks", "note"]) shell[name].replaceChildren();
    shell.more.replaceChildren(...more(item));
    if (item.blockers.length) showTrouble("Cannot be approved yet:", item.blockers);
    drawLabels();
    drawActions();
    check(item);
    if (editing) view.querySelector("[data-edit=completion]").focus();
  }

  // -- what models suggest: shown as a difference, taken as an edit, never the completion by itself

  const offers = (item) => item?.suggestions ?? [];
  const marks = (one) => `${one.model}${one.score == null ? one.metric ? `, not scored by ${words(one.metric)}` : "" : `, ${words(one.metric)} ${Number(one.score).toFixed(2)}`}`;

  function takeSuggestion() {
    const item = items[0], some = offers(item);
    if (!some.length) { showTrouble("No model suggested another text here.", []); return; }
    const held = draft(item), at = some.findIndex((one) => one.suggestion_id === held?.suggestion);
    if (held && at < 0 && overwriting !== drawn) {   // what a person wrote is not lost to one key
      overwriting = drawn;
      showTrouble(`Your draft waits: ${letter("edit")} opens it, ${letter("take")} again replaces it with the suggestion.`, []);
      return;
    }
    const one = some[(at + 1) % some.length];
    sessionStorage.setItem(draftKey(item), JSON.stringify({ prompt: item.prompt, completion: one.completion, suggestion: one.suggestion_id }));
    edit();
    checkDraft(item, { prompt: item.prompt, completion: one.completion });
  }

  // -- live checks: asked for after the item is painted and only while it stays in front; no key waits for them

  function check(item) {
    const name = `${item.pair_id}:${item.rev}`;
    if (checked.has(name)) { drawChecks(checked.get(name)); return; }
    setTimeout(async () => {
      if (items[0] !== item || checked.has(name) || stopping.signal.aborted) return;
      checked.set(name, null);
      try {
        const answer = await call("review.checks", { pair_id: item.pair_id }, stopping.signal);
        if (answer.busy) {   // the helper starts, or works for others: once more in a moment
          checked.delete(name);
          setTimeout(() => { if (items[0] === item) check(item); }, 3000);
          return;
        }
        checked.set(name, answer);
        if (checked.size > 64) checked.delete(checked.keys().next().value);
        if (items[0]?.pair_id === item.pair_id && items[0].rev === item.rev) drawChecks(answer);
      } catch { checked.delete(name); }
    }, 250);
  }

  let typing = 0;
  function checkDraft(item, texts) {
    clearTimeout(typing);
    typing = setTimeout(async () => {
      try {
        const answer = await call("review.checks", { pair_id: item.pair_id, ...texts }, stopping.signal);
        if (mode === "edit" && items[0] === item) drawChecks(answer);
      } catch { /* the text is kept all the same */ }
    }, 900);
  }

  function drawChecks(answer) {
    const place = view.querySelector(".checks");
    if (!place || !answer) return;
    place.replaceChildren(...answer.checks.map((one) => {
      const title = `${words(one.name)}${one.score == null ? "" : " " + Number(one.score).toFixed(2)}${one.state === "not_run" ? ": not run" : ""}`;
      const out = el("details", { class: `check ${one.state}` }, el("summary", {}, one.state === "problem" ? "Look: " : "", title, one.findings.length ? ` (${one.findings.length})` : ""));
      if (one.detail) out.append(el("div", { class: "body" }, one.detail));
      for (const what of one.findings) out.append(el("div", { class: "body" }, el("b", {}, `${words(what.kind)}${what.critical ? " (critical)" : ""}: `), what.span));
      out.open = one.state === "problem";
      return out;
    }));
  }

  // -- personal data that waits for a yes or no

  const open = (item) => (item?.spans ?? []).filter((span) => span.status === "open");

  function findings() {
    chosen = selected(view);
    if (chosen) { mode = "mark"; drawActions(); live.textContent = `Marked: ${chosen.said}`; return; }
    if (!open(items[0]).length) { showTrouble(`No finding of personal data is open here. Select what is personal, then ${letter("findings")}.`, []); return; }
    found = mode === "findings" ? (found + 1) % open(items[0]).length : 0;
    mode = "findings";
    drawActions();
    pointAt();
  }

  function pointAt() {
    const one = open(items[0])[found];
    for (const mark of view.querySelectorAll("mark[data-finding]")) mark.classList.toggle("on", mark.dataset.finding === one?.finding_id);
    view.querySelector("mark.on")?.scrollIntoView({ block: "nearest" });
    if (one) live.textContent = `${words(one.entity_type)} ${found + 1} of ${open(items[0]).length}`;
  }

  function decideFinding(decision) {
    const one = open(items[0])[found];
    if (one) settleFinding("findings.decide", { finding_id: one.finding_id, decision }, decision === "confirm" ? "Replaced." : "Kept.");
  }

  function markAs(kind) {
    const { field, start, stop } = chosen;
    settleFinding("findings.add", { pair_id: items[0].pair_id, rev: items[0].rev, field, start, stop, entity_type: kind }, "Replaced.");
  }

  async function settleFinding(operation, fields, said) {
    const item = items[0];
    if (undoing) return;
    undoing = true;   // no key decides until the item is here as it is now
    try {
      await call(operation, fields, stopping.signal);
      const now = await call("review.item", { pair_id: item.pair_id }, stopping.signal);
      items = [now, ...items.filter((other) => other.pair_id !== item.pair_id)];
      mode = "look";
      draw();
      live.textContent = said;
      if (open(now).length) findings();
    } catch (error) { if (error.name !== "AbortError") showTrouble(error.message, error.reasons ?? []); } finally { undoing = false; }
  }

  function bar() {
    const number = el("span", { class: "count" }, el("b", {}, left ?? "–"), "in your queue");
    const done = el("span", { class: "count" }, el("b", {}, decided), "decided here");
    const save = el("span", { class: "save", role: "status" });
    queueMicrotask(() => drawSave());
    return el("div", { class: "bar" }, number, done, el("span", { class: "grow" }), save,
      el("button", { onclick: help, type: "button" }, "Keys", el("kbd", {}, letter("help"))));
  }

  function drawCounts() {
    const [queue, done] = view.querySelectorAll(".count b");
    if (!queue) return;
    queue.textContent = left ?? "–";
    done.textContent = decided;
  }

  function drawSave(said) {
    const save = view.querySelector(".save");
    if (!save) return;
    save.className = said?.startsWith("Offline") || said?.startsWith("Session") ? "save bad" : "save";
    save.textContent = said ?? (outbox.length ? `Saving ${outbox.length}` : decided ? "All saved" : "");
  }

  function drawLabels() {
    const place = view.querySelector(".labels");
    if (!place) return;
    place.replaceChildren(...data.labels.map((label, at) => {
      const row = el("div", { class: at === focused && values(label).length ? "label on" : "label", role: "group", "aria-label": label.title || label.name });
      row.append(el("span", {}, label.title || words(label.name), label.key && !fixed(label.key) ? el("kbd", {}, label.key.toUpperCase()) : ""));
      const place = el("div", { class: "values" });
      row.append(place);
      values(label).forEach((value, number) => {
        const held = labels[label.name];
        const on = label.kind === "multi-choice" ? (held ?? []).includes(value) : held === value;
        place.append(el("button", { class: "pick", type: "button", "aria-pressed": String(on), onclick: () => setLabel(label, value) },
          label.kind === "rating" ? value : words(value), label.kind === "rating" || number > 8 ? "" : el("kbd", {}, number + 1)));
      });
      if (label.kind === "text") {
        const field = el("textarea", { rows: "1", "aria-label": label.title || label.name, "data-label": label.name });
        field.value = labels[label.name] ?? "";
        field.addEventListener("input", () => { labels = { ...labels, [label.name]: field.value }; });
        place.append(field);
      }
      return row;
    }));
  }

  function drawActions() {
    const place = view.querySelector(".actions");
    if (!place) return;
    if (mode !== "look") offered = "";
    const button = (title, key, act, kind = "", allowed = true) =>
      el("button", { class: kind, type: "button", onclick: act, disabled: !allowed, "data-key": key }, title, el("kbd", {}, key));
    if (mode === "edit") {
      place.replaceChildren(button("Save for another reviewer", "Ctrl+Enter", saveEdit, "yes"), button("Leave", "Esc", leave));
    } else if (mode === "findings") {
      const one = open(items[0])[found];
      place.replaceChildren(el("span", {}, `Is this personal data (${words(one?.entity_type)})?`), button("Yes, replace it", "Y", () => decideFinding("confirm"), "yes"),
        button("No, keep it", "N", () => decideFinding("reject"), "no"), button("Next", letter("findings"), findings), button("Leave", "Esc", leave));
    } else if (mode === "mark") {
      place.replaceChildren(el("span", {}, `Replace “${chosen.said.length > 40 ? chosen.said.slice(0, 40) + "…" : chosen.said}” as:`),
        ...data.types.map((kind, at) => button(words(kind), String(at + 1), () => markAs(kind), "yes")), button("Leave", "Esc", leave));
    } else if (mode === "reject" || mode === "return") {
      const verdict = mode;
      place.replaceChildren(el("span", {}, mode === "reject" ? "Reject because:" : "Send back because:"),
        ...data.reasons.slice(0, 9).map((reason, at) => button(words(reason), String(at + 1), () => decide(verdict, { reason }), "no")),
        button("Leave", "Esc", leave));
    } else {
      const now = JSON.stringify([keys, offers(items[0]).length, open(items[0]).length]);
      if (offered === now) return;
      offered = now;
      place.replaceChildren(
        button("Approve", letter("approve"), () => decide("approve"), "yes", data.may.review), button("Reject", letter("reject"), () => pick("reject"), "no", data.may.review),
        button("Edit", letter("edit"), edit), button("Skip", letter("skip"), () => decide("skip")), button("Flag", letter("flag"), () => decide("flag")),
        button("Send back", letter("return"), () => pick("return"), "", data.may.review), button("Undo", letter("undo"), undo), button("Note", letter("note"), note),
        ...(offers(items[0]).length ? [button("Take suggestion", letter("take"), takeSuggestion)] : []),
        ...(open(items[0]).length && data.may.review ? [button(`Personal data (${open(items[0]).length})`, letter("findings"), findings)] : []));
    }
  }

  function more(item) {
    const fold = (title, ...inside) => el("details", {}, el("summary", {}, title), ...inside);
    const out = [];
    if (data.guidelines) out.push(fold(`Guidelines${data.guideline_version ? ` (version ${data.guideline_version})` : ""}`, el("div", { class: "body" }, data.guidelines)));
    const older = item.revisions.filter((row) => row.rev < item.rev).at(-1);
    if (older) {
      const changes = el("div", { class: "body" });
      for (const name of ["prompt", "completion"])
        if ((older[name] ?? "") !== item[name]) changes.append(el("b", {}, words(name) + "\n"), difference(older[name] ?? "", item[name]), "\n\n");
      const fresh = fold(`What revision ${item.rev} by ${item.author} changed`, changes);
      fresh.open = true;
      out.push(fresh);
    }
    for (const one of offers(item)) {
      const judged = one.scores.map((score) => `${words(score.metric)}: ${score.score == null ? `not scored (${score.note})` : Number(score.score).toFixed(2)}${score.critical ? `, ${score.critical} critical` : ""}`);
      const fresh = fold(`A model suggests: ${marks(one)}`, el("div", { class: "body", "data-suggestion": one.suggestion_id }, difference(item.completion, one.completion)),
        ...(judged.length ? [el("div", { class: "body" }, judged.join("\n"))] : []));
      fresh.open = one === offers(item)[0];
      out.push(fresh);
    }
    if (item.judgments.length && item.reason === "disputed") {
      const both = fold("What two people said, each without seeing the other", el("div", { class: "three" }, ...item.judgments.map((row) => el("div", {},
        el("b", {}, `${row.actor}: ${words(row.verdict)}${row.reason ? `, ${words(row.reason)}` : ""}`),
        el("div", { class: "body" }, Object.entries(row.labels).map(([name, value]) => `${words(name)}: ${value}`).join("\n"))))));
      both.open = true;
      out.push(both);
    }
    if (item.comments.length) {
      const said = fold(`Notes (${item.comments.length})`, ...item.comments.map((row) => el("div", { class: "body" }, el("b", {}, `${row.actor}: `), row.body)));
      said.open = true;
      out.push(said);
    }
    if (item.duplicates.length) {
      const place = el("div", {});
      const twins = fold(`Near-duplicates and rival drafts (${item.duplicates.length})`, place);
      twins.addEventListener("toggle", async () => {
        if (!twins.open || place.hasChildNodes()) return;
        for (const row of item.duplicates) {
          const body = el("div", { class: "body" });
          place.append(el("b", {}, `${row.kind} (${row.status}): ${row.other.slice(0, 10)}, similarity ${Number(row.similarity).toFixed(2)}`), body);
          try {
            const other = await call("review.item", { pair_id: row.other }, stopping.signal);
            for (const name of ["prompt", "completion"]) body.append(el("b", {}, words(name) + "\n"), difference(item[name], other[name]), "\n\n");
          } catch (error) { body.append(error.message); }
        }
      });
      out.push(twins);
    }
    if (item.system) out.push(fold("System message", el("div", { class: "body" }, item.system)));
    const steps = item.decisions.filter((row) => row.kind).map((row) => `${String(row.ts).slice(0, 16).replace("T", " ")}  ${words(row.kind)} by ${row.actor}, revision ${row.rev ?? "–"}`);
    if (steps.length) out.push(fold(`History (${steps.length})`, el("div", { class: "body" }, steps.join("\n"))));
    return out;
  }

  function showTrouble(message, reasons) {
    const place = view.querySelector(".problem");
    if (!place) { trouble = message; draw(); return; }
    place.hidden = false;
    place.replaceChildren(el("span", {}, message), ...(reasons.length ? [el("ul", {}, ...reasons.map((reason) => el("li", {}, reason)))] : []));
  }

  function pick(what) { view.querySelectorAll("mark.on").forEach((mark) => mark.classList.remove("on")); if (items[0]) { mode = what; drawActions(); } }
  function leave() { const was = mode; mode = "look"; clearTimeout(typing); view.querySelectorAll("mark.on").forEach((mark) => mark.classList.remove("on")); was === "edit" ? draw() : drawActions(); }
  function edit() { if (items[0]) { mode = "edit"; draw(); } }
  function note() {
    const place = view.querySelector(".note");
    if (!place) return;
    place.hidden = false;
    if (!place.firstChild) place.append(el("textarea", { "aria-label": "Note, sent with your decision", placeholder: "A note, sent with your decision" }));
    place.firstChild.focus();
  }
  function guidelines() {
    const first = view.querySelector("details");
    if (first && data.guidelines) first.open = !first.open;
  }
  function help() {
    const shown = root.querySelector(".help");
    if (shown) { changing = null; shown.remove(); return; }
    const told = { approve: "approve", reject: "reject, then 1–9 for the reason", edit: "edit", skip: "skip: it comes back last", flag: "flag for an adjudicator",
      return: "send back, then 1–9 for the reason", undo: "undo, up to your last ten", note: "write a note", guidelines: "guidelines",
      findings: "personal data: then Y replaces it, N keeps it; with text selected, 1–9 says what it is and replaces it", take: "edit from a model's suggestion; again for its next one", help: "this list" };
    const rows = Object.entries(told).flatMap(([action, what]) => [
      el("dt", {}, el("button", { type: "button", "data-change": action, "aria-label": `${what}: change the key ${letter(action)}`, onclick: () => change(action) }, el("kbd", {}, changing === action ? "press a key" : letter(action)))), el("dd", {}, what)]);
    for (const [key, what] of [["Ctrl+Enter", "save the edit; another reviewer approves it"], ["Esc", "leave the editor or a choice"], ["1–9", "rate the outlined label"],
      ...data.labels.filter((label) => label.key && !fixed(label.key)).map((label) => [label.key.toUpperCase(), `rate: ${words(label.name)}`])])
      rows.push(el("dt", {}, el("kbd", {}, key)), el("dd", {}, what));
    const close = el("button", { type: "button", onclick: help }, "Close", el("kbd", {}, "Esc"));
    const again = el("button", { type: "button", onclick: () => saveKeys({}) }, "Keys as delivered");
    root.append(el("div", { class: "help", role: "dialog", "aria-label": "Keys" }, el("div", {}, el("h2", {}, "Keys"),
      el("p", { class: "soft" }, "A click on a key changes it, for you alone."), el("p", { class: "said", role: "status" }), el("dl", {}, ...rows), close, again)));
    close.focus();
  }

  function change(action) {
    changing = action;
    root.querySelector(".help")?.remove();
    help();
    root.querySelector(`[data-change=${action}]`).focus();
  }

  function take(key) {   // the key pressed for the action that is being changed
    const action = changing, user = Object.keys(keys).find((other) => keys[other] === key && other !== action);
    const why = !/^[a-z]$/.test(key) ? "A key is one letter." : TAKEN.has(key) ? `${key.toUpperCase()} belongs to the page.` : user ? `${key.toUpperCase()} is ${words(user)} already.` : "";
    if (why) { root.querySelector(".said").textContent = why; return; }
    saveKeys({ ...keys, [action]: key });
  }

  function saveKeys(fresh) {
    keys = { ...KEYS, ...fresh };
    changing = null;
    const value = Object.fromEntries(Object.entries(keys).filter(([action, key]) => KEYS[action] !== key));
    call("preferences.set", { name: "card_keys", value: Object.keys(value).length ? value : null }, stopping.signal)
      .catch((error) => { if (error.name !== "AbortError") showTrouble(`The keys hold until you leave: ${error.message}`, []); });
    root.querySelector(".help")?.remove();
    shell = null;
    draw();
    help();
  }

  // -- keys: exactly one listener, taken off when the card goes

  function onKey(event) {
    const target = event.composedPath()[0];
    const typing = target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));
    const inside = event.composedPath().includes(root);
    if (!root.isConnected || event.isComposing) return;
    const done = () => { event.preventDefault(); event.stopImmediatePropagation(); };
    if (event.key === "Escape" && (mode !== "look" || root.querySelector(".help"))) { done(); root.querySelector(".help") ? help() : leave(); return; }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && mode === "edit" && inside) { done(); saveEdit(); return; }
    if (event.key === "Escape" && typing && inside) { done(); target.blur(); return; }
    if (event.repeat && inside && target.tagName === "BUTTON") { done(); return; }   // one press is one decision
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const key = event.key.toLowerCase();
    if (changing && root.querySelector(".help")) {
      if (["tab", "shift", "enter", " "].includes(key)) return;
      done(); take(key);
      return;
    }
    if (key === keys.help) { done(); help(); return; }
    if (root.querySelector(".help") || !items[0] && key !== keys.undo) return;
    const digit = /^[1-9]$/.test(key) ? Number(key) : 0;
    if (digit && (mode === "reject" || mode === "return")) {
      done();
      const reason = data.reasons[digit - 1];
      if (reason) decide(mode, { reason });
      return;
    }
    if (mode === "mark" && digit) { done(); if (data.types[digit - 1]) markAs(data.types[digit - 1]); return; }
    if (mode === "edit") return;
    if (mode === "findings" && (key === "y" || key === "n")) { done(); decideFinding(key === "y" ? "confirm" : "reject"); return; }
    const label = data.labels.findIndex((one) => one.key === key && !fixed(key));
    if (label >= 0) { done(); focused = label; drawLabels(); view.querySelector(`[data-label="${data.labels[label].name}"]`)?.focus(); return; }
    if (digit) {
      done();
      const one = data.labels[focused], value = one && values(one)[digit - 1];
      if (value !== undefined) setLabel(one, value);
      return;
    }
    const acts = { skip: () => decide("skip"), flag: () => decide("flag"), edit, take: takeSuggestion, undo, note, guidelines,
      ...(data.may.review ? { approve: () => decide("approve"), reject: () => pick("reject"), return: () => pick("return"), findings } : {}) };
    const act = acts[Object.keys(keys).find((action) => keys[action] === key)];
    if (act) { done(); act(); }
  }

  window.addEventListener("keydown", onKey, true);
  function stop() {
    stopping.abort();
    window.removeEventListener("keydown", onKey, true);
    if (slots.get("review")?.root === root) slots.delete("review");
  }
  // Streamlit cleans up before each new run as well; only a card that left the page is taken down.
  const detach = () => setTimeout(() => { if (!root.isConnected) stop(); }, 0);

  draw();
  fill();
  send();
  return { root, identity, asked, stop, detach, shown: () => drawn };
}
