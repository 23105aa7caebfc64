// Open pages hear what has changed. While nobody answers, they look by themselves now and then.
(() => {
  "use strict";

  const FIRST = 1000;  // milliseconds until the first new attempt; then twice as long each time
  const LONGEST = 60000;
  const MOST = 100;  // topics that one stream may have

  // What the extension takes for an EventSource. It is closed while nobody looks at the page, as a
  // browser opens only six connections to one host, and it asks ever more rarely without an answer.
  class Source extends EventTarget {
    #path;
    #topics;
    #names = new Set();
    #stream = null;
    #former = null;
    #timer = 0;
    #failures = 0;
    #over = false;
    #look = () => (document.hidden ? this.#pause() : this.#open());
    #pass = (event) => this.dispatchEvent(new MessageEvent(event.type, { data: event.data }));

    constructor(url) {
      super();
      const { pathname, searchParams } = new URL(url, document.baseURI);
      this.#path = pathname;
      this.#topics = searchParams.getAll("topic");
      document.addEventListener("visibilitychange", this.#look);
      window.addEventListener("online", this.#look);
      window.addEventListener("pagehide", () => this.#pause());
      window.addEventListener("pageshow", this.#look);
      this.#look();
    }

    addEventListener(name, listener) {
      super.addEventListener(name, listener);
      if (this.#names.has(name)) return;
      this.#names.add(name);
      this.#stream?.addEventListener(name, this.#pass);
      if (!this.#topics.includes(name)) this.#widen(name);
    }

    close() {
      this.#over = true;
      this.#pause();
      document.removeEventListener("visibilitychange", this.#look);
      window.removeEventListener("online", this.#look);
    }

    // The page has more on it than at first, such as cards that came while scrolling. They come many
    // at once, and share one new stream; until that is open the old one still tells what it knows.
    #widen(topic) {
      this.#topics.push(topic);
      if (this.#former || !this.#stream) return;
      this.#former = this.#stream;
      setTimeout(() => {
        if (!this.#former) return;
        this.#stream = null;
        this.#open();
      });
    }

    #open() {
      if (this.#stream || this.#over) return;
      clearTimeout(this.#timer);
      const wider = this.#former !== null;
      // Of too many, those that came last are the ones that somebody looks at.
      this.#stream = new EventSource(`${this.#path}?topic=${this.#topics.slice(-MOST).join("&topic=")}`);
      this.#stream.onopen = () => {
        this.#failures = 0;
        this.#former?.close();
        this.#former = null;
        if (!wider) this.onopen?.();
      };
      this.#stream.onerror = () => this.#later();
      for (const name of this.#names) this.#stream.addEventListener(name, this.#pass);
    }

    #pause() {
      clearTimeout(this.#timer);
      this.#stream?.close();
      this.#former?.close();
      this.#stream = this.#former = null;
    }

    #later() {
      this.#pause();
      const wait = Math.min(FIRST * 2 ** this.#failures, LONGEST);
      this.#failures += 1;
      // Many pages lose their stream at the same moment, and must not all come back at the same one.
      this.#timer = setTimeout(this.#look, wait * (1 + Math.random()));
    }
  }

  htmx.createEventSource = (url) => new Source(url);

  const opened = new WeakSet();

  // Nobody told the page what happened before its stream was open. What is only looked at in
  // passing, and there are many of, asks only after a stream was lost.
  document.addEventListener("htmx:sseOpen", (event) => {
    const again = opened.has(event.target);
    opened.add(event.target);
    for (const element of [event.target, ...event.target.querySelectorAll("[hx-trigger]")]) {
      const name = /sse:[^\s,[]+/.exec(element.getAttribute("hx-trigger") ?? "");
      if (name && (again || !element.hasAttribute("data-passing"))) htmx.trigger(element, name[0]);
    }
  });
})();
