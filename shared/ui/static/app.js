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
  let lost = null;  // the part of the page whose last look failed

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
    if (lost && !lost.isConnected) setLost(null);
    for (const element of document.querySelectorAll("[data-countdown]")) {
      const left = Math.max(0, Math.ceil((Date.parse(element.dataset.countdown) - now()) / 1000));
      const before = lastSeen.get(element);
      if (left === before) continue;
      lastSeen.set(element, left);
      element.textContent = left > 0 ? clock(left) : "time is up";
      element.classList.add("ticking");
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

  // --- controls ---------------------------------------------------------------------------------

  // A number with − and +, which are only there for those who can use them.
  function showSteppers(root) {
    for (const stepper of root.querySelectorAll(".stepper")) stepper.classList.add("ready");
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-step]");
    const input = button?.parentElement.querySelector("input");
    if (!input) return;
    if (button.dataset.step > 0) input.stepUp();
    else input.stepDown();
    input.dispatchEvent(new Event("change", { bubbles: true }));
    announce(input.value);
  });

  // A time that is typed in UTC, said again in the reader's own time zone.
  function echoLocal(input) {
    const time = new Date(`${input.value}Z`);
    const hint = document.getElementById(`${input.id}-hint`);
    if (!hint) return;
    hint.dataset.text ??= hint.textContent;
    const local = Number.isNaN(time.getTime()) ? "" : ` Where you are: ${format.format(time)}.`;
    hint.textContent = hint.dataset.text + local;
  }

  document.addEventListener("input", (event) => {
    if (event.target.matches("input[data-utc]")) echoLocal(event.target);
  });

  // A menu closes when somebody goes on elsewhere.
  function closeMenus(except) {
    for (const menu of document.querySelectorAll("details.person[open]")) {
      if (!menu.contains(except)) menu.open = false;
    }
  }

  document.addEventListener("click", (event) => closeMenus(event.target));
  document.addEventListener("focusin", (event) => closeMenus(event.target));
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details.person[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  function prepare(root) {
    showLocalTimes(root);
    showSteppers(root);
    for (const input of root.querySelectorAll("input[data-utc]")) echoLocal(input);
  }

  // --- htmx -------------------------------------------------------------------------------------

  const away = () =>
    navigator.onLine
      ? "This part of the site does not answer right now. Please try again in a moment."
      : "You seem to be offline. Try again when you are connected: nothing is paid twice.";

  // What was said while the connection was away is no longer true when it is back.
  window.addEventListener("online", () => document.querySelector("#notices .away")?.remove());

  function notice(text) {
    const paragraph = document.createElement("p");
    paragraph.className = "notice warn away";
    paragraph.textContent = text;
    document.getElementById("notices")?.replaceChildren(paragraph);
  }

  // A page that looks by itself whether it is still true says when it can't, as it is silent otherwise.
  function setLost(part) {
    lost = part;
    const said = document.getElementById("lost");
    if (!part) return said?.remove();
    if (said) return;
    const paragraph = document.createElement("p");
    paragraph.id = "lost";
    paragraph.className = "notice warn noprint";
    paragraph.setAttribute("role", "status");
    paragraph.textContent = "No connection right now. We keep trying, and this page goes on by itself.";
    document.getElementById("notices")?.append(paragraph);
  }

  window.addEventListener("offline", () => setLost(document.querySelector("[hx-trigger*='every ']")));

  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.requestConfig.elt === lost && event.detail.successful) setLost(null);
  });

  // In the place of a part that did not come, with a button that asks for it again.
  function missing(target, path) {
    const section = document.createElement("section");
    section.className = "notice warn";
    section.setAttribute("role", "alert");
    const text = document.createElement("p");
    text.textContent = away();
    const button = document.createElement("button");
    button.className = "quiet";
    button.type = "button";
    button.textContent = "Try again";
    button.addEventListener("click", () => htmx.ajax("GET", path, { target, swap: "innerHTML" }));
    section.append(text, button);
    target.replaceChildren(section);
  }

  // A part that fetches itself is missing in its place. What a person did is answered above the
  // page. A page that only looked whether it is still true stays as it is, and looks again later.
  function failed(detail) {
    const { target, requestConfig } = detail;
    const { elt, verb, triggeringEvent } = requestConfig;  // the event's own `elt` can be its target
    if (verb === "get" && !triggeringEvent?.isTrusted) {
      if (elt !== target) setLost(elt);
      else if (!elt.hasAttribute("data-keep")) missing(target, requestConfig.path);
    } else if (elt === target || !target?.closest(".field")) {
      notice(away());
    }
  }

  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, target, requestConfig } = event.detail;
    const { elt, verb, triggeringEvent } = requestConfig;
    const ours = (xhr.getResponseHeader("Content-Type") ?? "").startsWith("text/html") && xhr.responseText;
    const looked = verb === "get" && elt !== target && !triggeringEvent?.isTrusted;
    const passes = xhr.status >= 500 || xhr.status === 429;
    if (xhr.status < 400 || (ours && !(looked && passes))) return;
    event.detail.shouldSwap = false;
    failed(event.detail);
  });

  document.addEventListener("htmx:sendError", (event) => failed(event.detail));

  document.addEventListener("htmx:configRequest", (event) => {
    // Filters that are not used have no place in the address.
    const { elt, parameters } = event.detail;
    if (!elt.hasAttribute("data-lean")) return;
    for (const [name, value] of Object.entries(parameters)) if (value === "") delete parameters[name];
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.target instanceof HTMLFormElement) setTimeout(() => setBusy(event.target, false));
  });

  // A part that is replaced takes the focus with it. Who works by keyboard goes on at its heading.
  let left = null;

  document.addEventListener("htmx:beforeSwap", ({ detail: { target, requestConfig, shouldSwap } }) => {
    const at = document.activeElement;
    // A busy button has lost the focus already, as has a part that is not settled yet.
    const sent = at === document.body && requestConfig.triggeringEvent?.type === "submit";
    if (shouldSwap && (sent || target.contains(at) || target.contains(left))) left = target;
  });

  document.addEventListener("htmx:afterSettle", () => {
    const heading = document.activeElement === document.body && left?.querySelector("h1, h2");
    left = null;
    if (!heading) return;
    heading.tabIndex = -1;
    heading.focus();
  });

  document.addEventListener("htmx:afterSettle", (event) => {
    const place = event.target.parentElement ?? document;
    prepare(place);
    tick();
    const said = event.target.querySelector("[data-announce]");
    if (said) announce(said.textContent.trim());
    // The answer to a check of one field: the control says whether it is wrong.
    const control = event.target.matches(".error") && place.querySelector("input, textarea, select");
    if (control) control.setAttribute("aria-invalid", event.target.textContent.trim() !== "");
  });

  prepare(document);
  tick();
  setInterval(tick, 250);
})();
