"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const S = data.strings;
  const $ = (id) => document.getElementById(id);
  const LEVELS = ["General", "Critical error", "Error", "Warning", "Information", "Verbose"];
  const el = (tag, cls, text) => {
    const node = document.createElement(tag);
    if (cls) node.className = cls;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const button = (cls, text, click) => {
    const node = el("button", cls, text);
    node.type = "button";
    node.onclick = click;
    return node;
  };

  // ---- data ------------------------------------------------------------------------------------
  // An event: [name, provider, area, level, opcode, µs since the start, process, thread, items];
  // an item: [name, value, meaning or 0].
  const event = (raw, n) => ({
    n, name: S[raw[0]], provider: S[raw[1]], area: S[raw[2]], level: raw[3], opcode: raw[4],
    at: raw[5], pid: raw[6], tid: raw[7],
    items: raw[8].map(([name, value, meaning]) => [S[name], value, meaning ? S[meaning] : ""]),
  });
  const item = (e, name) => (e.items.find((i) => i[0] === name) || ["", "", ""])[1];
  const shown = (i) => i[2] ? i[2].replace(/\s+/g, " ") : i[1];
  const line = (e) => e.items.filter((i) => i[0] !== "ContextId")
    .map((i) => i[0] + "=\"" + shown(i) + "\"").join(", ");
  const haystack = (e) => e.hay || (e.hay =
    (e.name + " " + e.provider + " " + e.area + " " + line(e)).toLowerCase());

  /** Decodes a request, and nests its events by START and END. */
  const open = (request) => {
    if (request.list) return request;
    request.list = request.events.map((raw, at) => event(raw, at + 1));
    const stack = [];
    for (const e of request.list) {
      e.depth = stack.length;
      e.children = 0;
      const key = (suffix) => e.name.slice(0, -suffix.length) + "\0" + item(e, "ModuleName");
      if (e.name.endsWith("_END")) {
        const wanted = key("_END"), bare = e.name.slice(0, -4) + "\0";
        let at = stack.length - 1;
        while (at >= 0 && stack[at].key !== wanted) at--;
        if (at < 0) {
          at = stack.length - 1;
          while (at >= 0 && !stack[at].key.startsWith(bare)) at--;
        }
        if (at >= 0) {
          const start = stack[at].e;
          start.end = e;
          start.took = e.at - start.at;
          e.start = start;
          e.depth = at;
          stack.length = at;
        }
      } else if (e.name.endsWith("_START")) {
        e.key = key("_START");
        stack.push({ key: e.key, e });
      }
    }
    let before = null;
    const last = [];
    for (const e of request.list) {
      e.since = before ? e.at - before.at : 0;
      before = e;
      last.length = e.depth + 1;
      last[e.depth] = e;
      e.parent = e.depth ? last[e.depth - 1] || null : null;
      if (e.parent) e.parent.children++;
    }
    return request;
  };

  // ---- text ------------------------------------------------------------------------------------
  const ms = (us) => {
    const v = us / 1000;
    if (v >= 100000) return (v / 1000).toFixed(1) + " s";
    if (v >= 1000) return (v / 1000).toFixed(2) + " s";
    return (v >= 100 ? v.toFixed(0) : v >= 1 ? v.toFixed(1) : v.toFixed(3)) + " ms";
  };
  const clock = (request, us) =>
    new Date(request.start + us / 1000).toISOString().slice(11, 23);
  const plural = (n, one) => n.toLocaleString("en") + " " + one + (n === 1 ? "" : "s");
  const statusClass = (status) => "pill s" + (status || "0")[0];
  const path = (request) => {
    const url = request.url || request.id;
    const at = url.indexOf("://");
    const slash = at < 0 ? -1 : url.indexOf("/", at + 3);
    return slash < 0 ? url : url.slice(slash);
  };
  const worst = (request) => Math.min(9, ...[1, 2, 3].filter((l) => request.levels[l]));
  /** Text with the words that were searched for marked. */
  const marked = (node, text) => {
    const at = query ? text.toLowerCase().indexOf(query) : -1;
    if (at < 0 || text.toLowerCase().length !== text.length) {
      node.append(text);
    } else {
      node.append(text.slice(0, at), el("mark", "", text.slice(at, at + query.length)),
        text.slice(at + query.length));
    }
    return node;
  };

  // ---- a list that has only the rows that are seen ----------------------------------------------
  const lists = new Map();
  const list = (box, height, count, make) => {
    const old = lists.get(box);
    if (old) old.stop();
    const space = el("div", "space");
    space.style.height = count * height + "px";
    box.replaceChildren(space);
    let from = -1, to = -1;
    const draw = (force) => {
      const first = Math.max(0, Math.floor(box.scrollTop / height) - 8);
      const end = Math.min(count, Math.ceil((box.scrollTop + box.clientHeight) / height) + 8);
      if (!force && first === from && end === to) return;
      [from, to] = [first, end];
      const rows = [];
      for (let i = first; i < end; i++) {
        const row = make(i);
        row.style.top = i * height + "px";
        rows.push(row);
      }
      space.replaceChildren(...rows);
    };
    const onScroll = () => draw(false);
    box.addEventListener("scroll", onScroll, { passive: true });
    const watch = new ResizeObserver(onScroll);
    watch.observe(box);
    draw(true);
    const self = {
      draw: () => draw(true),
      show: (i) => {
        const top = i * height;
        if (top < box.scrollTop || top + height > box.scrollTop + box.clientHeight) {
          box.scrollTop = Math.max(0, top - box.clientHeight / 3);
        }
        draw(true);
      },
      stop: () => { box.removeEventListener("scroll", onScroll); watch.disconnect(); },
    };
    lists.set(box, self);
    return self;
  };
  const rowHeight = () =>
    parseInt(getComputedStyle(document.documentElement).getPropertyValue("--row"), 10);

  // ---- state -----------------------------------------------------------------------------------
  let query = "", tab = "summary", current = null, selected = null, byDuration = false;
  let order = data.requests.map((_, at) => at), rows = null, closed = new Set();

  const matches = (request) => {
    if (!query) return true;
    const head = [request.url, request.verb, request.status, request.pool, request.user, request.id];
    if (head.join(" ").toLowerCase().includes(query)) return true;
    return open(request).list.some((e) => haystack(e).includes(query));
  };

  const side = () => {
    const by = $("order").value, R = data.requests;
    order = R.map((_, at) => at).filter((at) => matches(R[at]));
    const sorts = {
      taken: (a, b) => R[b].taken - R[a].taken,
      status: (a, b) => parseFloat(R[b].status || 0) - parseFloat(R[a].status || 0),
      worst: (a, b) => worst(R[a]) - worst(R[b]),
    };
    if (sorts[by]) order.sort((a, b) => sorts[by](a, b) || a - b);
    const all = R.length;
    $("count").textContent = order.length === all
      ? plural(all, "request") : order.length.toLocaleString("en") + " of " + plural(all, "request");
    const slowest = R.reduce((most, request) => Math.max(most, request.taken), 1);
    const box = $("requests");
    if (!order.length) {
      const old = lists.get(box);
      if (old) { old.stop(); lists.delete(box); }
      box.replaceChildren(el("p", "empty", query ? "Nothing matches." : "The log has no requests."));
      return;
    }
    list(box, 58, order.length, (i) => {
      const request = R[order[i]];
      const row = el("div", "entry");
      row.setAttribute("role", "option");
      row.setAttribute("aria-selected", request === current);
      row.append(el("span", statusClass(request.status), request.status || "–"));
      const name = el("span", "path");
      name.title = request.url;
      row.append(marked(name, path(request)));
      row.append(el("span", "took", ms(request.taken)));
      const meta = [request.verb, clock(request, 0), plural(request.events.length, "event")];
      row.append(el("span", "meta", meta.filter(Boolean).join(" · ")));
      const track = el("span", "track"), fill = el("i");
      fill.style.width = Math.max(3, 100 * request.taken / slowest) + "%";
      const tone = worst(request);
      if (tone <= 3) { fill.style.background = "var(--tone)"; track.classList.add("l" + tone); }
      track.append(fill);
      row.append(track);
      row.onclick = () => choose(request);
      return row;
    });
  };

  const choose = (request) => {
    current = open(request);
    selected = null;
    closed = new Set();
    document.body.classList.add("one");
    const own = lists.get($("requests"));
    if (own) own.draw();
    show();
  };

  // ---- one request -----------------------------------------------------------------------------
  const show = () => {
    const request = current, box = $("request");
    if (!request) {
      box.replaceChildren(el("p", "empty", data.requests.length
        ? "Choose a request." : "The log has no events of requests."));
      return;
    }
    const head = el("div", "head");
    const title = el("div", "title");
    title.append(el("span", statusClass(request.status), request.status || "–"));
    const h1 = el("h1");
    if (request.verb) h1.append(el("span", "verb", request.verb + " "));
    h1.append(marked(el("span"), request.url || request.id));
    title.append(h1);
    head.append(title);
    const facts = el("div", "facts");
    const fact = (text, bold, cls) => {
      const node = el("span", cls);
      node.append(el("b", cls ? "tone" : "", bold), " " + text);
      facts.append(node);
    };
    fact("taken", ms(request.taken));
    fact(request.list.length === 1 ? "event" : "events", request.list.length.toLocaleString("en"));
    for (const [level, name] of [[1, "critical"], [2, "error"], [3, "warning"]]) {
      const count = request.levels[level];
      if (count) fact(name + (count === 1 || level === 1 ? "" : "s"), count.toLocaleString("en"), "l" + level);
    }
    fact("UTC", new Date(request.start).toISOString().replace("T", " ").slice(0, 23));
    head.append(facts);
    const canvas = el("canvas", "timeline");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "Timeline of the request");
    head.append(canvas);
    const scale = el("div", "scale");
    for (let i = 0; i <= 4; i++) scale.append(el("span", "", i ? ms(request.span * i / 4) : "0"));
    head.append(scale);
    const tabs = el("div", "tabs");
    tabs.setAttribute("role", "tablist");
    const faults = request.list.filter((e) => e.level >= 1 && e.level <= 3);
    const names = [
      ["summary", "Summary"], ["details", "Details"], ["faults", "Errors & warnings", faults.length],
      ["performance", "Performance"], ["compact", "Compact"],
    ];
    for (const [id, name, count] of names) {
      const node = button("", name, () => { tab = id; show(); });
      node.setAttribute("role", "tab");
      node.setAttribute("aria-selected", id === tab);
      if (count) node.append(el("small", "tone l" + worst(request), count.toLocaleString("en")));
      tabs.append(node);
    }
    head.append(tabs);
    const body = el("div", "body"), view = el("div", "view");
    body.append(view);
    box.replaceChildren(head, body);
    rows = null;
    ({ summary, details, faults: faultView, performance, compact })[tab](view, request, faults);
    detail();
    timeline(canvas, request);
  };

  const summary = (view, request, faults) => {
    const pad = el("div", "pad");
    const cards = el("div", "cards");
    const card = (name, value, cls) => {
      const node = el("div", "card " + (cls || ""));
      node.append(el("span", "", name), el("b", cls ? "tone" : "", value || "–"));
      cards.append(node);
    };
    const tone = request.status >= "5" ? "l2" : request.status >= "4" ? "l3" : "";
    card("Final status", request.status, tone);
    card("Trigger status", request.trigger, tone);
    card("Failure reason", request.reason);
    card("Time taken", ms(request.taken));
    card("Application pool", request.pool);
    card("Authentication", request.auth);
    pad.append(cards);
    if (faults.length) {
      pad.append(el("h2", "", "Errors and warnings"), faultBox(faults.slice(0, 8)));
      if (faults.length > 8) {
        pad.append(button("link", "All " + faults.length.toLocaleString("en"), () => { tab = "faults"; show(); }));
      }
    }
    const slow = request.list.filter((e) => e.end && e.depth > 0).sort((a, b) => b.took - a.took).slice(0, 6);
    if (slow.length) {
      pad.append(el("h2", "", "Where the time went"));
      const box = el("div", "box");
      for (const e of slow) {
        const node = el("div", "fault");
        node.append(el("span", "tag", ms(e.took)));
        node.append(el("b", "", e.name.slice(0, -6) + (item(e, "ModuleName") ? " · " + item(e, "ModuleName") : "")));
        node.append(button("link", "view trace", () => jump(e)));
        const p = el("p"), track = el("span", "track"), fill = el("i");
        fill.style.width = 100 * e.took / Math.max(1, request.span) + "%";
        track.append(fill);
        p.append(track);
        node.append(p);
        box.append(node);
      }
      pad.append(box);
    }
    pad.append(el("h2", "", "Request"));
    const box = el("div", "box");
    const pair = (name, value) => {
      const node = el("div", "pair");
      node.append(el("span", "", name), marked(el("b"), String(value)));
      box.append(node);
    };
    pair("URL", request.url || "–");
    pair("Verb", request.verb || "–");
    pair("Site", request.site || "–");
    pair("Process", request.pid);
    pair("User", request.user || "–");
    pair("Remote user", request.remote || "–");
    pair("Activity ID", request.id);
    if (!request.whole) pair("Note", "Its start or its end is not in the log.");
    if (request.left) pair("Left out", plural(request.left, "event"));
    pad.append(box);
    view.append(pad);
  };

  const faultBox = (faults) => {
    const box = el("div", "box");
    for (const e of faults) {
      const node = el("div", "fault l" + e.level);
      node.append(el("span", "tag", LEVELS[e.level]));
      const module = item(e, "ModuleName");
      node.append(marked(el("b"), e.name + (module ? " · " + module : "")));
      node.append(button("link", "view trace", () => jump(e)));
      const text = e.items.filter((i) => i[0] !== "ContextId" && i[0] !== "ModuleName" && i[1] !== "")
        .map((i) => i[0] + "=\"" + shown(i) + "\"").join(", ");
      if (text) node.append(marked(el("p"), text.length > 600 ? text.slice(0, 600) + " …" : text));
      box.append(node);
    }
    return box;
  };

  const faultView = (view, _request, faults) => {
    const pad = el("div", "pad");
    const most = 500, found = faults.filter((e) => !query || haystack(e).includes(query));
    if (found.length) pad.append(faultBox(found.slice(0, most)));
    if (found.length > most) {
      pad.append(el("p", "empty", "The first " + most + " of " + found.length.toLocaleString("en") + "; search to see others."));
    }
    if (!found.length) pad.append(el("p", "empty", faults.length ? "Nothing matches." : "No errors and no warnings."));
    view.append(pad);
  };

  /** Columns, and a list of rows; `make` fills a row. */
  const table = (view, [columns, slim], heads, events, make) => {
    view.style.setProperty("--columns", columns);
    view.style.setProperty("--slim", slim);
    const top = el("div", "columns");
    heads.forEach(([name, cls]) => top.append(el("span", cls, name)));
    const box = el("div", "list");
    box.tabIndex = 0;
    view.append(top, box);
    if (!events.length) {
      box.append(el("p", "empty", "Nothing matches."));
      return;
    }
    const at = new Map(events.map((e, i) => [e, i]));
    const own = list(box, rowHeight(), events.length, (i) => {
      const e = events[i];
      const row = el("div", "row l" + e.level + (e === selected ? " on" : ""));
      make(row, e);
      row.onclick = () => { selected = selected === e ? null : e; detail(); own.draw(); };
      return row;
    });
    box.onkeydown = (key) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[key.key];
      if (!step) return;
      key.preventDefault();
      const next = Math.min(events.length - 1, Math.max(0, (selected ? at.get(selected) ?? -1 : -1) + step));
      selected = events[next];
      detail();
      own.show(next);
    };
    rows = { show: (e) => at.has(e) && own.show(at.get(e)), draw: own.draw };
    if (selected) rows.show(selected);
  };

  const found = (request) =>
    query ? request.list.filter((e) => haystack(e).includes(query)) : request.list;
  const narrow = () => matchMedia("(max-width: 820px)").matches;

  const details = (view, request) => {
    const tools = el("div", "tools");
    const parents = request.list.filter((e) => e.children);
    const set = (some) => { closed = new Set(some); show(); };
    tools.append(button("link", "Expand all", () => set([])),
      button("link", "Collapse all", () => set(parents.filter((e) => e.depth > 0))));
    if (!narrow()) tools.append(el("span", "", "Nested by START and END; the bar is when, and for how long."));
    view.append(tools);
    const hidden = (e) => {
      for (let p = e.parent; p; p = p.parent) if (closed.has(p)) return true;
      return false;
    };
    const events = query ? found(request) : closed.size ? request.list.filter((e) => !hidden(e)) : request.list;
    const span = Math.max(1, request.span);
    const columns = narrow() ? ["34px minmax(0, 1fr) 76px"]
      : ["48px minmax(330px, 1.3fr) minmax(120px, 1fr) minmax(90px, .7fr) 86px 86px",
        "48px minmax(240px, 1fr) minmax(80px, .4fr) 86px 86px"];
    table(view, columns, [["No.", "n"], ["Event", ""], ["Details", "wide more"], ["Time line", "wide"], ["At", "t wide"], ["Took", "t"]],
      events, (row, e) => {
        row.append(el("span", "n", e.n));
        const name = el("span", "name");
        name.style.paddingLeft = Math.min(e.depth, 12) * (narrow() ? 8 : 16) + "px";
        const twist = el("span", "twist", e.children ? (closed.has(e) ? "▸" : "▾") : "");
        if (e.children) {
          twist.onclick = (click) => {
            click.stopPropagation();
            if (!closed.delete(e)) closed.add(e);
            const top = view.querySelector(".list").scrollTop;
            show();
            const box = document.querySelector("#request .list");
            if (box) box.scrollTop = top;
          };
        }
        const module = item(e, "ModuleName");
        name.append(twist);
        marked(name, e.name + (module ? " · " + module : ""));
        name.title = e.name;
        row.append(name, marked(el("span", "what wide more"), line(e).slice(0, 300)));
        const gantt = el("span", "gantt wide"), fill = el("i");
        fill.style.left = Math.min(99.4, 100 * e.at / span) + "%";
        fill.style.width = e.end ? 100 * e.took / span + "%" : "2px";
        gantt.append(fill);
        row.append(gantt, el("span", "t wide", ms(e.at)), el("span", "t", e.end ? ms(e.took) : narrow() ? "" : "·"));
      });
  };

  const performance = (view, request) => {
    const tools = el("div", "tools");
    tools.append(el("span", "", "Time since the event before."),
      button("link", byDuration ? "In order of time" : "Longest first", () => { byDuration = !byDuration; show(); }));
    view.append(tools);
    const events = found(request).slice();
    if (byDuration) events.sort((a, b) => b.since - a.since || a.n - b.n);
    const most = request.list.reduce((most, e) => Math.max(most, e.since), 1);
    const columns = narrow() ? ["34px minmax(0, 1fr) 76px"]
      : ["48px minmax(330px, 1fr) minmax(120px, 1.4fr) 92px 92px",
        "48px minmax(240px, 1fr) minmax(60px, .5fr) 92px 92px"];
    table(view, columns, [["No.", "n"], ["Event", ""], ["", "wide"], ["At", "t wide"], ["Duration", "t"]],
      events, (row, e) => {
        const module = item(e, "ModuleName");
        const track = el("span", "gantt wide"), fill = el("i");
        fill.style.width = 100 * e.since / most + "%";
        if (e.since) track.append(fill);
        row.append(el("span", "n", e.n), marked(el("span", "name"), e.name + (module ? " · " + module : "")),
          track, el("span", "t wide", ms(e.at)), el("span", "t", ms(e.since)));
      });
  };

  const compact = (view, request) => {
    const columns = narrow() ? ["34px minmax(0, 1fr) 92px"]
      : ["48px minmax(220px, 320px) minmax(0, 1fr) 104px",
        "48px minmax(220px, 320px) minmax(0, 1fr) 104px"];
    table(view, columns, [["No.", "n"], ["Event", ""], ["Details", "wide"], ["Time", "t"]],
      found(request), (row, e) => {
        row.append(el("span", "n", e.n), marked(el("span", "name"), e.name),
          marked(el("span", "what wide"), line(e).slice(0, 400)), el("span", "t", clock(request, e.at)));
      });
  };

  /** Everything that the selected event says. */
  const detail = () => {
    const body = document.querySelector("#request .body");
    if (!body) return;
    const old = body.querySelector("aside");
    if (old) old.remove();
    body.classList.remove("slim");
    if (!selected || tab === "summary" || tab === "faults") return;
    const e = selected, box = el("aside");
    const top = el("header");
    top.append(el("h3", "", e.name), button("icon", "✕", () => { selected = null; detail(); if (rows) rows.draw(); }));
    top.lastChild.setAttribute("aria-label", "Close");
    box.append(top);
    const sub = el("p", "sub l" + e.level);
    sub.append(el("span", "tag", LEVELS[e.level] || "Level " + e.level));
    const more = [e.provider, e.area, "No. " + e.n, clock(current, e.at), e.end ? "took " + ms(e.took) : "", "thread " + e.tid];
    sub.append(" " + more.filter(Boolean).join(" · "));
    box.append(sub);
    const dl = el("dl");
    for (const [name, value, meaning] of e.items) {
      const dd = marked(el("dd"), value === "" ? "–" : value);
      if (meaning) dd.append(el("em", "", "  " + meaning.replace(/\s+/g, " ")));
      dl.append(el("dt", "", name), dd);
    }
    box.append(dl);
    body.append(box);
    body.classList.add("slim");
  };

  const jump = (e) => {
    tab = "details";
    for (let p = e.parent; p; p = p.parent) closed.delete(p);
    if (query && !haystack(e).includes(query)) { query = ""; $("search").value = ""; side(); }
    selected = e;
    show();
  };

  // ---- the timeline ----------------------------------------------------------------------------
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const HUES = { "": 217, RequestNotifications: 217, Module: 262, Authentication: 158, Security: 8,
    Cache: 186, Compression: 130, Filter: 300, ISAPI: 36, FastCGI: 24, CGI: 44, WebSocket: 330 };
  const hue = (area) => HUES[area] ?? [...area].reduce((h, c) => (h * 31 + c.charCodeAt(0)) % 360, 7);

  const timeline = (canvas, request) => {
    const spans = request.list.filter((e) => e.end);
    const depth = Math.min(5, 1 + spans.reduce((most, e) => Math.max(most, e.depth), 0));
    const draw = () => {
      const width = canvas.clientWidth, height = canvas.clientHeight;
      if (!width) return;
      const scale = window.devicePixelRatio || 1;
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      const g = canvas.getContext("2d");
      g.scale(scale, scale);
      const x = (us) => us / Math.max(1, request.span) * (width - 2);
      g.fillStyle = color("--line");
      for (let i = 0; i <= 4; i++) g.fillRect(Math.min(width - 1, x(request.span * i / 4)), 0, 1, height);
      const dark = document.documentElement.dataset.theme === "dark";
      const lane = (height - 14) / depth;
      for (const e of spans) {
        if (e.depth >= depth) continue;
        const light = dark ? 40 + e.depth * 5 : 74 - e.depth * 6;
        g.fillStyle = "hsl(" + hue(e.area) + " " + (dark ? 46 : 68) + "% " + light + "%)";
        g.fillRect(x(e.at), 2 + e.depth * lane, Math.max(1.5, x(e.took)), Math.max(2, lane - 1.5));
      }
      g.fillStyle = color("--faint");
      let last = -2;
      for (const e of request.list) {
        const at = Math.round(x(e.at));
        if (at > last) { g.fillRect(at, height - 9, 1, 4); last = at; }
      }
      for (const e of request.list) {
        if (e.level < 1 || e.level > 3) continue;
        g.fillStyle = color(["", "--critical", "--error", "--warning"][e.level]);
        g.beginPath();
        g.arc(Math.max(4, Math.min(width - 4, x(e.at))), height - 6.5, 4, 0, 7);
        g.fill();
      }
    };
    const nearest = (click) => {
      const box = canvas.getBoundingClientRect();
      const at = (click.clientX - box.left) / Math.max(1, box.width) * request.span;
      const row = Math.floor((click.clientY - box.top - 2) / ((box.height - 14) / depth));
      const inside = spans.filter((e) => e.depth === row && e.at <= at && at <= e.at + e.took);
      if (inside.length) return inside[0];
      return request.list.reduce((best, e) => {
        const far = Math.abs(e.at - at) - (e.level >= 1 && e.level <= 3 ? request.span / 60 : 0);
        return far < best[0] ? [far, e] : best;
      }, [Infinity, null])[1];
    };
    canvas.onmousemove = (move) => {
      const e = nearest(move);
      canvas.title = e ? e.name + " · " + ms(e.at) + (e.end ? " · took " + ms(e.took) : "") : "";
    };
    canvas.onclick = (click) => { const e = nearest(click); if (e) jump(e); };
    redraw = draw;
    draw();
  };
  let redraw = () => {};
  new ResizeObserver(() => redraw()).observe($("request"));

  // ---- start -----------------------------------------------------------------------------------
  const theme = (name) => { document.documentElement.dataset.theme = name; redraw(); };
  const system = matchMedia("(prefers-color-scheme: dark)");
  theme(system.matches ? "dark" : "light");
  system.addEventListener("change", () => theme(system.matches ? "dark" : "light"));
  $("theme").onclick = () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  $("source").textContent = data.source;
  document.title = data.source ? data.source + " – requests" : "Requests";
  let timer = 0;
  $("search").oninput = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      query = $("search").value.trim().toLowerCase();
      side();
      if (query && tab === "summary" && current) tab = "compact";
      show();
    }, 120);
  };
  $("order").onchange = side;
  $("back").onclick = () => { document.body.classList.remove("one"); side(); };
  $("requests").onkeydown = (key) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[key.key];
    if (!step || !order.length) return;
    key.preventDefault();
    const at = order.findIndex((at) => data.requests[at] === current);
    const next = Math.min(order.length - 1, Math.max(0, at + step));
    choose(data.requests[order[next]]);
    lists.get($("requests")).show(next);
  };
  document.addEventListener("keydown", (key) => {
    if (key.key === "/" && document.activeElement !== $("search")) { key.preventDefault(); $("search").focus(); }
    if (key.key === "Escape" && selected) { selected = null; detail(); if (rows) rows.draw(); }
  });
  let wasNarrow = narrow();
  addEventListener("resize", () => {
    if (narrow() !== wasNarrow) { wasNarrow = narrow(); side(); show(); }
  });
  const hash = new URLSearchParams(location.hash.slice(1));
  if (["summary", "details", "faults", "performance", "compact"].includes(hash.get("view"))) tab = hash.get("view");
  document.body.classList.toggle("many", data.requests.length > 1);
  side();
  const wanted = data.requests[Number(hash.get("request")) - 1];
  if (wanted) choose(wanted);
  else if (data.requests.length === 1 || (data.requests.length && !narrow())) choose(data.requests[order[0]]);
  else show();
  const event1 = current && current.list[Number(hash.get("event")) - 1];
  if (event1) jump(event1);
})();
