// Times, countdowns and busy buttons. Everything here is a comfort: each page works without it.
(() => {
  "use strict";

  // --- times ------------------------------------------------------------------------------------

  const meta = document.querySelector('meta[name="server-time"]');
  const ahead = meta ? Date.parse(meta.content) - Date.now() : 0;
  // A difference of seconds is the way of the page here; only a clock that is really wrong counts.
  const skew = Math.abs(ahead) > 5000 ? ahead : 0;
  const now = () => Date.now() + skew;

  const format = new Intl.DateTimeFormat("en-GB", {
    weekday: "short", day: "numeric", month: "short", year: "numeric",
    hour: "2-digit", minute: "2-digit", timeZoneName: "short",
  });

  function showLocalTimes(root) {
    for (const element of root.querySelectorAll("time[datetime]:not([title])")) {
      const time = new Date(element.dateTime);
      if (Number.isNaN(time.getTime())) continue;
      element.title = element.textContent.trim();
      element.textContent = format.format(time);
    }
  }

  // --- countdowns -------------------------------------------------------------------------------

  const announcements = [[300, "5 minutes left"], [60, "1 minute left"], [10, "10 seconds left"]];
  const lastSeen = new WeakMap();

  function clock(seconds) {
    const two = (number) => String(number).padStart(2, "0");
    const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
    return seconds < 3600 ? rest : `${Math.floor(seconds / 3600)}:${rest}`;
  }

  function announce(text) {
    const announcer = document.getElementById("announcer");
    if (announcer) announcer.textContent = text;
  }

  function tick() {
    for (const element of document.querySelectorAll("[data-countdown]")) {
      const left = Math.max(0, Math.ceil((Date.parse(element.dataset.countdown) - now()) / 1000));
      const before = lastSeen.get(element);
      if (left === before) continue;
      lastSeen.set(element, left);
      element.textContent = left > 0 ? clock(left) : "time is up";
      element.classList.toggle("soon", left <= 60);
      if (before === undefined) continue;
      for (const [mark, text] of announcements) if (left <= mark && before > mark) announce(text);
      if (left === 0) {
        announce("The time is up");
        element.dispatchEvent(new CustomEvent("countdown-over", { bubbles: true }));
      }
    }
  }

  // --- forms ------------------------------------------------------------------------------------

  const buttonsOf = (form) => form.querySelectorAll("button:not([type=button]), input[type=submit]");

  function setBusy(form, busy) {
    form.setAttribute("aria-busy", busy);
    for (const button of buttonsOf(form)) {
      button.disabled = busy;
      if (!button.dataset.busy) continue;
      button.dataset.label ??= button.textContent;
      button.textContent = busy ? button.dataset.busy : button.dataset.label;
    }
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method === "get") return;
    // After the browser has read the form, as a disabled button's own value would not be sent.
    setTimeout(() => setBusy(form, true));
    setTimeout(() => setBusy(form, false), 20000);
  });

  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[aria-busy=true]")) setBusy(form, false);
  });

  // --- htmx -------------------------------------------------------------------------------------

  function notice(text) {
    const paragraph = document.createElement("p");
    paragraph.className = "notice warn";
    paragraph.textContent = text;
    document.getElementById("notices")?.replaceChildren(paragraph);
  }

  document.addEventListener("htmx:beforeSwap", (event) => {
    const answer = event.detail.xhr;
    const type = answer.getResponseHeader("Content-Type") ?? "";
    if (answer.status < 400 || (type.startsWith("text/html") && answer.responseText)) return;
    // Not from one of our services: the gateway speaks for one that is away.
    event.detail.shouldSwap = false;
    notice("A part of the site does not answer right now. Please try again in a moment.");
  });

  document.addEventListener("htmx:sendError", () => {
    notice("The site can't be reached. Please check the connection and try again.");
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.target instanceof HTMLFormElement) setTimeout(() => setBusy(event.target, false));
  });

  document.addEventListener("htmx:afterSettle", (event) => {
    showLocalTimes(event.target.parentElement ?? document);
    tick();
  });

  showLocalTimes(document);
  tick();
  setInterval(tick, 250);
})();
