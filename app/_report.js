"use strict";
// The report's page. Everything that comes out of a capture reaches the document as text, never as markup.
(() => {
  const $ = (id) => document.getElementById(id);
  const read = (element) => JSON.parse(element.textContent);
  const meta = read($("meta"));
  const strings = read($("strings"));
  const C = Object.fromEntries(meta.columns.map((name, at) => [name, at]));
  const rows = [];
  for (const block of document.querySelectorAll("script.rows")) {
    for (const row of read(block)) rows.push(row);
    block.remove();
  }
  const HEIGHT = 32;
  const SVG = "http://www.w3.org/2000/svg";
  const MEDIA = ["IM", "File transfer", "Assistance", "Sharing", "Audio", "Video", "App"];
  const OUTCOMES = { answered: "Answered", failed: "Failed", cancelled: "Given up", redirected: "Redirected",
    none: "No response", message: "Messages" };

  function make(space, tag, properties, ...children) {
    const element = space ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(properties || {})) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return element;
  }
  const h = (tag, properties, ...children) => make(false, tag, properties, ...children);
  const s = (tag, properties, ...children) => make(true, tag, properties, ...children);

  // Values
  const value = (row, name) => row[C[name]];
  const text = (row, name) => {
    const found = row[C[name]];
    return typeof found === "number" ? strings[found] : found || "";
  };
  // Times are microseconds since the report's first one.
  const iso = (micros) => {
    const whole = micros + meta.base;
    const millis = Math.floor(whole / 1000);
    return new Date(millis).toISOString().slice(0, 23).replace("T", " ") + String(whole - millis * 1000).padStart(3, "0");
  };
  const span = (micros) => {
    if (micros === null || micros === undefined) return "";
    const seconds = Math.max(micros, 0) / 1e6;
    if (seconds < 10) return `${(Math.floor(seconds * 100) / 100).toFixed(2)} s`;
    if (seconds < 60) return `${(Math.floor(seconds * 10) / 10).toFixed(1)} s`;
    const whole = Math.floor(seconds);
    const pad = (number) => String(number).padStart(2, "0");
    if (whole < 3600) return `${Math.floor(whole / 60)}:${pad(whole % 60)}`;
    return `${Math.floor(whole / 3600)}:${pad(Math.floor(whole / 60) % 60)}:${pad(whole % 60)}`;
  };
  const outcome = (row) => {
    if (value(row, "MediaTypes") === 1) return "message";
    const code = value(row, "ResponseCode");
    if (code === null) return "none";
    if (code < 300) return "answered";
    if (code < 400) return "redirected";
    return code === 487 ? "cancelled" : "failed";
  };
  const coded = (code) => (code === null ? "no response" : `${code} ${meta.names[code] || ""}`.trim());
  const answerTime = (row) =>
    value(row, "ResponseTime") === null ? null : value(row, "ResponseTime") - value(row, "InviteTime");
  const talk = (row) => {
    const code = value(row, "ResponseCode");
    const [began, ended] = [value(row, "ResponseTime"), value(row, "SessionEndTime")];
    return code >= 200 && code < 300 && began !== null && ended !== null ? ended - began : null;
  };
  const media = (row) => {
    const bits = value(row, "MediaTypes");
    return MEDIA.filter((name, bit) => (bits >> bit) & 1).join(", ");
  };

  // name, cells, what is shown, what is sorted by, and where there is room for it
  const oneDay = rows.length > 0 && iso(0).slice(0, 10) === iso(value(rows[rows.length - 1], "InviteTime")).slice(0, 10);
  const ALL = [
    ["Time (UTC)", oneDay ? 108 : 172, (row) => iso(value(row, "InviteTime")).slice(oneDay ? 11 : 0, 19), (row) => value(row, "InviteTime"), ""],
    ["Caller", 0, (row) => text(row, "User1") || "unknown", (row) => text(row, "User1"), ""],
    ["Callee", 0, (row) => text(row, "User2") || text(row, "TargetUser") || "unknown", (row) => text(row, "User2"), ""],
    ["Response", 178, (row) => (innerWidth < 700 ? value(row, "ResponseCode") ?? "–" : coded(value(row, "ResponseCode"))), (row) => value(row, "ResponseCode"), ""],
    ["Duration", 88, (row) => (outcome(row) === "answered" && talk(row) === null ? "no end" : span(talk(row))), talk, "number"],
    ["Answer", 78, (row) => span(answerTime(row)), answerTime, "number medium"],
    ["Delay", 74, (row) => span(value(row, "Delay")), (row) => value(row, "Delay"), "number medium"],
    ["Media", 108, media, media, "wide"],
    ["Diagnostic", 100, (row) => value(row, "DiagnosticId") ?? "", (row) => value(row, "DiagnosticId"), "number wide"],
    ["Server", 132, (row) => text(row, "Server"), (row) => text(row, "Server"), "wide"],
    ["Caller's client", 150, (row) => text(row, "User1ClientVer"), (row) => text(row, "User1ClientVer"), "wide"],
  ];
  // A column that is empty in all rows has no room.
  const COLUMNS = ALL.filter(([, , show], at) => at < 5 || rows.some((row) => show(row) !== ""));
  const TITLES = { Answer: "From the INVITE to the final response", Delay: "Post-dial delay: from the INVITE to the first sign of the far end",
    Duration: "From the answer to the end" };

  const SHORT = { "Time (UTC)": "UTC", Response: "Code", Duration: "Talk" };

  // What is chosen
  const state = { words: [], outcome: "", code: "", sort: 0, down: false, shown: [], chosen: -1, open: null, from: null, to: null };
  const haystacks = new Array(rows.length);
  const haystack = (number) => {
    if (haystacks[number] === undefined) {
      const row = rows[number];
      haystacks[number] = [
        iso(value(row, "InviteTime")).slice(0, 19), ...["User1", "User2", "TargetUser", "SessionStartedBy", "OnBehalfOf",
          "ReferredBy", "Server", "Pool", "User1ClientVer", "User2ClientVer", "CallId", "CorrelationId"].map((name) => text(row, name)),
        coded(value(row, "ResponseCode")), value(row, "DiagnosticId") ?? "", media(row),
      ].join("\n").toLowerCase();
    }
    return haystacks[number];
  };

  function choose() {
    const shown = [];
    for (let number = 0; number < rows.length; number++) {
      const row = rows[number];
      if (state.outcome && outcome(row) !== state.outcome) continue;
      if (state.code && String(value(row, "ResponseCode")) !== state.code) continue;
      const time = value(row, "InviteTime");
      if (state.from !== null && (time < state.from || time >= state.to)) continue;
      if (state.words.length && !state.words.every((word) => haystack(number).includes(word))) continue;
      shown.push(number);
    }
    const key = COLUMNS[state.sort][3];
    const sign = state.down ? -1 : 1;
    const keys = new Map(shown.map((number) => [number, key(rows[number])]));
    const empty = (one) => one === null || one === undefined || one === "";
    shown.sort((one, other) => {
      const [a, b] = [keys.get(one), keys.get(other)];
      if (empty(a) || empty(b)) return empty(a) - empty(b) || one - other;
      return a < b ? -sign : a > b ? sign : one - other;
    });
    const before = state.shown[state.chosen];
    state.shown = shown;
    state.chosen = before === undefined ? -1 : shown.indexOf(before);
    const filtered = state.words.length || state.outcome || state.code || state.from !== null;
    $("clear").hidden = !filtered;
    $("count").textContent = filtered
      ? `${shown.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} sessions`
      : `${rows.length.toLocaleString("en")} sessions`;
    $("scroll").scrollTop = 0;
    draw(true);
    plots();
  }

  // The table: only the rows in sight are in the document.
  let drawn = "";
  const room = () => Math.ceil($("scroll").clientHeight / HEIGHT) + 2;
  function draw(force) {
    const first = Math.max(0, Math.floor($("scroll").scrollTop / HEIGHT) - 4);
    const last = Math.min(state.shown.length, first + room() + 8);
    const now = `${first}-${last}`;
    if (!force && now === drawn) return;
    drawn = now;
    // A cell over columns that aren't displayed would take room for them.
    const across = [...$("head").children].filter((head) => getComputedStyle(head).display !== "none").length;
    const space = (count) => {
      const cell = h("td", { colspan: across });
      cell.style.height = `${count * HEIGHT}px`;
      return h("tr", { class: "space", "aria-hidden": "true" }, cell);
    };
    const lines = [];
    for (let at = first; at < last; at++) lines.push(line(at));
    if (!state.shown.length) {
      lines.push(h("tr", {}, h("td", { class: "empty", colspan: across }, "No session matches.")));
    }
    $("body").replaceChildren(space(first), ...lines, space(state.shown.length - last));
    $("table").setAttribute("aria-rowcount", state.shown.length + 1);
  }
  function line(at) {
    const row = rows[state.shown[at]];
    const kind = outcome(row);
    return h("tr", { class: at === state.chosen ? "row chosen" : "row", "data-at": at, "aria-rowindex": at + 2 },
      COLUMNS.map(([name, , show, , where]) => {
        const shown = String(show(row));
        return h("td", { class: name === "Response" ? `t-${kind} ${where}` : where, title: shown }, shown);
      }));
  }
  function heads() {
    const narrow = { "Time (UTC)": oneDay ? 76 : 152, Response: 50, Duration: 68 };
    $("widths").replaceChildren(...COLUMNS.map(([name, width, , , where]) => {
      const column = h("col", { class: where });
      if (width) column.style.width = `${innerWidth < 700 ? (narrow[name] ?? width) : width}px`;
      return column;
    }));
    $("head").replaceChildren(...COLUMNS.map(([name, , , , where], at) => {
      const sorted = state.sort === at ? (state.down ? "descending" : "ascending") : "none";
      const sort = () => {
        state.down = state.sort === at ? !state.down : false;
        state.sort = at;
        heads();
        choose();
        $("head").children[at].firstChild.focus();
      };
      return h("th", { class: where, scope: "col", "aria-sort": sorted },
        h("button", { type: "button", title: TITLES[name] || name, onclick: sort }, innerWidth < 700 ? SHORT[name] || name : name));
    }));
  }
  function select(at, show) {
    if (!state.shown.length) return;
    state.chosen = Math.max(0, Math.min(at, state.shown.length - 1));
    const scroll = $("scroll");
    const top = state.chosen * HEIGHT;
    const page = scroll.clientHeight - 2 * HEIGHT;
    if (top < scroll.scrollTop) scroll.scrollTop = top;
    else if (top > scroll.scrollTop + page) scroll.scrollTop = top - page;
    draw(true);
    if (show) open(state.shown[state.chosen]);
  }

  // Plots
  function plots() {
    const times = state.shown.map((number) => value(rows[number], "InviteTime"));
    const least = times.reduce((one, other) => Math.min(one, other), Infinity);
    const most = times.reduce((one, other) => Math.max(one, other), -Infinity);
    const sizes = [["minute", 6e7], ["5 minutes", 3e8], ["hour", 3.6e9], ["day", 8.64e10], ["week", 6.048e11], ["30 days", 2.592e12]];
    const reach = times.length ? most - least : 0;
    const [name, size] = sizes.find(([, micros]) => reach / micros <= (micros === 3.6e9 ? 240 : 90)) || sizes[5];
    $("time-title").textContent = `Calls by ${name}`;
    const start = times.length ? Math.floor((least + meta.base) / size) * size - meta.base : 0;
    const bins = new Array(times.length ? Math.min(Math.floor((most - start) / size) + 1, 2000) : 0);
    for (const number of state.shown) {
      const row = rows[number];
      const kind = outcome(row);
      if (kind === "message") continue;
      const at = Math.floor((value(row, "InviteTime") - start) / size);
      if (at >= bins.length) continue;
      bins[at] = bins[at] || { answered: 0, cancelled: 0, redirected: 0, none: 0, failed: 0 };
      bins[at][kind] += 1;
    }
    overTime(bins, start, size);
    const codes = new Map();
    for (const number of state.shown) {
      if (outcome(rows[number]) === "message") continue;
      const code = value(rows[number], "ResponseCode");
      codes.set(code, (codes.get(code) || 0) + 1);
    }
    byCode([...codes].sort((one, other) => other[1] - one[1]));
  }
  function overTime(bins, start, size) {
    const most = Math.max(1, ...Array.from(bins, (bin) => (bin ? Object.values(bin).reduce((a, b) => a + b, 0) : 0)));
    const unit = 10 ** Math.floor(Math.log10(most));
    const tick = Math.max(1, [0.2, 0.5, 1, 2].map((times) => times * unit).find((one) => most / one <= 5));
    const top = Math.ceil(most / tick) * tick;
    const [width, height, bottom] = [Math.max($("time").clientWidth, 260), 168, 22];
    const left = 14 + 7 * top.toLocaleString("en").length;
    const y = (count) => 8 + (height - bottom - 8) * (1 - count / top);
    const drawing = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Calls over time" });
    for (let count = 0; count <= top; count += tick) {
      drawing.append(s("line", { class: "axis", x1: left, x2: width, y1: y(count), y2: y(count) }),
        s("text", { class: "soft", x: left - 6, y: y(count) + 4, "text-anchor": "end" }, count.toLocaleString("en")));
    }
    const wide = (width - left) / Math.max(bins.length, 1);
    const bar = Math.min(Math.max(wide - Math.min(3, wide * 0.2), 0.6), 46);
    const label = (at) => {
      const shown = iso(start + at * size);
      return size > 1e12 ? shown.slice(0, 7) : size >= 8.64e10 ? shown.slice(5, 10) : shown.slice(11, 16);
    };
    const every = Math.max(1, Math.ceil(58 / wide));
    for (let at = 0; at < bins.length; at++) {
      const middle = left + wide * (at + 0.5);
      if (at % every === 0) {
        drawing.append(s("text", { class: "soft", x: Math.min(Math.max(middle, left + 14), width - 16), y: height - 6, "text-anchor": "middle" }, label(at)));
      }
      if (!bins[at]) continue;
      let below = 0;
      const only = () => { state.from = start + at * size; state.to = state.from + size; choose(); };
      const parts = ["answered", "cancelled", "redirected", "none", "failed"].filter((kind) => bins[at][kind]).map((kind) => {
        const from = below;
        below += bins[at][kind];
        return s("rect", { class: `f-${kind}`, x: middle - bar / 2, width: bar, y: y(below), height: Math.max(y(from) - y(below), 0.5) });
      });
      const told = Object.entries(bins[at]).filter(([, count]) => count).map(([kind, count]) => `${OUTCOMES[kind]} ${count}`).join(", ");
      drawing.append(s("g", { class: "hot", onclick: only }, s("title", {}, `${iso(start + at * size).slice(0, 16)}: ${told}`),
        s("rect", { class: "back", x: left + wide * at, width: wide, y: 0, height: height - bottom }), ...parts));
    }
    $("time").replaceChildren(drawing);
  }
  function byCode(codes) {
    const shown = codes.slice(0, 7);
    const width = Math.max($("codes").clientWidth, 240);
    const height = innerWidth > 900 || codes.length > shown.length ? 168 : 8 + shown.length * 23.5;
    const most = Math.max(1, ...shown.map(([, count]) => count));
    const label = Math.min(210, width * 0.5);
    const drawing = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Calls by response code" });
    shown.forEach(([code, count], at) => {
      const y = 4 + at * 23.5;
      const kind = code === null ? "none" : code < 300 ? "answered" : code < 400 ? "redirected" : code === 487 ? "cancelled" : "failed";
      const name = coded(code);
      const fits = Math.floor((label - 14) / 6.3);
      const only = () => { state.code = String(code); $("code").value = state.code; choose(); };
      drawing.append(s("g", { class: "hot", onclick: only }, s("title", {}, `${name}: ${count}`),
        s("rect", { class: "back", x: 0, width, y: y - 2, height: 23 }),
        s("text", { x: 0, y: y + 14 }, name.length > fits ? `${name.slice(0, fits - 1)}…` : name),
        s("rect", { class: `f-${kind}`, x: label, y: y + 2, height: 16, rx: 2, width: Math.max(((width - label - 50) * count) / most, 1.5) }),
        s("text", { class: "soft", x: label + ((width - label - 50) * count) / most + 7, y: y + 14 }, count.toLocaleString("en"))));
    });
    if (codes.length > shown.length) {
      drawing.append(s("text", { class: "soft", x: width, y: height - 2, "text-anchor": "end" }, `and ${codes.length - shown.length} more codes`));
    }
    $("codes").replaceChildren(drawing);
  }

  // One session
  const fragment = (row) => "#s=" + [value(row, "InviteTime") + meta.base, text(row, "CallId"), text(row, "FromTag"), text(row, "ToTag")]
    .map(encodeURIComponent).join("/");
  const quoted = (word) => `'${word.replaceAll("'", "'\\''")}'`;
  const blocks = new Map();
  function block(number) {
    if (number < 0) return null;
    if (!blocks.has(number)) {
      if (blocks.size > 50) blocks.clear();
      blocks.set(number, read($(`d${number}`)));
    }
    return blocks.get(number);
  }
  const FIELDS = meta.columns.filter((name) => !["Delay", "Detail", "CallId", "FromTag", "ToTag"].includes(name));
  const plain = (row, name) => {
    const found = value(row, name);
    if (found === null || found === undefined) return null;
    if (meta.times.includes(name)) return iso(found);
    if (meta.texts.includes(name)) return text(row, name);
    return name === "MediaTypes" && media(row) ? `${found} (${media(row)})` : String(found);
  };

  function open(number, keep) {
    const row = rows[number];
    state.open = number;
    const call = block(value(row, "Detail"));
    const told = call && call.sessions[number];
    const kind = outcome(row);
    const aside = $("detail");
    const show = { chosen: null };
    const flow = call ? ladder(call, told, (at) => message(at)) : null;
    const holder = h("div", { class: "message", hidden: true });
    function message(at) {
      const [, source, destination, label, , , again, body, file, frame] = call.messages[at];
      if (show.chosen !== null) flow.arrows[show.chosen].classList.remove("chosen");
      show.chosen = at;
      flow.arrows[at].classList.add("chosen");
      holder.hidden = false;
      const place = `${call.files[file]} ${frame}`;
      holder.replaceChildren(
        h("header", {}, h("span", {}, `[${at + 1}] ${label}${again ? ", again" : ""}`), h("span", {}, `${call.hosts[source]} → ${call.hosts[destination]} · ${place}`)),
        h("pre", { tabindex: "0" }, body));
      holder.scrollIntoView({ block: "nearest" });
    }
    const address = fragment(row);
    aside.replaceChildren(...[
      h("div", { class: "head" },
        h("div", {}, h("div", { class: "title" }, `${text(row, "User1") || "unknown"} → ${text(row, "User2") || text(row, "TargetUser") || "unknown"}`),
          h("p", {}, `${iso(value(row, "InviteTime"))} UTC · Call-ID ${text(row, "CallId")}`)),
        h("div", { class: "buttons" }, h("a", { class: "button", href: address, title: "A link to this session" }, "Link"),
          h("button", { type: "button", title: "Close (Esc)", onclick: close }, "Close"))),
      h("p", { class: `cause ${kind}` }, told ? told.sentence : cause(row, kind)),
      ...(told && told.odd.length ? [h("ul", { class: "odd" }, told.odd.map(([words, places]) =>
        h("li", {}, words, ...places.map((at) => h("button", { type: "button", class: "link", onclick: () => message(at) }, ` [${at + 1}]`)))))] : []),
      ...(told && told.differs ? [h("p", { class: "note" }, "The database knows more of this call than these captures: its row has other values than what is explained here. ",
        "For the whole: ", h("code", {}, `sipcdr explain --to URL --call-id=${quoted(text(row, "CallId"))}`))] : []),
      ...(call && !told ? [h("p", { class: "note" }, "The database has joined these messages with others, so they alone don't explain its row. For the whole: ",
        h("code", {}, `sipcdr explain --to URL --call-id=${quoted(text(row, "CallId"))}`))] : []),
      ...(call ? [h("h2", {}, "Call flow"), flow.element, call.more ? h("p", { class: "note" }, `${call.more.toLocaleString("en")} later messages aren't here.`) : null, holder]
        : [h("p", { class: "note" }, "Messages, call flow and provenance of this session aren't in this report. For them: ",
          h("code", {}, `sipcdr explain PATH --call-id=${quoted(text(row, "CallId"))}`))]),
      ...related(number, told),
      h("h2", {}, "Columns"),
      told ? provenance(told, call, message) : values(row),
    ].filter((part) => part !== null));
    aside.hidden = false;
    document.body.classList.add("open-detail");
    aside.scrollTop = 0;
    aside.setAttribute("data-row", number);
    if (!keep) remember(address);
    if (document.activeElement !== $("scroll")) aside.focus({ preventScroll: true });
  }
  function cause(row, kind) {
    const code = coded(value(row, "ResponseCode"));
    if (kind === "answered") return `Answered after ${span(answerTime(row))}${talk(row) === null ? "; no end was seen." : `, then ${span(talk(row))} of talk.`}`;
    if (kind === "none") return "No final response was seen.";
    if (kind === "message") return `Messages; the answer was ${code}.`;
    return `${OUTCOMES[kind]}: ${code} after ${span(answerTime(row))}.`;
  }
  function close() {
    if (state.open === null) return;
    state.open = null;
    $("detail").hidden = true;
    document.body.classList.remove("open-detail");
    remember("");
    $("scroll").focus({ preventScroll: true });
  }
  function remember(address) {
    try {
      history.replaceState(null, "", address || location.pathname + location.search);
    } catch {
      location.hash = address;
    }
  }
  function related(number, told) {
    const row = rows[number];
    // Without a database only the provenance knows what was replaced.
    const before = told && told.columns.find(([name, shown]) => name === "ReplaceDialogId" && shown);
    const beforeId = before ? before[1].split(", tags ")[0] : null;
    const same = [];
    const correlation = text(row, "CorrelationId");
    for (let other = 0; other < rows.length && same.length < 12; other++) {
      if (other === number) continue;
      const one = rows[other];
      let why = "";
      const key = (of) => `${value(of, "SessionIdTime")}/${value(of, "SessionIdSeq")}`;
      const replaced = (of) => `${value(of, "ReplaceDialogIdTime")}/${value(of, "ReplaceDialogIdSeq")}`;
      if ((value(row, "ReplaceDialogIdTime") !== null && key(one) === replaced(row)) || text(one, "CallId") === beforeId) why = "which this one replaced";
      else if (value(one, "ReplaceDialogIdTime") !== null && key(row) === replaced(one)) why = "which replaced this one";
      else if (text(one, "CallId") === text(row, "CallId")) why = "of the same Call-ID";
      else if (correlation && text(one, "CorrelationId") === correlation) why = "of the same CorrelationId";
      if (why) same.push([other, why]);
    }
    if (!same.length) return [];
    return [h("h2", {}, "Sessions that belong to it"), h("ul", { class: "related" }, same.map(([other, why]) => {
      const one = rows[other];
      return h("li", {}, h("a", { class: "link", href: fragment(one) },
        `${iso(value(one, "InviteTime")).slice(11, 19)} ${text(one, "User1") || "unknown"} → ${text(one, "User2") || text(one, "TargetUser") || "unknown"}, ${coded(value(one, "ResponseCode"))}`), ` ${why}`);
    }))];
  }

  function ladder(call, told, chosen) {
    const narrow = innerWidth < 700;
    const gutter = narrow ? 62 : 168;
    const names = call.hosts;
    const notes = told ? told.states : {};
    const right = !narrow && Object.keys(notes).length ? 140 : 6;
    const free = Math.min(innerWidth, 900) - (narrow ? 30 : 48) - gutter - right;
    const step = Math.max(narrow ? 138 : 180, Math.min(280, Math.floor(free / Math.max(names.length, 1))));
    const width = gutter + step * Math.max(names.length, 1) + right;
    const high = 34;
    const top = 34;
    const height = top + call.messages.length * high + 12;
    const x = (host) => gutter + step * (host + 0.5);
    const drawing = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Call flow" });
    const fit = (words, size, of = 6.6) => {
      const most = Math.max(3, Math.floor(size / of));
      return words.length > most ? `${words.slice(0, most - 1)}…` : words;
    };
    names.forEach((name, at) => {
      drawing.append(s("line", { class: "life", x1: x(at), x2: x(at), y1: top - 10, y2: height }),
        s("text", { class: "host", x: x(at), y: 16, "text-anchor": "middle" }, s("title", {}, name), fit(name, step - 8, 7)));
    });
    const began = call.messages.length ? call.messages[0][0] : 0;
    const arrows = call.messages.map(([time, source, destination, label, marks, status, again], at) => {
      const y = top + at * high + 22;
      const [from, to] = [x(source), x(destination)];
      const kind = status >= 400 ? "bad" : status >= 200 ? "good" : status ? "wait" : "";
      const words = label + (again ? " (again)" : "") + (marks ? ` · ${marks}` : "");
      const between = Math.abs(to - from) || step;
      const way = to >= from ? 1 : -1;
      const shape = from === to
        ? [s("path", { d: `M ${from} ${y - 4} h 16 v 8 h -10` }), s("polygon", { points: `${from + 1},${y + 4} ${from + 8},${y + 1} ${from + 8},${y + 7}` })]
        : [s("line", { x1: from, x2: to - way * 6, y1: y, y2: y, "stroke-dasharray": again ? "4 3" : null }),
          s("polygon", { points: `${to},${y} ${to - way * 8},${y - 4} ${to - way * 8},${y + 4}` })];
      const say = `${iso(time)}  ${names[source]} → ${names[destination]}  ${words}${notes[at] ? `  ${notes[at]}` : ""}`;
      const arrow = s("g", {
        class: `arrow ${kind}${again ? " again" : ""}`, tabindex: "0", role: "button", "aria-label": say, "data-message": at,
        onclick: () => chosen(at),
        onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); event.stopPropagation(); chosen(at); } },
      }, s("title", {}, say), s("rect", { class: "back", x: 1, y: y - 20, width: width - 2, height: high - 2, rx: 4 }),
      narrow ? null : s("text", { class: "time soft", x: 8, y: y + 3 }, iso(time).slice(11, 23)),
      s("text", { class: "time soft", x: gutter - 6, y: y + 3, "text-anchor": "end" }, `+${((time - began) / 1e6).toFixed(3)}`),
      ...shape,
      s("text", { class: "label", x: from === to ? from + 24 : (from + to) / 2, y: from === to ? y + 3 : y - 5, "text-anchor": from === to ? "start" : "middle" }, fit(words, between - 14)),
      notes[at] && !narrow ? s("text", { class: "soft", x: width - right + 6, y: y + 3 }, fit(notes[at], right - 10, 6.2)) : null);
      drawing.append(arrow);
      return arrow;
    });
    return { element: h("div", { class: "ladder" }, drawing), arrows };
  }

  function provenance(told, call, message) {
    const jump = (at) => (at === null ? "" : h("button", { type: "button", onclick: () => message(at) }, `[${at + 1}] ${call.messages[at][3]}`));
    const filled = told.columns.filter(([, , rule, , , lost]) => rule || lost.length);
    const empty = told.columns.filter(([, , rule, , , lost]) => !rule && !lost.length);
    return h("div", {},
      h("table", { class: "columns" },
        h("thead", {}, h("tr", {}, h("th", {}, "Column"), h("th", {}, "Value"), h("th", { class: "rule-cell" }, "Rule"), h("th", {}, "Message"))),
        h("tbody", {}, filled.map(([name, shown, rule, at, detail, lost, parts]) => h("tr", {}, h("td", {}, name),
          h("td", {}, shown === null ? "–" : shown, detail ? h("div", { class: "lost" }, detail) : null,
            parts.map(([part, place]) => h("div", { class: "lost" }, part, place === null ? "" : " ", jump(place))),
            lost.map(([other, against, place, why]) => h("div", { class: "lost" }, `not ${other === null ? "–" : other} (${against})`,
              place === null ? "" : " ", jump(place), `: ${why}`))),
          h("td", { class: "rule rule-cell" }, rule), h("td", {}, jump(at)))))),
      empty.length ? h("p", { class: "empty-columns" }, `No message sets ${empty.map(([name, shown]) => name + (shown === null ? "" : ` (${shown})`)).join(", ")}.`) : null);
  }
  function values(row) {
    return h("table", { class: "columns" }, h("tbody", {}, FIELDS.filter((name) => plain(row, name) !== null)
      .map((name) => h("tr", {}, h("td", {}, name), h("td", {}, plain(row, name))))));
  }

  // The address names a session.
  function follow() {
    if (!location.hash.startsWith("#s=")) return;
    let wanted;
    try {
      wanted = location.hash.slice(3).split("/").map(decodeURIComponent);
    } catch {
      return;
    }
    const number = rows.findIndex((row) => String(value(row, "InviteTime") + meta.base) === wanted[0] && text(row, "CallId") === wanted[1]
      && text(row, "FromTag") === (wanted[2] || "") && text(row, "ToTag") === (wanted[3] || ""));
    if (number < 0) return;
    const at = state.shown.indexOf(number);
    if (at >= 0) select(at, false);
    open(number, true);
  }

  // Keys
  function clear() {
    Object.assign(state, { words: [], outcome: "", code: "", from: null, to: null });
    for (const id of ["search", "outcome", "code"]) $(id).value = "";
    choose();
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
    const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
    const inside = $("detail").contains(event.target);
    const key = event.key;
    if (key === "Escape") {
      if (state.open !== null) close();
      else if (!$("clear").hidden) clear();
      else if (typing) $("scroll").focus();
      event.preventDefault();
    } else if (typing) {
      if ((key === "ArrowDown" || key === "Enter") && event.target === $("search")) {
        event.preventDefault();
        $("scroll").focus();
        select(Math.max(state.chosen, 0), false);
      }
    } else if (key === "/") {
      event.preventDefault();
      $("search").focus();
      $("search").select();
    } else if (key === "?") {
      $("help").showModal();
    } else if (key === "Enter") {
      if (inside || event.target instanceof HTMLButtonElement) return;
      if (state.chosen >= 0) select(state.chosen, true);
    } else if (!inside || key === "j" || key === "k") {
      const page = Math.max(1, room() - 4);
      const to = { ArrowDown: state.chosen + 1, j: state.chosen + 1, ArrowUp: state.chosen - 1, k: state.chosen - 1,
        PageDown: state.chosen + page, PageUp: state.chosen - page, Home: 0, End: state.shown.length - 1 }[key];
      if (to === undefined) return;
      event.preventDefault();
      $("scroll").focus({ preventScroll: true });
      select(to, state.open !== null);
    }
  });

  // Light and dark
  const dark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const named = () => { $("theme").textContent = dark() ? "Light" : "Dark"; };
  $("theme").addEventListener("click", () => { document.documentElement.dataset.theme = dark() ? "light" : "dark"; named(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", named);

  // Paper
  addEventListener("beforeprint", () => {
    const most = 1000;
    const shown = state.shown.slice(0, most);
    $("printed").replaceChildren(h("table", {}, h("thead", {}, h("tr", {}, COLUMNS.slice(0, 7).map(([name]) => h("th", {}, name)))),
      h("tbody", {}, shown.map((number) => h("tr", {}, COLUMNS.slice(0, 7).map(([, , show]) => h("td", {}, String(show(rows[number])))))))),
    ...(state.shown.length > most ? [h("p", {}, `The first ${most} of ${state.shown.length} sessions.`)] : []));
  });
  addEventListener("afterprint", () => $("printed").replaceChildren());

  // Begin
  $("sub").textContent = meta.sub;
  $("note").textContent = meta.note;
  $("notes").replaceChildren(...meta.notes.map((note) => h("li", {}, note)));
  $("cards").replaceChildren(...meta.cards.map(([title, shown, more, why]) =>
    h("div", { class: "card", title: why }, h("span", {}, title), h("b", {}, shown), more ? h("small", {}, more) : null)));
  const counted = (of) => {
    const counts = new Map();
    for (const row of rows) counts.set(of(row), (counts.get(of(row)) || 0) + 1);
    return counts;
  };
  const kinds = counted(outcome);
  $("outcome").append(h("option", { value: "" }, "All outcomes"), ...Object.entries(OUTCOMES).filter(([kind]) => kinds.has(kind))
    .map(([kind, name]) => h("option", { value: kind }, `${name} (${kinds.get(kind).toLocaleString("en")})`)));
  const codes = [...counted((row) => value(row, "ResponseCode"))].sort((one, other) => (one[0] ?? 1000) - (other[0] ?? 1000));
  $("code").append(h("option", { value: "" }, "All responses"), ...codes
    .map(([code, count]) => h("option", { value: String(code) }, `${coded(code)} (${count.toLocaleString("en")})`)));
  let waiting = 0;
  $("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { state.words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean); choose(); }, 120);
  });
  $("outcome").addEventListener("change", () => { state.outcome = $("outcome").value; choose(); });
  $("code").addEventListener("change", () => { state.code = $("code").value; choose(); });
  $("clear").addEventListener("click", clear);
  $("keys").addEventListener("click", () => $("help").showModal());
  $("scroll").addEventListener("scroll", () => draw(false), { passive: true });
  $("body").addEventListener("click", (event) => {
    const row = event.target.closest("tr.row");
    if (row) { $("scroll").focus({ preventScroll: true }); select(Number(row.dataset.at), true); }
  });
  addEventListener("resize", () => { heads(); draw(true); plots(); });
  addEventListener("hashchange", follow);
  $("scroll").style.height = `${Math.min(rows.length * HEIGHT + 38, 640)}px`;
  named();
  heads();
  choose();
  follow();
})();
