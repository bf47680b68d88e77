// A card for each face of the last minute: its expression, a bar for each expression, and its timeline.

import { percent } from "./words.js";
import { Timeline } from "./timeline.js";

// More cards than these would be a page that nobody can read.
const MAX_CARDS = 12;
// Values for screen readers change less often than what is drawn.
const SPOKEN_EVERY_MS = 1000;
const DRAWN_EVERY_MS = 200;
const DRAWN_EVERY_MS_REDUCED = 1000;

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

export class Faces {
  #list = document.getElementById("faces");
  #cards = new Map();
  #drawn = 0;
  #spoken = 0;

  constructor(labels, windowSeconds) {
    Object.assign(this, { labels, windowSeconds });
    this.#list.replaceChildren();
  }

  // A sample is [seconds, id, percentages, abstains]; faces are those of the newest picture, or null.
  update({ now, fps, samples, faces }) {
    for (const [seconds, id, percentages, abstains] of samples) {
      if (now - seconds < this.windowSeconds) this.#card(id).timeline.add(seconds, percentages, abstains);
    }
    const time = performance.now();
    const speaks = time - this.#spoken >= SPOKEN_EVERY_MS;
    if (speaks) this.#spoken = time;
    if (faces) this.#show(faces, speaks);
    if (time - this.#drawn >= (reducedMotion.matches ? DRAWN_EVERY_MS_REDUCED : DRAWN_EVERY_MS)) {
      this.#drawn = time;
      this.#draw(now, fps, speaks);
    }
  }

  #card(id) {
    if (!this.#cards.has(id)) {
      const card = new Card(id, this.labels, this.windowSeconds);
      this.#cards.set(id, card);
      const later = [...this.#cards.keys()].filter((other) => other > id);
      this.#list.insertBefore(card.element, later.length ? this.#cards.get(Math.min(...later)).element : null);
    }
    return this.#cards.get(id);
  }

  #show(faces, speaks) {
    const ids = new Set(faces.map((face) => face.id));
    for (const face of faces) this.#card(face.id).show(face, speaks);
    for (const [id, card] of this.#cards) if (!ids.has(id)) card.leave();
  }

  #draw(now, fps, speaks) {
    const hold = Math.max(1, 2.5 / Math.max(fps, 0.5));
    for (const [id, card] of this.#cards) {
      if (card.isGone && now - card.timeline.lastSeconds > this.windowSeconds) {
        card.element.remove();
        this.#cards.delete(id);
      }
    }
    // Faces in the picture first, then those that left last.
    const order = [...this.#cards.values()].sort(
      (first, second) => first.isGone - second.isGone || second.timeline.lastSeconds - first.timeline.lastSeconds,
    );
    order.forEach((card, place) => {
      card.element.hidden = place >= MAX_CARDS;
      if (place < MAX_CARDS) card.draw(now, hold, speaks);
    });
    document.getElementById("no-face").hidden = order.length > 0;
    const more = document.getElementById("more-faces");
    more.hidden = order.length <= MAX_CARDS;
    more.textContent = `and ${order.length - MAX_CARDS} more`;
  }
}

class Card {
  // Until a picture shows it.
  isGone = true;

  constructor(id, labels, windowSeconds) {
    this.id = id;
    this.labels = labels;
    this.element = document.getElementById("card").content.firstElementChild.cloneNode(true);
    const title = this.element.querySelector("h3");
    title.textContent = `Face ${id}`;
    title.id = `face-${id}`;
    this.element.setAttribute("aria-labelledby", title.id);
    this.label = this.element.querySelector(".label");
    const bars = this.element.querySelector(".bars");
    bars.ariaLabel = `Expressions of face ${id}`;
    this.bars = labels.map((label) => bars.appendChild(newBar(label)));
    this.timeline = new Timeline(this.element.querySelector(".timeline"), labels, windowSeconds);
    this.leave();
  }

  show(face, speaks) {
    this.isGone = false;
    this.element.classList.remove("is-gone");
    const first = this.labels.findIndex((label) => label.name === face.label);
    this.#write(face.abstains ? `unclear: ${face.abstains}` : `${face.label} ${percent(face.confidence)}`);
    const colours = face.abstains ? { colour: "#b9b9b9", text: "#000" } : this.labels[first];
    this.element.style.setProperty("--face", colours.colour);
    this.element.style.setProperty("--face-text", colours.text);
    this.bars.forEach((bar, index) => {
      const share = face.probabilities[index];
      bar.classList.toggle("is-first", index === first && !face.abstains);
      bar.querySelector(".fill").style.transform = `scaleX(${share})`;
      bar.querySelector(".percent").textContent = percent(share);
      if (speaks || !bar.ariaValueNow) bar.ariaValueNow = Math.round(100 * share);
    });
  }

  leave() {
    this.isGone = true;
    this.element.classList.add("is-gone");
    this.#write("not in the picture");
  }

  draw(now, hold, speaks) {
    this.timeline.draw(now, hold);
    if (speaks || !this.timeline.canvas.ariaLabel) {
      this.timeline.canvas.ariaLabel = `Last minute of face ${this.id}: ${this.timeline.describe() || "nothing yet"}`;
    }
  }

  #write(text) {
    if (this.label.textContent !== text) this.label.textContent = text;
  }
}

function newBar(label) {
  const bar = document.getElementById("bar").content.firstElementChild.cloneNode(true);
  bar.ariaLabel = label.name;
  bar.querySelector(".name").textContent = label.name;
  bar.style.setProperty("--colour", label.colour);
  return bar;
}
