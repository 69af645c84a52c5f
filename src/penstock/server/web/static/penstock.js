// The pages' only script of our own: dates in the viewer's zone and the site's, copy buttons, keys, log lines, live regions. Every page works without it.
// Live: one event stream per page says what changed; the page's own address is fetched again and its #live region morphed.
"use strict";
(() => {
  const say = document.body.dataset;
  const lang = document.documentElement.lang;
  const locale = navigator.languages.find((one) => one.split("-")[0] === lang) || lang;
  const day = new Intl.DateTimeFormat(locale, { dateStyle: "medium" });
  const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
  const full = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "long" });
  const near = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: lang === "de" ? "long" : "short" }); // German shortens with a full stop, which ends no sentence here

  const ago = (then, now) => {
    const s = Math.round((then - now) / 1000), a = Math.abs(s);
    if (a < 60) return near.format(s, "second");
    if (a < 3600) return near.format(Math.round(s / 60), "minute");
    if (a < 86400) return near.format(Math.round(s / 3600), "hour");
    if (a < 7 * 86400) return near.format(Math.round(s / 86400), "day");
    return day.format(then);
  };
  // A page about a site or a device says what its clock showed too, where that is another one than the viewer's.
  const zones = new Map();
  const there = (el, date) => {
    const zone = el.dataset.zone;
    if (!zone) return "";
    try {
      if (!zones.has(zone)) {
        const options = { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
        zones.set(zone, [undefined, zone].map((timeZone) => [new Intl.DateTimeFormat(locale, { ...options, timeZone }), new Intl.DateTimeFormat(locale, { ...options, weekday: undefined, timeZone })]));
      }
    } catch { return ""; }
    // Two clocks are at most a day apart: the day of the week says which day it is there.
    const [[hereDay, here], [farDay, far]] = zones.get(zone);
    if (hereDay.format(date) === farDay.format(date)) return "";
    const sameDay = hereDay.format(date).replace(here.format(date), "") === farDay.format(date).replace(far.format(date), "");
    return say.sayThere.replace("%t", (sameDay ? far : farDay).format(date)).replace("%p", el.dataset.place);
  };
  const tell = (root) => {
    const now = Date.now();
    for (const el of root.querySelectorAll("time[data-ms]")) {
      const then = Number(el.dataset.ms);
      let text, far = "";
      if (el.dataset.as === "clock") {
        const date = new Date(then), clockThere = there(el, date);
        far = clockThere && ` (${clockThere})`;
        text = day.format(date) === day.format(now) ? clock.format(date) : `${day.format(date)} ${clock.format(date)}`;
      } else text = ago(then, now);
      if (el.textContent === text + far) continue;
      el.textContent = text;
      if (far) {
        const span = document.createElement("span");  // breaks off the line in one piece
        span.className = "there";
        span.textContent = far.trim();
        el.append(" ", span);
      }
    }
  };
  // The whole date is written when somebody points at it: a thousand of them would be a tenth of a second.
  document.addEventListener("pointerover", (event) => {
    const el = event.target.closest("time[data-ms]");
    if (!el) return;
    const date = new Date(Number(el.dataset.ms)), far = there(el, date);
    el.title = full.format(date) + (far && ` (${far})`);
  });
  tell(document);
  setInterval(() => tell(document), 10000);
  document.addEventListener("htmx:after:swap", () => tell(document));

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const text = document.getElementById(button.dataset.copy).textContent.trim();
    const label = button.querySelector("span");
    try {
      await navigator.clipboard.writeText(text);
      label.textContent = say.sayCopied;
    } catch {
      const range = document.createRange();
      range.selectNodeContents(document.getElementById(button.dataset.copy));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      label.textContent = say.saySelected;
    }
    setTimeout(() => { label.textContent = say.sayCopy; }, 4000);
  });

  document.addEventListener("click", (event) => { if (event.target.closest("[data-print]")) print(); });

  // On a phone the menu is a row that may be wider than the screen.
  document.querySelector(".rail-nav a[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  // Keys: "/" searches, "?" shows the keys, j and k walk the rows of the page's lists, g and a letter goes to a page.
  const keys = document.getElementById("keys");
  for (const button of document.querySelectorAll("[data-keys]")) { button.hidden = !keys; button.addEventListener("click", () => keys.showModal()); }
  const places = { f: "/", s: "/sites", a: "/apps", d: "/deployments" };
  let going = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog[open]")) return;
    const key = event.key;
    if (key === "/") {
      const box = document.querySelector("#main input[type=search]:not([hidden])");
      if (box) { event.preventDefault(); box.focus(); box.select(); }
    } else if (key === "?" && keys) {
      event.preventDefault();
      keys.showModal();
    } else if (key === "j" || key === "k") {
      const rows = [...document.querySelectorAll("#main tbody a.name, #main .concerns strong a")].filter((el) => el.offsetParent);
      if (!rows.length) return;
      const at = rows.indexOf(document.activeElement);
      const next = rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + (key === "j" ? 1 : -1)))];
      next.focus();
      next.scrollIntoView({ block: "nearest" });
    } else if (key === "g") {
      going = Date.now();
      return;
    } else if (places[key] && Date.now() - going < 1500) {
      const link = document.querySelector(`.rail-nav a[href="${places[key]}"]`);
      if (link) { event.preventDefault(); link.click(); }
    }
    going = 0;
  });

  document.addEventListener("change", async (event) => {
    const input = event.target.closest("input[type=file][data-into]");
    if (!input || !input.files.length) return;
    const file = input.files[0], into = document.getElementById(input.dataset.into);
    if (file.size > 1000000) { input.setCustomValidity(say.sayLarge); input.reportValidity(); return; }
    input.setCustomValidity("");
    into.value = await file.text();
  });

  // A package on its way up: how much is sent, and what is said of it in place of this page.
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-upload]");
    if (!form) return;
    event.preventDefault();
    const body = new FormData(form, event.submitter), shown = form.querySelector("[data-progress]"), bar = form.querySelector("progress");
    const ask = new XMLHttpRequest(), buttons = form.querySelectorAll("button");
    const still = (on) => { for (const button of buttons) button.disabled = on; shown.hidden = !on; };
    ask.open("POST", form.action);
    ask.setRequestHeader("HX-Request", "true");
    ask.upload.onprogress = (now) => { if (now.lengthComputable) bar.value = 100 * now.loaded / now.total; };
    ask.onerror = () => still(false);
    ask.onload = () => {
      const to = ask.getResponseHeader("HX-Redirect");
      if (to) { location.assign(to); return; }
      still(false);
      const made = new DOMParser().parseFromString(ask.responseText, "text/html"), here = document.getElementById("outcome"), said = made.getElementById("outcome");
      if (said && here) { here.replaceWith(said); htmx.process(said); said.tabIndex = -1; said.focus(); said.scrollIntoView({ block: "nearest" }); }
      else if (made.querySelector("main")) document.querySelector("main").replaceWith(made.querySelector("main"));
    };
    still(true);
    ask.send(body);
  });

  // Log lines: what the device sends is put together, searched, followed and saved here.
  const view = document.getElementById("log-view");
  if (view) {
    const find = document.getElementById("log-find"), only = document.getElementById("log-only"), save = document.getElementById("log-save");
    const follow = document.getElementById("log-follow"), said = document.getElementById("log-said"), form = document.getElementById("fetch-logs");
    const KEPT = 20000, AGAIN_MS = 5000, LONGEST_MS = 10 * 60 * 1000;
    let lines = [], shown = "", until = 0, timer = 0;
    for (const el of [find, only.parentElement, save, follow]) if (el) el.hidden = false;
    // New lines go on where the old ones end: the longest end of the old that begins the new is counted once.
    const join = (old, fresh) => {
      for (let size = Math.min(old.length, fresh.length); size > 0; size--) {
        let k = 0;
        while (k < size && old[old.length - size + k] === fresh[k]) k++;
        if (k === size) return old.concat(fresh.slice(size));
      }
      return old.length ? old.concat([view.dataset.sayGap], fresh) : fresh;
    };
    const paint = () => {
      const words = find.value.toLowerCase();
      const kept = words && only.checked ? lines.filter((line) => line.toLowerCase().includes(words)) : lines;
      const below = view.scrollHeight - view.scrollTop - view.clientHeight < 40;
      const text = kept.join("\n");
      view.textContent = text || (lines.length ? view.dataset.sayNone : "");
      let hits = 0;
      if (words && window.Highlight) {
        const ranges = [], node = view.firstChild, low = text.toLowerCase();
        for (let at = low.indexOf(words); node && at >= 0 && ranges.length < 5000; at = low.indexOf(words, at + words.length)) {
          const range = new Range();
          range.setStart(node, at);
          range.setEnd(node, at + words.length);
          ranges.push(range);
        }
        hits = ranges.length;
        CSS.highlights.set("found", new Highlight(...ranges));
      } else if (window.Highlight) CSS.highlights.delete("found");
      if (words) said.textContent = `${hits} × “${find.value}”`;
      else if (!until) said.textContent = "";
      if (below) view.scrollTop = view.scrollHeight;
    };
    const stop = (why) => { until = 0; clearTimeout(timer); if (follow) { follow.setAttribute("aria-pressed", "false"); follow.textContent = follow.dataset.sayRest; } said.textContent = why || ""; };
    const ask = async () => {
      if (!until) return;
      if (Date.now() > until) { stop(follow.dataset.sayOver); return; }
      if (document.hidden) { timer = setTimeout(ask, AGAIN_MS); return; }
      try {
        const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
        if (answer.type !== "opaqueredirect") stop(follow.dataset.sayRefused);
      } catch { timer = setTimeout(ask, AGAIN_MS); }
    };
    const take = () => {
      const source = document.getElementById("log-source");
      if (!source) return;
      if (source.dataset.shown && source.dataset.shown !== shown) {
        shown = source.dataset.shown;
        lines = join(lines, source.textContent.replace(/\n$/, "").split("\n")).slice(-KEPT);
        view.hidden = false;
        paint();
        if (!view.dataset.begun) { view.dataset.begun = "yes"; view.scrollTop = view.scrollHeight; }
      }
      source.hidden = true;
      clearTimeout(timer);
      if (until && source.dataset.open === "no") timer = setTimeout(ask, AGAIN_MS);
    };
    find.addEventListener("input", paint);
    only.addEventListener("change", paint);
    save.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/plain" }));
      link.download = save.dataset.name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
    if (follow) follow.addEventListener("click", () => {
      if (until) { stop(); return; }
      until = Date.now() + LONGEST_MS;
      follow.setAttribute("aria-pressed", "true");
      follow.textContent = follow.dataset.sayPause;
      said.textContent = follow.dataset.sayLive;
      ask();
    });
    document.addEventListener("htmx:after:swap", take);
    take();
  }
  // A form that is sent again and again while somebody looks: not in a hidden page, and not for longer than a few minutes.
  let repeating = 0, repeatUntil = 0;
  const dressRepeat = () => { for (const button of document.querySelectorAll("[data-repeat]")) { button.hidden = false; button.setAttribute("aria-pressed", String(repeating > 0)); button.textContent = repeating ? button.dataset.sayPause : button.dataset.sayRest; } };
  const repeat = async (button) => {
    const form = document.getElementById(button.dataset.repeat);
    if (!form || Date.now() > repeatUntil) { clearInterval(repeating); repeating = 0; dressRepeat(); return; }
    if (document.hidden) return;
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" }).catch(() => null);
    if (answer && answer.type !== "opaqueredirect") { repeatUntil = 0; repeat(button); }
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-repeat]");
    if (!button) return;
    clearInterval(repeating);
    if (repeating) repeating = 0;
    else { repeatUntil = Date.now() + 5 * 60 * 1000; repeating = setInterval(() => repeat(button), Number(button.dataset.every)); repeat(button); }
    dressRepeat();
  });
  document.addEventListener("htmx:after:swap", dressRepeat);
  dressRepeat();

  for (const pick of document.querySelectorAll("[data-pick]")) pick.addEventListener("change", () => {
    const to = new URL(location.href), chosen = pick.selectedOptions[0].dataset;
    to.search = new URLSearchParams({ app: chosen.app, service: chosen.service });
    location.assign(to);
  });

  const live = document.getElementById("live");
  const lamp = document.getElementById("lamp");
  if (live && live.dataset.topics) {
    let due = 0, missed = false, began = 0, pause = 250, asked = "";
    // A form somebody has opened is not taken from under their hands: news wait until it is closed.
    const busy = () => live.isConnected && document.querySelector("#live details[data-edit][open], #live details.confirm[open]");
    const refresh = () => {
      if (due) return;
      due = setTimeout(() => {
        due = 0;
        if (document.hidden || busy()) { missed = true; return; }
        began = performance.now();
        asked = live.getAttribute("hx-get");
        htmx.trigger("#live", "live");
      }, pause);
    };
    // What was asked for before somebody opened a form is not laid over it either, nor over what was filtered since.
    document.addEventListener("htmx:before:swap", (event) => {
      if (event.detail.ctx.sourceElement !== live) return;
      if (busy()) { event.preventDefault(); missed = true; }
      else if (asked !== live.getAttribute("hx-get")) { event.preventDefault(); refresh(); }
    });
    // Filters change the address without a new page; what is fetched again is what they show.
    document.addEventListener("htmx:after:history:replace", (event) => live.setAttribute("hx-get", event.detail.path));
    // A long list takes its time: the page spends at most a fifth of it on keeping up.
    document.addEventListener("htmx:after:swap", () => { if (began) { pause = Math.max(250, Math.min(10000, 4 * (performance.now() - began))); began = 0; } });
    document.addEventListener("toggle", (event) => { if (missed && event.target.matches("details[data-edit], details.confirm") && !busy()) { missed = false; refresh(); } }, true);
    const show = (on) => { if (lamp) lamp.dataset.on = on ? "yes" : "no"; };
    let wait = 1000, last = "";
    show(false);
    const open = () => {
      const address = new URL("/live", location.href);
      for (const topic of live.dataset.topics.split(" ")) address.searchParams.append("topic", topic);
      if (last) address.searchParams.set("after", last);
      const stream = new EventSource(address);
      // What changed between the page's making and the stream's opening was told to nobody: look once more.
      stream.onopen = () => { show(true); refresh(); wait = 1000; };
      stream.addEventListener("changed", (event) => { if (event.lastEventId) last = event.lastEventId; refresh(); });
      stream.addEventListener("bye", () => { stream.close(); setTimeout(open, 200 + Math.random() * 2000); });
      stream.onerror = () => { stream.close(); show(false); setTimeout(open, wait); wait = Math.min(wait * 2, 30000); };
      addEventListener("pagehide", () => stream.close(), { once: true });
    };
    open();
    document.addEventListener("visibilitychange", () => { if (!document.hidden && missed) { missed = false; refresh(); } });
    setInterval(() => { if (lamp && lamp.dataset.on !== "yes") refresh(); }, 30000);
  }
})();
