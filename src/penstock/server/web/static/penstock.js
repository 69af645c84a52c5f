// The pages' only script of our own: dates in the viewer's zone and the site's, copy buttons, live regions. Every page works without it.
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
  const there = (el, date, timeStyle) => {
    const zone = el.dataset.zone;
    if (!zone) return "";
    const key = `${zone} ${timeStyle}`;
    try {
      if (!zones.has(key)) {
        const options = { dateStyle: "short", timeStyle };
        zones.set(key, [new Intl.DateTimeFormat(locale, options), new Intl.DateTimeFormat(locale, { ...options, timeZone: zone }), new Intl.DateTimeFormat(locale, { timeStyle, timeZone: zone })]);
      }
    } catch { return ""; }
    const [here, far, hour] = zones.get(key);
    if (here.format(date) === far.format(date)) return "";
    const sameDay = here.format(date).split(",")[0] === far.format(date).split(",")[0];
    return say.sayThere.replace("%t", (sameDay ? hour : far).format(date)).replace("%p", el.dataset.place);
  };
  const tell = (root) => {
    const now = Date.now();
    for (const el of root.querySelectorAll("time[data-ms]")) {
      const then = Number(el.dataset.ms), date = new Date(then);
      const today = day.format(date) === day.format(new Date(now));
      const far = there(el, date, "short");
      const text = el.dataset.as === "clock" ? (today ? clock.format(date) : `${day.format(date)} ${clock.format(date)}`) + (far && ` (${far})`) : ago(then, now);
      if (el.textContent !== text) el.textContent = text;
      el.title = full.format(date) + (far && ` (${far})`);
    }
  };
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

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select")) return;
    const box = document.querySelector("input[type=search]");
    if (box) { event.preventDefault(); box.focus(); box.select(); }
  });

  document.addEventListener("change", async (event) => {
    const input = event.target.closest("input[type=file][data-into]");
    if (!input || !input.files.length) return;
    const file = input.files[0], into = document.getElementById(input.dataset.into);
    if (file.size > 1000000) { input.setCustomValidity(say.sayLarge); input.reportValidity(); return; }
    input.setCustomValidity("");
    into.value = await file.text();
  });

  const live = document.getElementById("live");
  const lamp = document.getElementById("lamp");
  if (live && live.dataset.topics) {
    let due = 0, hidden = false, missed = false;
    const refresh = () => {
      if (due) return;
      due = setTimeout(() => {
        due = 0;
        if (document.hidden) { missed = true; return; }
        // Somebody is about to do something here: what they opened and typed stays until they are done.
        if (document.querySelector("#live details.confirm[open]")) { setTimeout(refresh, 2000); return; }
        htmx.trigger("#live", "live");
      }, 250);
    };
    // What was asked for before somebody opened a form is not laid over it either.
    document.addEventListener("htmx:before:swap", (event) => {
      if (event.detail.ctx.sourceElement === live && document.querySelector("#live details.confirm[open]")) { event.preventDefault(); refresh(); }
    });
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
