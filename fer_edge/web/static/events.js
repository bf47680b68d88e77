// The list of events, and what screen readers are told of them: a summary each few seconds, alarms at once.

import { clockTime, textOfEvent } from "./words.js";

const MAX_EVENTS = 200;
const SPOKEN_EVERY_MS = 5000;
const ALARMS = new Set(["source_lost", "source_back"]);

export class Events {
  #list = document.getElementById("events");
  #announcements = document.getElementById("announcements");
  #alerts = document.getElementById("alerts");
  #announce = document.getElementById("announce");
  #colours;
  #waiting = new Map(); // the last event of each face
  #isFirst = true;
  #timer;

  constructor(labels) {
    this.#colours = new Map(labels.map((label) => [label.name, label.colour]));
    this.#list.replaceChildren();
    this.#timer = setInterval(() => this.#speak(), SPOKEN_EVERY_MS);
  }

  close() {
    clearInterval(this.#timer);
  }

  add(events) {
    for (const event of events) {
      this.#list.prepend(this.#row(event));
      // What happened before the page was opened is shown, and not announced.
      if (this.#isFirst) continue;
      if (ALARMS.has(event.kind)) this.#alerts.textContent = textOfEvent(event);
      else if (event.kind !== "expression_left") this.#waiting.set(event.id, event);
    }
    this.#isFirst = false;
    while (this.#list.childElementCount > MAX_EVENTS) this.#list.lastElementChild.remove();
    document.getElementById("no-event").hidden = this.#list.childElementCount > 0;
  }

  #row(event) {
    const row = document.createElement("li");
    const time = document.createElement("time");
    time.textContent = clockTime(event.time);
    const dot = document.createElement("span");
    dot.className = "dot";
    if (event.kind === "expression_entered") {
      dot.classList.add("has-colour");
      dot.style.setProperty("--colour", this.#colours.get(event.label));
    }
    const text = document.createElement("span");
    text.textContent = textOfEvent(event);
    text.classList.toggle("is-alarm", event.kind === "source_lost");
    row.append(time, dot, text);
    return row;
  }

  #speak() {
    if (this.#announce.checked && this.#waiting.size) {
      this.#announcements.textContent = [...this.#waiting.values()].map(textOfEvent).join(". ");
    }
    this.#waiting.clear();
  }
}
